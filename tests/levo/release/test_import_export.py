"""Releases in and out: bit by bit, within little memory, and with errors that name what is wrong."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from jobs import cli
from levo.model.store import load_model
from levo.model.tokenizer import build_tokenizer
from levo.release.errors import ReleaseError
from levo.release.exporting import export_release
from levo.release.importing import import_release
from levo.release.layout import DEAD_TENSORS, DESCRIPTION_TABLE
from levo.release.tensors import PREFIX

from .conftest import PARITY


def weights() -> dict[str, Tensor]:
    return load_file(PARITY / "weights.safetensors")


def test_a_release_comes_back_bit_by_bit(release: Path, tmp_path: Path) -> None:
    imported = import_release(release, tmp_path / "model")
    assert export_release(tmp_path / "model", tmp_path / "back") == imported.fingerprint
    back = torch.load(tmp_path / "back" / "model.pt", weights_only=True)
    assert list(back) == list(torch.load(release / "model.pt", weights_only=True))
    for name, tensor in weights().items():
        assert torch.equal(back[name], tensor), name
    assert (tmp_path / "back" / "config.yaml").read_bytes() == (release / "config.yaml").read_bytes()
    again = import_release(tmp_path / "back", tmp_path / "again")
    assert (again.digest, again.fingerprint) == (imported.digest, imported.fingerprint)


def test_a_safetensors_release_comes_back_as_the_same_tensors(plain_release: Path, tmp_path: Path) -> None:
    imported = import_release(plain_release, tmp_path / "model")
    assert export_release(tmp_path / "model", tmp_path / "back") == imported.fingerprint
    back = load_file(tmp_path / "back" / "weights.safetensors")
    assert back.keys() == weights().keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in weights().items())


def test_both_forms_give_the_same_model(release: Path, tmp_path: Path) -> None:
    first = import_release(release, tmp_path / "first")
    second = import_release(release, tmp_path / "second", weights=PARITY / "weights.safetensors")
    assert first.digest == second.digest


def test_shards_are_one_checkpoint(plain_release: Path, tmp_path: Path) -> None:
    whole = import_release(plain_release, tmp_path / "whole")
    tensors = weights()
    (plain_release / "weights.safetensors").unlink()
    for part in range(3):
        names = list(tensors)[part::3]
        save_file({name: tensors[name] for name in names}, plain_release / f"model-{part + 1:05d}-of-00003.safetensors")
    assert import_release(plain_release, tmp_path / "sharded").digest == whole.digest


def test_files_of_other_tensors_beside_a_checkpoint_are_left_alone(plain_release: Path, tmp_path: Path) -> None:
    save_file({"recorded/logits": torch.ones(3)}, plain_release / "cases.safetensors")
    imported = import_release(plain_release, tmp_path / "model")
    assert imported.tensors.foreign == ()


def test_a_value_that_the_releases_dtype_cannot_hold_is_refused(release: Path, tmp_path: Path) -> None:
    torch.save({name: tensor.half() for name, tensor in weights().items()}, release / "model.pt")
    import_release(release, tmp_path / "model")
    large = {name: tensor.float() for name, tensor in load_file(tmp_path / "model" / "model.safetensors").items()}
    large["emb.0.weight"] = torch.full_like(large["emb.0.weight"], 1e6)
    save_file(large, tmp_path / "model" / "model.safetensors")
    with pytest.raises(ReleaseError, match=r"tensor emb\.0\.weight holds values that F16 cannot: up to 1e\+06"):
        export_release(tmp_path / "model", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_every_tensor_is_accounted_for(release: Path, tmp_path: Path) -> None:
    tensors = torch.load(release / "model.pt", weights_only=True)
    tensors |= {f"{PREFIX}ema.decay": torch.ones(1), "audio_tokenizer.scale": torch.ones(2)}
    torch.save(tensors, release / "model.pt")
    imported = import_release(release, tmp_path / "model")
    assert set(imported.tensors.dead) == DEAD_TENSORS
    assert imported.tensors.unexpected == ("ema.decay",)
    assert imported.tensors.foreign == ("audio_tokenizer.scale",)
    assert len(imported.tensors.used) + len(DEAD_TENSORS) + 2 == len(tensors)
    assert export_release(tmp_path / "model", tmp_path / "back") == imported.fingerprint


def test_half_precision_stays_what_it_is(release: Path, tmp_path: Path) -> None:
    torch.save({name: tensor.bfloat16() for name, tensor in weights().items()}, release / "model.pt")
    import_release(release, tmp_path / "model")
    assert {tensor.dtype for tensor in load_file(tmp_path / "model" / "model.safetensors").values()} == {torch.bfloat16}
    assert next(load_model(tmp_path / "model").model.parameters()).dtype is torch.float32


def test_a_trained_model_is_written_like_the_release_that_it_came_from(release: Path, tmp_path: Path) -> None:
    torch.save({name: tensor.bfloat16() for name, tensor in weights().items()}, release / "model.pt")
    import_release(release, tmp_path / "model")
    trained = tmp_path / "trained"
    loaded = load_model(tmp_path / "model")
    moved = {name: tensor + 1 for name, tensor in loaded.model.state_dict().items()}
    trained.mkdir()
    for name in ("config.json", "tokenizer"):
        (trained / name).symlink_to(tmp_path / "model" / name)
    save_file(moved, trained / "model.safetensors")
    with pytest.raises(ReleaseError, match="was not imported from a release; name the imported model with --like"):
        export_release(trained, tmp_path / "back")
    export_release(trained, tmp_path / "back", like=tmp_path / "model")
    back = torch.load(tmp_path / "back" / "model.pt", weights_only=True)
    for name, tensor in weights().items():
        own = name.removeprefix(PREFIX)
        expected = tensor.bfloat16() if own in DEAD_TENSORS else (tensor.bfloat16().float() + 1).bfloat16()
        assert torch.equal(back[name], expected), name


def test_the_first_releases_text_is_told_by_its_table(release: Path, tmp_path: Path) -> None:
    tensors = torch.load(release / "model.pt", weights_only=True)
    table = tensors[PREFIX + DESCRIPTION_TABLE]
    torch.save(tensors | {PREFIX + DESCRIPTION_TABLE: table[:-6].clone()}, release / "model.pt")
    imported = import_release(release, tmp_path / "model")
    assert (imported.rules, imported.config.musicality_tags) == ("v1", False)
    load_model(tmp_path / "model")


class Runs:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch ran",)


def _spoilt(change: str, release: Path) -> None:
    tensors = torch.load(release / "model.pt", weights_only=True)
    file, name = release / "model.pt", f"{PREFIX}emb.0.weight"
    match change:
        case "runs code":
            file.write_bytes(pickle.dumps({"weights": Runs()}))
        case "holds an object":
            torch.save({**tensors, "audiolm.object": Runs()}, file)
        case "truncated":
            file.write_bytes(file.read_bytes()[: -file.stat().st_size // 2])
        case "empty":
            file.write_bytes(b"")
        case "missing":
            del tensors[name]
            torch.save(tensors, file)
        case "misshapen":
            torch.save(tensors | {name: tensors[name][:, :-1].clone()}, file)
        case "not finite":
            torch.save(tensors | {name: tensors[name].fill_(float("nan"))}, file)
        case "other names":
            torch.save({"encoder.weight": torch.ones(2)}, file)
        case "another tokenizer":
            build_tokenizer(("zzzz",), release / "tokenizer")
        case "no tokenizer":
            (release / "tokenizer" / "vocab.json").unlink()
        case "two checkpoints":
            torch.save(tensors, release / "other.pt")
        case "another pattern":
            text = (release / "config.yaml").read_text()
            (release / "config.yaml").write_text(text.replace("modeling: delay", "modeling: parallel"))
        case "another order":
            text = (release / "config.yaml").read_text()
            (release / "config.yaml").write_text(text.replace("  - description\n", "  - type_info\n", 1))
        case "other tags":
            text = (release / "config.yaml").read_text()
            (release / "config.yaml").write_text(text.replace("- '[bridge]'", "- '[break]'"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("runs code", "model.pt"),
        ("holds an object", "holds more than tensors"),
        ("truncated", "model.pt is truncated"),
        ("empty", "model.pt is truncated"),
        ("missing", "emb.0.weight is missing"),
        ("misshapen", "emb.0.weight has shape [79, 63]; the config asks for [79, 64]"),
        ("not finite", "audiolm.emb.0.weight holds values that are not finite"),
        ("other names", "holds no table audiolm.condition_provider"),
        ("another tokenizer", "is it the right tokenizer?"),
        ("no tokenizer", "no tokenizer folder 'tokenizer'"),
        ("two checkpoints", "expected one model.pt"),
        ("another pattern", "codebooks_pattern.modeling is 'parallel'; expected 'delay'"),
        ("another order", "fuser.prepend is ['type_info', 'prompt_audio', 'type_info']; expected ['description'"),
        ("other tags", "add_token_list is"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_left(
    change: str,
    message: str,
    release: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    _spoilt(change, release)
    assert cli.main(["import", str(release), str(tmp_path / "model")]) == 1
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["release"]


def test_the_commands_tell_what_became_of_the_tensors(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["import", str(release), str(tmp_path / "model")]) == 0
    out = capsys.readouterr().out
    assert "in 47 tensors, v2 texts" in out
    assert "6 never read by the model: " in out
    assert cli.main(["export", str(tmp_path / "model"), str(tmp_path / "back")]) == 0
    fingerprint = [line for line in out.splitlines() if line.startswith("fingerprint")]
    assert fingerprint == [line for line in capsys.readouterr().out.splitlines() if line.startswith("fingerprint")]
    assert cli.main(["import", str(release), str(tmp_path / "model")]) == 1
    assert "exists; choose a folder" in capsys.readouterr().err


_MEASURE = """
import resource, sys
from pathlib import Path
from levo.release.exporting import export_release
from levo.release.importing import import_release
release, folder = Path(sys.argv[1]), Path(sys.argv[2])
import_release(release / "small", folder / "small"); export_release(folder / "small", folder / "small-back")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import_release(release / "large", folder / "large")
imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
export_release(folder / "large", folder / "large-back")
print(imported - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_large_checkpoint_takes_little_more_memory_than_its_size(release: Path, tmp_path: Path) -> None:
    large = tmp_path / "releases" / "large"
    small = tmp_path / "releases" / "small"
    small.parent.mkdir()
    release.rename(small)
    large.mkdir()
    for name in ("config.yaml", "tokenizer"):
        (large / name).symlink_to(small / name)
    ballast = {f"audio_tokenizer.{place}": torch.full((4 << 20,), float(place)) for place in range(20)}
    torch.save(weights() | ballast, large / "model.pt")
    size_kib = (large / "model.pt").stat().st_size / 1024
    result = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(small.parent), str(tmp_path)], capture_output=True, text=True, check=True
    )
    for grown_kib in map(int, result.stdout.split()):
        assert grown_kib < 1.2 * size_kib
