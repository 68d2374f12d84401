"""On a real Ray: numbers come out at the node's endpoint, and a worker's lines name their song."""

import json
import logging
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipelines.flow.pipeline import Pipeline
from pipelines.flow.run import run_flow
from pipelines.flow.stage import Refusal, Stage, Work, one_by_one
from pipelines.observability.catalogue import CATALOGUE, GateOutcome, Kind, NightOutcome
from pipelines.observability.logs import log_as_json, log_context, worker_logging
from pipelines.observability.metrics import live_metrics
from tests.infra.queries import names_used

pytestmark = pytest.mark.ray

NEED_A_GPU = {"ray_node_gpus_utilization", "ray_node_gram_used"}


@dataclass(frozen=True, slots=True)
class Song:
    song_id: str


@dataclass(frozen=True, slots=True)
class Heard:
    song_id: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Hear(Stage[Song, Heard]):
    name: ClassVar[str] = "hear"
    version: ClassVar[str] = "1"

    def open(self) -> Work[Song, Heard]:
        return one_by_one(self._hear)

    def _hear(self, song: Song) -> Heard | Refusal:
        logging.getLogger("stage").info("heard it")
        return self.refuse(song.song_id, "silent", "") if song.song_id == "song-0" else Heard(song.song_id, 10.0)


@dataclass(frozen=True, slots=True)
class Cluster:
    """An open Ray: where it exports its metrics, where its processes write, and what was seen of its metrics."""

    metrics_url: str
    logs: Path
    seen: dict[tuple[str, ...], float] = field(default_factory=dict)
    """The last value of all series so far: Ray forgets a gauge soon after it was set."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A Ray whose workers log JSON, and which exports every second."""
    import sys

    import ray

    root, hook = logging.getLogger(), sys.excepthook
    before, level = root.handlers[:], root.level
    log_as_json()
    with log_context(run_key="night-1"):
        settings = worker_logging()
    ray.init(
        address="local",
        num_cpus=8,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=256 * 2**20,
        _system_config={"metrics_report_interval_ms": 1000},
        **settings,
    )
    root.handlers[:], sys.excepthook = before, hook
    root.setLevel(level)
    (node,) = ray.nodes()
    session = ray._private.worker._global_node.get_session_dir_path()
    yield Cluster(f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics", Path(session) / "logs")
    ray.shutdown()


def exported(cluster: Cluster) -> dict[tuple[str, ...], float]:
    """What has been exported so far: values by the name of their series and those of our labels."""
    with urllib.request.urlopen(cluster.metrics_url, timeout=10) as answer:
        text = answer.read().decode()
    ours = {"stage", "status", "axis", "metric", "outcome", "le"}
    found = {
        (sample.name, *(value for label, value in sorted(sample.labels.items()) if label in ours)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    cluster.seen.update(found)
    return cluster.seen


def eventually(look: Callable[[], bool], timeout_s: float = 60) -> bool:
    """Whether something becomes true in time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if look():
            return True
        time.sleep(0.5)
    return look()


def test_a_flow_on_ray_exports_its_songs(cluster: Cluster) -> None:
    from pipelines.flow.ray_executor import RayExecutor

    songs = [Song(f"song-{number}") for number in range(6)]
    with log_context(run_key="corpus-1", attempt=3):
        result = run_flow(Pipeline[Song, Heard]((Hear(),)), songs, RayExecutor(num_workers=2, batch_size=2))
    assert len(result.records) == 5
    assert eventually(lambda: exported(cluster).get(("ray_levo_songs_total", "hear", "passed")) == 5)
    values = exported(cluster)
    assert values["ray_levo_songs_total", "hear", "refused"] == 1
    assert values["ray_levo_stage_seconds_count", "hear"] == 6
    assert 0 < values["ray_levo_real_time_factor", "hear"] < 1


def test_a_line_from_within_a_workers_stage_names_its_song(cluster: Cluster) -> None:
    def lines() -> list[dict[str, Any]]:
        texts = (line for file in cluster.logs.glob("worker-*.err") for line in file.read_text().splitlines())
        return [json.loads(text) for text in texts if "heard it" in text]

    assert eventually(lambda: len(lines()) == 6)
    assert sorted(line["song"] for line in lines()) == [f"song-{number}" for number in range(6)]
    for line in lines():
        assert (line["run_key"], line["attempt"], line["stage"]) == ("corpus-1", 3, "hear")


def test_a_task_outside_any_flow_knows_the_run_that_opened_ray(cluster: Cluster) -> None:
    import ray

    def act() -> None:
        logging.getLogger("task").info("a task of its own")

    ray.get(ray.remote(act).remote())
    texts = [line for file in cluster.logs.glob("worker-*.err") for line in file.read_text().splitlines()]
    (line,) = [json.loads(text) for text in texts if "a task of its own" in text]
    assert line["run_key"] == "night-1"


def test_every_metric_is_exported_under_the_names_that_the_catalogue_gives(cluster: Cluster) -> None:
    metrics = live_metrics()
    assert metrics.sinks
    metrics.count_pairs("lyric", 3)
    metrics.set_pair_yield("lyric", 0.5)
    metrics.set_reward("musicality", 0.5, -0.25)
    metrics.set_policy_drift(0.1)
    metrics.count_night(NightOutcome.KEPT)
    metrics.count_gate_decision(GateOutcome.REFUSED)
    metrics.mark_success(1_000_000.0)
    metrics.set_newest_date(900_000.0)
    metrics.set_tracking_backlog(0)
    expected = {name for metric in CATALOGUE for name in metric.exported_names}
    assert eventually(lambda: expected <= {key[0] for key in exported(cluster)})
    values = exported(cluster)
    assert values["ray_levo_pairs_total", "lyric"] == 3
    assert values["ray_levo_reward_drift", "musicality"] == -0.25
    assert values["ray_levo_refresh_nights_total", "kept"] == 1
    assert {metric.kind for metric in CATALOGUE} == set(Kind)


def test_what_alerts_and_dashboards_read_is_really_exported(cluster: Cluster) -> None:
    import ray
    from ray import serve
    from ray.exceptions import RayError

    class Echo:
        def __call__(self, number: int) -> int:
            return 1 // number

    serve.start(proxy_location="Disabled")
    handle = serve.run(serve.deployment(Echo).bind(), name="echo", route_prefix=None)
    try:
        assert handle.remote(1).result(timeout_s=60) == 1
        with pytest.raises((RayError, ZeroDivisionError)):
            handle.remote(0).result(timeout_s=60)
        assert ray.data.range(8, override_num_blocks=2).map_batches(lambda batch: batch).count() == 8
        expected = names_used() - {"up", *NEED_A_GPU}
        eventually(lambda: expected <= {key[0] for key in exported(cluster)})
        assert expected - {key[0] for key in exported(cluster)} == set()
    finally:
        serve.shutdown()


def test_a_driver_that_ends_at_once_still_exports_its_counts(cluster: Cluster) -> None:
    import subprocess
    import sys

    import ray

    program = (
        "import sys, ray\n"
        "from pipelines.observability.metrics import live_metrics\n"
        "ray.init(address=sys.argv[1], log_to_driver=False)\n"
        "live_metrics().count_pairs('prompt', 7)\n"
        "ray.shutdown()\n"
    )
    subprocess.run([sys.executable, "-c", program, ray.get_runtime_context().gcs_address], check=True, timeout=120)
    assert eventually(lambda: exported(cluster).get(("ray_levo_pairs_total", "prompt")) == 7)
