"""The lexicon: each word's phonemes, and the words that best explain a row of phonemes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from levo.codec.storage import StoredModel, load_stored, save_stored
from levo.song.digest import digest_json
from levo.song.timing import TimedPhoneme, TimedWord

_KIND = "lexicon"


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word, and the phonemes `start` ... `end` - 1 of the row that it explains."""

    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class HeardWords:
    """The words of a row of phonemes, and how many phonemes had to be changed, added or left out to fit them."""

    words: tuple[HeardWord, ...]
    num_edits: int


class Lexicon:
    """Words and their phonemes; raises `ValueError` for a word without any."""

    def __init__(self, pronunciations: Mapping[str, Sequence[str]]) -> None:
        self.pronunciations = {word: tuple(pronunciations[word]) for word in sorted(pronunciations)}
        empty = [word for word, phonemes in self.pronunciations.items() if not phonemes]
        if empty or not self.pronunciations:
            raise ValueError(f"words without phonemes: {empty or 'no words at all'}; expected at least one each")
        self.digest = digest_json(self.pronunciations)

    @property
    def words(self) -> tuple[str, ...]:
        """All words, sorted."""
        return tuple(self.pronunciations)

    @property
    def phonemes(self) -> tuple[str, ...]:
        """All phonemes in use, sorted."""
        return tuple(sorted({phoneme for phonemes in self.pronunciations.values() for phoneme in phonemes}))

    def phonemes_of(self, words: Sequence[str]) -> tuple[str, ...]:
        """The phonemes of a row of words; `ValueError` names those that are not known."""
        unknown = sorted({word for word in words if word not in self.pronunciations})
        if unknown:
            raise ValueError(f"words {unknown} are not among the lexicon's {len(self.words)}")
        return tuple(phoneme for word in words for phoneme in self.pronunciations[word])

    def words_in(self, phonemes: Sequence[str]) -> HeardWords:
        """The row of words with the fewest edits between its phonemes and the given ones (one-pass search, Ney 1984).

        Every phoneme belongs to a word; the first word in the alphabet wins where several do equally well.
        """
        return _Search(self, phonemes).run()

    def timed_words(self, phonemes: Sequence[TimedPhoneme]) -> tuple[TimedWord, ...]:
        """The words in a row of timed phonemes, each from its first phoneme's start to its last one's end."""
        found = self.words_in([item.phoneme for item in phonemes]).words
        return tuple(TimedWord(item.word, phonemes[item.start].start_s, phonemes[item.end - 1].end_s) for item in found)

    def save(self, folder: Path) -> None:
        """Write the lexicon into a folder."""
        save_stored(StoredModel(_KIND, self.pronunciations, {}), folder)

    @classmethod
    def load(cls, folder: Path) -> "Lexicon":
        """Read a saved lexicon."""
        return cls(load_stored(folder, _KIND).config)


class _Search:
    """Edit distances of all words at once: row w, column p holds the cheapest way to stand after p phonemes of word w.

    `begun` tells at which phoneme of the input the way entered its word.
    """

    def __init__(self, lexicon: Lexicon, phonemes: Sequence[str]) -> None:
        self._words = lexicon.words
        self._phonemes = phonemes
        rows = list(lexicon.pronunciations.values())
        self._lengths = np.array([len(row) for row in rows])
        self._longest = int(self._lengths.max())
        self._spelled = np.array([[*row, *[""] * (self._longest - len(row))] for row in rows])
        self._cost = np.full((len(rows), self._longest + 1), np.inf)
        self._begun = np.zeros((len(rows), self._longest + 1), dtype=np.int64)
        self._last_words: list[HeardWord | None] = [None]

    def run(self) -> HeardWords:
        cheapest = 0.0
        self._enter(cheapest, 0)
        for position, phoneme in enumerate(self._phonemes, start=1):
            self._take(phoneme)
            ends = self._cost[np.arange(self._lengths.size), self._lengths]
            word = int(ends.argmin())
            cheapest = float(ends[word])
            begun = int(self._begun[word, self._lengths[word]])
            self._last_words.append(HeardWord(self._words[word], begun, position))
            self._enter(cheapest, position)
        return HeardWords(self._traced(), round(cheapest))

    def _enter(self, cost: float, position: int) -> None:
        """Begin every word here, also past phonemes of it that are left out."""
        self._cost[:, 0], self._begun[:, 0] = cost, position
        self._leave_out()

    def _take(self, phoneme: str) -> None:
        """Match the next phoneme with the word's next, or let it be one too many; no way stays before its word."""
        matched = self._cost[:, :-1] + (self._spelled != phoneme)
        too_many = self._cost[:, 1:] + 1
        self._begun[:, 1:] = np.where(matched <= too_many, self._begun[:, :-1], self._begun[:, 1:])
        self._cost[:, 1:] = np.minimum(matched, too_many)
        self._cost[:, 0] = np.inf
        self._leave_out()

    def _leave_out(self) -> None:
        for column in range(1, self._longest + 1):
            skipped = self._cost[:, column - 1] + 1
            better = skipped < self._cost[:, column]
            self._cost[better, column] = skipped[better]
            self._begun[better, column] = self._begun[better, column - 1]

    def _traced(self) -> tuple[HeardWord, ...]:
        words: list[HeardWord] = []
        while (last := self._last_words[words[-1].start if words else -1]) is not None:
            words.append(last)
        return tuple(reversed(words))
