"""The pool: nothing is lost or doubled, and pairs age by how far the champion has moved, not by date."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.alignment.reference import SongLogProbability
from levo.song.candidate import PreferencePair
from levo.song.prompt import PromptSet
from levo.song.scores import Axis
from pipelines.flow.objects import ObjectReference, ObjectStore
from pipelines.flow.snapshot import SnapshotStore
from pipelines.loop.records import CandidateRow, PromptRow
from pipelines.refresh.ageing import PairLikelihood, aged, likelihoods, mean_drift, rejuvenated
from pipelines.refresh.pool import (
    PairStatus,
    PooledPair,
    active,
    appended,
    pooled,
    publish_pool,
    read_pool,
    write_training_pairs,
)


def pooled_pair(number: int, night: str = "2026-01-01", axis: Axis = Axis.LYRIC) -> PooledPair:
    pair = PreferencePair(
        f"pair-{number}", axis, f"prompt-{number}", "a", "b", "per", 0.1, 0.5, 0.4, 0.01, 0.1, "judge", "singer"
    )
    prompt, chosen, rejected = (
        ObjectReference(f"{number:04d}{side}", "npy", 8) for side in ("prompt", "chosen", "rejected")
    )
    return PooledPair(pair, night, "[verse] moon.", ("slow",), prompt, chosen, rejected, True, True, -5.0, -6.0)


@given(st.lists(st.integers(0, 12), max_size=20), st.lists(st.integers(0, 12), max_size=20))
def test_to_append_loses_nothing_doubles_nothing_and_bears_repetition(first: list[int], second: list[int]) -> None:
    pool = appended([], map(pooled_pair, first))
    both = appended(pool, map(pooled_pair, second))
    assert {row.pair.pair_id for row in both} == {f"pair-{number}" for number in {*first, *second}}
    assert len(both) == len({*first, *second})
    assert appended(both, map(pooled_pair, second)) == both
    assert appended(appended([], map(pooled_pair, second)), map(pooled_pair, first)) == both, "whatever the order"


def test_two_names_for_the_same_songs_are_one_pair_on_an_axis() -> None:
    row = pooled_pair(1)
    renamed = replace(row, pair=replace(row.pair, pair_id="another"))
    elsewhere = replace(renamed, pair=replace(renamed.pair, axis=Axis.PROMPT))
    assert appended([row], [renamed]) == [row]
    assert len(appended([row], [elsewhere])) == 2


def test_a_snapshot_gives_the_pool_back(tmp_path: Path) -> None:
    rows = [pooled_pair(1), replace(pooled_pair(2), status=PairStatus.AGED, aged_on="2026-01-02", drift=0.7)]
    store = SnapshotStore(tmp_path)
    assert read_pool(publish_pool(store, rows, {"levo": "1"}, lambda: None)) == rows
    assert active(rows, Axis.LYRIC) == rows[:1]


def test_nothing_is_published_once_the_lease_is_lost(tmp_path: Path) -> None:
    def lost() -> None:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        publish_pool(SnapshotStore(tmp_path), [pooled_pair(1)], {}, lost)
    assert SnapshotStore(tmp_path).current() is None


def test_tonights_pairs_get_their_likelihood_and_older_ones_their_drift() -> None:
    tonight, earlier = pooled_pair(1, "2026-01-02"), pooled_pair(2, "2026-01-01")
    now = {"pair-1": PairLikelihood(-4.0, -4.5), "pair-2": PairLikelihood(-5.1, -6.4)}
    new, old = aged([tonight, earlier], now, "2026-01-02", max_drift=0.5)
    assert (new.chosen_log_probability, new.rejected_log_probability, new.drift) == (-4.0, -4.5, 0.0)
    assert old.drift == pytest.approx(0.4)
    assert (old.chosen_log_probability, old.status) == (-5.0, PairStatus.ACTIVE)
    assert mean_drift([new, old], "2026-01-02") == pytest.approx(0.4), "of what was there before this night"


def test_the_drift_of_a_night_counts_the_pairs_that_it_aged() -> None:
    rows = [pooled_pair(1, "2026-01-01"), pooled_pair(2, "2026-01-01"), pooled_pair(3, "2025-12-01")]
    gone = replace(rows[2], status=PairStatus.AGED, aged_on="2026-01-01", drift=9.0)
    now = {"pair-1": PairLikelihood(-5.0, -6.0), "pair-2": PairLikelihood(-5.6, -6.0)}
    tonight = aged([*rows[:2], gone], now, "2026-01-02", max_drift=0.5)
    assert [row.is_active for row in tonight] == [True, False, False]
    assert mean_drift(tonight, "2026-01-02") == pytest.approx(0.3)


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.05, 2))
def test_a_pair_ages_exactly_where_one_of_its_songs_moved_too_far(
    chosen: float, rejected: float, max_drift: float
) -> None:
    now = {"pair-1": PairLikelihood(-5.0 + chosen, -6.0 + rejected)}
    (row,) = aged([pooled_pair(1)], now, "2026-06-01", max_drift)
    moved = max(abs(chosen), abs(rejected))
    if abs(moved - max_drift) > 1e-5:
        assert (row.status is PairStatus.AGED) == (moved > max_drift)
        assert row.aged_on == ("2026-06-01" if moved > max_drift else None)


def test_under_an_unchanged_champion_no_pair_ages_however_old_it_is() -> None:
    now = {"pair-1": PairLikelihood(-5.0, -6.0)}
    (row,) = aged([pooled_pair(1, "2020-01-01")], now, "2026-01-01", max_drift=1e-6)
    assert row.is_active


def test_what_is_aged_stays_aged_and_is_not_measured_again() -> None:
    gone = replace(pooled_pair(1), status=PairStatus.AGED, aged_on="2026-01-02", drift=0.9)
    assert aged([gone], {}, "2026-01-03", 0.5) == [gone]


def test_under_a_champion_that_came_back_drift_decides_anew() -> None:
    gone = [replace(pooled_pair(number), status=PairStatus.AGED, aged_on="2026-01-02", drift=0.9) for number in (1, 2)]
    now = {"pair-1": PairLikelihood(-5.1, -6.0), "pair-2": PairLikelihood(-5.0, -7.0)}
    near, far = aged(rejuvenated(gone), now, "2026-01-03", 0.5)
    assert (near.status, near.aged_on) == (PairStatus.ACTIVE, None)
    assert near.drift == pytest.approx(0.1)
    assert (far.status, far.aged_on) == (PairStatus.AGED, "2026-01-03")


def test_songs_go_from_candidates_to_training_as_they_were_sung(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)

    def codes(num_frames: int) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
        return generator.integers(0, 24, (3, num_frames)).astype(np.int32)

    prompt = PromptRow("prompt-1", PromptSet.PAIR, False, "[verse] moon.", ("slow", "piano"), 20, "companion", codes(6))
    songs = {
        name: CandidateRow(name, "prompt-1", 1, "singer", ended, prompt.lyrics, prompt.tags, codes(length))
        for name, ended, length in (("a", True, 9), ("b", False, 12))
    }
    objects = ObjectStore(tmp_path / "objects")
    rows = pooled([pooled_pair(1).pair], "2026-01-01", {"prompt-1": prompt}, songs, objects)
    store = write_training_pairs(rows, {"prompt-1": prompt}, objects, tmp_path / "pairs")
    pair = store[0]
    np.testing.assert_array_equal(pair.chosen, songs["a"].codes)
    np.testing.assert_array_equal(pair.rejected, songs["b"].codes)
    assert (pair.chosen_ended, pair.rejected_ended, pair.lyrics) == (True, False, "[verse] moon.")
    known = {
        digest: SongLogProbability(digest, (-10.0 * (place + 1), 0.0, 0.0), (5, 5, 10))
        for place, digest in enumerate(store.songs.digests)
    }
    found = likelihoods(store, known)["pair-1"]
    assert {found.chosen, found.rejected} == {-0.5, -1.0}
