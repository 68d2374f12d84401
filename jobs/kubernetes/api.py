"""The Kubernetes API as a pod reaches it: its service account's token, the cluster's own certificate, and JSON."""

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CONFLICT = 409
_TIMEOUT_S = 30.0


class KubernetesError(OSError):
    """A refusal of the API, with the status of HTTP that it came with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ClusterApi(Protocol):
    """What is asked of the API: resources by their path, as JSON."""

    @property
    def namespace(self) -> str:
        """Where the caller runs."""
        ...

    def get(self, path: str) -> dict[str, Any]:
        """A resource; raises KubernetesError where it is not there or not the caller's to read."""
        ...

    def create(self, path: str, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Make a resource; raises KubernetesError, with CONFLICT where its name is taken."""
        ...


@dataclass(frozen=True, slots=True)
class PodApi:
    """The API server at `address`, asked as the service account whose files lie in `account`."""

    address: str
    account: Path = ACCOUNT

    @classmethod
    def in_pod(cls, account: Path = ACCOUNT) -> "PodApi":
        """The API of the cluster that this pod runs in; raises ValueError outside of one."""
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise ValueError("KUBERNETES_SERVICE_HOST is not set; expected to run in a pod of Kubernetes")
        if not (account / "token").is_file():
            raise ValueError(f"no {account / 'token'}; expected automountServiceAccountToken: true for this pod")
        return cls(f"https://{f'[{host}]' if ':' in host else host}:{port}", account)

    @property
    def namespace(self) -> str:
        """Where the pod runs."""
        return (self.account / "namespace").read_text().strip()

    def get(self, path: str) -> dict[str, Any]:
        """A resource."""
        return self._ask("GET", path, None)

    def create(self, path: str, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Make a resource; one with fields that the API does not know is refused."""
        return self._ask("POST", f"{path}?fieldValidation=Strict", resource)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        # The token is read anew each time: Kubernetes replaces it within the hour.
        headers = {
            "Authorization": f"Bearer {(self.account / 'token').read_text().strip()}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, headers, method=method)  # noqa: S310
        trusted = ssl.create_default_context(cafile=str(self.account / "ca.crt"))
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=trusted) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            raise KubernetesError(error.code, f"{method} {path}: {_told(error)}") from None
        except (urllib.error.URLError, TimeoutError) as error:
            raise ConnectionError(f"no answer from the Kubernetes API at {self.address}: {error}") from error
        return found


def _told(error: urllib.error.HTTPError) -> str:
    """The message of the API's own status, or HTTP's reason."""
    try:
        return str(json.load(error)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"
