"""Reference log-probabilities on file: computed once for a model and a song, and read by every preference after."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from levo.song.digest import digest_bytes
from levo.song.tokens import NUM_STREAMS

_SCHEMA = pa.schema(
    [
        ("song_digest", pa.string()),
        ("log_probabilities", pa.list_(pa.float64(), NUM_STREAMS)),
        ("num_tokens", pa.list_(pa.int64(), NUM_STREAMS)),
    ]
)


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
        known: dict[str, SongLogProbability] = {}
        for path in sorted((self._folder / model_digest).glob("*.arrow")):
            with pa.memory_map(str(path)) as source:
                for row in pa.ipc.open_file(source).read_all().to_pylist():
                    record = SongLogProbability(
                        row["song_digest"], tuple(row["log_probabilities"]), tuple(row["num_tokens"])
                    )
                    known[record.song_digest] = record
        return known

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
        rows = [
            {
                "song_digest": record.song_digest,
                "log_probabilities": list(record.log_probabilities),
                "num_tokens": list(record.num_tokens),
            }
            for record in records
        ]
        staging = path.with_suffix(".partial")
        with pa.OSFile(str(staging), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
            writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
        staging.replace(path)
