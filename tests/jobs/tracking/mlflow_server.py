"""A real MLflow server on the loopback as a team would run one: users and passwords, no jobs, no pickles."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

USER = "admin"
_START_LIMIT_S = 180.0
_AUTH = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{folder}/users.db
admin_username = {user}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""


def free_port() -> int:
    """A port that nothing listens at just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class MlflowServer:
    """One server over one store; it may be killed and started again at the same address."""

    folder: Path
    store_uri: str
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def uri(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def credentials(self) -> dict[str, str]:
        """What a client's environment must hold."""
        return {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": self.password}

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = self.folder / "auth.ini"
        settings.write_text(_AUTH.format(folder=self.folder, user=USER))
        environment = os.environ | {
            "MLFLOW_AUTH_CONFIG_PATH": str(settings),
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        }
        command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
        place = ["--host", "127.0.0.1", "--port", str(self.port)]
        store = ["--backend-store-uri", self.store_uri, "--artifacts-destination", str(self.folder / "kept")]
        with (self.folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                [*command, *place, *store], stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self._wait_until_healthy()

    def kill(self) -> None:
        """End it at once, with all that it has started, whatever it is doing."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def commands(self) -> list[str]:
        """The command lines of all its processes."""
        assert self._process is not None
        own = psutil.Process(self._process.pid)
        return [" ".join(process.cmdline()) for process in (own, *own.children(recursive=True))]

    def _wait_until_healthy(self) -> None:
        assert self._process is not None
        deadline_s = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.2)
        log = (self.folder / "server.log").read_text()[-2000:]
        pytest.fail(f"the MLflow server at {self.uri} did not start within {_START_LIMIT_S} s: {log}")
