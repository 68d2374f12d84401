import numpy as np
import pytest
import torch
from torch.nn import functional as F

from levo.song.waveform import mono_waveform
from reward.musicality.ranking import RankedSong, pair_agreement
from reward.musicality.training import ranking_loss


def test_agreement_counts_pairs_in_order_and_equal_scores_as_half() -> None:
    found = pair_agreement([[3.0, 2.0, 1.0], [1.0, 1.0, 2.0]])
    assert found.num_pairs == 6
    assert found.accuracy == pytest.approx((3 + 0.5) / 6)
    assert found.neighbour_accuracy == pytest.approx((2 + 0.5) / 4)
    with pytest.raises(ValueError, match="hold no pair"):
        pair_agreement([[1.0]])


def test_the_loss_is_the_bradley_terry_likelihood_written_out() -> None:
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    within = [-F.logsigmoid(row[i] - row[j]) for row in logits for i in range(4) for j in range(i + 1, 4)]
    across = [
        -F.logsigmoid(one[i] - two[j]) for one in logits for two in logits for i in range(4) for j in range(i + 1, 4)
    ]
    expected = torch.stack(within).mean() + 0.5 * torch.stack(across).mean()
    assert float(ranking_loss(logits, 0.5)) == pytest.approx(float(expected), rel=1e-6)


def test_versions_have_one_length_and_are_two_or_more() -> None:
    long, short = (mono_waveform(np.ones(size, dtype=np.float32), 16_000) for size in (20, 10))
    with pytest.raises(ValueError, match=r"\[10, 20\] samples"):
        RankedSong("a", (long, short))
    with pytest.raises(ValueError, match="1 versions"):
        RankedSong("a", (long,))
