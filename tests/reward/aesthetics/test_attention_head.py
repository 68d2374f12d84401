"""A head of several axes: its equations written out, its scale, and that it belongs to its features."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from levo.song.waveform import Waveform, mono_waveform
from reward.aesthetics.attention_head import AestheticsHead, HeadAesthetics, HeadConfig

SMALL = HeadConfig(num_features=16, hidden_size=32, num_layers=2, num_heads=4)
RATE = 16000


class Frames:
    """Features that are plain slices of the sound."""

    digest = "frames"

    def features(self, song: Waveform) -> Tensor:
        if song.duration_s < 0.5:
            raise ValueError("too short")
        return torch.from_numpy(song.mono[: len(song.mono) // 16 * 16].reshape(-1, 16)[:50])


def song(seed: int, duration_s: float = 1.0) -> Waveform:
    return mono_waveform(np.random.default_rng(seed).normal(0, 1, int(duration_s * RATE)).astype(np.float32), RATE)


def test_the_head_is_its_equations() -> None:
    torch.manual_seed(0)
    head = AestheticsHead(SMALL).eval()
    features = torch.randn(3, 7, 16)
    first, last = head.feed_forward[0], head.feed_forward[2]
    assert isinstance(first, torch.nn.Linear)
    assert isinstance(last, torch.nn.Linear)
    widened = functional.linear(functional.relu(features @ first.weight.T + first.bias), last.weight, last.bias)
    attended = widened
    for layer in head.attention:
        assert isinstance(layer, torch.nn.MultiheadAttention)
        query, key, value = (attended @ layer.in_proj_weight.T + layer.in_proj_bias).view(3, 7, 3, 4, 4).unbind(2)
        weights = torch.einsum("bqhd,bkhd->bhqk", query / 2, key).softmax(dim=-1)
        mixed = torch.einsum("bhqk,bkhd->bqhd", weights, value).reshape(3, 7, 16)
        attended = mixed @ layer.out_proj.weight.T + layer.out_proj.bias
    pooled = torch.cat([attended.mean(dim=1), widened.max(dim=1).values], dim=1)
    expected = 3 + 2 * torch.tanh(pooled @ head.scores.weight.T + head.scores.bias)
    assert torch.allclose(head(features), expected, atol=1e-6)


def test_scores_stay_on_their_scale_and_can_be_learnt() -> None:
    torch.manual_seed(0)
    config = HeadConfig(16, 32, 1, 4, axes=("A", "B"), lowest=1, highest=10)
    head = AestheticsHead(config)
    assert float(head(100 * torch.randn(4, 9, 16)).detach().abs().max()) <= 10
    features, wanted = torch.randn(8, 5, 16), torch.rand(8, 2) * 6 + 2
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    first = float(functional.mse_loss(head(features), wanted).detach())
    for _ in range(60):
        loss = functional.mse_loss(head(features), wanted)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert float(loss.detach()) < 0.1 * first


def test_a_judge_reads_as_it_was_written_and_only_with_its_own_features(tmp_path: Path) -> None:
    torch.manual_seed(0)
    judge = HeadAesthetics(AestheticsHead(SMALL).eval(), Frames())
    judge.save(tmp_path / "head")
    again = HeadAesthetics.load(tmp_path / "head", Frames())
    assert again.digest == judge.digest
    scores = again.judge([song(0), song(1, 0.1)])
    assert scores[0] == judge.judge([song(0)])[0]
    assert set(scores[0]) == {"COH", "MUS", "MEM", "CLA", "NAT"}
    assert {score.missing for score in scores[1].values()} == {"too short"}
    assert judge.metrics["MUS"].name == "aesthetics_mus"
    other = Frames()
    other.digest = "others"
    with pytest.raises(ValueError, match="was fitted on features of frames; these are of others"):
        HeadAesthetics.load(tmp_path / "head", other)


def test_a_head_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one or more, each once"):
        HeadConfig(axes=("A", "A"))
    with pytest.raises(ValueError, match="1024 features in 7 heads"):
        HeadConfig(num_heads=7)
    with pytest.raises(ValueError, match="scores from 5 to 1"):
        HeadConfig(lowest=5, highest=1)
