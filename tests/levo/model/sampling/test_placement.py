"""Songs take rows whose slots begin as they do."""

from levo.model.sampling.placement import Placement


def test_candidates_of_a_prompt_share_a_slot_and_a_guided_songs_rows_lie_in_two() -> None:
    rows = Placement(8, rows_per_slot=4)
    assert [rows.take(["sun", "null"]) for _ in range(4)] == [(0, 4), (1, 5), (2, 6), (3, 7)]
    assert rows.take(["sun"]) is None
    assert rows.num_free == 0


def test_a_song_that_finds_room_for_one_of_its_rows_only_takes_none() -> None:
    rows = Placement(4, rows_per_slot=2)
    assert rows.take(["sun", "null"]) == (0, 2)
    assert rows.take(["rain", "null"]) is None
    assert rows.take(["sun", "null"]) == (1, 3)


def test_a_slot_is_another_prefixs_once_all_of_its_rows_are_free() -> None:
    rows = Placement(2, rows_per_slot=2)
    assert rows.take(["sun"]) == (0,)
    assert rows.take(["sun"]) == (1,)
    rows.free([0])
    assert rows.take(["rain"]) is None
    assert rows.holds("sun")
    rows.free([1])
    assert rows.is_empty
    assert rows.take(["rain"]) == (0,)


def test_what_is_tried_on_a_copy_changes_nothing() -> None:
    rows = Placement(2)
    rows.copy().take(["sun"])
    assert rows.is_empty


def test_rows_of_their_own_hold_no_prefix_for_another() -> None:
    rows = Placement(3)
    assert rows.take(["sun", "null"]) == (0, 1)
    assert not rows.holds("sun")
    assert rows.take(["sun"]) == (2,)
