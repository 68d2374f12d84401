"""What the trained judges hear at 50 Hz: log-mel bands, and a chroma that can be turned to the song's own key.

Turning the chroma makes "in key" the same rows for every song, so that a small model need not learn twelve keys.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from levo.song.arrays import Array
from reward.audible import JUDGING_RATE_HZ

FRAME_RATE_HZ = 50
NUM_MEL_BANDS = 64
NUM_BANDS = NUM_MEL_BANDS + 12
_HOP = JUDGING_RATE_HZ // FRAME_RATE_HZ
_MEL_WINDOW = 1024
_CHROMA_WINDOW = 4096
_LOG_FLOOR = 1e-7
_LOG_CENTRE, _LOG_SPREAD = 11.0, 3.0
_MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)


def spectrogram(samples: Float32[Array, " sample"]) -> Float32[Tensor, "band frame"]:
    """Log-mel rows, then chroma rows; a frame every 20 ms, centred, over samples of one loudness at 16 kHz."""
    sound = torch.from_numpy(np.ascontiguousarray(samples))
    mel = _mel_weights() @ _power(sound, _MEL_WINDOW)
    log_mel = (torch.log(mel + _LOG_FLOOR) + _LOG_CENTRE) / _LOG_SPREAD
    return torch.cat([log_mel, _chroma(sound, log_mel.shape[1])])


def turned_to_key(spectrograms: Float32[Tensor, "song band frame"]) -> Float32[Tensor, "song band frame"]:
    """Each song's chroma rows rolled so that the seven-tone scale that holds most of its energy starts at their top.

    Major and relative minor share a scale, and so a turn.
    """
    log_mel, chroma = spectrograms[:, :NUM_MEL_BANDS], spectrograms[:, NUM_MEL_BANDS:]
    tonic = (chroma.sum(dim=2) @ _scales()).argmax(dim=1)
    rows = (torch.arange(12) + tonic[:, None]) % 12
    return torch.cat([log_mel, chroma.gather(1, rows[:, :, None].expand_as(chroma))], dim=1)


def onset_envelope(spectrograms: Float32[Tensor, "song band frame"]) -> Float32[Tensor, "song frame-1"]:
    """How much louder the mel bands become from frame to frame, summed over bands."""
    return spectrograms[:, :NUM_MEL_BANDS].diff(dim=2).clamp(min=0).sum(dim=1)


@cache
def _scales() -> Float32[Tensor, "12 tonic"]:
    scale = torch.zeros(12)
    scale[list(_MAJOR_SCALE)] = 1.0
    return torch.stack([scale.roll(tonic) for tonic in range(12)], dim=1)


def _chroma(sound: Float32[Tensor, " sample"], num_frames: int) -> Float32[Tensor, "12 frame"]:
    """Energy by pitch class, each frame scaled to sum to 1; every second frame is computed, and repeated."""
    magnitude = _power(sound, _CHROMA_WINDOW, 2 * _HOP).sqrt()
    chroma = _chroma_weights() @ magnitude
    chroma = chroma / (chroma.sum(dim=0, keepdim=True) + 1e-3)
    return chroma.repeat_interleave(2, dim=1)[:, :num_frames]


def _power(sound: Float32[Tensor, " sample"], window: int, hop: int = _HOP) -> Float32[Tensor, "bin frame"]:
    shape = torch.hann_window(window)
    spectrum = torch.stft(
        sound, window, hop, window=shape / shape.sum(), center=True, pad_mode="constant", return_complex=True
    )
    return spectrum.real.square() + spectrum.imag.square()


@cache
def _mel_weights() -> Float32[Tensor, "mel bin"]:
    """Triangles evenly spaced on the mel scale (2595 log10(1 + f / 700)), each summing to 1."""
    edges_mel = np.linspace(_mel(60.0), _mel(JUDGING_RATE_HZ / 2), NUM_MEL_BANDS + 2)
    edges_hz = 700 * (10 ** (edges_mel / 2595) - 1)
    bins_hz = np.fft.rfftfreq(_MEL_WINDOW, 1 / JUDGING_RATE_HZ)
    # A band narrower than a bin still has to catch one.
    rise = (bins_hz - edges_hz[:-2, None]) / np.maximum(np.diff(edges_hz)[:-1, None], bins_hz[1])
    fall = (edges_hz[2:, None] - bins_hz) / np.maximum(np.diff(edges_hz)[1:, None], bins_hz[1])
    weights = np.maximum(0.0, np.minimum(rise, fall)) + 1e-9
    return torch.from_numpy((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


def _mel(frequency_hz: float) -> float:
    return float(2595 * np.log10(1 + frequency_hz / 700))


@cache
def _chroma_weights() -> Float32[Tensor, "12 bin"]:
    """Bins between 110 Hz and 2 kHz to their pitch class, cosine-shaped, one semitone to either side."""
    bins_hz = np.fft.rfftfreq(_CHROMA_WINDOW, 1 / JUDGING_RATE_HZ)
    heard = (bins_hz >= 110) & (bins_hz <= 2_000)
    pitch = np.where(heard, 69 + 12 * np.log2(np.maximum(bins_hz, 1.0) / 440), 0.0)
    distance = (pitch[None, :] - np.arange(12)[:, None] + 6) % 12 - 6
    weights = np.where((np.abs(distance) < 1) & heard, 0.5 + 0.5 * np.cos(np.pi * distance), 0.0)
    return torch.from_numpy(weights.astype(np.float32))
