"""Serves a run's song model until it is told to stop, and asks a running service to swap its model."""

import json
import signal
import threading
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

from jobs.cluster import ray_cluster
from jobs.serve import ServeOptions
from jobs.typed_json import read_record
from levo.codec.embedded import EmbeddedCodec
from levo.model.config import LeLMConfig
from levo.model.sampling.request import SamplingParameters
from levo.model.store import load_config
from levo.song.schema import records_of
from pipelines.corpus.embedded import CODEC
from pipelines.flow.run_folder import read_config
from pipelines.flow.snapshot import SnapshotStore
from pipelines.loop.config import SamplingConfig
from pipelines.loop.http_serving import Address, HttpConfig, model_names, start_http
from pipelines.loop.places import RunPlaces
from pipelines.loop.prompts import PROMPTS
from pipelines.loop.records import PromptRow
from pipelines.loop.serving import ServingConfig, stop_sampling
from pipelines.loop.song_orders import OrderTaker

_SWAP_TIMEOUT_S = 600


def serve_run(options: ServeOptions) -> int:
    """Serve until SIGINT or SIGTERM; songs that are running then are lost."""
    places = RunPlaces(options.run.resolve())
    sampling = read_record(SamplingConfig, read_config(places.folder)["loop"]["sampling"])
    names = model_names(places.lelm(options.model).parent)
    if options.model not in names:
        raise ValueError(f"--model is {options.model!r}; {options.run} has {', '.join(names) or 'no model yet'}")
    config = ServingConfig(
        length_classes=sampling.length_classes,
        num_replicas=options.replicas,
        num_cpus=sampling.threads_per_replica,
        num_threads=sampling.threads_per_replica,
    )
    address, shape = Address(options.host, options.port), load_config(places.lelm(options.model))
    with ray_cluster():
        start_http(config, _front(places, sampling, shape), places.lelm(options.model), address)
        try:
            print(f"serving {options.model} of {options.run} at {address.url}", flush=True)
            print(_example(address), flush=True)
            _wait_for_a_signal()
        finally:
            stop_sampling()
    return 0


def swap_model(options: ServeOptions) -> int:
    """Ask the service to swap; prints what songs are made by from now on."""
    url = f"{Address(options.host, options.port).url}/model"
    body = json.dumps({"name": options.swap}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="PUT")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_SWAP_TIMEOUT_S) as answer:  # noqa: S310
            done: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        problems = json.load(error)["errors"]
        raise ValueError("; ".join(problem["problem"] for problem in problems)) from None
    except urllib.error.URLError as error:
        raise OSError(f"no service answers at {url}: {error.reason}; start one with `levo serve`") from None
    print(f"{done['model']} {done['model_digest']}")
    return 0


def _front(places: RunPlaces, sampling: SamplingConfig, shape: LeLMConfig) -> HttpConfig:
    return HttpConfig(
        models=places.lelm("base").parent,
        # Not the pointer of the run's own sampling steps, which may be at work.
        pointer=places.folder / "serving" / "http-model",
        orders=OrderTaker(
            audio_prompts={row.prompt_id: row.audio_prompt for row in _prompts(places.prompts)},
            parameters=SamplingParameters(
                temperature=sampling.temperature, top_k=sampling.top_k, guidance=sampling.guidance
            ),
            max_frames=max(length.max_frames for length in sampling.length_classes),
            code_size=shape.code_size,
            max_prompt_frames=shape.max_prompt_frames,
        ),
        open_codec=partial(EmbeddedCodec.load, places.models / CODEC),
    )


def _prompts(folder: Path) -> list[PromptRow]:
    snapshot = SnapshotStore(folder).current()
    return [] if snapshot is None else records_of(snapshot.table(PROMPTS), PromptRow)


def _example(address: Address) -> str:
    order = json.dumps({"lyrics": "[verse] sun and moon.", "description": "female, slow", "audio": "wav"})
    return f"curl -s {address.url}/songs -H 'Content-Type: application/json' -d '{order}'"


def _wait_for_a_signal() -> None:
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    told.wait()
