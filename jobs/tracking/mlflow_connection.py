"""The connection to an MLflow server: short tries, and what its errors mean to whoever asked.

Names and passwords of users come from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from jobs.tracking.delivery import EventRefusedError, SinkForbiddenError, SinkUnavailableError
from jobs.tracking.redaction import redacted

# What fails is tried again later by its caller; MLflow's own retries would hold a closing run for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
# Its addresses of runs would stand between the lines of whoever tracks.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)

_REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS", "INVALID_STATE")
_UNKNOWN_USER, _NO_PERMISSION = "UNAUTHENTICATED", "PERMISSION_DENIED"


def open_client(tracking_uri: str) -> MlflowClient:
    """A client of the server that keeps both the runs and the registry; nothing is asked of it yet."""
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


@contextmanager
def asking_mlflow(tracking_uri: str) -> Iterator[None]:
    """Raise what a failure in the block means.

    `SinkForbiddenError` where the server does not know the user or gives no permission, `EventRefusedError` where it
    will never take what was sent, `SinkUnavailableError` for all else.
    """
    try:
        yield
    except MlflowException as error:
        raise _meaning(tracking_uri, error) from error
    except SQLAlchemyError as error:
        raise SinkUnavailableError(f"MLflow at {redacted(tracking_uri)}: {redacted(str(error))}") from error


def _meaning(tracking_uri: str, error: MlflowException) -> Exception:
    place, user = redacted(tracking_uri), os.environ.get("MLFLOW_TRACKING_USERNAME")
    if error.error_code == _UNKNOWN_USER:
        who = f"the user {user!r} with this password" if user else "a caller without a name"
        return SinkForbiddenError(
            f"MLflow at {place} does not let in {who}; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to "
            "a user that it knows"
        )
    if error.error_code == _NO_PERMISSION:
        return SinkForbiddenError(
            f"MLflow at {place} lets {user!r} in but not do this; ask its administrator for the permission EDIT on "
            f"the experiment and the registered models: {redacted(str(error))}"
        )
    kind = EventRefusedError if error.error_code in _REFUSALS else SinkUnavailableError
    return kind(f"MLflow at {place}: {redacted(str(error))}")
