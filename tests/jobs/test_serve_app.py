"""What a Serve config file may ask of the two applications, before anything is started."""

from pathlib import Path
from typing import Any

import pytest

from jobs.recipes.loop import recipe_named
from jobs.serve_app import scorers, served_songs, songs
from levo.model.construction import new_lelm
from levo.model.store import ModelFolderError, load_config, save_model
from pipelines.flow.run_folder import RunFolder
from pipelines.loop.access import NOBODY_IS_ASKED, TOKEN_VARIABLE, Access, AccessError
from pipelines.loop.following import FollowedPointer
from pipelines.loop.model_pointer import read_pointer, write_pointer

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path) -> Path:
    """A run's folder with one model, as far as serving reads it."""
    folder = tmp_path / "run"
    RunFolder(folder, {"loop": recipe_named("tiny", 0), "version": "0"})
    save_model(new_lelm(load_config(tiny_model), 0), tiny_model / "tokenizer", folder / "lelm" / "interpolated")
    return folder


def test_a_cluster_serves_no_songs_without_a_token(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(AccessError, match="LEVO_SERVE_TOKEN is not set"):
        songs({"run": str(run)})
    monkeypatch.setenv(TOKEN_VARIABLE, "guessable")
    with pytest.raises(AccessError, match="holds 9 characters"):
        songs({"run": str(run)})


def test_the_songs_application_begins_with_the_model_that_it_is_told(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    pointer = run / "serving" / "http-model"
    songs({"run": str(run)})
    assert read_pointer(pointer) == run / "lelm" / "interpolated"
    champion, other = tmp_path / "champion", tmp_path / "other"
    save_model(new_lelm(load_config(run / "lelm" / "interpolated"), 1), run / "lelm/interpolated/tokenizer", other)
    write_pointer(champion, other)
    songs({"run": str(run), "follow": str(champion), "replicas": 2})
    assert read_pointer(pointer) == other


def test_what_is_served_follows_the_runs_recipe(run: Path) -> None:
    served = served_songs(run, "interpolated", None, 3, NOBODY_IS_ASKED)
    sampling = recipe_named("tiny", 0).sampling
    assert served.serving.length_classes == sampling.length_classes
    assert served.serving.num_replicas == 3
    assert served.http.orders.parameters.top_k == sampling.top_k
    assert TOKEN not in repr(served_songs(run, "interpolated", None, 1, Access.by(TOKEN)))


@pytest.mark.parametrize("args", [{}, {"run": ""}, {"run": "there", "modle": "base"}])
def test_arguments_that_nobody_reads_are_refused(args: dict[str, Any]) -> None:
    for build in (songs, scorers):
        with pytest.raises(ValueError, match="expected run, and if given"):
            build(args)


def test_a_model_that_is_not_there_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model is 'lyric'; .* has interpolated"):
        served_songs(run, "lyric", None, 1, NOBODY_IS_ASKED)
    write_pointer(tmp_path / "champion", tmp_path / "nowhere")
    with pytest.raises(ModelFolderError, match="holds no model"):
        served_songs(run, "lyric", FollowedPointer(tmp_path / "champion"), 1, NOBODY_IS_ASKED)
