"""What became of recordings, counted: usable songs by where their labels come from, refused ones by reason."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from levo.song.description import MusicalityTier
from pipelines.corpus.records import JudgedSong, PreparedSong
from pipelines.flow.stage import Refusal


@dataclass(slots=True)
class Tally:
    """Counts that grow outcome by outcome; their size does not depend on the number of songs."""

    num_songs: int = 0
    duration_s: float = 0.0
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Songs by a label's name and its value, as (`lyrics from`, `metadata`)."""
    tiers: Counter[MusicalityTier | None] = field(default_factory=Counter)
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Refused recordings by stage and reason."""

    def as_json(self) -> dict[str, Any]:
        """The counts as JSON holds them."""
        return {
            "num_songs": self.num_songs,
            "duration_s": self.duration_s,
            "labels": [[*key, count] for key, count in self.labels.items()],
            "tiers": [[tier and tier.value, count] for tier, count in self.tiers.items()],
            "refusals": [[*key, count] for key, count in self.refusals.items()],
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Tally":
        """The counts that `as_json` gave."""
        return cls(
            told["num_songs"],
            told["duration_s"],
            Counter({(name, value): count for name, value, count in told["labels"]}),
            Counter({tier and MusicalityTier(tier): count for tier, count in told["tiers"]}),
            Counter({(stage, reason): count for stage, reason, count in told["refusals"]}),
        )

    @property
    def num_refused(self) -> int:
        """Recordings that cannot be used."""
        return self.refusals.total()

    @property
    def num_recordings(self) -> int:
        """All recordings."""
        return self.num_songs + self.num_refused

    def add(self, outcomes: Iterable[JudgedSong | Refusal]) -> None:
        """Count more outcomes; tiers where songs have them already."""
        for outcome in outcomes:
            if isinstance(outcome, Refusal):
                self.refusals[outcome.stage, outcome.reason] += 1
            else:
                self._add_song(outcome)

    def _add_song(self, song: JudgedSong) -> None:
        self.num_songs += 1
        self.duration_s += song.duration_s
        if isinstance(song, PreparedSong):
            self.tiers[song.tier] += 1
        self.labels["stems from", song.stem_source.value] += 1
        self.labels["lyrics from", song.lyrics_source.value] += 1
        self.labels["tags from", song.tags_source.value] += 1
        self.labels["collection", song.collection or "-"] += 1
        self.labels["licence", song.licence or "-"] += 1
        self.labels["consent", "given" if song.consent else "-"] += 1
