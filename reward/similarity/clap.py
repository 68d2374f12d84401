"""LAION-CLAP as similarity judge (arXiv 2211.06687): a model folder in the Hugging Face format, by `transformers`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional

from levo.codec.intake import mono_at_rate
from levo.song.arrays import Array
from levo.song.digest import digest_file, digest_json
from levo.song.waveform import Waveform
from reward.audible import why_unheard
from reward.similarity.embedding import ContrastiveJudge, Embedding
from reward.similarity.windows import windows_of

SHORTEST_SONG_S = 1.0
_WEIGHTS, _CONFIG = "model.safetensors", "config.json"


@dataclass(frozen=True, eq=False)
class ClapSimilarity(ContrastiveJudge):
    """Cosines of CLAP's embeddings; a song's is the mean over windows as long as the model hears, of unit length.

    Windows follow each other, the last one ends with the song, and a song shorter than one is repeated, as CLAP was
    trained. Nothing is cut at random: a song's embedding depends on the song alone.
    """

    model: Any
    extractor: Any
    tokenizer: Any
    weights_digest: str
    batch_windows: int = 8

    @classmethod
    def load(
        cls, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32, batch_windows: int = 8
    ) -> "ClapSimilarity":
        """Read config, weights, tokenizer and feature extractor; raises `ValueError` for what is no such folder."""
        from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel

        for name in (_CONFIG, _WEIGHTS, "preprocessor_config.json"):
            if not (folder / name).is_file():
                raise ValueError(f"{folder} has no {name}; expected a CLAP model in the Hugging Face format")
        if batch_windows < 1:
            raise ValueError(f"batch_windows is {batch_windows}; expected 1 or more")
        try:
            model, loaded = ClapModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=dtype, output_loading_info=True
            )
            extractor = ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # each file's reader raises what it likes
            raise ValueError(f"{folder} cannot be read as a CLAP model: {error}") from error
        wrong = {name: sorted(loaded[name]) for name in ("missing_keys", "unexpected_keys") if loaded[name]}
        if wrong:
            raise ValueError(f"{folder / _WEIGHTS} is not of {_CONFIG}'s model: {wrong}")
        digest = digest_json({name: digest_file(folder / name) for name in (_CONFIG, _WEIGHTS)})
        return cls(model.to(device).eval(), extractor, tokenizer, digest, batch_windows)

    @cached_property
    def digest(self) -> str:
        """The weights, their config, and how windows are laid."""
        return digest_json(
            {"similarity": "clap", "version": 1, "model": self.weights_digest, "dtype": str(self._dtype)}
        )

    @torch.inference_mode()
    def embed_text(self, texts: Sequence[str]) -> Float32[Tensor, "text embedding"]:
        """Unit vectors of texts, each read alone, so that padding does not round it otherwise."""
        vectors = []
        for text in texts:
            tokens = self.tokenizer(text, return_tensors="pt", truncation=True, max_length=self._longest_text)
            found = self.model.get_text_features(**tokens.to(self._device))
            vectors.append(functional.normalize(_pooled(found).float(), dim=-1))
        return torch.cat(vectors).cpu()

    @property
    def _device(self) -> torch.device:
        device: torch.device = self.model.device
        return device

    @property
    def _dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.model.dtype
        return dtype

    @property
    def _longest_text(self) -> int:
        # Two positions of RoBERTa's table are never used.
        return int(self.model.config.text_config.max_position_embeddings) - 2

    @torch.inference_mode()
    def _embed(self, song: Waveform) -> Embedding:
        reason = why_unheard(song, SHORTEST_SONG_S)
        if reason is not None:
            return Embedding(None, reason)
        mono = mono_at_rate(song, int(self.extractor.sampling_rate), "song")
        windows = windows_of(mono, int(self.extractor.nb_max_samples))
        vectors = [
            self._embed_windows(windows[start : start + self.batch_windows])
            for start in range(0, len(windows), self.batch_windows)
        ]
        return Embedding(functional.normalize(torch.cat(vectors).mean(dim=0), dim=0).cpu())

    def _embed_windows(self, windows: Sequence[Float32[Array, " sample"]]) -> Float32[Tensor, "window embedding"]:
        # The extractor draws numbers even where it cuts nothing; the program's own random state stays as it was.
        state = np.random.get_state()
        try:
            features = self.extractor(
                list(windows), sampling_rate=self.extractor.sampling_rate, padding="repeatpad", return_tensors="pt"
            )
        finally:
            np.random.set_state(state)
        # No window is longer than the model hears: none is a fusion of parts, whatever the extractor drew.
        is_longer = torch.zeros((len(windows), 1), dtype=torch.bool, device=self._device)
        inputs = features["input_features"].to(self._device, self._dtype)
        found = self.model.get_audio_features(input_features=inputs, is_longer=is_longer)
        return functional.normalize(_pooled(found).float(), dim=-1)


def _pooled(found: Any) -> Tensor:
    pooled: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return pooled
