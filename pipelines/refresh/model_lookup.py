"""A model of the line by the beginning of its digest."""

from collections.abc import Iterable, Sequence

from pipelines.refresh.commits import ModelEntry


class UnknownModelError(ValueError):
    """A model that the line does not have."""


def model_beginning(models: Iterable[ModelEntry], beginning: str, what: str, roles: Sequence[str] = ()) -> ModelEntry:
    """The one of `models` whose digest begins so.

    Raises UnknownModelError where none or several do: it names what there is, and the roles that would have done too.
    """
    known = {entry.digest: entry for entry in models}
    found = [entry for digest, entry in known.items() if beginning and digest.startswith(beginning)]
    if len(found) != 1:
        listed = ", ".join([*(digest[:12] for digest in known), *roles])
        raise UnknownModelError(f"{len(found)} {what} of the line begin with {beginning!r}; there are {listed}")
    return found[0]
