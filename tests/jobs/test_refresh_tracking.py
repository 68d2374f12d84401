"""What the registry hears of a line: every model that an alias stands for, in the line's own name."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.cli import main
from jobs.refresh_tracking import NightTracking, registered_line
from jobs.tracking.jsonl_tracker import JsonLinesTracker
from jobs.tracking.protocol import RunStatus
from levo.training.loop import LoggedStep
from pipelines.refresh.line_facts import LineFacts, write_facts
from pipelines.refresh.night import NightResult
from pipelines.refresh.songs import ScoredSongs
from pipelines.refresh.store import RefreshStore
from tests.pipelines.refresh.test_line_commands import FIRST, SECOND, store
from tests.pipelines.refresh.test_line_facts import setting_of

__all__ = ["store"]
DATE = "2026-01-01"


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "tracking.jsonl").read_text().splitlines()]


def tracking_of(store: RefreshStore, folder: Path) -> NightTracking:
    return NightTracking(
        JsonLinesTracker(folder / "tracking.jsonl"), setting_of(store), DATE, "base", "levo-base-line-1"
    )


@pytest.fixture
def begun(store: RefreshStore) -> RefreshStore:
    write_facts(store.folder, LineFacts("levo-base-line-1", "base", 0, None, "{}"))
    return store


def test_a_first_night_that_promotes_registers_the_one_before_too(begun: RefreshStore, tmp_path: Path) -> None:
    commit = next(one for one in begun.commits.history() if one.night and one.night.date == DATE)
    assert commit.night is not None
    ScoredSongs((), (), ()).write(begun.folder / commit.night.songs)
    tracking_of(begun, tmp_path).complete(NightResult(commit, is_new=True, steps={}))
    told = events(tmp_path)
    models = [one["content"]["sha256"] for one in told if one["kind"] == "model"]
    (aliases,) = [one["content"] for one in told if one["kind"] == "aliases"]
    assert {FIRST.digest, SECOND.digest} <= set(models)
    assert dict(aliases["moves"]) == {"candidate": SECOND.digest, "previous": FIRST.digest, "champion": SECOND.digest}
    assert set(dict(aliases["moves"]).values()) <= set(models), "the server refuses an alias of what it never heard of"
    assert [one["kind"] for one in told][-1] == "aliases"


def test_a_rollback_moves_the_aliases_of_the_lines_own_name(
    begun: RefreshStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert registered_line(begun) == "levo-base-line-1"
    assert main(["rollback", "--store", str(begun.folder), "--tracking-uri", "none"]) == 0
    assert FIRST.digest[:12] in capsys.readouterr().out
    (aliases,) = [one["content"] for one in events(begun.folder) if one["kind"] == "aliases"]
    assert (aliases["name"], dict(aliases["moves"])["champion"]) == ("levo-base-line-1", FIRST.digest)


def test_a_store_without_a_line_has_no_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no line\.json"):
        registered_line(RefreshStore(tmp_path))


@pytest.mark.parametrize("error", [None, RuntimeError("no GPU")], ids=["well", "with an error"])
def test_every_run_that_began_ends(begun: RefreshStore, tmp_path: Path, error: Exception | None) -> None:
    tracking = tracking_of(begun, tmp_path)

    def night() -> None:
        with tracking.night() as told:
            told.watch.on_step("choose")
            told.watch.on_step("align")
            told.watch.on_log("lyric", LoggedStep(step=1, num_steps=3, metrics={"loss": 0.7}, speed={}))
            if error is not None:
                raise error

    if error is None:
        night()
    else:
        with pytest.raises(RuntimeError, match="no GPU"):
            night()
    ended = {one["step"]: one["content"]["status"] for one in events(tmp_path) if one["kind"] == "finish"}
    last = RunStatus.FINISHED if error is None else RunStatus.FAILED
    assert ended == {"choose": "FINISHED", "align": last.value, "align/lyric": last.value, "": last.value}
