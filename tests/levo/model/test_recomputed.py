"""What is forgotten is made again for the gradient: the same gradients, and less kept."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from levo.model import tower as tower_module
from levo.model.recomputed import forgotten
from levo.model.tower import FeedForward, RMSNorm, Tower


def tower() -> Tower:
    torch.manual_seed(0)
    return Tower(width=512, num_heads=8, inner_width=768, num_layers=3, rope_base=1e4, num_positions=128)


def gradients(model: nn.Module, x: Tensor) -> list[Tensor]:
    given = x.clone().requires_grad_()
    model(given).square().sum().backward()
    found = [given.grad, *(parameter.grad for parameter in model.parameters())]
    model.zero_grad()
    assert all(gradient is not None for gradient in found)
    return found  # type: ignore[return-value]


def kept_bytes(act: Callable[[], Tensor]) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        output = act()
    assert output.requires_grad
    return sum(event.self_cpu_memory_usage for event in seen.key_averages())


@pytest.mark.parametrize("width", [48, 512])
def test_the_norms_gradient_is_that_of_its_equation(width: int) -> None:
    torch.manual_seed(0)
    norm, x = RMSNorm(width), torch.randn(5, 7, width, dtype=torch.float64)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2.0)

    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(norm.weight.detach().double())

        def forward(self, x: Tensor) -> Tensor:
            return self.weight * x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()

    for ours, theirs in zip(gradients(norm, x.float()), gradients(Written(), x), strict=True):
        torch.testing.assert_close(ours.double(), theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("width", [16, 512])
def test_the_feed_forwards_gradient_is_that_of_its_equation(width: int) -> None:
    # In float64: how much of a sum of so many terms float32 loses depends on the processor.
    torch.manual_seed(0)
    block, x = FeedForward(width, 40).double(), torch.randn(3, 5, width, dtype=torch.float64)

    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.up, self.down = (
                nn.Parameter(layer.weight.detach()) for layer in (block.gate_proj, block.up_proj, block.down_proj)
            )

        def forward(self, x: Tensor) -> Tensor:
            return (functional.silu(x @ self.gate.T) * (x @ self.up.T)) @ self.down.T

    for ours, theirs in zip(gradients(block, x), gradients(Written(), x), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


def test_forgetting_changes_no_bit_and_keeps_less(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = tower(), torch.randn(2, 96, 512)
    forgetting, forgetting_bytes = gradients(model, x), kept_bytes(lambda: model(x))
    monkeypatch.setattr(tower_module, "forgotten", lambda result, _is_wanted: forgotten(result, is_wanted=False))
    for one, other in zip(forgetting, gradients(model, x), strict=True):
        assert torch.equal(one, other)
    # Two norms' results and the gated states, of 2 x 96 positions in 3 layers.
    assert kept_bytes(lambda: model(x)) - forgetting_bytes >= 3 * 2 * 96 * (2 * 512 + 768) * 4


def test_gradients_can_be_taken_twice() -> None:
    model, x = tower(), torch.randn(1, 8, 512)
    loss = model(x).square().sum()
    parameters = list(model.parameters())
    once = torch.autograd.grad(loss, parameters, retain_graph=True)
    for one, other in zip(once, torch.autograd.grad(loss, parameters), strict=True):
        assert torch.equal(one, other)


def test_recomputed_layers_keep_their_inputs_alone() -> None:
    model, x = tower(), torch.randn(2, 96, 512)
    whole = gradients(model, x)
    model.recomputes = True
    for one, other in zip(whole, gradients(model, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    # Three layers' inputs, the final norm's and its result.
    assert kept_bytes(lambda: model(x)) < 1.3 * 5 * 2 * 96 * 512 * 4
