"""Nights on the tiny run: killed anywhere they come to the same, ghosts commit nothing, a new champion is followed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

import pipelines.refresh.night
from jobs.benchmarks.refresh_line import LineState, TrialLine, state_of
from jobs.cli import main
from jobs.cluster import ray_cluster
from jobs.refresh import HELD
from jobs.tracking.mlflow_tracker import store_uri
from pipelines.refresh.commits import Commit
from pipelines.refresh.gate import GateDecision
from pipelines.refresh.hands_on_ray import RayHands
from pipelines.refresh.lease import Lease, LostLeaseError, kept
from pipelines.refresh.line_facts import ForeignLineError, read_facts
from pipelines.refresh.night import run_night
from pipelines.refresh.pair_steps import choose
from pipelines.refresh.pool import PooledPair, read_pool
from pipelines.refresh.setting import NightSetting, Watch
from pipelines.refresh.songs import read_songs
from pipelines.refresh.store import RefreshStore

pytestmark = pytest.mark.ray

DATES = ("2026-01-01", "2026-01-02", "2026-01-03")
STEPS = ("choose", "songs", "pair", "agree", "decide", "preflight", "align", "mix", "gate")


class Killed(BaseException):
    """What ends a process: no handler of errors sees it."""


def line_of(run: Path, store: Path) -> NightSetting:
    """The line, quick to find that a holder is dead."""
    setting = TrialLine(run, "tiny", store).setting()
    return replace(setting, config=replace(setting.config, lease_s=5.5))


def watched(setting: NightSetting, on_step: Callable[[str], None]) -> NightSetting:
    return replace(setting, watch=Watch(on_step=on_step))


def killed_at(setting: NightSetting, date: str, step: str) -> None:
    """An attempt that ends as a step begins, its lease with it."""

    def on_step(name: str) -> None:
        if name == step:
            raise Killed

    with pytest.raises(Killed):
        run_night(watched(setting, on_step), date)


@pytest.fixture(scope="module")
def undisturbed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line after two calm nights."""
    setting = line_of(finished, tmp_path_factory.mktemp("calm") / "store")
    for date in DATES[:2]:
        run_night(setting, date)
    return setting.store.folder


def test_killed_as_every_step_begins_two_nights_come_to_the_same(
    finished: Path, undisturbed: Path, tmp_path: Path
) -> None:
    setting = line_of(finished, tmp_path / "store")
    for step in STEPS:
        killed_at(setting, DATES[0], step)
        assert state_of_or_none(setting.store.folder) is None, "nothing is so before the night commits"
    done: list[str] = []
    run_night(watched(setting, done.append), DATES[0])
    assert done == ["gate"], "what earlier attempts finished is not done again"
    killed_at(setting, DATES[1], "gate")
    run_night(setting, DATES[1])
    assert state_of(setting.store.folder) == state_of(undisturbed)
    assert state_of(undisturbed).num_doubled == 0


def state_of_or_none(store: Path) -> LineState | None:
    """The pairs at the head; None before the first night."""
    state = state_of(store)
    return None if state.pairs is None else state


def test_the_same_date_again_changes_nothing(finished: Path, undisturbed: Path) -> None:
    before = state_of(undisturbed)
    files = sorted(undisturbed.glob("nights/*/attempt-*"))
    result = run_night(line_of(finished, undisturbed), DATES[0])
    assert not result.is_new
    assert state_of(undisturbed) == before
    assert sorted(undisturbed.glob("nights/*/attempt-*")) == files


def test_nights_draw_other_songs_and_every_prompt_of_a_night_has_its_candidates(undisturbed: Path) -> None:
    nights = [commit.night for commit in state_commits(undisturbed) if commit.night is not None]
    songs = [read_songs(undisturbed / night.songs) for night in nights]
    ids = [{row.candidate_id for row in one.candidates} for one in songs]
    assert not ids[0] & ids[1]
    assert [len(one) for one in ids] == [15, 15]
    assert all(len(one.scored) + len(one.refusals) == 15 for one in songs), "each has a score or a reason"


def state_commits(store: Path) -> list[Commit]:
    return list(RefreshStore(store).commits.history())


def test_one_that_overslept_commits_nothing(finished: Path, undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    shutil.copytree(undisturbed, folder)
    setting = line_of(finished, folder)
    before = state_of(folder)

    def taken_away(step: str) -> None:
        if step == "gate":
            setting.store.lease.move(
                setting.store.lease.read(), json.dumps({"holder": "another", "token": 99, "until_s": 9e9})
            )
            setting.store.commits.fence(99)

    with pytest.raises(LostLeaseError):
        run_night(watched(setting, taken_away), DATES[2])
    assert state_of(folder) == before


def test_another_recipe_is_refused_the_store(finished: Path, undisturbed: Path) -> None:
    setting = line_of(finished, undisturbed)
    other = replace(setting, config=replace(setting.config, seed=7))
    with pytest.raises(ForeignLineError, match="was begun with another recipe, seed or run"):
        run_night(other, DATES[2])


def test_a_promoted_candidate_is_followed_and_its_pairs_are_measured_anew(
    finished: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "store"
    shutil.copytree(undisturbed, folder)
    setting = line_of(finished, folder)
    first = state_of(folder).champion
    promoted = GateDecision(True, ("better: tag_agreement",), (), (), 0.98)
    monkeypatch.setattr(pipelines.refresh.night, "judge", lambda *_: promoted)
    commit = run_night(setting, DATES[2]).commit
    assert commit.night is not None
    assert commit.night.report.keys() >= {"phoneme_error_rate", "musicality"}
    assert commit.previous is not None
    assert commit.previous.digest == first
    assert commit.champion.digest != first
    assert setting.store.champion.read_text().strip() == str(setting.store.model(commit.champion))
    following = run_night(setting, "2026-01-04")
    measured = following.steps["pair"].result
    assert measured["num_measured"] > 0
    assert measured["policy_drift"] > 0, "the champion has moved from the models that sang the older pairs"


def test_a_ghost_ends_nobodys_run_and_writes_nobodys_metrics(
    finished: Path,
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "store"
    shutil.copytree(undisturbed, folder)
    store, told = RefreshStore(folder), folder / "metrics" / "levo.prom"

    def overslept(setting: NightSetting, date: str) -> dict[str, Any]:
        if date == DATES[2]:
            state = {"holder": "another", "token": 99, "until_s": 9e9}
            store.lease.move(store.lease.read(), json.dumps(state))
            told.write_text("the holder's")
        return choose(setting, date)

    monkeypatch.setattr(pipelines.refresh.night, "choose", overslept)
    options = ["--run", str(finished), "--store", str(folder), "--recipe", "tiny", "--in-process"]
    code = main(["refresh", *options, "--backfill", f"{DATES[1]}..{DATES[2]}"])
    assert code == HELD
    error = capsys.readouterr().err
    assert "to another (token 99)" in error
    assert f"committed before: {DATES[1]}" in error
    assert told.read_text() == "the holder's"
    client = MlflowClient(store_uri(folder), store_uri(folder))
    runs = client.search_runs([client.get_experiment_by_name("levo").experiment_id])
    by_name = {run.info.run_name: run.info.status for run in runs}
    assert by_name[f"refresh-tiny-{DATES[1]}"] == "FINISHED"
    assert by_name[f"refresh-tiny-{DATES[2]}"] == "RUNNING", "it is whose it was taken by"


def refresh(run: Path, store: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    told = [f"--run={run}", f"--store={store}", "--recipe=tiny", "--in-process", *options]
    command = [sys.executable, "-m", "jobs", "refresh", *told]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)


def test_the_command_does_a_night_and_mlflow_shows_it(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    done = refresh(finished, store, f"--date={DATES[0]}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{DATES[0]}: 15 candidates" in done.stdout
    client = MlflowClient(store_uri(store), store_uri(store))
    found = client.search_runs([client.get_experiment_by_name("levo").experiment_id], max_results=100)
    runs = {run.data.tags["levo.step"]: run for run in found}
    assert {"(parent)", *STEPS} <= runs.keys()
    parent = runs["(parent)"]
    (commit, _) = state_commits(store)
    assert parent.data.tags["commit"] == commit.commit_id
    assert parent.data.tags["gate"] in ("promoted", "refused")
    datasets = {
        one.dataset.name: one.dataset.digest for one in client.get_run(parent.info.run_id).inputs.dataset_inputs
    }
    assert datasets["pairs"] == str(commit.pairs)[: len(datasets["pairs"])]
    facts = read_facts(store)
    assert facts is not None
    champion = client.get_model_version_by_alias(facts.name, "champion")
    assert champion.tags["levo.sha256"] == commit.champion.digest
    candidate = client.get_model_version_by_alias(facts.name, "candidate")
    assert commit.night is not None
    assert commit.night.gate is not None
    assert candidate.tags["levo.sha256"] == commit.night.gate.candidate.digest
    assert {item.path for item in client.list_artifacts(runs["songs"].info.run_id)} >= {"audio"}
    assert {run.info.status for run in found} == {"FINISHED"}, "none is left at work, the axes' trainings neither"
    told = (store / "metrics" / "levo.prom").read_text()
    assert 'ray_levo_refresh_newest_date_timestamp_seconds{store="store"} 1.7672256e+09' in told, "of 2026-01-01"
    assert 'ray_levo_tracking_backlog_events{store="store"} 0.0' in told
    assert RefreshStore(store).untold_nights() == ()
    # What waited for a server is delivered by a call that has no night to do.
    assert main(["refresh", f"--run={finished}", f"--store={store}", "--recipe=tiny", "--in-process", "--resume"]) == 0
    assert "no night was begun and left unfinished" in capsys.readouterr().out
    assert main(["explain", "champion", "--store", str(store)]) == 0
    assert commit.champion.digest[:12] in capsys.readouterr().out


def test_two_at_once_one_works_and_the_other_says_so(
    finished: Path, undisturbed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setting = line_of(finished, undisturbed)
    other = Lease(setting.store.lease, "another host", 5.2)
    other.take()
    options = ["--run", str(finished), "--store", str(undisturbed), "--recipe", "tiny", "--in-process"]
    before = sorted(undisturbed.rglob("*"))
    with kept(other):
        code = main(["refresh", *options, "--date", DATES[2]])
    other.give_back()
    assert code == HELD
    assert sorted(undisturbed.rglob("*")) == before, "runs and metrics are those of who works"
    assert "another host is at work" in capsys.readouterr().err


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    finished: Path, undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--recipe", "tiny", "--dry-run", "--backfill", f"{DATES[0]}..{DATES[2]}", "--run", str(finished)]
    files = sorted(undisturbed.rglob("*"))
    assert main(["refresh", *options, "--store", str(undisturbed)]) == 0
    told = capsys.readouterr().out
    assert f"{DATES[0]}: committed already" in told
    assert f"{DATES[2]}: 5 prompts" in told
    assert sorted(undisturbed.rglob("*")) == files
    assert main(["refresh", *options, "--store", str(tmp_path / "new")]) == 0
    assert "it would begin with" in capsys.readouterr().out
    assert not (tmp_path / "new").exists()


def test_a_run_of_another_recipe_is_named(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--run", str(finished), "--store", str(tmp_path / "new"), "--in-process", "--date", DATES[0]]
    assert main(["refresh", *options, "--recipe", "demo"]) == 1
    assert "was begun with recipe tiny and seed 0; got --recipe demo --seed 0" in capsys.readouterr().err


@pytest.mark.slow
def test_on_ray_a_night_comes_to_the_same_pairs(finished: Path, undisturbed: Path, tmp_path: Path) -> None:
    setting = line_of(finished, tmp_path / "store")
    with ray_cluster():
        hands = RayHands(setting.context.config, tmp_path / "model")
        commit = run_night(replace(setting, hands=hands), DATES[0]).commit
        hands.close()
    calm = next(one for one in state_commits(undisturbed) if one.night is not None and one.night.date == DATES[0])
    served = read_pool(setting.store.pairs.open(str(commit.pairs)))
    alone = read_pool(RefreshStore(undisturbed).pairs.open(str(calm.pairs)))
    assert [songs_of(row) for row in served] == [songs_of(row) for row in alone]
    # Sums of float32 depend in their last digits on the number of threads, of which a replica has one.
    for one, other in zip(served, alone, strict=True):
        assert numbers_of(one) == pytest.approx(numbers_of(other), rel=1e-4, abs=1e-5)


def songs_of(row: PooledPair) -> tuple[str, ...]:
    """What a pair is: its name and the tokens of its songs."""
    return (row.pair.pair_id, row.pair.axis, row.night, row.chosen.sha256, row.rejected.sha256, row.status)


def numbers_of(row: PooledPair) -> list[float]:
    pair = row.pair
    scores = [pair.chosen_score, pair.rejected_score, pair.gap, pair.scorer_noise, pair.margin]
    return [*scores, row.chosen_log_probability, row.rejected_log_probability, row.drift]
