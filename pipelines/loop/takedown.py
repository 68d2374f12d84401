"""What a run made with a song: the examples that hold it, the models trained on them, and all that came of those."""

from collections.abc import Iterator
from pathlib import Path

from levo.training.examples import ExampleStore
from pipelines.corpus.takedown import Touched
from pipelines.loop.model_names import INITIAL
from pipelines.loop.places import RunPlaces


def touched_in_run(run: Path, song_id: str) -> Iterator[Touched]:
    """Stores of examples with the song in them and, where there are any, the run's models, songs and pairs.

    All song models but the initial one descend from the pre-trained one, and pairs are of songs that it sang: whoever
    takes a song down must train them again.
    """
    places = RunPlaces(run)
    stores = [folder for folder in sorted((places.training / "examples").glob("*")) if _holds(folder, song_id)]
    if not stores:
        return
    yield from (Touched("training examples", str(folder), is_shared=True) for folder in stores)
    for kind, folder in (("checkpoints", places.training), ("songs of its models", run / "candidates")):
        if folder.is_dir():
            yield Touched(kind, str(folder), is_shared=True)
    for model in sorted((run / "lelm").glob("*")):
        if model.is_dir() and model.name != INITIAL:
            yield Touched("model", str(model), is_shared=True)
    if places.pairs.is_dir():
        yield Touched("preference pairs", str(places.pairs), is_shared=True)


def _holds(folder: Path, song_id: str) -> bool:
    try:
        store = ExampleStore(folder)
    except FileNotFoundError:
        return False
    return song_id in store.example_ids
