"""The serving trial's cluster and its table."""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from jobs.benchmarks.arms import machine
from jobs.benchmarks.serving import KILL_FRONT, KILL_REPLICA, SWAP, ServingTrial, ServingTrialConfig, serving_trial
from jobs.cluster import ray_cluster
from pipelines.loop.http_serving import Address

_PORT = 8765


def bench_serving(num_faults: int, seed: int, *, as_json: bool) -> str:
    """Kill and swap so often, a swap for every kill, and say what came of the requests."""
    if num_faults < 4:
        raise ValueError(f"--runs is {num_faults}; expected 4 or more kills and swaps")
    swaps, fronts = num_faults // 2, max(1, num_faults // 12)
    config = ServingTrialConfig(
        num_swaps=swaps, num_replica_kills=num_faults - swaps - fronts, num_front_kills=fronts, seed=seed
    )
    with tempfile.TemporaryDirectory() as folder, ray_cluster():
        found = serving_trial(config, Path(folder), Address(port=_PORT), lambda text: print(text, file=sys.stderr))
    return json.dumps(asdict(found) | {"is_clean": found.is_clean}) if as_json else table(found)


def table(found: ServingTrial) -> str:
    """What the docs hold."""
    faults = ", ".join(f"{found.faults.get(fault, 0)} x {fault}" for fault in (SWAP, KILL_REPLICA, KILL_FRONT))
    lines = [
        f"serving, {machine()}: {faults}, in {found.wall_s:.0f} s",
        "",
        "| asked by | requests | answered | lost | doubled | mixed weights | unknown model |",
        "|---|---|---|---|---|---|---|",
    ]
    for way in found.ways:
        counts = (way.num_asked, way.num_answered, way.num_lost, way.num_doubled, way.num_mixed, way.num_unknown_models)
        lines.append(f"| {way.way} | {' | '.join(map(str, counts))} |")
    by_model = ", ".join(f"{digest[:8]} {number}" for digest, number in sorted(found.songs_by_model.items()))
    lines += ["", f"songs by model: {by_model}; answers that died with a replica and came from another: "]
    lines[-1] += str(found.num_asked_again)
    return "\n".join(lines)
