"""A private PostgreSQL of the distribution's package: one cluster in a temporary folder, by a user who is not root."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.jobs.tracking.mlflow_server import free_port

_UNPRIVILEGED = ("postgres", "nobody")


@contextmanager
def private_postgres() -> Iterator[str]:
    """The address, with its password, of an empty database; skips where PostgreSQL is not installed."""
    programs, owner = _programs(), _owner()
    password, port = secrets.token_urlsafe(18), free_port()
    with tempfile.TemporaryDirectory(prefix="postgres.") as folder:
        cluster, password_file = Path(folder) / "cluster", Path(folder) / "password"
        password_file.write_text(password)
        for path in (Path(folder), password_file):
            shutil.chown(path, owner)
        told = ["-U", "levo", "--auth=scram-sha-256", f"--pwfile={password_file}"]
        _run([programs / "initdb", "-D", cluster, *told], owner)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={cluster} -c fsync=off"
        _run([programs / "pg_ctl", "-D", cluster, "-l", cluster / "log", "-w", "-o", options, "start"], owner)
        try:
            yield f"postgresql+pg8000://levo:{password}@127.0.0.1:{port}/postgres"
        finally:
            _run([programs / "pg_ctl", "-D", cluster, "-m", "immediate", "stop"], owner)


def _programs() -> Path:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    found = shutil.which("pg_ctl")
    if not folders and found is None:
        pytest.skip("PostgreSQL is not installed here; run: apt-get install -y postgresql")
    return folders[-1] if folders else Path(str(found)).resolve().parent


def _owner() -> str:
    """The user that PostgreSQL runs as: ourselves, or for root, as whom it does not run, one without rights."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    known = {entry.pw_name for entry in pwd.getpwall()}
    owner = next((name for name in _UNPRIVILEGED if name in known), None)
    if owner is None:
        pytest.skip(f"PostgreSQL does not run as root, and there is no user {' or '.join(_UNPRIVILEGED)}")
    return owner


def _run(command: Sequence[object], owner: str) -> None:
    words = [str(part) for part in command]
    user = owner if os.getuid() == 0 else None
    # Files and not pipes: the server keeps what it inherits open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(words, user=user, cwd="/", stdout=output, stderr=output, check=False, timeout=120)
        output.seek(0)
        assert done.returncode == 0, f"{words[0]}: {output.read().decode(errors='replace')}"
