"""A corpus made audible again: its songs' tokens decoded to FLAC files beside it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import soundfile

from levo.codec.protocol import Codec
from levo.song.digest import digest_bytes
from levo.song.files import write_atomically
from levo.song.waveform import Waveform
from pipelines.corpus.records import PreparedSong
from pipelines.corpus.snapshot import Corpus

LISTEN_FOLDER = "listen"
_NAME_CHARACTERS = 60


def write_decoded(
    corpus: Corpus, songs: Sequence[PreparedSong], codec: Codec, progress: Callable[[int, int], None]
) -> list[Path]:
    """Decode songs into the corpus's `listen` folder, mixture and vocal; files that are there already stay."""
    written: list[Path] = []
    for done, song in enumerate(songs, 1):
        name = listening_name(song)
        paths = [corpus.folder / LISTEN_FOLDER / f"{name}.{part}.flac" for part in ("mixture", "vocal")]
        if not all(path.exists() for path in paths):
            stems = codec.decode(corpus.tokens(song))
            for path, waveform in zip(paths, (stems.mixture, stems.vocal), strict=True):
                _write_flac(path, waveform)
        written += paths
        progress(done, len(songs))
    return written


def listening_name(song: PreparedSong) -> str:
    """A file name that tells the song and changes with its tokens."""
    plain = "".join(character if character.isalnum() else "-" for character in song.song_id)[:_NAME_CHARACTERS]
    return f"{plain}-{digest_bytes(song.song_id.encode(), song.tokens.sha256.encode())[:8]}"


def _write_flac(path: Path, waveform: Waveform) -> None:
    samples = waveform.samples.T.clip(-1, 1)
    write_atomically(path, lambda place: soundfile.write(place, samples, waveform.sample_rate_hz, format="FLAC"))
