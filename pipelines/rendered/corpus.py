"""Writing the rendered corpus as ordinary files: FLAC audio and stems, `metadata.jsonl`, and `truth.parquet` apart."""

import io
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import pyarrow.parquet as pq

from levo.song.digest import canonical_json
from levo.song.files import write_atomically, write_bytes_atomically
from levo.song.waveform import Waveform
from pipelines.rendered.catalogue import CorpusSong, RenderedCorpusConfig, draw_corpus
from pipelines.rendered.song import pcm16, render_song
from pipelines.rendered.truth import audio_name, metadata_row, stem_name, truth_table
from pipelines.rendered.voice import Voice, open_voice
from pipelines.rendered.world import WorldConfig

_RENDER_VERSION = 1
_CONFIG_FILE = "render.json"
METADATA_FILE = "metadata.jsonl"
TRUTH_FILE = "truth.parquet"
_BATCH_SONGS = 16

Progress = Callable[[int, int], None]


class ForeignCorpusError(ValueError):
    """The output folder holds another corpus, or files that are none of ours."""


@dataclass(frozen=True, slots=True)
class WrittenCorpus:
    """What a call to `write_corpus` left in its folder."""

    folder: Path
    num_songs: int
    num_rendered: int
    """Songs rendered by this call; the others were there."""


def write_corpus(
    config: RenderedCorpusConfig,
    out: Path,
    progress: Progress,
    *,
    bank_folder: Path | None = None,
    num_workers: int = 2,
    niceness: int = 0,
) -> WrittenCorpus:
    """Render every song that `out` does not hold yet; equal configs give equal bytes, whenever they are interrupted.

    The note bank is kept in `bank_folder` (`out/voice` where None). One worker renders in this process; several give
    way to others by `niceness`.
    Raises `ForeignCorpusError` where the folder belongs to another config or holds other files.
    """
    claim_folder(config, out)
    _sweep_partial_files(out)
    bank = bank_folder or out / "voice"
    voice = open_voice(config.world, bank)
    songs = draw_corpus(config)
    waiting = tuple(song for song in songs if not is_written(song, out))
    progress(len(songs) - len(waiting), len(songs))
    done = len(songs) - len(waiting)
    for num_written in _write_songs(waiting, voice, bank, out, num_workers, niceness):
        done += num_written
        progress(done, len(songs))
    lines = "".join(json.dumps(metadata_row(song)) + "\n" for song in songs)
    write_atomically(out / TRUTH_FILE, lambda path: pq.write_table(truth_table(songs, voice), path))
    write_bytes_atomically(out / METADATA_FILE, lines.encode())
    return WrittenCorpus(out, len(songs), len(waiting))


def claim_folder(config: RenderedCorpusConfig, out: Path) -> None:
    """Mark a folder as this config's, or raise `ForeignCorpusError` where it is another's."""
    identity = {"version": _RENDER_VERSION, "digest": config.digest}
    file = out / _CONFIG_FILE
    if file.exists():
        owner = json.loads(file.read_text())
        if {key: owner.get(key) for key in identity} != identity:
            raise ForeignCorpusError(
                f"{out} holds a corpus of another config (digest {str(owner.get('digest'))[:12]}, this one "
                f"{config.digest[:12]}); choose another folder or remove it"
            )
    elif out.exists() and any(out.iterdir()):
        raise ForeignCorpusError(f"{out} is not empty and has no {_CONFIG_FILE}; choose an empty folder")
    else:
        whole = {**identity, "config": json.loads(canonical_json(config))}
        write_bytes_atomically(file, (json.dumps(whole, indent=1) + "\n").encode())


def is_written(song: CorpusSong, out: Path) -> bool:
    """Whether all three files of a song are there; each appears whole, or after a power cut empty, or not at all."""
    paths = [out / name for name in _file_names(song)]
    return all(path.exists() and path.stat().st_size > 0 for path in paths)


def write_song(song: CorpusSong, voice: Voice, out: Path) -> None:
    """Render one song and write its mixture and stems."""
    rendered = render_song(song.plan, voice, song.noise.glitches)
    waveforms = (rendered.mixture, rendered.vocal, rendered.accompaniment)
    for name, waveform in zip(_file_names(song), waveforms, strict=True):
        _write_flac(out / name, waveform)


def _sweep_partial_files(out: Path) -> None:
    """Remove what a killed process was writing; what it had finished stays."""
    for folder in (out / "audio", out / "stems"):
        for path in folder.glob(".*.partial"):
            path.unlink()


def _file_names(song: CorpusSong) -> tuple[str, str, str]:
    song_id = song.song_id
    return audio_name(song_id), stem_name(song_id, "vocal"), stem_name(song_id, "accompaniment")


def _write_flac(path: Path, waveform: Waveform) -> None:
    """Write beside the place and rename; without a flush, which for thousands of small files costs most of the time."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, pcm16(waveform), waveform.sample_rate_hz, "PCM_16", format="FLAC")
    write_bytes_atomically(path, buffer.getvalue(), flush=False)


def _write_songs(
    songs: tuple[CorpusSong, ...], voice: Voice, bank: Path, out: Path, num_workers: int, niceness: int
) -> Iterator[int]:
    """Write songs in batches, in this process or in several; gives the size of each batch when it is done."""
    batches = [songs[start : start + _BATCH_SONGS] for start in range(0, len(songs), _BATCH_SONGS)]
    if num_workers == 1 or len(batches) < 2:
        for batch in batches:
            yield _write_batch(batch, voice, out)
        return
    # A forked child of a threaded process can hang; a spawned one starts clean and reads the bank from its file.
    with ProcessPoolExecutor(num_workers, get_context("spawn"), os.nice, (niceness,)) as pool:
        futures = [pool.submit(_write_worker_batch, batch, voice.config, bank, out) for batch in batches]
        try:
            for future in futures:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _write_batch(songs: tuple[CorpusSong, ...], voice: Voice, out: Path) -> int:
    for song in songs:
        write_song(song, voice, out)
    return len(songs)


def _write_worker_batch(songs: tuple[CorpusSong, ...], config: WorldConfig, bank: Path, out: Path) -> int:
    return _write_batch(songs, _worker_voice(config, bank), out)


@cache
def _worker_voice(config: WorldConfig, bank: Path) -> Voice:
    """The voice of a worker process, read once."""
    return open_voice(config, bank)
