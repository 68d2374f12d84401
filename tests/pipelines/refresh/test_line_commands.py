"""Rollback, collection and lineage over a line of two generations: what moves, what goes, where models come from."""

import os
from pathlib import Path

import pytest

from levo.song.scores import Axis
from pipelines.flow.objects import ObjectReference
from pipelines.refresh.collection import collect
from pipelines.refresh.commits import BEGIN, NIGHT, ROLLBACK, Commit, GateRecord, ModelEntry
from pipelines.refresh.held_line import held_line
from pipelines.refresh.lease import HeldLeaseError, Lease, kept
from pipelines.refresh.lineage import UnknownModelError, lineage
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
    store.show_champion(SECOND)
    return store


def test_a_rollback_brings_the_previous_champion_back_and_services_follow(store: RefreshStore) -> None:
    commit = roll_back(store, "it whistles")
    assert (commit.kind, commit.champion, commit.previous, commit.note) == (ROLLBACK, FIRST, SECOND, "it whistles")
    assert store.champion.read_text().strip() == str(store.model(FIRST))
    head = store.commits.head()
    assert head == commit
    before = next(one for one in store.commits.history() if one.kind == NIGHT)
    assert commit.pairs == before.pairs, "pairs stay"


def test_to_roll_back_twice_changes_nothing(store: RefreshStore) -> None:
    roll_back(store, "")
    assert roll_back(store, "").champion == SECOND


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
    measured = [store.reference / "reference-float32" / digest for digest in (FIRST.digest, SECOND.digest, "ff" * 32)]
    for one in measured:
        one.mkdir(parents=True)
    commits = store.commits
    assert collect(store, commits, grace_days=1.0).paths == (), "all of it is new"
    newest_s = max(path.stat().st_mtime for path in store.folder.rglob("*"))
    collected = collect(store, commits, 1.0, clock=lambda: newest_s + 2 * 86_400)
    assert sorted(collected.paths) == sorted(
        one.relative_to(store.folder).as_posix() for one in (attempt, store.model(REFUSED), stray, measured[2])
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
    collected = collect(store, store.commits, 1.0, clock=lambda: now_s)
    assert attempt.relative_to(store.folder).as_posix() not in collected.paths


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
