"""The separation sample: corpus songs without their stems, so that separator and structure labeller hear them."""

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from levo.song.digest import digest_bytes
from levo.song.files import write_atomically, write_bytes_atomically
from pipelines.corpus.metadata import METADATA_FILE

_LABELS_AND_STEMS = ("stems", "lyrics", "tags")


def write_separation_sample(songs: Path, long_ids: frozenset[str], num_songs: int, out: Path) -> int:
    """Copy the mixtures of `num_songs` songs, long ones first, the rest by the hash of their ids; returns the number.

    Metadata keep who sings and lose stems, lyrics and tags. Raises `ValueError` where the corpus holds too few songs.
    """
    rows = {row["song_id"]: row for row in _rows(songs / METADATA_FILE)}
    if len(rows) < num_songs:
        raise ValueError(f"{songs} holds {len(rows)} songs; the sample needs {num_songs}")
    order = sorted(rows, key=lambda song_id: (song_id not in long_ids, digest_bytes(song_id.encode())))
    chosen = sorted(order[:num_songs])
    for song_id in chosen:
        source = songs / rows[song_id]["audio"]
        target = out / rows[song_id]["audio"]
        if not target.exists():
            write_atomically(target, partial(_copy, source))
    lines = [{key: value for key, value in rows[name].items() if key not in _LABELS_AND_STEMS} for name in chosen]
    write_bytes_atomically(out / METADATA_FILE, "".join(json.dumps(line) + "\n" for line in lines).encode())
    return len(chosen)


def _copy(source: Path, place: Path) -> None:
    shutil.copyfile(source, place)


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open() as lines:
        for line in lines:
            yield json.loads(line)
