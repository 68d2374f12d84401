"""An API server of Kubernetes as far as nights need one: TLS, a token, Jobs to read, RayJobs to make and read."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMESPACE, TOKEN = "songs", "a-token-of-the-service-account"
_JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/"
_RAYJOBS = f"/apis/ray.io/v1/namespaces/{NAMESPACE}/rayjobs"


class FakeKubernetes(ThreadingHTTPServer):
    """Keeps what is made; `ends` says how a RayJob stands at its first, second, ... reading."""

    def __init__(self, account: Path, ends: list[dict[str, str]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.account, self.ends = account, ends
        self.jobs: dict[str, dict[str, Any]] = {}
        self.rayjobs: dict[str, dict[str, Any]] = {}
        self.token = TOKEN
        self.asked: list[str] = []
        self.refusals: list[int] = []
        """Statuses with which the next questions after a RayJob are refused."""
        self._lock = threading.Lock()

    def add_job(self, name: str, due: str | None, made: str = "2026-11-27T00:10:00Z") -> None:
        """A Job that was due then, or one that somebody made by hand."""
        annotations = {} if due is None else {"batch.kubernetes.io/cronjob-scheduled-timestamp": due}
        self.jobs[name] = {
            "kind": "Job",
            "metadata": {"name": name, "creationTimestamp": made, "annotations": annotations},
        }

    def answer(self, method: str, target: str, token: str, body: Any) -> tuple[int, dict[str, Any]]:
        """One request."""
        with self._lock:
            path = urlsplit(target).path
            self.asked.append(f"{method} {target}")
            if token != f"Bearer {self.token}":
                return 401, _status(401, "Unauthorized")
            if method == "GET" and path.startswith(_JOBS):
                return self._found(self.jobs, path.removeprefix(_JOBS), "jobs.batch")
            if method == "GET" and path.startswith(_RAYJOBS):
                return self._rayjob(path.removeprefix(f"{_RAYJOBS}/"))
            if method == "POST" and path == _RAYJOBS:
                return self._make(body)
            return 403, _status(403, f"User cannot {method} {path}")

    def _make(self, rayjob: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        name = rayjob["metadata"]["name"]
        if name in self.rayjobs:
            return 409, _status(409, f'rayjobs.ray.io "{name}" already exists')
        self.rayjobs[name] = rayjob
        return 201, rayjob

    def _rayjob(self, name: str) -> tuple[int, dict[str, Any]]:
        if self.refusals:
            return self.refusals[0], _status(self.refusals.pop(0), "the server is not ready")
        status, found = self._found(self.rayjobs, name, "rayjobs.ray.io")
        stands = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        return status, found | ({"status": stands} if status == 200 else {})

    def _found(self, kept: dict[str, dict[str, Any]], name: str, kind: str) -> tuple[int, dict[str, Any]]:
        return (200, kept[name]) if name in kept else (404, _status(404, f'{kind} "{name}" not found'))


class _Handler(BaseHTTPRequestHandler):
    server: FakeKubernetes

    def do_GET(self) -> None:
        self._answer("GET", None)

    def do_POST(self) -> None:
        self._answer("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, method: str, body: Any) -> None:
        status, resource = self.server.answer(method, self.path, self.headers.get("Authorization", ""), body)
        data = json.dumps(resource).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def fake_kubernetes(folder: Path, ends: list[dict[str, str]]) -> Iterator[FakeKubernetes]:
    """A server that runs, and the files of a service account that trusts it and is known to it."""
    account = folder / "account"
    account.mkdir()
    (account / "token").write_text(TOKEN)
    (account / "namespace").write_text(NAMESPACE)
    certificate = _certificate(folder)
    (account / "ca.crt").write_bytes(certificate.read_bytes())
    server = FakeKubernetes(account, ends)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _certificate(folder: Path) -> Path:
    """A certificate that signs itself, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(secret)
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "certificate.pem"


def _status(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "message": message}
