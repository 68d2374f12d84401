"""Which model a name in the registry stands for now: what serves the champion asks here."""

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from jobs.tracking.delivery import EventRefusedError, SinkUnavailableError
from jobs.tracking.mlflow_connection import asking_mlflow, open_client
from jobs.tracking.mlflow_models import SHA256, URI
from jobs.tracking.protocol import CHAMPION, ModelReference

_NO_SUCH_ALIAS = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def aliased_model(tracking_uri: str, name: str, alias: str) -> ModelReference | None:
    """The model that `alias` of the registered model `name` points to; None where there is no such name or alias.

    Raises `SinkUnavailableError` where the server does not answer, its subclass `SinkForbiddenError` where it does not
    let us in, and `ValueError` for a version that does not say where its weights lie.
    """
    try:
        with asking_mlflow(tracking_uri):
            version = _version(tracking_uri, name, alias)
    except EventRefusedError as error:
        raise SinkUnavailableError(str(error)) from error
    return None if version is None else _reference(version, alias)


def champion_of(tracking_uri: str, name: str) -> ModelReference | None:
    """The model that is served; see `aliased_model`."""
    return aliased_model(tracking_uri, name, CHAMPION)


def _version(tracking_uri: str, name: str, alias: str) -> ModelVersion | None:
    try:
        return open_client(tracking_uri).get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in _NO_SUCH_ALIAS:
            return None
        raise


def _reference(version: ModelVersion, alias: str) -> ModelReference:
    missing = [tag for tag in (URI, SHA256) if not version.tags.get(tag)]
    if missing:
        raise ValueError(
            f"version {version.version} of {version.name}, its {alias}, has no tag {' and no tag '.join(missing)}; "
            "expected a version that this tracker registered"
        )
    return ModelReference(version.name, version.tags[URI], version.tags[SHA256])
