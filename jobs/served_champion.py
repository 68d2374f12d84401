"""What `--follow` names: a pointer file that a refresh moves, or an alias in MLflow's model registry."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.loop.following import Followed, FollowedPointer, NamedModel

_ALIAS = re.compile(r"models:/(?P<name>[^@]+)@(?P<alias>[^@]+)")


def followed(text: str, tracking_uri: str | None) -> Followed:
    """A pointer file by its path, an alias as `models:/NAME@ALIAS`."""
    if not text.startswith("models:"):
        return FollowedPointer(Path(text).resolve())
    match = _ALIAS.fullmatch(text)
    if match is None:
        raise ValueError(f"follow is {text!r}; expected models:/NAME@ALIAS, or the path of a pointer file")
    if tracking_uri is None:
        raise ValueError(f"follow is {text!r}; expected a tracking URI beside it, of the server with the registry")
    return FollowedAlias(tracking_uri, match["name"], match["alias"])


@dataclass(frozen=True, slots=True)
class FollowedAlias:
    """The model that an alias of a registered model stands for; its weights lie in a folder that replicas can read."""

    tracking_uri: str
    name: str
    alias: str

    def named(self) -> NamedModel:
        """What the registry says; raises OSError where it does not answer, ValueError where it names no folder."""
        from jobs.tracking.aliases import aliased_model
        from jobs.tracking.delivery import SinkUnavailableError

        try:
            model = aliased_model(self.tracking_uri, self.name, self.alias)
        except SinkUnavailableError as error:
            raise OSError(f"the registry of {self} does not answer: {error}") from error
        if model is None:
            raise ValueError(f"the registry has no {self}; expected a model that somebody promoted")
        return NamedModel(_folder_of(model.uri), model.sha256)

    def __str__(self) -> str:
        return f"models:/{self.name}@{self.alias}"


def _folder_of(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise ValueError(f"the model's weights lie at {uri}; expected a file:// address of a folder")
    return Path(unquote(parts.path)).resolve()
