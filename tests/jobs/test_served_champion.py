"""What `--follow` may be: a pointer file, or an alias of a registered model whose folder has the registered digest."""

import pickle
from pathlib import Path

import pytest

from jobs.served_champion import FollowedAlias, followed
from jobs.tracking import aliases
from jobs.tracking.delivery import SinkUnavailableError
from jobs.tracking.protocol import ModelReference
from levo.model.store import ModelFolderError, model_digest
from pipelines.loop.following import FollowedPointer, NamedModel, check_named

URI = "http://127.0.0.1:5000"
ALIAS = FollowedAlias(URI, "levo-demo-champion-line", "champion")


def answer_with(monkeypatch: pytest.MonkeyPatch, answer: ModelReference | None) -> list[tuple[str, str, str]]:
    asked: list[tuple[str, str, str]] = []

    def aliased_model(tracking_uri: str, name: str, alias: str) -> ModelReference | None:
        asked.append((tracking_uri, name, alias))
        return answer

    monkeypatch.setattr(aliases, "aliased_model", aliased_model)
    return asked


def test_a_path_is_a_pointer_and_an_alias_is_asked_for_by_name(tmp_path: Path) -> None:
    assert followed(str(tmp_path / "champion"), None) == FollowedPointer(tmp_path / "champion")
    found = followed("models:/levo-demo-champion-line@champion", URI)
    assert found == ALIAS
    assert str(found) == "models:/levo-demo-champion-line@champion"
    assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.parametrize(
    "text", ["models:/name", "models:/@champion", "models:/name@", "models:/a@b@c", "models:name@a"]
)
def test_half_an_alias_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected models:/NAME@ALIAS"):
        followed(text, URI)


def test_an_alias_needs_the_server_that_knows_it() -> None:
    with pytest.raises(ValueError, match="expected a tracking URI"):
        followed("models:/name@champion", None)


def test_an_alias_names_a_folder_and_its_digest(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a model"
    folder.symlink_to(tiny_model)
    asked = answer_with(monkeypatch, ModelReference("name", folder.as_uri(), model_digest(tiny_model)))
    named = ALIAS.named()
    assert asked == [(URI, "levo-demo-champion-line", "champion")]
    assert named == NamedModel(tiny_model.resolve(), model_digest(tiny_model))
    check_named(named)
    answer_with(monkeypatch, ModelReference("name", folder.as_uri(), "0" * 64))
    with pytest.raises(ModelFolderError, match="0000 was named"):
        check_named(ALIAS.named())


def test_an_alias_that_names_nothing_of_use_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, None)
    with pytest.raises(ValueError, match="has no models:/levo-demo-champion-line@champion"):
        ALIAS.named()
    for uri in ("s3://bucket/model", "http://host/model", "file://elsewhere/model"):
        answer_with(monkeypatch, ModelReference("name", uri, "0" * 64))
        with pytest.raises(ValueError, match="expected a file:// address"):
            ALIAS.named()


def test_a_registry_that_is_down_is_an_error_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def aliased_model(*_: str) -> ModelReference | None:
        raise SinkUnavailableError("connection refused")

    monkeypatch.setattr(aliases, "aliased_model", aliased_model)
    with pytest.raises(OSError, match="does not answer: connection refused"):
        ALIAS.named()
