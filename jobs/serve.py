"""`levo serve`: a run's song model over HTTP, and the model swapped under a running service."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Serve one of a run's song models over HTTP until interrupted, or swap the model of a service that runs.

    POST /songs draws songs, GET /health names the model, GET /prompts the audio prompts, PUT /model swaps. With
    LEVO_SERVE_TOKEN set, every request must bring it (Authorization: Bearer TOKEN).
    """

    run: Path = Path("out/demo")
    """The run's folder."""
    model: str = "interpolated"
    """The model to begin with: base, lyric, prompt, musicality, mixed, interpolated."""
    follow: str | None = None
    """Sing by the model that this names in place of --model, also when it names another one: a pointer file such as
    STORE/champion, or an alias of a registered model, models:/NAME@champion (with --tracking-uri)."""
    tracking_uri: str | None = None
    """For an alias: the MLflow server with the registry."""
    host: str = "127.0.0.1"
    """Address to listen at; anything else than this machine's own lets others in, and needs LEVO_SERVE_TOKEN."""
    port: int = 8000
    """Port to listen at."""
    replicas: int = 1
    """Engines that sing side by side."""
    swap: str | None = None
    """Swap the service at --host and --port to this model of its run, losing no request, and leave."""


def main(arguments: Sequence[str]) -> int:
    """Read the options, then serve or swap; errors name what is wrong."""
    options = tyro.cli(ServeOptions, args=list(arguments), prog="levo serve")
    if options.replicas < 1:
        raise ValueError(f"--replicas is {options.replicas}; expected 1 or more")
    if not 0 < options.port < 1 << 16:
        raise ValueError(f"--port is {options.port}; expected 1 to 65535")

    from jobs.serve_run import serve_run, swap_model

    return serve_run(options) if options.swap is None else swap_model(options)
