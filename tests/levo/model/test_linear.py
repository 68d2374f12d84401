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


def test_training_takes_torchs_own_way() -> None:
    ours, plain = layers(bias=False)
    x = torch.randn(4, 1, 512)
    assert torch.equal(ours(x), plain(x))
