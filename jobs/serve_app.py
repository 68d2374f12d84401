"""A run's songs and scores as Ray Serve applications, which a Serve config file names by this module.

`import_path: jobs.serve_app:songs` with the arguments `run`, and if given `model` or `follow` (with `tracking_uri` for
an alias), `replicas`; `import_path: jobs.serve_app:scorers` with `run` and `replicas`, and `route_prefix: null`: scores
are asked for by the application's handle alone. All paths lie in folders that every node can read.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ray.serve import Application

from jobs.recipes.loop import recipe_named
from jobs.served_champion import followed
from levo.codec.embedded import EmbeddedCodec
from levo.model.store import load_config
from levo.song.schema import records_of
from pipelines.corpus.embedded import CODEC
from pipelines.flow.attempts import Attempts
from pipelines.flow.run_folder import read_config
from pipelines.flow.snapshot import SnapshotStore
from pipelines.flow.typed_json import read_record
from pipelines.loop.access import TOKEN_VARIABLE, Access, AccessError
from pipelines.loop.config import SamplingConfig
from pipelines.loop.context import LoopContext
from pipelines.loop.following import Followed, check_named
from pipelines.loop.http_serving import HttpConfig, model_names, song_application
from pipelines.loop.model_pointer import write_pointer
from pipelines.loop.places import RunPlaces
from pipelines.loop.prompts import PROMPTS
from pipelines.loop.records import PromptRow
from pipelines.loop.sampling_steps import serving_config
from pipelines.loop.scoring_steps import songs_pipeline, sound_folder
from pipelines.loop.served_scoring import ScoringConfig, scoring_application
from pipelines.loop.serving import ServingConfig
from pipelines.loop.song_orders import OrderTaker

_DEFAULT_MODEL = "interpolated"


@dataclass(frozen=True, slots=True)
class ServedSongs:
    """What serves a run's songs: replicas, front, and the model to begin with."""

    serving: ServingConfig
    http: HttpConfig
    model: Path


def songs(args: Mapping[str, Any]) -> Application:
    """The front and its replicas; raises `AccessError` without a token: a cluster's proxy lets other machines in."""
    known = _checked(args, ("run", "model", "follow", "tracking_uri", "replicas"))
    access = Access.by(os.environ.get(TOKEN_VARIABLE))
    if access.token_sha256 is None:
        raise AccessError(f"{TOKEN_VARIABLE} is not set; expected the token that requests must bring")
    names = followed(known["follow"], known.get("tracking_uri")) if "follow" in known else None
    served = served_songs(
        Path(known["run"]), known.get("model", _DEFAULT_MODEL), names, int(known.get("replicas", 1)), access
    )
    write_pointer(served.http.pointer, served.model)
    return song_application(served.serving, served.http)


def scorers(args: Mapping[str, Any]) -> Application:
    """The replicas that score songs, with the judges that may make pairs."""
    known = _checked(args, ("run", "replicas"))
    places = RunPlaces(Path(known["run"]).resolve())
    loop = read_config(places.folder)["loop"]
    context = LoopContext(recipe_named(loop["recipe"], loop["seed"]), places)
    return scoring_application(
        ScoringConfig(num_replicas=int(known.get("replicas", 1))),
        songs_pipeline(context, held_out=False),
        Attempts(sound_folder(context) / "attempts"),
    )


def served_songs(run: Path, model: str, names: Followed | None, num_replicas: int, access: Access) -> ServedSongs:
    """How a run's songs are served: by its own `model`, or by the one that is followed.

    Raises ValueError where the run has no such model, or none is named.
    """
    places = RunPlaces(run.resolve())
    sampling = read_record(SamplingConfig, read_config(places.folder)["loop"]["sampling"])
    folder = _own_model(places, model) if names is None else _named_model(names)
    serving = replace(serving_config(sampling), num_replicas=num_replicas)
    shape = load_config(folder)
    http = HttpConfig(
        models=_models(places),
        # Not the pointer of the run's own sampling steps, which may be at work.
        pointer=places.folder / "serving" / "http-model",
        orders=OrderTaker(
            audio_prompts={row.prompt_id: row.audio_prompt for row in _prompts(places.prompts)},
            parameters=sampling.parameters,
            max_frames=max(length.max_frames for length in sampling.length_classes),
            code_size=shape.code_size,
            max_prompt_frames=shape.max_prompt_frames,
        ),
        open_codec=partial(EmbeddedCodec.load, places.models / CODEC),
        access=access,
        followed=names,
    )
    return ServedSongs(serving, http, folder)


def _own_model(places: RunPlaces, model: str) -> Path:
    names = model_names(_models(places))
    if model not in names:
        raise ValueError(f"model is {model!r}; {places.folder} has {', '.join(names) or 'no model yet'}")
    return places.lelm(model)


def _named_model(names: Followed) -> Path:
    named = names.named()
    check_named(named)
    return named.folder


def _models(places: RunPlaces) -> Path:
    return places.lelm(_DEFAULT_MODEL).parent


def _prompts(folder: Path) -> list[PromptRow]:
    snapshot = SnapshotStore(folder).current()
    return [] if snapshot is None else records_of(snapshot.table(PROMPTS), PromptRow)


def _checked(args: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, str]:
    """The arguments as text; raises ValueError for a missing run or an argument that nobody reads."""
    unknown = sorted(args.keys() - set(known))
    if unknown or not args.get("run"):
        raise ValueError(f"arguments {sorted(args)}; expected run, and if given {', '.join(known[1:])}")
    return {name: str(value) for name, value in args.items() if value not in (None, "")}
