"""Adapters begin at the model, move nothing but themselves, and merge into weights that compute the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from levo.alignment.in_process import run_phases_in_process
from levo.model.conditions import null_condition_tokens
from levo.model.lelm import LeLM
from levo.model.store import load_model
from levo.training.examples import ExampleStore
from levo.training.lora import LoraOptions, add_adapters, merged
from levo.training.phases import PhaseConfig, Stage

OPTIONS = LoraOptions(rank=3, alpha=6.0)


def logits_of(model: LeLM) -> torch.Tensor:
    codes = torch.arange(24).reshape(1, 3, 8) % model.config.code_size
    with torch.no_grad():
        return torch.stack(model(codes, null_condition_tokens(1, model.config)).logits)


@pytest.fixture
def model(tiny_model: Path) -> LeLM:
    return load_model(tiny_model).model


def test_fresh_adapters_change_nothing_and_alone_train(model: LeLM) -> None:
    before, names = logits_of(model), set(model.state_dict())
    trained = add_adapters(model, OPTIONS, seed=0)
    assert torch.equal(logits_of(model), before)
    assert set(model.state_dict()) - names == set(trained)
    # Seven projections in each of three blocks, two matrices beside each.
    assert len(trained) == 3 * 7 * 2
    assert {name for name, one in model.named_parameters() if one.requires_grad} == set(trained)


def test_merged_weights_compute_what_the_adapters_did(model: LeLM, tiny_model: Path) -> None:
    plain = logits_of(model)
    add_adapters(model, OPTIONS, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("lora_b"):
                parameter.normal_(std=0.1, generator=generator)
    adapted = logits_of(model)
    assert not torch.allclose(adapted, plain, atol=1e-2)
    other = load_model(tiny_model).model
    other.load_state_dict(merged(model.state_dict(), OPTIONS))
    torch.testing.assert_close(logits_of(other), adapted, atol=1e-5, rtol=1e-4)


def test_a_phase_with_adapters_moves_projections_alone_and_gives_a_plain_model(
    tiny_model: Path, song_store: ExampleStore, tmp_path: Path
) -> None:
    losses: list[float] = []
    phase = PhaseConfig(
        name="sft",
        stage=Stage.SFT,
        data=song_store.folder,
        num_steps=12,
        batch_rows=8,
        learning_rate=3e-2,
        seed=0,
        init_model=tiny_model,
        lora=OPTIONS,
        log_every=1,
    )
    (result,) = run_phases_in_process([phase], tmp_path, lambda _, step: losses.append(step.metrics["loss"]))
    assert losses[-1] < losses[0] - 0.05
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_model, result.model_folder))
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if name.endswith("_proj.weight") and ".layers." in name}


@pytest.mark.parametrize(
    ("options", "message"), [({"rank": 0}, "rank is 0"), ({"rank": 1, "alpha": 0.0}, "alpha is 0")]
)
def test_adapters_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LoraOptions(**options)
