"""The recordings of the released code hold, and a model that computes something else is found out."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from jobs import cli
from levo.model.store import load_model
from levo.release.importing import import_release
from levo.release.layout import DESCRIPTION_TABLE
from levo.release.parity import Comparison, compare_all, generation_cases, read_cases
from levo.release.tensors import PREFIX

from .conftest import PARITY


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Comparison]:
    folder = tmp_path_factory.mktemp("imported") / "model"
    import_release(PARITY, folder, weights=PARITY / "weights.safetensors")
    return {one.case: one for one in compare_all(read_cases(PARITY), load_model(folder))}


def test_every_case_holds(comparisons: dict[str, Comparison]) -> None:
    assert [one for one in comparisons.values() if not one.holds] == []


def test_values_gradients_and_drawn_codes_are_all_compared(comparisons: dict[str, Comparison]) -> None:
    cases = read_cases(PARITY)
    assert sum(key.startswith("loss/grads/") for key in cases) == sum(one.is_relative for one in comparisons.values())
    assert generation_cases(cases) == ["eos", "greedy", "greedy_penalty", "null_prompt", "sampled", "short_prompt"]
    for name in generation_cases(cases):
        assert f"generate/{name}/probs" in comparisons
    drawn = [case for case in comparisons if case.endswith("/tokens")]
    assert drawn == [f"generate/{name}/tokens" for name in ("greedy", "greedy_penalty", "null_prompt", "short_prompt")]
    recorded = {key for key in cases if key.startswith(("forward", "loss", "tokenized")) and "texts" not in key}
    untold = {key.split("/")[-1] for key in recorded - comparisons.keys()}
    assert untold == {
        "attention_mask",
        "bridge",
        "codes",
        "counts",
        "logits_mask",
        "no_grad",
        "sequence_mask",
        "vocab_size",
    }


def test_the_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["parity", str(PARITY)]) == 0
    assert "114 of 114 comparisons within tolerance" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tensor", "failing"),
    [
        ("transformer.lm_head.weight", {"forward/logits", "generate/greedy/cond_logits", "loss/loss"}),
        ("layer2_emb.2.weight", {"forward/hidden2", "generate/sampled/probs"}),
        (DESCRIPTION_TABLE, {"tokenized/type_info/embeds", "conditions/full/type_info/0"}),
    ],
)
def test_other_weights_are_found_out(
    tensor: str, failing: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "recordings"
    shutil.copytree(PARITY, folder)
    weights = load_file(folder / "weights.safetensors")
    weights[PREFIX + tensor] += 1e-3 * torch.randn(weights[PREFIX + tensor].shape)
    save_file(weights, folder / "weights.safetensors")
    assert cli.main(["parity", str(folder)]) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert failing <= {line[1] for line in lines if line[0] == "NO"}


def test_recordings_that_are_not_there_do_not_count_as_equal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "recordings"
    shutil.copytree(PARITY, folder)
    save_file({"unknown": torch.ones(1)}, folder / "cases.safetensors")
    (folder / "cases.json").write_text("{}")
    assert cli.main(["parity", str(folder)]) == 1
    assert "holds no recordings that are known" in capsys.readouterr().err
    (folder / "cases.safetensors").write_bytes(b"short")
    assert cli.main(["parity", str(folder)]) == 1
    assert "are damaged" in capsys.readouterr().err


def test_a_folder_without_recordings_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["parity", str(tmp_path)]) == 1
    assert "holds no cases.safetensors; expected recordings" in capsys.readouterr().err
