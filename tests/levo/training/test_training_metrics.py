from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from levo.model.conditions import null_condition_tokens
from levo.model.lelm import LeLM, Streams
from levo.model.store import load_model
from levo.training.freezing import freeze_all_but
from levo.training.metrics import measured_peak_operations_per_s, step_cost
from levo.training.phases import Stage


def _counted(model: LeLM, stage: Stage, num_rows: int, num_frames: int) -> tuple[int, int]:
    codes = torch.zeros(num_rows, 3, num_frames, dtype=torch.long)
    conditions = null_condition_tokens(num_rows, model.config)
    # The counter sees attention only where it is spelt out as products.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        output = model(
            codes,
            conditions,
            streams=Streams.MIXED if stage is Stage.PRETRAIN else Streams.ALL,
            freeze_language_model=stage is Stage.EXTEND,
        )
        logits = output.logits[1:] if stage is Stage.EXTEND else output.logits
        torch.autograd.backward([values.sum() for values in logits])
    return counter.get_total_flops(), output.language_states.shape[1]


@pytest.mark.parametrize("stage", [Stage.PRETRAIN, Stage.EXTEND, Stage.JOINT])
def test_the_formula_counts_what_pytorch_counts(tiny_model: Path, stage: Stage) -> None:
    model = load_model(tiny_model).model
    freeze_all_but(model, stage.trained_part)
    counted, num_positions = _counted(model, stage, num_rows=2, num_frames=100)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    # PyTorch leaves out the gradient of a first layer's input where nothing before it trains, and heads see codes only.
    assert step_cost(shapes, stage).operations(2, num_positions) == pytest.approx(counted, rel=0.12)


def test_the_measured_peak_is_a_rate_of_this_machine() -> None:
    assert 1e8 < measured_peak_operations_per_s(torch.device("cpu"), size=256, repeats=2) < 1e14
