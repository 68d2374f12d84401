"""HTDemucs as separator (S. Rouard et al., arXiv 2211.08553): published packages and bags, through `demucs`."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from jaxtyping import Float32
from torch import Tensor

from annotation.separation.demucs_files import DemucsBag, load_bag
from annotation.separation.remainder import in_pcm_steps, stems_beside
from annotation.separation.segments import MAX_SHIFT_S, overlapped, shifted
from annotation.spectrum.usable import require_usable
from levo.codec.stems import Stems
from levo.song.arrays import Array
from levo.song.digest import digest_json
from levo.song.waveform import Waveform

VOCALS = "vocals"
_SHORTEST_S = 0.1


class Accompaniment(StrEnum):
    """What counts as accompaniment."""

    REST = "mixture minus vocals"
    SUM = "sum of the other stems"


@dataclass(frozen=True)
class HtDemucsSeparator:
    """Vocals by a bag of HTDemucs models, heard at the models' rate in stereo and returned at the mixture's own.

    A song's stems depend on the song and the settings alone. `dtype` other than float32 is autocast's.
    """

    bag: DemucsBag
    accompaniment: Accompaniment = Accompaniment.REST
    overlap: float = 0.25
    num_shifts: int = 0
    seed: int = 0
    segment_s: float | None = None
    batch_segments: int = 4
    device: str = "cpu"
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if VOCALS not in self.bag.sources:
            raise ValueError(f"a model of the sources {self.bag.sources}; expected one of {VOCALS!r}")
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap is {self.overlap}; expected 0 or more, below 1")
        if self.num_shifts < 0 or self.batch_segments < 1:
            raise ValueError(
                f"num_shifts is {self.num_shifts}, batch_segments {self.batch_segments}; expected >= 0 and >= 1"
            )
        if self.segment_s is not None and not 0 < self.segment_s <= self.bag.segment_s:
            raise ValueError(f"segment_s is {self.segment_s}; expected at most the model's {self.bag.segment_s:g} s")
        for model in self.bag.models:
            model.to(self.device)

    @classmethod
    def load(cls, path: Path, **settings: Any) -> "HtDemucsSeparator":
        """Read a package (`.th`) or a bag (`.yaml`); raises `ValueError` for what is neither."""
        return cls(load_bag(path), **settings)

    @cached_property
    def digest(self) -> str:
        """Weights and settings; how many segments go at once is no setting."""
        settings = {name: str(value) for name, value in vars(self).items() if name not in _NO_SETTINGS}
        return digest_json({"separator": "htdemucs", "version": 1, "weights": self.bag.digest, "settings": settings})

    def separate(self, mixture: Waveform) -> Stems:
        """Stems of a mixture of any rate, of one or two channels.

        The vocal is rounded to steps of 24-bit PCM and the returned mixture is its sum with the accompaniment: where
        that is the rest, a mixture of 16 or 24 bits comes back bit for bit.
        """
        require_usable(mixture, "mixture", _SHORTEST_S)
        if len(mixture.samples) > 2:
            raise ValueError(f"a mixture of {len(mixture.samples)} channels; expected one or two")
        wanted = [VOCALS] if self.accompaniment is Accompaniment.REST else list(self.bag.sources)
        found = self.sources(mixture, wanted)
        if self.accompaniment is Accompaniment.REST:
            return stems_beside(found[VOCALS], mixture)
        rate, vocal = mixture.sample_rate_hz, in_pcm_steps(found[VOCALS])
        rest = np.asarray(sum(found[name] for name in wanted if name != VOCALS), dtype=np.float32)
        return Stems(Waveform(vocal, rate), Waveform(rest, rate), Waveform(vocal + rest, rate))

    def sources(self, mixture: Waveform, names: list[str]) -> dict[str, Float32[Array, "channel sample"]]:
        """The named sources at the mixture's rate, channels and length; models without weight in them do not run."""
        track = torch.from_numpy(self._heard(mixture))
        mono = track.mean(dim=0)
        mean, deviation = mono.mean(), mono.std() + 1e-8
        places = [self.bag.sources.index(name) for name in names]
        separated = self._bag((track - mean) / deviation, places) * deviation + mean
        return {name: self._returned(separated[place], mixture) for name, place in zip(names, places, strict=True)}

    def _bag(self, track: Tensor, places: list[int]) -> Float32[Tensor, "source channel sample"]:
        weights = torch.tensor(self.bag.weights)
        total = torch.zeros(len(self.bag.sources), *track.shape)
        for number, (model, share) in enumerate(zip(self.bag.models, weights, strict=True)):
            if share[places].any():
                total += share[:, None, None] * self._model(model, track, number)
        return total / weights.sum(dim=0)[:, None, None]

    def _model(self, model: Any, track: Tensor, number: int) -> Tensor:
        rate = self.bag.sample_rate_hz
        segment = int(rate * (self.segment_s or float(model.segment)))

        def separate(heard: Tensor, start: int) -> Tensor:
            return overlapped(heard, segment, self.overlap, self.batch_segments, self._run(model), start)

        if self.num_shifts == 0:
            return separate(track, 0)
        max_shift = int(MAX_SHIFT_S * rate)
        shifts = np.random.default_rng((self.seed, number)).integers(0, max_shift, self.num_shifts, endpoint=True)
        return shifted(track, shifts.tolist(), max_shift, separate)

    def _run(self, model: Any) -> Callable[[Tensor], Tensor]:
        device = torch.device(self.device)
        is_mixed = self.dtype is not torch.float32

        @torch.inference_mode()
        def run(segments: Tensor) -> Tensor:
            with torch.autocast(device.type, self.dtype) if is_mixed else nullcontext():
                made: Tensor = model(segments.to(device))
            return made.float().cpu()

        return run

    def _heard(self, mixture: Waveform) -> Float32[Array, "channel sample"]:
        """Stereo at the models' rate."""
        samples = mixture.samples
        if mixture.sample_rate_hz != self.bag.sample_rate_hz:
            samples = soxr.resample(samples.T, mixture.sample_rate_hz, self.bag.sample_rate_hz).T
        return np.array(np.broadcast_to(samples, (2, samples.shape[1])), dtype=np.float32)

    def _returned(self, source: Tensor, mixture: Waveform) -> Float32[Array, "channel sample"]:
        samples: Float32[Array, "channel sample"] = source.numpy()
        if len(mixture.samples) == 1:
            samples = samples.mean(axis=0, keepdims=True)
        if mixture.sample_rate_hz != self.bag.sample_rate_hz:
            samples = soxr.resample(samples.T, self.bag.sample_rate_hz, mixture.sample_rate_hz).T
        missing = mixture.num_samples - samples.shape[1]
        return np.pad(samples[:, : mixture.num_samples], ((0, 0), (0, max(missing, 0)))).astype(np.float32)


_NO_SETTINGS = ("bag", "batch_segments", "device", "digest")
