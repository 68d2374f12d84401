"""The GPU's benchmark at small sizes on a CPU: it runs, and what it counts is what the model holds."""

import pytest
import torch

from jobs import cli
from jobs.benchmarks.accelerator import memory_speed, product_speed, sing, train, training_flops
from jobs.benchmarks.sampling import SamplingSetting
from jobs.benchmarks.training import LanguageTower, TrainingSetting

CPU = torch.device("cpu")
SMALL = SamplingSetting(
    width=32,
    num_heads=2,
    inner_width=48,
    num_layers=2,
    num_decoder_layers=1,
    code_size=24,
    max_delay=2,
    num_frames=10,
)
TRAINING = TrainingSetting(
    width=32, num_heads=2, inner_width=48, num_layers=2, num_classes=101, num_rows=2, num_positions=40, repeats=2
)


def test_songs_are_drawn_to_their_full_length_and_bytes_grow_with_the_songs() -> None:
    one, three = (sing(SMALL, num_songs, CPU, torch.bfloat16, None) for num_songs in (1, 3))
    assert (one.song_s, one.num_steps) == (0.4, 12)
    # Two more songs, guided, in three layers: keys and values of half of 12 columns, in two bytes.
    assert three.bytes_a_step - one.bytes_a_step == 2 * 2 * 6 * 3 * 2 * 32 * 2
    assert one.real_time_factor == pytest.approx(one.seconds / 0.4)
    assert three.real_time_factor == pytest.approx(three.seconds / 3 / 0.4)
    assert one.bandwidth_share(1e9) == pytest.approx(12 * one.bytes_a_step / one.seconds / 1e9)


def test_flops_are_those_of_the_weights_and_of_half_the_scores() -> None:
    layer = 4 * 32 * 32 + 3 * 32 * 48
    expected = 6 * (2 * layer + 101 * 32) * 80 + 6 * 2 * 32 * 40 * 40 * 2
    assert training_flops(LanguageTower(TRAINING), TRAINING) == expected
    trained = train(TRAINING, CPU, compiles=False)
    assert trained.flops == expected
    assert trained.utilisation(1e12) == pytest.approx(expected / trained.seconds / 1e12)


def test_the_machines_own_speeds_are_finite() -> None:
    assert memory_speed(CPU, 2**20) > 1e6
    assert product_speed(CPU, 64) > 1e6


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_a_device_the_benchmark_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "gpu"]) == 1
    assert "this machine has no CUDA device" in capsys.readouterr().err
