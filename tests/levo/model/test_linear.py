"""The layer's two ways give the same product, and rows stay independent of each other."""

import pytest
import torch
from torch import nn

from levo.model.linear import Linear


def layers(bias: bool) -> tuple[Linear, nn.Linear]:
    torch.manual_seed(0)
    ours, plain = Linear(512, 1024, bias=bias), nn.Linear(512, 1024, bias=bias)
    plain.load_state_dict(ours.state_dict())
    return ours, plain


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (4, 8), (32, 1), (33, 1), (2, 100)])
def test_the_product_is_torchs_to_rounding(shape: tuple[int, int], bias: bool) -> None:
    ours, plain = layers(bias)
    x = torch.randn(*shape, 512)
    with torch.inference_mode():
        found = ours(x)
        torch.testing.assert_close(found, plain(x), rtol=1e-5, atol=1e-5)
    assert found.is_contiguous()


def test_a_row_does_not_depend_on_what_the_others_hold() -> None:
    ours, _ = layers(bias=True)
    x = torch.randn(32, 1, 512)
    others = torch.randn(32, 1, 512)
    others[7] = x[7]
    with torch.inference_mode():
        assert torch.equal(ours(x)[7], ours(others)[7])


@pytest.mark.parametrize("is_narrow", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_gradients_are_torchs(bias: bool, is_narrow: bool) -> None:
    ours, plain = layers(bias)
    x = torch.randn(4, 10, 512)
    found = []
    for layer in (ours, plain):
        given = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_narrow):
            output = layer(given)
        output.float().square().sum().backward()
        found.append((output, given.grad, *(parameter.grad for parameter in layer.parameters())))
    assert found[0][0].dtype is found[1][0].dtype
    for one, other in zip(*found, strict=True):
        scale = float(other.detach().float().abs().max())
        torch.testing.assert_close(one, other, rtol=0, atol=scale * (2e-2 if is_narrow else 1e-5))


def test_frozen_weights_and_plain_inputs_take_no_gradient() -> None:
    ours, _ = layers(bias=False)
    given = torch.randn(7, 512, requires_grad=True)
    ours.weight.requires_grad_(False)
    ours(given).sum().backward()
    assert given.grad is not None
    assert ours.weight.grad is None
    ours.weight.requires_grad_(True)
    ours(torch.randn(7, 512)).sum().backward()
    assert ours.weight.grad is not None


def test_a_compiled_layer_gives_the_same() -> None:
    ours, _ = layers(bias=True)
    compiled = torch.compile(ours, backend="aot_eager")
    for x in (torch.randn(9, 512), torch.randn(40, 512)):
        torch.testing.assert_close(compiled(x), ours(x))
