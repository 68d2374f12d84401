"""Reference log-probabilities on file: computed once for a model and a song, and read by every preference after."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from levo.song.digest import digest_bytes
from levo.song.schema import records_of
from levo.training.record_files import mapped_table, write_records


@dataclass(frozen=True, slots=True)
class SongLogProbability:
    """A song's log-probability under the reference, and its number of tokens, stream by stream."""

    song_digest: str
    log_probabilities: tuple[float, ...]
    num_tokens: tuple[int, ...]

    @property
    def total(self) -> float:
        """The song's log-probability: the sum over the streams."""
        return sum(self.log_probabilities)

    @property
    def per_token(self) -> float:
        """The mean over all tokens."""
        return self.total / max(1, sum(self.num_tokens))


class ReferenceStore:
    """A folder of log-probabilities, one sub-folder a model; parts are only ever added, each in one rename."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which need not exist yet."""
        self._folder = folder

    def read(self, model_digest: str) -> dict[str, SongLogProbability]:
        """All songs known under a model, by song digest."""
        paths = sorted((self._folder / model_digest).glob("*.arrow"))
        parts = [records_of(mapped_table(path), SongLogProbability) for path in paths]
        return {record.song_digest: record for part in parts for record in part}

    def missing(self, model_digest: str, song_digests: Iterable[str]) -> list[str]:
        """The songs not known yet, sorted, each once."""
        return sorted(set(song_digests) - self.read(model_digest).keys())

    def add(self, model_digest: str, records: Sequence[SongLogProbability]) -> None:
        """Write a part; equal records give an equal part, so a repeated write changes nothing."""
        if not records:
            return
        name = digest_bytes(*(record.song_digest.encode() for record in records))[:24]
        path = self._folder / model_digest / f"{name}.arrow"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_records(path, records, SongLogProbability)
