"""People's preferences between songs, from ratings, ranked lists or pairs, and a split of them without leaks."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from posixpath import dirname
from typing import Any

import numpy as np

from levo.song.digest import digest_bytes

_OPPONENTS = 20
_LARGEST_FOLDER = 20
_PATH_FIELDS = ("audio", "data_path")
_VALIDATION_SHARE, _TEST_SHARE = 0.15, 0.15


class PreferenceError(ValueError):
    """A line that tells no preference: its number, and what is wrong."""


class Part(StrEnum):
    """What a group of songs is used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Preference:
    """One song was held better than another, by this share of those who were asked (more than half)."""

    better: str
    worse: str
    agreement: float = 1.0


@dataclass(frozen=True, slots=True)
class PreferenceData:
    """Songs by name, the group of each, and what people preferred.

    Songs of one group (a recording's stems, a prompt's candidates) and songs that were compared with each other in a
    ranking or a pair share their part. `ratings` holds each song's raters where songs were rated; `embeddings` what
    the file itself gives for a song.
    """

    groups: Mapping[str, str]
    preferences: Sequence[Preference]
    ratings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    embeddings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def part(self, song: str) -> Part:
        """The part of a song."""
        return part_of(self.groups[song])

    def of_part(self, part: Part) -> list[Preference]:
        """The preferences between two songs of one part; those across parts are used by none."""
        return [one for one in self.preferences if self.part(one.better) == part == self.part(one.worse)]


def part_of(group: str) -> Part:
    """The part of a group, by the digest of its name alone."""
    place = int(digest_bytes(group.encode())[:12], 16) / 16**12
    if place < _TEST_SHARE:
        return Part.TEST
    return Part.VALIDATION if place < _TEST_SHARE + _VALIDATION_SHARE else Part.TRAIN


def read_preferences(path: Path, axis: str | None = None) -> PreferenceData:
    """Read JSON lines, each one of

    - `{"audio": A, AXIS: [ratings ...]}`: songs are compared with others of their part, 20 each, drawn by their names;
    - `{"ranking": [best, ..., worst]}`: every song beats all that follow it;
    - `{"better": A, "worse": B}`, and perhaps `"agreement"`, the share of those asked who said so;

    all with `"group"` if given, rated songs with `"embedding"` (a list of numbers). Without a group a song's folder is
    it, unless more than 20 songs lie in one: then each song is its own. `axis` names the rating to learn. Raises
    PreferenceError with the line and what is wrong in it.
    """
    reader = _Reader(path.name, axis)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                reader.take(number, line)
    return reader.data()


class _Reader:
    def __init__(self, name: str, axis: str | None) -> None:
        self._name, self._axis = name, axis
        self._number = 0
        self._songs: dict[str, str | None] = {}
        self._compared: list[tuple[str, ...]] = []
        self._preferences: list[Preference] = []
        self._ratings: dict[str, tuple[float, ...]] = {}
        self._embeddings: dict[str, tuple[float, ...]] = {}

    def take(self, number: int, line: bytes) -> None:
        self._number = number
        try:
            row = json.loads(line)
        except ValueError as error:
            raise self._error(f"no JSON: {error}") from None
        if not isinstance(row, dict):
            raise self._error(f"{type(row).__name__}; expected an object")
        if "ranking" in row:
            self._take_ranking(row)
        elif "better" in row or "worse" in row:
            self._take_pair(row)
        else:
            self._take_rating(row)

    def data(self) -> PreferenceData:
        """All of it; raises PreferenceError where nothing is preferred to anything."""
        groups = self._groups()
        by_part: dict[Part, dict[str, tuple[float, ...]]] = {part: {} for part in Part}
        for song, ratings in self._ratings.items():
            by_part[part_of(groups[song])][song] = ratings
        found = [*self._preferences, *(one for rated in by_part.values() for one in _compared(rated))]
        if not found:
            raise PreferenceError(f"{self._name}: no song is preferred to another")
        return PreferenceData(groups, found, self._ratings, self._embeddings)

    def _take_ranking(self, row: Mapping[str, Any]) -> None:
        songs = row["ranking"]
        if not isinstance(songs, list) or len(songs) < 2 or not all(isinstance(song, str) and song for song in songs):
            raise self._error(f"ranking is {songs!r}; expected two paths or more, the best first")
        if len(set(songs)) < len(songs):
            raise self._error(f"ranking {songs!r} names a song twice")
        self._join(songs, row)
        pairs = [(better, worse) for place, better in enumerate(songs) for worse in songs[place + 1 :]]
        self._preferences += [Preference(better, worse) for better, worse in pairs]

    def _take_pair(self, row: Mapping[str, Any]) -> None:
        better, worse, agreement = row.get("better"), row.get("worse"), row.get("agreement", 1.0)
        if not (isinstance(better, str) and isinstance(worse, str) and better and worse and better != worse):
            raise self._error(f"better is {better!r}, worse {worse!r}; expected two different paths")
        if not _is_number(agreement) or not 0.5 < agreement <= 1:
            raise self._error(f"agreement is {agreement!r}; expected a share above 0.5, at most 1")
        self._join([better, worse], row)
        self._preferences.append(Preference(better, worse, float(agreement)))

    def _take_rating(self, row: Mapping[str, Any]) -> None:
        song = next((row[name] for name in _PATH_FIELDS if isinstance(row.get(name), str)), None)
        if song is None:
            raise self._error("no audio; expected a path under `audio`, a `ranking`, or `better` and `worse`")
        if self._axis is None:
            raise self._error("a rated song, and no axis to learn; name one of its lists")
        ratings = row.get(self._axis)
        if not isinstance(ratings, list) or not ratings or not all(map(_is_number, ratings)):
            raise self._error(f"{self._axis} is {ratings!r}; expected a list of numbers, one a rater")
        if song in self._ratings:
            raise self._error(f"{song!r} was rated before")
        embedding = row.get("embedding")
        if embedding is not None:
            if not isinstance(embedding, list) or not embedding or not all(map(_is_number, embedding)):
                raise self._error(f"embedding is {embedding!r:.60}; expected a list of numbers")
            self._embeddings[song] = tuple(map(float, embedding))
        self._ratings[song] = tuple(map(float, ratings))
        self._join([song], row)

    def _join(self, songs: Sequence[str], row: Mapping[str, Any]) -> None:
        given = row.get("group")
        if given is not None and not isinstance(given, str):
            raise self._error(f"group is {given!r}; expected text")
        for song in songs:
            self._songs.setdefault(song, given)
        if len(songs) > 1:
            self._compared.append(tuple(songs))

    def _groups(self) -> dict[str, str]:
        """Each song's group; groups whose songs were compared are one, by the first name among them."""
        sizes = Counter(dirname(song) for song in self._songs)
        folders = {song: dirname(song) if sizes[dirname(song)] <= _LARGEST_FOLDER else "" for song in self._songs}
        groups = {song: given or folders[song] or song for song, given in self._songs.items()}
        leaders: dict[str, str] = {}

        def leader(group: str) -> str:
            while group in leaders:
                group = leaders[group]
            return group

        for songs in self._compared:
            first, *others = sorted({leader(groups[song]) for song in songs})
            leaders.update(dict.fromkeys(others, first))
        return {song: leader(group) for song, group in groups.items()}

    def _error(self, problem: str) -> PreferenceError:
        return PreferenceError(f"{self._name}, line {self._number}: {problem}")


def _compared(ratings: Mapping[str, tuple[float, ...]]) -> list[Preference]:
    """Rated songs in pairs: the share of all pairs of raters, one of each song, who hold the first one better."""
    songs = sorted(ratings)
    found = []
    for song in songs:
        generator = np.random.default_rng(int(digest_bytes(song.encode())[:12], 16))
        for place in generator.choice(len(songs), min(_OPPONENTS, len(songs)), replace=False):
            share = preferring_share(ratings[song], ratings[songs[place]])
            if songs[place] != song and share != 0.5:
                better, worse = (song, songs[place]) if share > 0.5 else (songs[place], song)
                found.append(Preference(better, worse, max(share, 1 - share)))
    return found


def preferring_share(one: Sequence[float], other: Sequence[float]) -> float:
    """The chance that a rater of the first song gives more than a rater of the second; equal points count half."""
    gaps = np.subtract.outer(np.asarray(one), np.asarray(other))
    return float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
