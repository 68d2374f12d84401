"""From logits to codes: each step against its definition, written out."""

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies

from levo.model.conditions import Conditions
from levo.model.sampling.choice import Limits, drawn, guided, penalised, probabilities
from levo.model.sampling.request import SamplingParameters, SamplingRequest


def test_guidance_moves_away_from_the_null_row() -> None:
    logits = torch.tensor([[[1.0, 2.0]], [[0.5, 4.0]], [[7.0, 8.0]]])
    result = guided(logits, torch.tensor([1, 1, 2]), torch.tensor([1.5, 1.0, 1.0]))
    assert result[0, 0].tolist() == [0.5 + 1.5 * 0.5, 4.0 + 1.5 * -2.0]
    assert torch.equal(result[1:], logits[1:])


def test_a_repeated_code_is_penalised_once_and_the_end_of_song_never() -> None:
    logits = torch.tensor([[[2.0, -2.0, 4.0, 3.0]]])
    result = penalised(logits, torch.tensor([[[0, 0, 1, 3, 4]]]), torch.tensor([2.0]), code_size=3)
    assert result[0, 0].tolist() == [1.0, -1.0, 4.0, 3.0]


def distribution_of(
    logits: torch.Tensor,
    *,
    temperature: list[float] | None = None,
    top_k: list[int] | None = None,
    top_p: list[float] | None = None,
) -> torch.Tensor:
    num_rows = len(logits)
    most, shares = top_k or [0] * num_rows, top_p or [1.0] * num_rows
    return probabilities(
        logits,
        torch.tensor(temperature or [1.0] * num_rows).double(),
        torch.tensor(most),
        torch.tensor(shares).double(),
        Limits(top_k=max(most), has_one_top_k=len(set(most) - {0}) == 1, uses_top_p=min(shares) < 1),
    )


@hypothesis.given(top_p=strategies.floats(0.01, 0.99), seed=strategies.integers(0, 99))
def test_the_nucleus_is_the_fewest_likeliest_codes_with_that_share(top_p: float, seed: int) -> None:
    logits = 2 * torch.randn((2, 3, 9), generator=torch.Generator().manual_seed(seed))
    result = distribution_of(logits, top_p=[top_p, 1.0])
    whole = logits.double().softmax(dim=2)
    torch.testing.assert_close(result[1], whole[1])
    for stream in range(3):
        kept: list[int] = []
        for code in whole[0, stream].argsort(descending=True).tolist():
            kept.append(code)
            if float(whole[0, stream, kept].sum()) >= top_p:
                break
        expected = torch.zeros(9).double()
        expected[kept] = whole[0, stream, kept] / whole[0, stream, kept].sum()
        torch.testing.assert_close(result[0, stream], expected)


def test_top_k_and_top_p_together_keep_what_both_keep() -> None:
    logits = torch.log(torch.tensor([[[0.4, 0.3, 0.2, 0.1]]]))
    assert distribution_of(logits, top_k=[3], top_p=[0.6])[0, 0].tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0])
    assert distribution_of(logits, top_k=[1], top_p=[0.9])[0, 0].tolist() == [1, 0, 0, 0]


def test_rows_of_several_top_k_are_each_cut_at_their_own() -> None:
    logits = torch.log(torch.tensor([[[0.4, 0.3, 0.2, 0.1]]] * 3))
    found = distribution_of(logits, top_k=[2, 1, 0])[:, 0]
    expected = torch.tensor([[4 / 7, 3 / 7, 0, 0], [1, 0, 0, 0], [0.4, 0.3, 0.2, 0.1]])
    torch.testing.assert_close(found.float(), expected)


@hypothesis.given(top_k=strategies.integers(0, 12), temperature=strategies.floats(0.2, 2.0))
def test_probabilities_are_the_softmax_over_the_likeliest(top_k: int, temperature: float) -> None:
    logits = torch.randn((2, 2, 8), generator=torch.Generator().manual_seed(top_k))
    result = distribution_of(logits, temperature=[temperature, 1.0], top_k=[top_k, 0]).numpy()
    for stream in range(2):
        scaled = logits[0, stream].double().numpy() / temperature
        kept = np.argsort(-scaled)[: top_k or 8]
        expected = np.zeros(8)
        expected[kept] = np.exp(scaled[kept]) / np.exp(scaled[kept]).sum()
        np.testing.assert_allclose(result[0, stream], expected, rtol=1e-6)
    np.testing.assert_allclose(result[1], logits[1].double().softmax(dim=1).numpy(), rtol=1e-6)


def test_draws_follow_the_distribution_and_never_take_an_impossible_code() -> None:
    distribution = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0]).double()
    num_draws = 20000
    noise = (torch.arange(num_draws).double() + 0.5)[:, None] / num_draws
    codes = drawn(distribution.expand(num_draws, 1, 6), noise)
    counts = np.bincount(codes.flatten().numpy(), minlength=6)
    np.testing.assert_allclose(counts / num_draws, distribution.numpy(), atol=1e-4)
    edges = drawn(distribution.expand(2, 1, 6), torch.tensor([[0.0], [1 - 2.0**-53]]).double())
    assert edges.flatten().tolist() == [1, 4]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": -0.1}, r"temperature is -0\.1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 1.5}, r"top_p is 1\.5; expected a share"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0"),
        ({"end_rule": "latest"}, "'latest' is not a valid EndRule"),
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplingParameters(**wrong)  # type: ignore[arg-type]


def test_requests_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="request a: seed is -1"):
        SamplingRequest("a", Conditions(), -1, 10)
    with pytest.raises(ValueError, match="request a: max_frames is 0"):
        SamplingRequest("a", Conditions(), 1, 0)
