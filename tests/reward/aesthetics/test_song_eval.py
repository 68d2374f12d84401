"""SongEval's head under its published names, over MuQ: the formula's own numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from levo.song.waveform import mono_waveform
from reward.aesthetics.song_eval import load_song_eval
from reward.muq import MuqEncoder
from tests.reward.tiny_muq import MUQ, write_muq

RATE = 24_000


class Published(nn.Module):
    """Layers under the names of the published weights."""

    def __init__(self, num_features: int, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        attention = [nn.MultiheadAttention(num_features, 8, batch_first=True) for _ in range(num_layers)]
        widen, narrow = nn.Linear(num_features, hidden_size), nn.Linear(hidden_size, num_features)
        self.attn = nn.ModuleList(attention)
        self.ffd = nn.Sequential(widen, nn.ReLU(), narrow)
        self.fc = nn.Linear(2 * num_features, 5)


def test_scores_are_the_published_layers_own(tmp_path: Path) -> None:
    encoder = MuqEncoder.load(write_muq(tmp_path / MUQ))
    layers = Published(32, 48, 3)
    save_file(layers.state_dict(), tmp_path / "model.safetensors")
    judge = load_song_eval(tmp_path / "model.safetensors", encoder)
    noise = np.random.default_rng(1).normal(0, 0.1, 3 * RATE).astype(np.float32)
    song = mono_waveform(noise, RATE)
    with torch.inference_mode():
        wide = layers.ffd(encoder.features(song)[None])
        mixed = wide
        for layer in layers.attn:
            mixed = layer(mixed, mixed, mixed)[0]
        expected = torch.tanh(layers.fc(torch.cat([mixed.mean(1), wide.max(1).values], 1)))[0] * 2 + 3
    (scores,) = judge.judge([song])
    assert list(scores) == ["COH", "MUS", "MEM", "CLA", "NAT"]
    assert [score.value for score in scores.values()] == pytest.approx(expected.tolist(), abs=1e-5)
    (silent,) = judge.judge([mono_waveform(np.zeros(2 * RATE, np.float32), RATE)])
    assert {score.missing for score in silent.values()} == {"a song that cannot be heard: silent"}


def test_other_weights_are_refused(tmp_path: Path) -> None:
    encoder = MuqEncoder.load(write_muq(tmp_path / MUQ))
    weights = Published(32, 48, 1).state_dict()
    del weights["fc.bias"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"(?s)cannot be read as the weights of SongEval's head: .*scores\.bias"):
        load_song_eval(tmp_path / "model.safetensors", encoder)
    (tmp_path / "other").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="cannot be read as the weights of SongEval's head"):
        load_song_eval(tmp_path / "other", encoder)
