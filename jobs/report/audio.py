"""Sounds of the report: stored small, and embedded as data URIs so that the page needs no other file.

MP3, because every browser plays it; at these rates it is as small as Vorbis or Opus.
"""

import base64
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32

from jobs.report.data import Clip
from levo.song.arrays import Array
from levo.song.files import write_atomically
from levo.song.waveform import Waveform

_FOLDER = "audio"
_FULL_SCALE = 0.999


def store_clip(waveform: Waveform, folder: Path, name: str, caption: str) -> Clip:
    """Write a waveform as `audio/NAME.mp3` in the report's folder; samples beyond full scale are clipped."""
    file = folder / _FOLDER / f"{name}.mp3"
    samples = np.clip(waveform.samples.T, -_FULL_SCALE, _FULL_SCALE)
    write_atomically(file, lambda beside: soundfile.write(beside, samples, waveform.sample_rate_hz, format="MP3"))
    return Clip(caption, f"{_FOLDER}/{file.name}")


def data_uri(clip: Clip, folder: Path) -> str:
    """The sound's bytes as a data URI. Raises `ValueError` where the file is not inside the folder."""
    return "data:audio/mpeg;base64," + base64.b64encode(_file(clip, folder).read_bytes()).decode()


def envelope(clip: Clip, folder: Path, num_bars: int) -> Float32[Array, " bar"]:
    """The largest magnitude in each of `num_bars` equal spans, in [0, 1]."""
    samples, _ = soundfile.read(_file(clip, folder), dtype="float32", always_2d=True)
    magnitude = np.abs(samples).max(axis=1)
    if not len(magnitude):
        return np.zeros(num_bars, np.float32)
    edges = np.linspace(0, len(magnitude), num_bars, endpoint=False).astype(np.int64)
    bars: Float32[Array, " bar"] = np.maximum.reduceat(magnitude, edges)
    return bars


def _file(clip: Clip, folder: Path) -> Path:
    file = (folder / clip.file).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise ValueError(f"clip file {clip.file!r} lies outside the report's folder; expected a path below it")
    return file
