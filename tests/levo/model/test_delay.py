"""The delay pattern: recorded cases of the released code, and the properties that any pattern must have."""

from typing import Any

import hypothesis
import pytest
import torch
from hypothesis import strategies

from levo.model.delay import align_logits, interleave, place_end_of_song, revert


@pytest.mark.parametrize("case", range(5))
def test_interleaving_equals_the_released_pattern(case: int, common_cases: dict[str, Any]) -> None:
    key = f"patterns/{case}"
    codes, delays = common_cases[f"{key}/z"], common_cases[f"{key}/delays"]
    sequence = interleave(codes, delays, common_cases[f"{key}/special"])
    assert torch.equal(sequence, common_cases[f"{key}/sequence"])
    assert torch.equal(revert(sequence, delays), common_cases[f"{key}/reverted"])


@pytest.mark.parametrize("case", range(5))
def test_logits_are_aligned_as_in_the_released_pattern(case: int, common_cases: dict[str, Any]) -> None:
    key = f"patterns/{case}"
    num_frames = common_cases[f"{key}/T"]
    for stream, delay in enumerate(common_cases[f"{key}/delays"]):
        by_class = common_cases[f"{key}/logits"][:, :, stream]
        aligned = align_logits(by_class.transpose(1, 2), delay, num_frames)
        recorded = common_cases[f"{key}/reverted_logits"][:, :, stream]
        assert torch.equal(aligned.transpose(1, 2), recorded)


@pytest.mark.parametrize("case", range(4))
def test_the_end_of_song_stands_where_the_released_code_puts_it(case: int, common_cases: dict[str, Any]) -> None:
    key = f"end_tokens/{case}"
    end_id = common_cases[f"{key}/end_id"]
    num_frames = torch.tensor(common_cases[f"{key}/lengths"])
    ended = place_end_of_song(common_cases[f"{key}/x"], num_frames, end_id, end_id + 1)
    assert torch.equal(ended.codes, common_cases[f"{key}/out"])
    assert torch.equal(ended.mask, common_cases[f"{key}/mask"])


@hypothesis.given(
    num_frames=strategies.integers(1, 12),
    delays=strategies.tuples(strategies.just(0), strategies.integers(0, 6), strategies.integers(0, 6)),
)
def test_reverting_undoes_interleaving_and_nothing_else_is_written(
    num_frames: int, delays: tuple[int, int, int]
) -> None:
    codes = torch.arange(2 * 3 * num_frames).reshape(2, 3, num_frames)
    sequence = interleave(codes, delays, -1)
    assert torch.equal(revert(sequence, delays), codes)
    assert int((sequence != -1).sum()) == codes.numel()
    for frame in range(num_frames):
        for stream, delay in enumerate(delays):
            assert sequence[0, stream, 1 + delay + frame] == codes[0, stream, frame]
