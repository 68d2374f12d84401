"""Ratings, rankings and pairs become one kind of preference, and no group of songs is on two sides of a split."""

import json
from pathlib import Path
from typing import Any

import pytest

from reward.musicality.preferences import Part, Preference, PreferenceError, preferring_share, read_preferences


def write(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "people.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_rankings_and_pairs_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, {"ranking": ["a", "b", "c"]}, {"better": "d", "worse": "a", "agreement": 0.75})
    data = read_preferences(path)
    assert list(data.preferences) == [
        Preference("a", "b"),
        Preference("a", "c"),
        Preference("b", "c"),
        Preference("d", "a", 0.75),
    ]
    assert len(set(data.groups.values())) == 1, "songs that were compared share their part"


def test_rated_songs_are_compared_within_their_part_by_the_share_of_raters(tmp_path: Path) -> None:
    rows = [{"audio": f"{number}.wav", "joy": [number % 7, number % 5, 3]} for number in range(60)]
    data = read_preferences(write(tmp_path, *rows), "joy")
    assert len(data.preferences) > 200
    for one in data.preferences:
        share = preferring_share(data.ratings[one.better], data.ratings[one.worse])
        assert one.agreement == pytest.approx(share)
        assert share > 0.5
        assert data.part(one.better) == data.part(one.worse)
    assert sum(len(data.of_part(part)) for part in Part) == len(data.preferences)
    assert {data.part(song) for song in data.groups} == set(Part)


def test_the_share_of_raters_is_written_out() -> None:
    assert preferring_share([1, 2], [1, 0]) == pytest.approx((0.5 + 1 + 1 + 1) / 4)
    assert preferring_share([3, 3], [3]) == 0.5


def test_a_folder_is_a_group_unless_it_is_a_whole_library(tmp_path: Path) -> None:
    rows = [{"audio": f"album{number}/{part}.wav", "joy": [1]} for number in range(4) for part in range(3)]
    rows += [{"audio": f"library/{number}.wav", "joy": [2]} for number in range(30)]
    rows += [{"audio": "album0/9.wav", "joy": [3], "group": "own"}]
    groups = read_preferences(write(tmp_path, *rows), "joy").groups
    assert groups["album1/0.wav"] == groups["album1/2.wav"] == "album1"
    assert groups["library/3.wav"] == "library/3.wav"
    assert groups["album0/9.wav"] == "own"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{", "line 1: no JSON"),
        ("[]", "line 1: list; expected an object"),
        ({}, "line 1: no audio"),
        ({"ranking": ["a"]}, r"line 1: ranking is \['a'\]; expected two paths or more"),
        ({"ranking": ["a", "a"]}, "names a song twice"),
        ({"better": "a"}, "better is 'a', worse None; expected two different paths"),
        ({"better": "a", "worse": "b", "agreement": 0.5}, "agreement is 0.5; expected a share above 0.5"),
        ({"better": "a", "worse": "b", "agreement": True}, "agreement is True"),
        ({"audio": "a", "joy": []}, r"joy is \[\]; expected a list of numbers"),
        ({"audio": "a", "joy": [1, "2"]}, r"joy is \[1, '2'\]"),
        ({"audio": "a", "joy": [1], "embedding": "x"}, "embedding is 'x'"),
        ({"audio": "a", "joy": [1], "group": 3}, "group is 3; expected text"),
        ({"audio": "a", "joy": [1]}, "no song is preferred to another"),
    ],
)
def test_a_line_that_tells_nothing_is_named(tmp_path: Path, row: Any, problem: str) -> None:
    with pytest.raises(PreferenceError, match=problem):
        read_preferences(write(tmp_path, row), "joy")


def test_a_rated_song_needs_an_axis_and_is_rated_once(tmp_path: Path) -> None:
    rows = [{"audio": "a", "joy": [1]}, {"audio": "a", "joy": [2]}]
    with pytest.raises(PreferenceError, match="line 1: a rated song, and no axis to learn"):
        read_preferences(write(tmp_path, *rows))
    with pytest.raises(PreferenceError, match="line 2: 'a' was rated before"):
        read_preferences(write(tmp_path, *rows), "joy")
