"""Judges by the names that a command line gives them: NAME:PATH, PATH being a model's weights."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from jaxtyping import Float32
from torch import Tensor

from levo.song.waveform import Waveform
from reward.aesthetics.axes import AUDIOBOX_AXES, SONG_EVAL_AXES, AestheticsJudge
from reward.musicality.protocol import MusicalityReward
from reward.similarity.protocol import TextMusicSimilarity

REWARD_FACTS = "reward.json"
_MUQ = "MuQ-large-msd-iter"
Judge = TypeVar("Judge")
Loader = Callable[[Path, str], Judge]


class EmbeddingSimilarity(TextMusicSimilarity, Protocol):
    """A similarity judge whose embeddings of songs can be had too."""

    def embed_song(self, song: Waveform) -> Float32[Tensor, " embedding"]:
        """A song's vector; raises `ValueError`, with the reason, for one that cannot be heard."""
        ...


def load_named(capability: str, choice: str, loaders: Mapping[str, Loader[Judge]], device: str) -> Judge:
    """What a choice names; raises `ValueError` for a name that is none."""
    name, _, path = choice.partition(":")
    if name not in loaders or not path:
        raise ValueError(f"{capability} is {choice!r}; expected {', '.join(f'{known}:PATH' for known in loaders)}")
    return loaders[name](Path(path).resolve(), device)


def load_similarity(choice: str, device: str = "cpu") -> EmbeddingSimilarity:
    """A similarity judge: `clap:`, `muq-mulan:`, or `similarity:` of a run."""
    return load_named("similarity", choice, SIMILARITIES, device)


def load_aesthetics(choice: str, device: str = "cpu") -> AestheticsJudge:
    """A judge of aesthetics: `audiobox:` or `song-eval:`."""
    return load_named("aesthetics", choice, AESTHETICS, device)


def _similarity(folder: Path, _device: str) -> EmbeddingSimilarity:
    from reward.similarity.embedded import EmbeddedSimilarity

    return EmbeddedSimilarity.load(folder)


def _clap(folder: Path, device: str) -> EmbeddingSimilarity:
    from reward.similarity.clap import ClapSimilarity

    return ClapSimilarity.load(folder, device)


def _muq_mulan(folder: Path, device: str) -> EmbeddingSimilarity:
    from reward.similarity.muq_mulan import MuqMulanSimilarity

    return MuqMulanSimilarity.load(folder, device)


def _audiobox(path: Path, device: str) -> AestheticsJudge:
    from reward.aesthetics.audiobox import AudioboxAesthetics

    return AudioboxAesthetics.load(path, device)


def _song_eval(file: Path, device: str) -> AestheticsJudge:
    """SongEval's `model.safetensors`, with the folder of MuQ beside it."""
    from reward.aesthetics.song_eval import load_song_eval
    from reward.muq import MuqEncoder, folder_beside

    weights = file / "model.safetensors" if file.is_dir() else file
    return load_song_eval(weights, MuqEncoder.load(folder_beside(weights.parent, _MUQ), device), device)


def _axis(load: Loader[AestheticsJudge], axis: str) -> Loader[MusicalityReward]:
    def loaded(path: Path, device: str) -> MusicalityReward:
        from reward.aesthetics.axis_reward import AxisReward

        return AxisReward(load(path, device), axis)

    return loaded


def _own_reward(folder: Path, device: str) -> MusicalityReward:
    """A reward of `levo train reward`, over the embedding that its facts name."""
    from reward.musicality.embedding_reward import EmbeddingReward

    try:
        embedding = str(json.loads((folder / REWARD_FACTS).read_text())["embedding"])
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{folder} is no folder of `levo train reward`: no embedding in {REWARD_FACTS}") from error
    return EmbeddingReward.load(folder, load_similarity(embedding, device))


SIMILARITIES: Mapping[str, Loader[EmbeddingSimilarity]] = {
    "similarity": _similarity,
    "clap": _clap,
    "muq-mulan": _muq_mulan,
}
AESTHETICS: Mapping[str, Loader[AestheticsJudge]] = {"audiobox": _audiobox, "song-eval": _song_eval}
MUSICALITY: Mapping[str, Loader[Any]] = {
    **{f"audiobox-{axis.lower()}": _axis(_audiobox, axis) for axis in AUDIOBOX_AXES},
    **{f"song-eval-{axis.lower()}": _axis(_song_eval, axis) for axis in SONG_EVAL_AXES},
    "reward": _own_reward,
}
