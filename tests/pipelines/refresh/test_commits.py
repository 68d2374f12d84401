"""Commits: a chain that can be walked, and a head that only the last holder of the lease can move."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.flow.pointers import FilePointer, Pointed
from pipelines.refresh.commits import BEGIN, NIGHT, Commit, CommitLog, GateRecord, ModelEntry, NightRecord
from pipelines.refresh.lease import LostLeaseError

FIRST = ModelEntry("aa" * 32, "models/first")
SECOND = ModelEntry("bb" * 32, "models/second", "2026-01-01", (("cc" * 32, 0.5), ("dd" * 32, 1.0)))


def night_record(date: str = "2026-01-01", gate: GateRecord | None = None) -> NightRecord:
    return NightRecord(
        date=date,
        num_prompts=2,
        num_candidates=6,
        num_refused=0,
        num_copies=0,
        new_pairs={"lyric": 1, "prompt": 0, "musicality": 2},
        aged_pairs=0,
        policy_drift=0.25,
        means={"phoneme_error_rate": 0.5},
        agreement={"lyric": 1.0},
        trained_axes=("lyric",),
        reasons=("lyric: 1 new of 1 pairs",),
        alarms=(),
        attempts=(f"nights/{date}/attempt-000001",),
        songs=f"nights/{date}/attempt-000001/songs",
        gate=gate,
    )


def log_in(folder: Path) -> CommitLog:
    return CommitLog(folder / "commits", FilePointer(folder / "head"))


def test_a_chain_is_walked_from_the_newest_back(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.fence(1)
    begun = log.commit(Commit(BEGIN, None, FIRST, None, None, note="line"))
    gate = GateRecord(SECOND, 0, 0, True, 0.98, ("better: x",), (), {"x": (0.1, 0.05, 0.2)})
    night = log.commit(Commit(NIGHT, None, SECOND, FIRST, "snapshot", night=night_record(gate=gate)))
    assert [one.commit_id for one in log_in(tmp_path).history()] == [night.commit_id, begun.commit_id]
    assert log_in(tmp_path).head() == night, "read as it was written, nested records too"
    assert (begun.number, night.number) == (1, 2)
    assert night.parent == begun.commit_id


def test_nobody_commits_without_the_lease(tmp_path: Path) -> None:
    with pytest.raises(LostLeaseError, match="take the lease"):
        log_in(tmp_path).commit(Commit(BEGIN, None, FIRST, None, None))


def test_a_ghost_commits_nothing_even_before_its_successor_has(tmp_path: Path) -> None:
    ghost, successor = log_in(tmp_path), log_in(tmp_path)
    ghost.fence(1)
    ghost.commit(Commit(BEGIN, None, FIRST, None, None))
    successor.fence(2)
    with pytest.raises(LostLeaseError, match="nothing was committed"):
        ghost.commit(Commit(NIGHT, None, SECOND, FIRST, "ghost's"))
    head = log_in(tmp_path).head()
    assert head is not None
    assert head.kind == BEGIN
    assert successor.commit(Commit(NIGHT, None, SECOND, FIRST, "successor's")).number == 2


def test_an_old_token_fences_nobody(tmp_path: Path) -> None:
    log_in(tmp_path).fence(5)
    with pytest.raises(LostLeaseError, match="token 4 is behind the head's, 5"):
        log_in(tmp_path).fence(4)


@dataclass
class DeafPointer:
    """A pointer that moves and fails to say so, as a bucket whose answer is lost, and then says that it was moved."""

    pointer: FilePointer
    is_deaf: bool = False

    def read(self) -> Pointed | None:
        return self.pointer.read()

    def move(self, seen: Pointed | None, text: str) -> Pointed:
        moved = self.pointer.move(seen, text)
        if self.is_deaf:
            return self.pointer.move(seen, text)
        return moved


def test_a_move_whose_answer_was_lost_is_ones_own(tmp_path: Path) -> None:
    pointer = DeafPointer(FilePointer(tmp_path / "head"))
    log = CommitLog(tmp_path / "commits", pointer)
    log.fence(1)
    pointer.is_deaf = True
    begun = log.commit(Commit(BEGIN, None, FIRST, None, None))
    assert log.commit(Commit(NIGHT, None, SECOND, FIRST, "snapshot")).parent == begun.commit_id
    assert [one.kind for one in log.history()] == [NIGHT, BEGIN]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["fence-a", "fence-b", "commit-a", "commit-b"]), max_size=12))
def test_in_any_order_the_head_is_the_last_fencers(tmp_path_factory: pytest.TempPathFactory, acts: list[str]) -> None:
    folder, token = tmp_path_factory.mktemp("line"), 0
    logs = {"a": log_in(folder), "b": log_in(folder)}
    owner, committed = None, 0
    for act in acts:
        kind, _, who = act.partition("-")
        if kind == "fence":
            token += 1
            logs[who].fence(token)
            owner = who
            continue
        try:
            logs[who].commit(Commit(NIGHT, None, FIRST, None, f"snapshot-{committed}"))
        except LostLeaseError:
            assert who != owner
        else:
            assert who == owner
            committed += 1
    assert len(list(log_in(folder).history())) == committed


def test_a_damaged_commit_is_named(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.fence(1)
    commit = log.commit(Commit(BEGIN, None, FIRST, None, None))
    file = tmp_path / "commits" / f"{commit.commit_id}.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "note": "changed by hand"}))
    with pytest.raises(ValueError, match="is damaged"):
        log_in(tmp_path).head()
