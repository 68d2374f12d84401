"""`levo train STAGE` on songs given as codes: checked whole, planned, trained, gone on with."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from jobs import cli
from levo.model.store import load_model, model_digest

GOLDEN = Path(__file__).parents[1] / "golden" / "parity" / "lelm_v2"
LYRICS = "[verse] sun moon. rain ; [chorus] wind."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for number in range(8):
        np.save(tmp_path / f"{number}.npy", generator.integers(0, 24, (1, 3, 9 + number % 3)))
    return tmp_path


def songs(folder: Path, changes: Mapping[str, object] = MappingProxyType({}), *, pairs: bool = False) -> str:
    names = [str(number) for number in range(8)]
    lines: list[dict[str, object]] = [
        {"idx": f"song-{name}", "gt_lyric": LYRICS, "descriptions": "rain, wind", "codes_path": f"{name}.npy"}
        for name in names
    ]
    if pairs:
        lines = [
            {"idx": f"pair-{a}", "gt_lyric": LYRICS, "chosen_codes_path": f"{a}.npy", "rejected_codes_path": f"{b}.npy"}
            for a, b in zip(names[::2], names[1::2], strict=True)
        ]
    lines[-1] |= changes
    (folder / "songs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(folder / "songs.jsonl")


def tuned(folder: Path, stage: str, model: Path, *options: str) -> int:
    file = songs(folder, pairs=stage == "dpo")
    return cli.main(
        ["train", stage, file, str(folder / "out"), "--from", str(model), "--steps", "4", "--batch", "4", *options]
    )


@pytest.mark.parametrize(
    ("stage", "options", "still"),
    [
        ("pretrain", [], "transformer2."),
        ("extend", [], "transformer."),
        ("sft", ["--recompute"], None),
        ("sft", ["--lora", "2", "--learning-rate", "0.01"], "emb."),
        ("dpo", ["--learning-rate", "1e-4", "--beta", "0.2"], None),
    ],
)
def test_each_stage_moves_its_own_part(
    stage: str,
    options: list[str],
    still: str | None,
    folder: Path,
    tiny_model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tuned(folder, stage, tiny_model, *options) == 0
    said = capsys.readouterr().out
    assert "memory a worker: " in said
    assert " 24 GB card: fits" in said
    out = folder / "out" / stage / "model"
    assert model_digest(out) in said
    before, after = load_file(tiny_model / "model.safetensors"), load_file(out / "model.safetensors")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert still is None or not any(name.startswith(still) for name in moved)


def test_recomputed_activations_give_the_same_model(folder: Path, tiny_model: Path) -> None:
    digests = []
    for options in ([], ["--recompute"]):
        assert tuned(folder, "sft", tiny_model, "--precision", "float32", *options) == 0
        digests.append(model_digest(folder / "out" / "sft" / "model"))
        shutil.rmtree(folder / "out")
    assert digests[0] == digests[1]


def test_a_finished_tuning_is_not_done_again(
    folder: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for said in ("4 steps: ", "4 steps done before: "):
        assert tuned(folder, "sft", tiny_model) == 0
        assert said in capsys.readouterr().out


def test_a_plan_leaves_nothing(folder: Path, tiny_model: Path) -> None:
    assert tuned(folder, "sft", tiny_model, "--plan") == 0
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codes_path": "none.npy"}, "song-7: [Errno 2] No such file or directory"),
        ({"codes_path": 5}, "8:118: codes_path is 5; expected text"),
        ({"idx": "song-6"}, "song-6' is line 7's already"),
        ({"gt_lyric": "[verse] sun ; [solo] moon."}, "gt_lyric: "),
        ({"codes_path": "long.npy"}, "long.npy has 200 frames; the model takes songs of up to"),
        ({"codes_path": "wrong.npy"}, "wrong.npy has codes from 0 to 24; expected 0 to 23"),
        ({"prompt_codes_path": "wrong.npy"}, "wrong.npy has codes from 0 to 24"),
    ],
)
def test_bad_songs_are_told_with_their_places_and_nothing_is_written(
    changes: dict[str, object], message: str, folder: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(folder / "long.npy", np.zeros((3, 200), dtype=np.int64))
    np.save(folder / "wrong.npy", np.arange(75).reshape(3, 25) % 25)
    file = songs(folder, changes)
    assert cli.main(["train", "sft", file, str(folder / "out"), "--from", str(tiny_model)]) == 1
    assert message in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_a_release_is_imported_tuned_and_written_back(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release, model = tmp_path / "release", tmp_path / "imported"
    shutil.copytree(GOLDEN, release)
    assert cli.main(["import", str(release), str(model)]) == 0
    for stage, options in (("sft", ["--lora", "4"]), ("dpo", ["--learning-rate", "1e-4"])):
        assert tuned(folder, stage, model, *options) == 0
        back = tmp_path / f"back-{stage}"
        command = ["export", str(folder / "out" / stage / "model"), str(back), "--like", str(model)]
        assert cli.main(command) == 0, capsys.readouterr().err
        original, tuned_weights = (load_file(one / "weights.safetensors") for one in (release, back))
        assert original.keys() == tuned_weights.keys()
        moved = [name for name in original if not torch.equal(original[name], tuned_weights[name])]
        assert moved
        assert load_model(folder / "out" / stage / "model").digest
        shutil.rmtree(folder / "out")
