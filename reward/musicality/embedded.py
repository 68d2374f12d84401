"""The embedded musicality reward: a listener with one logit, fitted on ranked versions of rendered songs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from levo.codec.storage import StoredModel, load_stored, save_stored
from levo.song.scores import Score
from levo.song.waveform import Waveform
from reward.audible import audible
from reward.listener import Listener, ListenerConfig
from reward.spectrogram import FRAME_RATE_HZ, spectrogram

SHORTEST_SONG_S = 2.0
_KIND = "musicality"
_STARTS_FRAMES = (0, 2, 4, 6)


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """Sizes, and the longest stretch that is judged at once: a longer song's score is the mean over its stretches."""

    listener: ListenerConfig = field(default_factory=lambda: ListenerConfig(num_blocks=2))
    hidden_size: int = 64
    dropout: float = 0.2
    stretch_s: float = 6.0


class RewardNetwork(nn.Module):
    """Spectrograms to Bradley-Terry logits: a song beats another with probability sigmoid(its logit - the other's)."""

    def __init__(self, config: RewardConfig) -> None:
        super().__init__()
        self.listener = Listener(config.listener)
        self.head = nn.Sequential(
            nn.Linear(config.listener.num_features, config.hidden_size),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden_size, 1),
        )

    def forward(self, spectrograms: Float32[Tensor, "song band frame"]) -> Float32[Tensor, " song"]:
        """One logit a song."""
        logits: Float32[Tensor, " song"] = self.head(self.listener(spectrograms)).squeeze(1)
        return logits


@dataclass(frozen=True, slots=True)
class CleanSongs:
    """Mean and standard deviation of clean songs' logits: the scores' zero and unit."""

    mean: float
    standard_deviation: float


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedMusicality:
    """A fitted network and the clean songs that it is measured against."""

    config: RewardConfig
    network: RewardNetwork
    clean: CleanSongs

    @property
    def digest(self) -> str:
        """SHA-256 over settings and weights."""
        return self._stored().digest

    def score(self, songs: Sequence[Waveform]) -> list[Score]:
        """Songs are judged one by one, so that a score does not depend on its neighbours."""
        return [self._score(song) for song in songs]

    def save(self, folder: Path) -> None:
        """Write the judge as a folder."""
        save_stored(self._stored(), folder)

    @classmethod
    def load(cls, folder: Path) -> "EmbeddedMusicality":
        """Read what `save` wrote."""
        stored = load_stored(folder, _KIND)
        sizes = stored.config["reward"]
        config = RewardConfig(**{**sizes, "listener": ListenerConfig(**sizes["listener"])})
        network = RewardNetwork(config).eval()
        network.load_state_dict({name: torch.from_numpy(array) for name, array in stored.arrays.items()})
        return cls(config, network, CleanSongs(**stored.config["clean"]))

    def _stored(self) -> StoredModel:
        arrays = {name: value.detach().numpy() for name, value in self.network.state_dict().items()}
        return StoredModel(_KIND, {"reward": asdict(self.config), "clean": asdict(self.clean)}, arrays)

    @torch.no_grad()
    def _score(self, song: Waveform) -> Score:
        heard = audible(song, SHORTEST_SONG_S)
        if heard.missing is not None:
            return heard.score
        logit = mean_logit(self.network, spectrogram(heard.samples), self.config.stretch_s)
        return Score((logit - self.clean.mean) / self.clean.standard_deviation)


def mean_logit(network: RewardNetwork, song: Float32[Tensor, "band frame"], stretch_s: float) -> float:
    """The mean over equal stretches, as few as keep each within `stretch_s`, and over places where they may begin.

    The network halves its rate three times: its logit of one song moves with where the song begins among eight frames,
    which says nothing about the song, and which the mean removes.
    """
    num_stretches = -(-song.shape[1] // (round(stretch_s * FRAME_RATE_HZ) + 1))
    logits = [
        network(stretch[None])[0]
        for start in _STARTS_FRAMES
        for stretch in torch.tensor_split(song[:, start:], num_stretches, dim=1)
    ]
    return float(torch.stack(logits).mean())
