"""What a service does about the model that somebody else names for it."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from levo.model.construction import new_lelm
from levo.model.store import CONFIG_FILE, ModelFolderError, load_config, model_digest, save_model
from pipelines.loop.following import FollowedPointer, Follower, NamedModel, check_named
from pipelines.loop.model_pointer import write_pointer


@dataclass
class Naming:
    """Names what it is told to, or raises it; time stands still until it is moved."""

    answer: NamedModel | Exception
    now_s: float = 0.0

    def named(self) -> NamedModel:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def follower(self) -> Follower:
        return Follower(self, retry_s=60.0, now=lambda: self.now_s)


@pytest.fixture
def other(tiny_model: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "other"
    save_model(new_lelm(load_config(tiny_model), seed=1), tiny_model / "tokenizer", folder)
    return folder


def wider(model: Path, folder: Path) -> NamedModel:
    shutil.copytree(model, folder)
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps(config | {"feed_forward_width": 64}))
    return NamedModel(folder)


def test_another_model_is_swapped_to_and_the_running_one_is_not(tiny_model: Path, other: Path) -> None:
    naming = Naming(NamedModel(tiny_model))
    follower = naming.follower()
    assert follower.next_model(tiny_model) is None
    naming.answer = NamedModel(other, model_digest(other))
    assert follower.next_model(tiny_model) == naming.answer
    assert follower.next_model(other) is None
    assert follower.refusal is None


REFUSED: dict[str, tuple[Callable[[Path, Path], NamedModel | Exception], str]] = {
    "missing": (lambda _model, folder: NamedModel(folder / "nowhere"), "holds no model"),
    "another shape": (lambda model, folder: wider(model, folder / "wider"), "has another config than"),
    "another digest": (lambda model, _folder: NamedModel(model, "0" * 64), "was named"),
    "nobody answers": (lambda _model, _folder: OSError("the registry is down"), "is down"),
    "nothing named": (lambda _model, _folder: ValueError("no champion"), "no champion"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_sung_by_is_refused_and_said_once(
    case: str, tiny_model: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, problem = REFUSED[case]
    naming = Naming(make(other, tmp_path))
    follower = naming.follower()
    said: list[str] = []
    # Serve sets its logger up in its own way, wherever it was started before.
    monkeypatch.setattr(logging.getLogger("ray.serve"), "warning", lambda text, *values: said.append(text % values))
    for _ in range(3):
        assert follower.next_model(tiny_model) is None
        naming.now_s += 61
    assert follower.refusal is not None
    assert problem in follower.refusal
    assert len(said) == 1
    assert problem in said[0]


def test_a_refused_model_is_tried_again_later_and_its_refusal_forgotten(
    tiny_model: Path, other: Path, tmp_path: Path
) -> None:
    on_its_way = tmp_path / "on-its-way"
    naming = Naming(NamedModel(on_its_way))
    follower = naming.follower()
    assert follower.next_model(tiny_model) is None
    shutil.copytree(other, on_its_way)
    assert follower.next_model(tiny_model) is None
    naming.now_s = 60.0
    assert follower.next_model(tiny_model) == NamedModel(on_its_way)
    follower.refuse(NamedModel(on_its_way), "damaged")
    assert follower.next_model(tiny_model) is None
    naming.answer = NamedModel(tiny_model)
    assert follower.next_model(tiny_model) is None
    assert follower.refusal is None


def test_a_running_model_whose_folder_is_gone_is_left_behind(other: Path, tmp_path: Path) -> None:
    assert Naming(NamedModel(other)).follower().next_model(tmp_path / "gone") == NamedModel(other)


def test_a_pointer_names_a_whole_path(tiny_model: Path, tmp_path: Path) -> None:
    pointer = tmp_path / "champion"
    with pytest.raises(FileNotFoundError):
        FollowedPointer(pointer).named()
    write_pointer(pointer, tiny_model)
    assert FollowedPointer(pointer).named() == NamedModel(tiny_model.resolve())
    check_named(FollowedPointer(pointer).named())
    for text in ("", "models/one\n"):
        pointer.write_text(text)
        with pytest.raises(ValueError, match="expected the whole path"):
            FollowedPointer(pointer).named()


def test_a_folder_without_the_named_digest_is_no_model_to_begin_with(tiny_model: Path) -> None:
    check_named(NamedModel(tiny_model, model_digest(tiny_model)))
    with pytest.raises(ModelFolderError, match="was named"):
        check_named(NamedModel(tiny_model, "f" * 64))
