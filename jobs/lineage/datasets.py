"""The tables and collections of a run as dataset references: a name, the digest of the content, and the rows."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from jobs.tracking.protocol import DatasetReference
from levo.alignment.pairs import PairStore
from levo.song.digest import digest_file, digest_json
from levo.training.examples import ExampleStore
from pipelines.corpus.draft import SONGS
from pipelines.corpus.flow import corpus_recordings
from pipelines.corpus.metadata import METADATA_FILE
from pipelines.corpus.roots.folder import FolderRoot
from pipelines.corpus.roots.named import Recordings
from pipelines.flow.snapshot import Snapshot, SnapshotError, SnapshotStore
from pipelines.loop.places import RunPlaces
from pipelines.loop.preferences import PAIRS
from pipelines.loop.prompts import PROMPTS
from pipelines.loop.song_sets import CANDIDATES, SCORES

_LISTING_FILE = "listing.parquet"


@dataclass(frozen=True, slots=True)
class RunDatasets:
    """What a run keeps; each method raises `OSError` or `ValueError` where its files are not there."""

    places: RunPlaces

    def rendered_songs(self) -> DatasetReference:
        """The rendered corpus as audio files, known by its metadata and its truth table, which its sound follows."""
        songs = self.places.songs
        metadata = songs / METADATA_FILE
        digest = digest_json({"metadata": digest_file(metadata), "truth": digest_file(self.places.truth)})
        with metadata.open("rb") as lines:
            return DatasetReference("rendered-songs", digest, _uri(songs), sum(1 for _ in lines))

    def truth(self) -> DatasetReference:
        """What the rendered songs really are."""
        table = self.places.truth
        return DatasetReference("rendered-truth", digest_file(table), _uri(table), pq.read_metadata(table).num_rows)

    def recordings(self, name: str, corpus: Path) -> DatasetReference:
        """The audio files that a corpus was made from, a row each, by the digests that its listing keeps."""
        files = pq.read_table(corpus / _LISTING_FILE, columns=["path", "sha256"]).to_pylist()
        digest = digest_json(sorted((file["path"], file["sha256"]) for file in files))
        return DatasetReference(name, digest, _root_uri(corpus_recordings(corpus)), len(files))

    def corpus(self, name: str, corpus: Path, snapshot_id: str | None = None) -> DatasetReference:
        """A labelled corpus, refused songs included: the given snapshot, or the newest."""
        return _snapshot(name, corpus, SONGS, snapshot_id)

    def prompts(self) -> DatasetReference:
        """The prompts of all sets."""
        return _snapshot("prompts", self.places.prompts, PROMPTS)

    def examples(self, name: str) -> DatasetReference:
        """Training examples under the name of their folder."""
        store = ExampleStore(self.places.training / "examples" / name)
        return DatasetReference(f"examples/{name}", store.digest, _uri(store.folder), len(store))

    def candidates(self, song_set: str) -> DatasetReference:
        """The songs of a set."""
        return _snapshot(f"candidates/{song_set}", self.places.candidates(song_set) / CANDIDATES, CANDIDATES)

    def scores(self, song_set: str) -> DatasetReference:
        """What the judges said of a set's songs."""
        return _snapshot(f"scores/{song_set}", self.places.candidates(song_set) / SCORES, SCORES)

    def singers(self, song_set: str) -> tuple[str, ...]:
        """The digests of the models that a set's songs come from."""
        table = _newest(self.places.candidates(song_set) / CANDIDATES).table(CANDIDATES)
        return tuple(sorted({str(digest) for digest in table["model_digest"].to_pylist()}))

    def metrics(self, song_set: str) -> tuple[str, ...]:
        """The metrics that a set's songs were scored by."""
        table = _newest(self.places.candidates(song_set) / SCORES).table(SCORES)
        first = table["scores"].slice(0, 1).to_pylist()
        return tuple(name for scores in first for name, _ in scores or ())

    def pairs(self) -> DatasetReference:
        """The preference pairs of all axes, with their provenance."""
        return _snapshot("pairs", self.places.pairs, PAIRS)

    def training_pairs(self, name: str) -> DatasetReference:
        """The pairs of one preference (or `mixed`) with their songs, as alignment reads them."""
        store = PairStore(self.places.training / "pairs" / name)
        return DatasetReference(f"pairs/{name}", store.digest, _uri(store.folder), len(store))


def _snapshot(name: str, folder: Path, table: str, snapshot_id: str | None = None) -> DatasetReference:
    snapshot = _newest(folder) if snapshot_id is None else SnapshotStore(folder).open(snapshot_id)
    rows = sum(file.num_rows for file in snapshot.manifest.files if file.table == table)
    return DatasetReference(name, snapshot.manifest.snapshot_id, _uri(snapshot.folder), rows)


def _newest(folder: Path) -> Snapshot:
    snapshot = SnapshotStore(folder).current()
    if snapshot is None:
        raise SnapshotError(f"{folder} holds no snapshot; expected the one that its step publishes")
    return snapshot


def _root_uri(recordings: Recordings) -> str:
    root = recordings.root
    return _uri(root.folder) if isinstance(root, FolderRoot) else root.uri


def _uri(path: Path) -> str:
    return path.resolve().as_uri()
