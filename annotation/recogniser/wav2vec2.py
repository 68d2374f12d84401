"""Lyrics aligned by a wav2vec 2.0 CTC model (A. Baevski et al., arXiv 2006.11477): letters, by `transformers`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from annotation.recogniser.forced_alignment import AlignedLine, FrameScores, align_lyrics
from annotation.recogniser.letters import columns_of, spelled
from annotation.spectrum.usable import require_usable
from levo.codec.intake import mono_at_rate
from levo.song.arrays import Array
from levo.song.digest import digest_file, digest_json
from levo.song.waveform import Waveform

_CONFIG, _VOCABULARY, _EXTRACTOR = "config.json", "vocab.json", "preprocessor_config.json"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_SEPARATOR = "|"
_SHORTEST_S = 0.1


@dataclass(frozen=True, eq=False)
class Wav2Vec2Aligner:
    """A `LyricsAligner`; the model's vocabulary of letters decides which languages it can align.

    A song longer than `window_s` is heard in windows, since attention grows with the square of the length; of each
    window, `margin_s` at either side are heard and left to its neighbour.
    """

    model: Any
    extractor: Any
    symbols: tuple[str, ...]
    blank: int
    files_digest: str
    window_s: float = 30.0
    margin_s: float = 2.0

    @classmethod
    def load(
        cls, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32, window_s: float = 30.0
    ) -> "Wav2Vec2Aligner":
        """Read config, weights, vocabulary and feature extractor; raises `ValueError` for what is no such folder."""
        from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

        weights = _weights_of(folder)
        if window_s <= 3 * cls.margin_s:
            raise ValueError(f"window_s is {window_s}; expected more than three margins of {cls.margin_s} s")
        try:
            model, loaded = Wav2Vec2ForCTC.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=weights.suffix == ".safetensors",
                weights_only=True,
                dtype=dtype,
                output_loading_info=True,
            )
            extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # each file's reader raises what it likes
            raise ValueError(f"{folder} cannot be read as a wav2vec 2.0 CTC model: {error}") from error
        # What masks inputs in training is left out of many published files, and is not used here.
        missing = sorted(set(loaded["missing_keys"]) - {"wav2vec2.masked_spec_embed"})
        if missing or loaded["unexpected_keys"]:
            wrong = {"missing": missing, "unexpected": sorted(loaded["unexpected_keys"])}
            raise ValueError(f"{weights} is not of {_CONFIG}'s model: {wrong}")
        symbols = columns_of(folder / _VOCABULARY, model.config.vocab_size)
        files = [folder / name for name in (_CONFIG, _VOCABULARY, _EXTRACTOR)]
        digest = digest_json([digest_file(path) for path in (*files, weights)])
        return cls(model.to(device).eval(), extractor, symbols, model.config.pad_token_id, digest, window_s)

    @cached_property
    def digest(self) -> str:
        """The folder's files, precision, and how windows are laid."""
        parts = {"files": self.files_digest, "dtype": str(self.model.dtype)}
        windows = {"window_s": self.window_s, "margin_s": self.margin_s}
        return digest_json({"aligner": "wav2vec2", "version": 1, **parts, **windows})

    def align(self, vocal: Waveform, lines: Sequence[Sequence[str]]) -> tuple[AlignedLine, ...]:
        """The lines with their times; letters that the model has not are left out of a word."""
        return align_lyrics(self.scores(vocal), lines, self.spell)

    def spell(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """Each word's letters in the model's own case; a letter with an accent it has not is the plain letter."""
        letters = frozenset(name for name in self.symbols if len(name) == 1) - {_SEPARATOR}
        return [spelled(word, letters) for word in words]

    @torch.inference_mode()
    def scores(self, vocal: Waveform) -> FrameScores:
        """Log probabilities of each symbol in each frame; the sign between words counts as none."""
        require_usable(vocal, "vocal", _SHORTEST_S)
        rate, hop = int(self.extractor.sampling_rate), int(self.model.config.inputs_to_logits_ratio)
        samples = self.extractor(mono_at_rate(vocal, rate), sampling_rate=rate, return_tensors="pt").input_values[0]
        parts = [self._heard(samples[cut.samples])[cut.kept] for cut in self._cuts(samples.shape[0], rate, hop)]
        log_probabilities = _separator_as_blank(np.concatenate(parts), self.symbols, self.blank)
        return FrameScores(log_probabilities, self.symbols, rate / hop, self.blank)

    def _heard(self, samples: torch.Tensor) -> Float32[Array, "frame symbol"]:
        logits = self.model(samples[None].to(self.model.device, self.model.dtype)).logits[0]
        heard: Float32[Array, "frame symbol"] = torch.log_softmax(logits.float(), dim=-1).cpu().numpy()
        return heard

    def _cuts(self, num_samples: int, rate: int, hop: int) -> Iterator["_Cut"]:
        """Windows that begin on a frame, so that their frames are the song's."""
        num_frames = int(self.model._get_feat_extract_output_lengths(num_samples))
        window, margin = round(self.window_s * rate) // hop, round(self.margin_s * rate) // hop
        if num_frames <= window:
            yield _Cut(slice(0, num_samples), slice(0, num_frames))
            return
        for start in range(0, num_frames, window - 2 * margin):
            end = min(start + window - 2 * margin, num_frames)
            first = max(0, start - margin)
            last_sample = num_samples if end + margin >= num_frames else (end + margin) * hop + _overlap(self.model)
            yield _Cut(slice(first * hop, last_sample), slice(start - first, end - first))


@dataclass(frozen=True, slots=True)
class _Cut:
    """Samples that are heard together, and which of their frames are kept."""

    samples: slice
    kept: slice


def _overlap(model: Any) -> int:
    """Samples that a frame hears beyond the next one's first."""
    reach = 1
    for kernel, stride in zip(reversed(model.config.conv_kernel), reversed(model.config.conv_stride), strict=True):
        reach = (reach - 1) * stride + kernel
    return int(reach - model.config.inputs_to_logits_ratio)


def _weights_of(folder: Path) -> Path:
    for name in (_CONFIG, _VOCABULARY, _EXTRACTOR):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} has no {name}; expected a wav2vec 2.0 CTC model in the Hugging Face format")
    found = [folder / name for name in _WEIGHTS if (folder / name).is_file()]
    if not found:
        raise ValueError(f"{folder} has none of {', '.join(_WEIGHTS)}")
    return found[0]


def _separator_as_blank(
    log_probabilities: Float32[Array, "frame symbol"], symbols: Sequence[str], blank: int
) -> Float32[Array, "frame symbol"]:
    if _SEPARATOR not in symbols:
        return log_probabilities
    merged, separator = log_probabilities.copy(), symbols.index(_SEPARATOR)
    merged[:, blank] = np.logaddexp(log_probabilities[:, blank], log_probabilities[:, separator])
    merged[:, separator] = -np.inf
    return merged
