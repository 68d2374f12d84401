"""Rollback, collection and lineage over a line of two generations: what moves, what goes, where models come from."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

import pipelines.refresh.store as store_module
from levo.song.scores import Axis
from pipelines.flow.objects import ObjectReference
from pipelines.loop.model_pointer import write_pointer
from pipelines.refresh.collection import collect
from pipelines.refresh.commits import BEGIN, NIGHT, ROLLBACK, Commit, GateRecord, ModelEntry
from pipelines.refresh.held_line import held_line
from pipelines.refresh.lease import HeldLeaseError, Lease, LostLeaseError, kept
from pipelines.refresh.lineage import lineage
from pipelines.refresh.model_lookup import UnknownModelError
from pipelines.refresh.pool import publish_pool
from pipelines.refresh.rollback import NothingToRollBackError, roll_back
from pipelines.refresh.store import RefreshStore
from tests.pipelines.refresh.test_commits import night_record
from tests.pipelines.refresh.test_pool import pooled_pair

FIRST = ModelEntry("aa" * 32, "models/" + "aa" * 32)
SECOND = ModelEntry("bb" * 32, "models/" + "bb" * 32, "2026-01-01", (("cc" * 32, 0.8),))
REFUSED = ModelEntry("ee" * 32, "models/" + "ee" * 32, "2026-01-02", (("dd" * 32, 0.8),))


def gated(candidate: ModelEntry, promoted: bool) -> GateRecord:
    reason = "better: tag_agreement" if promoted else "no held-out judge finds it better"
    return GateRecord(candidate, 0, 0, promoted, 0.98, (reason,), (), {})


def at_work() -> None:
    """The lease is held."""


@pytest.fixture
def store(tmp_path: Path) -> RefreshStore:
    """First was replaced by second in one night; in the next a candidate was refused."""
    store = RefreshStore(tmp_path / "store")
    for entry in (FIRST, SECOND, REFUSED):
        store.model(entry).mkdir(parents=True)
    rows = [pooled_pair(1), pooled_pair(2), pooled_pair(3, axis=Axis.PROMPT)]
    for row in rows:
        for reference in (row.audio_prompt, row.chosen, row.rejected):
            path = store.objects.path(reference)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"codes")
    with held_line(store, 60) as held:
        held.commits.commit(Commit(BEGIN, None, FIRST, None, None, note="line"))
        snapshot = publish_pool(store.pairs, rows, {}, held.check).manifest.snapshot_id
        first = night_record("2026-01-01", gated(SECOND, promoted=True))
        held.commits.commit(Commit(NIGHT, None, SECOND, FIRST, snapshot, night=first))
        second = night_record("2026-01-02", gated(REFUSED, promoted=False))
        held.commits.commit(Commit(NIGHT, None, SECOND, FIRST, snapshot, night=second))
    for night in (first, second):
        (store.folder / night.songs).mkdir(parents=True)
    store.show_head()
    return store


def test_a_rollback_brings_the_previous_champion_back_and_services_follow(store: RefreshStore) -> None:
    commit = roll_back(store, "it whistles").commit
    assert (commit.kind, commit.champion, commit.note) == (ROLLBACK, FIRST, "it whistles")
    assert commit.previous is None, "nothing came before the first; what was rolled back is no way back"
    assert store.champion.read_text().strip() == str(store.model(FIRST))
    head = store.commits.head()
    assert head == commit
    before = next(one for one in store.commits.history() if one.kind == NIGHT)
    assert commit.pairs == before.pairs, "pairs stay"


def test_to_roll_back_twice_changes_nothing_and_finishes_what_was_interrupted(store: RefreshStore) -> None:
    first = roll_back(store, "")
    assert first.is_new
    store.champion.write_text(str(store.model(SECOND)))
    again = roll_back(store, "")
    assert (again.is_new, again.commit) == (False, first.commit)
    assert store.champion.read_text().strip() == str(store.model(FIRST))


def test_what_was_rolled_back_comes_back_by_its_name_alone(store: RefreshStore) -> None:
    roll_back(store, "")
    with held_line(store, 60) as held:
        head = held.commits.head()
        assert head is not None
        night = night_record("2026-01-03", gated(REFUSED, promoted=False))
        held.commits.commit(Commit(NIGHT, None, FIRST, head.previous, head.pairs, night=night))
    with pytest.raises(NothingToRollBackError, match="is the first"):
        roll_back(store, "")
    back = roll_back(store, "it was the room", to=SECOND.digest[:6]).commit
    assert (back.champion, back.previous) == (SECOND, FIRST)
    assert roll_back(store, "", to=FIRST.digest[:6]).commit.champion == FIRST


@pytest.mark.parametrize(("to", "number"), [("", 2), (REFUSED.digest, 0), ("a", 1)])
def test_a_rollback_to_what_was_no_champion_names_those_there_were(store: RefreshStore, to: str, number: int) -> None:
    if number == 1:
        assert roll_back(store, "", to=to).commit.champion == FIRST
        return
    with pytest.raises(UnknownModelError, match=f"champions of the line begin with '{to}'; there are bbbb.*aaaa"):
        roll_back(store, "", to=to)


def test_services_follow_the_head_whoever_shows_it_last(store: RefreshStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another commits between a ghost's reading of the head and its showing of it."""
    ghost, acts = RefreshStore(store.folder), [lambda: roll_back(store, "")]

    def slow(pointer: Path, folder: Path) -> None:
        if acts:
            acts.pop()()
        write_pointer(pointer, folder)

    store.champion.unlink()
    monkeypatch.setattr(store_module, "write_pointer", slow)
    ghost.show_head()
    assert not acts
    assert store.champion.read_text().strip() == str(store.model(FIRST))


def test_a_rollback_waits_for_nobody_and_interrupts_nobody(store: RefreshStore) -> None:
    night = Lease(store.lease, "a night", 5.2)
    night.take()
    with kept(night), pytest.raises(HeldLeaseError, match="a night is at work"):
        roll_back(store, "")
    night.give_back()


def test_what_cannot_come_back_is_named(store: RefreshStore, tmp_path: Path) -> None:
    with pytest.raises(NothingToRollBackError, match="holds no line"):
        roll_back(RefreshStore(tmp_path / "empty"), "")
    store.model(FIRST).rmdir()
    with pytest.raises(FileNotFoundError, match=FIRST.digest):
        roll_back(store, "")


def test_what_no_commit_names_goes_after_its_time_and_nothing_else(store: RefreshStore) -> None:
    attempt = store.night("2026-01-02") / "attempt-000009"
    attempt.mkdir(parents=True)
    stray = store.objects.path(ObjectReference("00stray", "npy", 1))
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_bytes(b"")
    sound = store.sounds / "objects" / "ab" / "song.flac"
    sound.parent.mkdir(parents=True)
    sound.write_bytes(b"")
    measured = [store.reference / "reference-float32" / digest for digest in (FIRST.digest, SECOND.digest, "ff" * 32)]
    for one in measured:
        one.mkdir(parents=True)
    commits = store.commits
    assert collect(store, commits, 1.0, at_work).paths == (), "all of it is new"
    newest_s = max(path.stat().st_mtime for path in store.folder.rglob("*"))
    collected = collect(store, commits, 1.0, at_work, clock=lambda: newest_s + 2 * 86_400)
    assert sorted(collected.paths) == sorted(
        one.relative_to(store.folder).as_posix() for one in (attempt, store.model(REFUSED), stray, measured[2], sound)
    )
    kept = [store.model(FIRST), store.model(SECOND), store.night("2026-01-01"), *measured[:2]]
    assert all(one.exists() for one in kept)
    assert store.objects.path(pooled_pair(1).chosen).exists()


def test_an_attempt_that_was_touched_lately_stays(store: RefreshStore) -> None:
    attempt = store.night("2026-01-03") / "attempt-000010"
    (attempt / "work").mkdir(parents=True)
    now_s = max(path.stat().st_mtime for path in store.folder.rglob("*")) + 10 * 86_400
    (attempt / "work" / "chunk").write_bytes(b"")
    os.utime(attempt / "work" / "chunk", (now_s, now_s))
    stray = store.night("2026-01-02") / "attempt-000009"
    stray.mkdir()
    os.utime(stray, (1, 1))
    collected = collect(store, store.commits, 1.0, at_work, clock=lambda: now_s)
    assert collected.paths == (stray.relative_to(store.folder).as_posix(),), (
        "what an unfinished night may go on with stays, its candidate and its songs"
    )
    assert store.model(REFUSED).exists()


def test_all_attempts_that_a_night_is_made_of_stay(store: RefreshStore) -> None:
    folders = [store.night("2026-01-03") / f"attempt-00000{number}" for number in (3, 4)]
    for folder in folders:
        folder.mkdir(parents=True)
    night = replace(
        night_record("2026-01-03"), attempts=tuple(one.relative_to(store.folder).as_posix() for one in folders)
    )
    with held_line(store, 60) as held:
        held.commits.commit(Commit(NIGHT, None, SECOND, FIRST, None, night=night))
    collect(store, store.commits, 1.0, at_work, clock=lambda: 9e9)
    assert all(folder.exists() for folder in folders)


def test_who_loses_the_lease_removes_nothing_more(store: RefreshStore) -> None:
    checks: list[str] = []

    def check() -> None:
        checks.append("asked")
        if len(checks) > 1:
            raise LostLeaseError

    for number in (7, 8):
        (store.night("2026-01-02") / f"attempt-00000{number}").mkdir(parents=True)
    with pytest.raises(LostLeaseError):
        collect(store, store.commits, 1.0, check, clock=lambda: 9e9)
    left = {path.name for path in store.night("2026-01-02").iterdir()}
    assert "attempt-000007" not in left
    assert "attempt-000008" in left


def test_a_champion_is_traced_to_its_pairs_songs_and_the_model_before(store: RefreshStore) -> None:
    newest, oldest = lineage(store, "champion")
    assert (newest.model, newest.is_champion, newest.parent) == (SECOND, True, FIRST)
    assert [(pairs.axis, pairs.number, pairs.night) for pairs in newest.pairs] == [("lyric", 2, "2026-01-01")]
    assert newest.num_prompts == 2, "of the axis that was trained on"
    assert newest.pairs[0].scorer_digest == "judge"
    assert (oldest.model, oldest.commit, oldest.pairs) == (FIRST, None, ())


def test_a_refused_candidate_is_traced_too(store: RefreshStore) -> None:
    newest, champion, first = lineage(store, REFUSED.digest[:6])
    assert (newest.model, newest.is_champion) == (REFUSED, False)
    assert [champion.model, first.model] == [SECOND, FIRST]


@pytest.mark.parametrize(
    ("name", "told"), [("zz", "0 models of the line begin with 'zz'; there are"), ("", "models of the line begin with")]
)
def test_a_model_that_is_not_known_is_told_what_there_is(store: RefreshStore, name: str, told: str) -> None:
    with pytest.raises(UnknownModelError, match=told):
        lineage(store, name)
