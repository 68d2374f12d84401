"""`levo dispatch` against a server that speaks TLS, asks for the token and keeps RayJobs."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.cli import main
from jobs.kubernetes.api import KubernetesError, PodApi
from jobs.kubernetes.dispatch import EndedNight, dispatch
from jobs.kubernetes.night import NightState, template_in
from tests.jobs.kubernetes.fake_api import FakeKubernetes, fake_kubernetes

NIGHT = Path(__file__).parents[3] / "infra" / "kubernetes" / "overlays" / "nightly" / "night.yaml"
RUNNING = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
SUCCEEDED = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
FAILED = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "message": "no pairs"}


@pytest.fixture
def kubernetes(tmp_path: Path) -> Iterator[FakeKubernetes]:
    with fake_kubernetes(tmp_path, [RUNNING, SUCCEEDED]) as server:
        server.add_job("levo-refresh-29700150", "2026-11-26T02:30:00Z")
        yield server


def api_of(server: FakeKubernetes) -> PodApi:
    return PodApi(f"https://127.0.0.1:{server.server_port}", server.account)


def run(server: FakeKubernetes, say: Callable[[str], None] = print) -> EndedNight:
    return dispatch(template_in(NIGHT.read_text()), "levo-refresh-29700150", api_of(server), 30.0, lambda _: None, say)


def test_the_command_makes_the_night_and_ends_with_it(
    kubernetes: FakeKubernetes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(kubernetes.server_port))
    monkeypatch.setattr("jobs.kubernetes.api.PodApi.in_pod.__func__.__defaults__", (kubernetes.account,))
    assert main(["dispatch", f"--template={NIGHT}", "--job=levo-refresh-29700150", "--poll-s=0.01"]) == 0
    name = "levo-refresh-2026-11-26"
    assert capsys.readouterr().out.splitlines() == [f"{name}: created", f"{name}: succeeded"]
    assert kubernetes.rayjobs[name]["spec"]["entrypoint"].startswith("levo refresh --date=2026-11-26 --recipe=base ")
    assert kubernetes.asked[:2] == [
        "GET /apis/batch/v1/namespaces/songs/jobs/levo-refresh-29700150",
        "POST /apis/ray.io/v1/namespaces/songs/rayjobs?fieldValidation=Strict",
    ]


def test_a_pod_that_is_started_again_finds_its_night_and_waits_for_it(kubernetes: FakeKubernetes) -> None:
    said: list[str] = []
    first, again = run(kubernetes, said.append), run(kubernetes, said.append)
    assert said == ["levo-refresh-2026-11-26: created", "levo-refresh-2026-11-26: there already"]
    assert (first.name, first.state) == (again.name, again.state) == ("levo-refresh-2026-11-26", NightState.SUCCEEDED)
    assert len(kubernetes.rayjobs) == 1


def test_of_many_at_once_one_makes_the_night(kubernetes: FakeKubernetes) -> None:
    said: list[str] = []
    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(lambda _: run(kubernetes, said.append), range(8)))
    assert {night.state for night in ended} == {NightState.SUCCEEDED}
    assert sorted(said) == ["levo-refresh-2026-11-26: created"] + ["levo-refresh-2026-11-26: there already"] * 7


def test_a_failed_night_is_a_failed_job(
    kubernetes: FakeKubernetes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kubernetes.ends = [FAILED]
    monkeypatch.setattr("jobs.kubernetes.api.PodApi.in_pod", lambda: api_of(kubernetes))
    assert main(["dispatch", f"--template={NIGHT}", "--job=levo-refresh-29700150"]) == 1
    assert capsys.readouterr().out.endswith("levo-refresh-2026-11-26: failed: FAILED: no pairs\n")


def test_an_api_that_is_away_for_minutes_is_waited_for(kubernetes: FakeKubernetes) -> None:
    kubernetes.refusals = [503, 500, 429]
    assert run(kubernetes).state is NightState.SUCCEEDED


def test_an_api_that_stays_away_ends_the_pod(kubernetes: FakeKubernetes) -> None:
    kubernetes.refusals = [503] * 1000
    with pytest.raises(KubernetesError, match="the server is not ready"):
        run(kubernetes)
    assert len(kubernetes.asked) == 2 + 21


def test_a_token_that_is_replaced_is_read_again(kubernetes: FakeKubernetes) -> None:
    def replace_the_token(_: float) -> None:
        kubernetes.token = "another"
        (kubernetes.account / "token").write_text("another")

    template = template_in(NIGHT.read_text())
    night = dispatch(template, "levo-refresh-29700150", api_of(kubernetes), 30.0, replace_the_token)
    assert night.state is NightState.SUCCEEDED


def test_a_night_that_somebody_deletes_is_no_success(kubernetes: FakeKubernetes) -> None:
    def delete_it(_: float) -> None:
        kubernetes.rayjobs.clear()

    template = template_in(NIGHT.read_text())
    with pytest.raises(KubernetesError, match=r'"levo-refresh-2026-11-26" not found'):
        dispatch(template, "levo-refresh-29700150", api_of(kubernetes), 30.0, delete_it)


def test_a_refusal_is_the_apis_own_word(kubernetes: FakeKubernetes) -> None:
    kubernetes.token = "another"
    with pytest.raises(KubernetesError, match=r"jobs/levo-refresh-29700150: Unauthorized"):
        run(kubernetes)
    assert kubernetes.rayjobs == {}


def test_a_server_with_another_certificate_is_not_told_the_token(kubernetes: FakeKubernetes, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with fake_kubernetes(other, [SUCCEEDED]) as stranger:
        shutil.copy(kubernetes.account / "ca.crt", stranger.account / "ca.crt")
        with pytest.raises(ConnectionError, match="no answer from the Kubernetes API at https://127"):
            api_of(stranger).get("/apis")
        assert stranger.asked == []


def test_outside_of_a_pod_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ValueError, match="KUBERNETES_SERVICE_HOST is not set"):
        PodApi.in_pod()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    with pytest.raises(ValueError, match="automountServiceAccountToken: true"):
        PodApi.in_pod(tmp_path)
    (tmp_path / "token").write_text("x")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    assert PodApi.in_pod(tmp_path).address == "https://[fd00::1]:6443"
