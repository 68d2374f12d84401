"""`levo merge` of models that are named."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from jobs import cli
from jobs.merge_search import parse_limit
from levo.alignment.search import Limit
from levo.model.store import model_digest


@pytest.fixture
def models(tiny_model: Path, tmp_path: Path) -> list[str]:
    doubled = tmp_path / "doubled"
    shutil.copytree(tiny_model, doubled)
    weights = load_file(tiny_model / "model.safetensors")
    save_file({name: 2 * tensor for name, tensor in weights.items()}, doubled / "model.safetensors")
    return [str(tiny_model), str(doubled)]


def test_named_models_are_merged_at_the_coefficients_that_are_given(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mixed"
    arguments = ["merge", "--models", *models, "--coefficients", "0.75", "0.25", "--out", str(out)]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out.strip() == model_digest(out)
    first = load_file(Path(models[0]) / "model.safetensors")
    for name, tensor in load_file(out / "model.safetensors").items():
        assert tensor.allclose(1.25 * first[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--coefficients", "1", "--out", "new"], "2 --models and 1 --coefficients"),
        (["--coefficients", "0.5", "0.6", "--out", "new"], "sum to 1.1; expected 1"),
        (["--coefficients", "0.5", "0.5"], "no --out; expected a folder"),
        (["--coefficients", "0.5", "0.5", "--out", "."], "exists; choose another"),
    ],
)
def test_what_does_not_fit_is_named_and_leaves_nothing(
    options: list[str],
    message: str,
    models: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["merge", "--models", *models, *options]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--models", "a", "--out", "new"], "leave out --models"),
        ([], "no --out"),
        (["--out", "new", "--improve", "loudness"], "no search metric 'loudness'; expected one of phoneme_error_rate,"),
        (["--out", "new", "--improve", "tag_agreement"], "no search metric 'tag_agreement'"),
        (["--out", "new", "--limits", "musicality=1"], "limit 'musicality=1'; expected a metric, <= or >="),
        (["--out", "new", "--limits", "musicality>=1.2.3"], "limit 'musicality>=1.2.3'"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused_before_any_work(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["merge", "--search", "4", *options]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_limits_are_read_as_they_are_written() -> None:
    assert parse_limit("phoneme_error_rate<=0.25") == Limit("phoneme_error_rate", highest=0.25)
    assert parse_limit("musicality >= -0.9") == Limit("musicality", lowest=-0.9)
