"""What the song model was trained on, as fingerprints: so that no candidate that repeats it becomes a preference."""

import io
from pathlib import Path

import numpy as np

from levo.song.digest import digest_json
from levo.song.files import write_bytes_atomically
from pipelines.corpus.snapshot import open_corpus
from pipelines.flow.snapshot import SnapshotStore
from pipelines.refresh.copies import CopyIndex, CopyRules, fingerprints


def training_index(corpus: Path, cache: Path, rules: CopyRules) -> CopyIndex:
    """The fingerprints of a corpus's songs, kept in `cache` for its snapshot; empty where there is no corpus."""
    snapshot = SnapshotStore(corpus).current()
    if snapshot is None:
        return CopyIndex([])
    file = cache / f"{digest_json([snapshot.manifest.snapshot_id, rules])[:32]}.npy"
    if not file.is_file():
        opened = open_corpus(corpus)
        songs = [fingerprints(opened.tokens(song).codes, rules) for song in opened.songs]
        buffer = io.BytesIO()
        np.save(buffer, np.unique(np.concatenate([*songs, np.empty(0, np.uint64)])), allow_pickle=False)
        write_bytes_atomically(file, buffer.getvalue())
    return CopyIndex([np.load(file, allow_pickle=False)])
