from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from levo.training.losses import mean_of_streams, sequence_log_probability, stream_sums

_RECORDED = Path(__file__).parents[2] / "golden" / "parity" / "lelm_v2" / "cases.safetensors"


def test_the_loss_equals_the_recorded_one() -> None:
    cases = load_file(_RECORDED)
    codes, logits, special_id = cases["forward/codes"], cases["forward/logits"], 78
    sums = [stream_sums(logits[:, stream], codes[:, stream], special_id) for stream in range(3)]
    per_stream = torch.stack([part.negative_log_likelihood / part.num_tokens for part in sums])
    torch.testing.assert_close(per_stream, cases["loss/per_stream"], atol=1e-5, rtol=0)
    loss = mean_of_streams(sums, [int(part.num_tokens) for part in sums])
    torch.testing.assert_close(loss, cases["loss/loss"], atol=1e-5, rtol=0)
    assert [int(part.num_tokens) for part in sums] == [42, 42, 42]


def test_sums_and_log_probabilities_equal_a_loop_over_the_tokens() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 7, generator=generator)
    codes = torch.randint(7, (3, 5), generator=generator)
    codes[1, 3:] = 8
    expected, correct, per_row = 0.0, 0, []
    for row in range(3):
        total = 0.0
        for frame in range(5):
            code = int(codes[row, frame])
            if code == 8:
                continue
            odds = logits[row, frame].double()
            total += float(odds[code] - torch.log(torch.exp(odds).sum()))
            correct += int(int(odds.argmax()) == code)
        per_row.append(total)
        expected -= total
    sums = stream_sums(logits, codes, 8)
    assert float(sums.negative_log_likelihood) == pytest.approx(expected, rel=1e-6)
    assert int(sums.num_correct) == correct
    assert int(sums.num_tokens) == 13
    assert sequence_log_probability(logits, codes, 8).tolist() == pytest.approx(per_row, rel=1e-6)


def test_shares_of_a_cut_batch_sum_to_the_loss_of_the_whole() -> None:
    generator = torch.Generator().manual_seed(1)
    logits, codes = torch.randn(6, 4, 9, generator=generator), torch.randint(9, (6, 4), generator=generator)
    codes[4:, 2:] = 10
    whole = stream_sums(logits, codes, 10)
    count = [int(whole.num_tokens)]
    parts = [mean_of_streams([stream_sums(logits[cut], codes[cut], 10)], count) for cut in (slice(0, 1), slice(1, 6))]
    assert float(sum(parts)) == pytest.approx(float(mean_of_streams([whole], count)), rel=1e-6)
