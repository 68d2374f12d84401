"""Last values survive their cluster: counters go on from the file, and nothing that is refused stops a night."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipelines.observability.catalogue import CATALOGUE, GateOutcome, NightOutcome, SongStatus
from pipelines.observability.kept_values import FILE_NAME, kept_metrics


def values(text: str) -> dict[tuple[str, ...], float]:
    """Each sample's value by its name and the values of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_night_goes_on_counting_where_the_last_one_ended(tmp_path: Path) -> None:
    file = tmp_path / "metrics" / FILE_NAME
    for night in (1, 2):
        with kept_metrics(file, "nightly") as metrics:
            metrics.count_pairs("lyric", 10 * night)
            metrics.set_pair_yield("lyric", 0.25 / night)
            metrics.count_gate_decision(GateOutcome.REFUSED)
            metrics.count_night(NightOutcome.KEPT)
            metrics.set_reward("musicality", 0.5, None if night == 1 else -1.5)
            metrics.set_policy_drift(0.1)
            metrics.mark_success(1_000_000.0 + night)
    assert values(file.read_text()) == {
        ("ray_levo_pairs_total", "lyric", "nightly"): 30,
        ("ray_levo_pair_yield", "lyric", "nightly"): 0.125,
        ("ray_levo_gate_decisions_total", "refused", "nightly"): 2,
        ("ray_levo_refresh_nights_total", "kept", "nightly"): 2,
        ("ray_levo_reward_mean", "musicality", "nightly"): 0.5,
        ("ray_levo_reward_drift", "musicality", "nightly"): -1.5,
        ("ray_levo_policy_drift", "nightly"): 0.1,
        ("ray_levo_refresh_last_success_timestamp_seconds", "nightly"): 1_000_002,
    }


def test_what_only_a_living_cluster_means_is_not_kept(tmp_path: Path) -> None:
    with kept_metrics(tmp_path / FILE_NAME, "nightly") as metrics:
        metrics.count_songs("check", SongStatus.PASSED)
        metrics.observe_stage("check", 1.0)
        metrics.set_real_time_factor("check", 0.1)
    assert values((tmp_path / FILE_NAME).read_text()) == {}


def test_how_much_waits_for_the_tracking_server_outlives_the_cluster(tmp_path: Path) -> None:
    with kept_metrics(tmp_path / FILE_NAME, "nightly") as metrics:
        metrics.set_tracking_backlog(3)
    assert values((tmp_path / FILE_NAME).read_text()) == {("ray_levo_tracking_backlog_events", "nightly"): 3}


def test_a_night_that_raises_leaves_what_it_told(tmp_path: Path) -> None:
    def night() -> None:
        with kept_metrics(tmp_path / FILE_NAME, "nightly") as metrics:
            metrics.count_night(NightOutcome.FAILED)
            raise RuntimeError("no GPU")

    with pytest.raises(RuntimeError, match="no GPU"):
        night()
    assert values((tmp_path / FILE_NAME).read_text()) == {("ray_levo_refresh_nights_total", "failed", "nightly"): 1}


def test_who_lost_the_lease_leaves_the_file_to_its_holder(tmp_path: Path) -> None:
    def night() -> None:
        with kept_metrics(tmp_path / FILE_NAME, "nightly", lost=ConnectionError) as metrics:
            metrics.count_night(NightOutcome.FAILED)
            (tmp_path / FILE_NAME).write_text("the holder's")
            raise ConnectionError("somebody else took it")

    with pytest.raises(ConnectionError):
        night()
    assert (tmp_path / FILE_NAME).read_text() == "the holder's"


def test_a_damaged_file_is_begun_anew_and_said_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / FILE_NAME
    file.write_text('ray_levo_pairs_total{axis="lyric" 7 7 7\n')
    with kept_metrics(file, "nightly") as metrics:
        metrics.count_pairs("lyric", 1)
    assert values(file.read_text()) == {("ray_levo_pairs_total", "lyric", "nightly"): 1}
    assert "begin anew" in caplog.text


def test_a_disk_that_refuses_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with kept_metrics(tmp_path / "file" / FILE_NAME, "nightly") as metrics:
        metrics.mark_success(1.0)
    assert "metrics of nightly are not kept in" in caplog.text


@pytest.fixture
def gateway() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """A Pushgateway's address, and what it was asked: method, path, body."""
    asked: list[tuple[str, str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked.append((self.command, self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_a_gateway_gets_what_the_file_holds(tmp_path: Path, gateway: tuple[str, list[tuple[str, str, str]]]) -> None:
    address, asked = gateway
    with kept_metrics(tmp_path / FILE_NAME, "nightly", address) as metrics:
        metrics.mark_success(5.0)
    assert asked == [("PUT", "/metrics/job/levo/store/nightly", (tmp_path / FILE_NAME).read_text())]


def test_a_gateway_that_is_not_there_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with kept_metrics(tmp_path / FILE_NAME, "nightly", "127.0.0.1:9") as metrics:
        metrics.mark_success(5.0)
    assert "metrics of nightly are not pushed to 127.0.0.1:9" in caplog.text
    assert values((tmp_path / FILE_NAME).read_text())


def test_names_are_unique_and_say_that_they_are_ours() -> None:
    names = [metric.name for metric in CATALOGUE]
    assert len(set(names)) == len(names)
    assert all(name.startswith("levo_") for name in names)
    assert all(metric.description and not metric.name.endswith("_total") for metric in CATALOGUE)
