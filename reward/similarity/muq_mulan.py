"""MuQ-MuLan (H. Zhu et al., arXiv 2501.01108) as similarity judge: the one that LeVo's papers call MuQ-T and MuQ-A."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor

from levo.codec.intake import mono_at_rate
from levo.song.digest import digest_json
from levo.song.waveform import Waveform
from reward.audible import why_unheard
from reward.muq import folder_beside, folder_digest, load_hub_model, muq_model, muq_package, read_config
from reward.similarity.embedding import ContrastiveJudge, Embedding

SHORTEST_SONG_S = 1.0
_KIND = "MuQ-MuLan"


@dataclass(frozen=True, eq=False)
class MuqMulanSimilarity(ContrastiveJudge):
    """Products of MuQ-MuLan's latents, as its own tool takes them: a song's is the mean of those of its clips.

    Clips of 10 s follow each other at 24 kHz; the last one is filled up from the song's beginning. A clip's latent has
    unit length, their mean is not brought to it again: a song whose clips differ is further from any text.

    `similarity_to_text` is the papers' MuQ-T, `similarity_to_audio` their MuQ-A.
    """

    model: Any
    weights_digest: str
    batch_clips: int = 8

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", batch_clips: int = 8) -> "MuqMulanSimilarity":
        """Read config and weights, and beside or in the folder what they name: MuQ and the text model.

        Of `MuQ-large-msd-iter` only `config.json` is needed, of `xlm-roberta-base` that and the tokenizer: MuLan's
        weights hold theirs. Raises `ValueError` for what is no such folder.
        """
        if batch_clips < 1:
            raise ValueError(f"batch_clips is {batch_clips}; expected 1 or more")
        config = read_config(folder, _KIND)
        try:
            names = [config[part]["name"] for part in ("audio_model", "text_model")]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{folder / 'config.json'} names no audio_model and text_model: {error}") from error
        audio, text = (folder_beside(folder, name) for name in names)
        model = load_hub_model(folder, _KIND, lambda: _mulan(config, audio, text))
        return cls(model.to(device).eval(), folder_digest(folder), batch_clips)

    @cached_property
    def digest(self) -> str:
        """The weights and their config."""
        return digest_json({"similarity": "muq-mulan", "version": 1, "model": self.weights_digest})

    @torch.inference_mode()
    def embed_text(self, texts: Sequence[str]) -> Float32[Tensor, "text embedding"]:
        """Unit vectors of texts, each read alone: the model takes the mean over padding too."""
        return torch.cat([self.model(texts=[text]) for text in texts]).float().cpu()

    @torch.inference_mode()
    def _embed(self, song: Waveform) -> Embedding:
        reason = why_unheard(song, SHORTEST_SONG_S)
        if reason is not None:
            return Embedding(None, reason)
        samples = torch.tensor(mono_at_rate(song, int(self.model.sr), "song"))
        clips = _clips(samples, round(self.model.sr * self.model.clip_secs))
        latents = [
            self.model.mulan_module.get_audio_latents(clips[start : start + self.batch_clips].to(self.model.device))
            for start in range(0, len(clips), self.batch_clips)
        ]
        return Embedding(torch.cat(latents).float().mean(dim=0).cpu())


def _clips(samples: Float32[Tensor, " sample"], length: int) -> Float32[Tensor, "clip sample"]:
    """Clips one after the other, the last one filled up from the beginning; a song of half a clip or less is one."""
    whole = len(samples) // length * length
    rest = samples[whole:]
    if not len(rest):
        return samples.view(-1, length)
    last = torch.cat([rest, samples[: length - len(rest)]])
    return torch.cat([samples[:whole].view(-1, length), last[None]]) if whole else last[None]


def _mulan(config: dict[str, Any], audio: Path, text: Path) -> Any:
    """The package's model with the towers that its own constructor would fetch from a hub."""
    from transformers import AutoTokenizer, XLMRobertaConfig, XLMRobertaModel

    package = muq_package("muq.muq_mulan.muq_mulan")
    of_audio = read_config(audio, "MuQ")

    class AudioTower(package.AudioSpectrogramTransformerPretrained):  # type: ignore[misc, name-defined]
        def _init_pretrained_model(self, _name: str) -> None:
            self.model = muq_model(of_audio)

    class TextTower(package.TextTransformerPretrained):  # type: ignore[misc, name-defined]
        def _init_pretrained_model(self) -> Any:
            return XLMRobertaModel(XLMRobertaConfig.from_pretrained(text, local_files_only=True))

        def _init_tokenizer(self) -> Any:
            return AutoTokenizer.from_pretrained(text, local_files_only=True)

    class Mulan(package.MuQMuLan):  # type: ignore[misc, name-defined]
        @classmethod
        def create_MuLan_from_config(cls, settings: Any, _cache: object = None) -> Any:  # noqa: N802 - the package's
            hearing, reading = settings.audio_model, settings.text_model
            tower = AudioTower(
                model_name=hearing.name,
                model_dim=hearing.model_dim,
                use_layer_idx=hearing.use_layer_idx,
                frozen_pretrained=False,
                **settings.audio_transformer,
            )
            reader = TextTower(
                model_name=reading.name,
                model_dim=reading.model_dim,
                frozen_pretrained=False,
                **settings.text_transformer,
            )
            return package.MuLanModel(audio_transformer=tower, text_transformer=reader, **settings.mulan)

    return Mulan(config)
