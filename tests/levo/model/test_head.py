"""Losses without all logits in memory are those of the logits, and so are their gradients."""

import pytest
import torch
from torch.nn import functional

from levo.model.head import Head

IGNORED = 101


def drawn(num_rows: int = 5, num_frames: int = 67) -> tuple[Head, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    head = Head(16, 101)
    with torch.no_grad():
        head.weight.normal_(generator=generator)
    states = torch.randn(num_rows, num_frames, 16, generator=generator, requires_grad=True)
    targets = torch.randint(101, (num_rows, num_frames), generator=generator)
    targets[1, 50:] = IGNORED
    return head, states, targets


def written_out(head: Head, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    logits = head(states).double()
    losses = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return losses.view(targets.shape)


def gradients(head: Head, states: torch.Tensor, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, [states, head.weight]))


def test_single_losses_and_their_weighted_gradients_are_those_of_the_logits() -> None:
    head, states, targets = drawn()
    weights = torch.randn(targets.shape, generator=torch.Generator().manual_seed(4))
    losses, expected = head(states, targets, ignored=IGNORED), written_out(head, states, targets)
    torch.testing.assert_close(losses.double(), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(losses[1, 50:], torch.zeros(17))
    own = gradients(head, states, (losses * weights).sum())
    for ours, theirs in zip(own, gradients(head, states, (expected * weights).sum()), strict=True):
        torch.testing.assert_close(ours, theirs.float(), atol=1e-4, rtol=1e-4)


def test_the_sum_and_its_gradient_are_those_of_the_logits() -> None:
    head, states, targets = drawn()
    loss = head(states, targets, ignored=IGNORED, measure="loss")
    expected = written_out(head, states, targets).sum()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    for ours, theirs in zip(gradients(head, states, loss / 7), gradients(head, states, expected / 7), strict=True):
        torch.testing.assert_close(ours, theirs.float(), atol=1e-5, rtol=1e-4)


def test_correct_targets_are_counted_piece_by_piece() -> None:
    head, states, targets = drawn(num_rows=40)
    likeliest = head(states).argmax(-1)
    targets[:20] = likeliest[:20]
    targets[30:] = IGNORED
    expected = int((likeliest == targets).sum())
    assert int(head(states, targets, ignored=IGNORED, measure="num_correct")) == expected >= 20 * 67
