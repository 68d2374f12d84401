"""Songs over HTTP: a front before the replicas takes orders, answers with tokens and sound, and swaps the model.

The model is swapped by whoever asks from this machine, or as a champion that the front follows moves.
"""

import asyncio
import base64
import io
import json
import logging
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import soundfile
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve import Application
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse

from levo.codec.protocol import Codec
from levo.model.sampling.request import SampledSong, SamplingRequest
from levo.model.store import CONFIG_FILE
from levo.song.tokens import TokenGrid
from pipelines.loop.access import NOBODY_IS_ASKED, Access, is_loopback
from pipelines.loop.applications import run_application, stop_application
from pipelines.loop.asking import answer
from pipelines.loop.following import Followed, Follower
from pipelines.loop.model_pointer import read_pointer, write_pointer
from pipelines.loop.serving import ServingConfig, SongReplica, moved_pointer, song_deployment
from pipelines.loop.song_orders import FieldProblem, OrderError, OrderTaker

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 400, 401, 403, 404
_CONFLICT, _UNPROCESSABLE, _UNAVAILABLE = 409, 422, 503
_FRONT_CPUS = 0.1
APPLICATION = "levo-songs"
_LOG = logging.getLogger("ray.serve")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the service listens."""

    host: str = "127.0.0.1"
    port: int = 8000

    @property
    def url(self) -> str:
        """What a client is given."""
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """What the front is made of; `models` is the folder whose sub-folders are the models that may be served.

    With `followed` the model is the one that it names, and is swapped in no other way.
    """

    models: Path
    pointer: Path
    orders: OrderTaker
    open_codec: Callable[[], Codec]
    access: Access = NOBODY_IS_ASKED
    followed: Followed | None = None


class SongFront:
    """Answers HTTP; the replicas behind it sing. Every refusal is JSON: `errors`, each with field and problem."""

    def __init__(self, config: HttpConfig, replicas: DeploymentHandle) -> None:
        self._config = config
        self._replicas = replicas
        self._codec = config.open_codec()
        self._swapping = asyncio.Lock()
        self._model_digest: str | None = None
        self._follower = None if config.followed is None else Follower(config.followed)
        self._looking: asyncio.Task[None] | None = None
        self._routes = {
            ("POST", "/songs"): self.sing,
            ("GET", "/health"): self.health,
            ("GET", "/prompts"): self.prompts,
            ("PUT", "/model"): self.swap,
        }

    async def __call__(self, request: Request) -> JSONResponse:
        """Answer one HTTP request."""
        if not self._config.access.admits(request.headers.get("authorization")):
            return _refusal(_UNAUTHORIZED, FieldProblem(None, "expected the header Authorization: Bearer TOKEN"))
        act = self._routes.get((request.method, request.url.path))
        if act is None:
            known = ", ".join(" ".join(route) for route in self._routes)
            return _refusal(
                _NOT_FOUND, FieldProblem(None, f"no {request.method} {request.url.path}; there are {known}")
            )
        return await act(request)

    async def sing(self, request: Request) -> JSONResponse:
        """Draw an order's candidates, in the order of their seeds."""
        try:
            order = self._config.orders.order_of(_parsed(await request.body()))
        except json.JSONDecodeError as error:
            problem = FieldProblem(None, f"the body is no JSON: {error.msg}", error.lineno, error.colno)
            return _refusal(_BAD_REQUEST, problem)
        except OrderError as error:
            return _refusal(_UNPROCESSABLE, *error.problems)
        try:
            songs = await asyncio.gather(*(answer(one, self._ask) for one in self._config.orders.requests_of(order)))
        except RayTaskError as error:
            if not isinstance(error.cause, ValueError):
                return _unavailable(error)
            return _refusal(_UNPROCESSABLE, FieldProblem(None, str(error.cause)))
        except RayError as error:
            return _unavailable(error)
        return JSONResponse({"songs": [await asyncio.to_thread(self._answer, song, order.audio) for song in songs]})

    async def health(self, _request: Request) -> JSONResponse:
        """The model that songs start on; 503 while no replica answers."""
        try:
            digest = await self._replicas.model_digest.remote()
        except RayError as error:
            return _unavailable(error)
        orders = self._config.orders
        facts = {"code_size": orders.code_size, "max_frames": orders.max_frames}
        facts |= {"max_prompt_frames": orders.max_prompt_frames} | self._following()
        return JSONResponse({"status": "ok", "model": self._running().name, "model_digest": digest, **facts})

    async def prompts(self, _request: Request) -> JSONResponse:
        """The names that `audio_prompt` may have."""
        return JSONResponse({"prompts": sorted(self._config.orders.audio_prompts)})

    async def swap(self, request: Request) -> JSONResponse:
        """Start songs on another model from now on; taken from this machine alone."""
        if not _is_local(request):
            return _refusal(_FORBIDDEN, FieldProblem(None, "the model is swapped from the service's own machine alone"))
        if self._follower is not None:
            problem = FieldProblem(None, f"the service follows {self._follower.followed}; the model is swapped there")
            return _refusal(_CONFLICT, problem)
        try:
            name = _parsed(await request.body())["name"]
        except (json.JSONDecodeError, KeyError, TypeError):
            return _refusal(_BAD_REQUEST, FieldProblem("name", 'expected a JSON object {"name": MODEL}'))
        known = model_names(self._config.models)
        if name not in known:
            return _refusal(_NOT_FOUND, FieldProblem("name", f"no model {name!r}; expected one of {', '.join(known)}"))
        async with self._swapping:
            try:
                digest = await self._swap(self._config.models / name)
            except (RayError, ValueError) as error:
                return _refusal(_CONFLICT, FieldProblem("name", _reason(error)))
        return JSONResponse({"model": name, "model_digest": digest})

    async def check_health(self) -> None:
        """Look on the side whether the model that the front follows is another one now."""
        if self._follower is not None and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self.follow(self._follower))

    async def follow(self, follower: Follower) -> None:
        """Swap to the model that is named, where it is another; one that cannot be sung by leaves the running one."""
        async with self._swapping:
            named = await asyncio.to_thread(lambda: follower.next_model(self._running()))
            if named is None:
                return
            try:
                digest = await self._swap(named.folder)
            except (RayError, ValueError) as error:
                follower.refuse(named, _reason(error))
                return
        _LOG.info("%s names %s: songs start on %s", follower.followed, named.folder, digest)

    async def _swap(self, folder: Path) -> str:
        with moved_pointer(self._config.pointer, folder):
            digest: str = await answer("refresh", lambda *_: self._replicas.refresh.remote())
            # From here on an order names its model, so that no replica that lags sings it on the old one.
            self._model_digest = digest
        return digest

    def _ask(self, request: SamplingRequest, num_lost: int) -> Any:
        return self._replicas.sample.remote(request, self._model_digest, num_lost)

    def _following(self) -> dict[str, Any]:
        if self._follower is None:
            return {}
        return {"follows": str(self._follower.followed), "refusal": self._follower.refusal}

    def _running(self) -> Path:
        return read_pointer(self._config.pointer)

    def _answer(self, song: SampledSong, audio: str | None) -> dict[str, Any]:
        return {
            "seed": song.seed,
            "model_digest": song.model_digest,
            "ended": song.ended,
            "duration_s": song.tokens.duration_s,
            "tokens": song.tokens.codes.tolist(),
            "audio": None if audio is None else self._sound(song.tokens, audio),
        }

    def _sound(self, tokens: TokenGrid, audio: str) -> dict[str, Any]:
        mixture = self._codec.decode(tokens).mixture
        buffer = io.BytesIO()
        soundfile.write(buffer, mixture.samples.T.clip(-1, 1), mixture.sample_rate_hz, format=audio.upper())
        content = base64.b64encode(buffer.getvalue()).decode()
        return {"format": audio, "sample_rate_hz": mixture.sample_rate_hz, "base64": content}


def stop_http() -> None:
    """Stop the service with its front; others on the same Serve stay."""
    stop_application(APPLICATION)


def start_http(config: ServingConfig, http: HttpConfig, model_folder: Path, address: Address) -> DeploymentHandle:
    """Start the service with its HTTP front on the Ray that is running; returns the handle of the replicas.

    Raises `OSError` where the port is taken, `AccessError` where others than this machine would be let in unasked.
    """
    http.access.check(address.host)
    check_port(address)
    write_pointer(http.pointer, model_folder)
    run_application(
        partial(song_application, config, http), APPLICATION, http={"host": address.host, "port": address.port}
    )
    return serve.get_deployment_handle(SongReplica.__name__, APPLICATION)


def song_application(config: ServingConfig, http: HttpConfig) -> Application:
    """The front, bound to the replicas behind it; `http.pointer` must name a model."""
    front = serve.deployment(
        SongFront,
        name=SongFront.__name__,
        max_ongoing_requests=config.max_requests,
        max_queued_requests=config.max_requests,
        ray_actor_options={"num_cpus": _FRONT_CPUS},
        health_check_period_s=config.health_check_period_s,
    )
    return front.bind(http, song_deployment(config, http.pointer))


def model_names(models: Path) -> list[str]:
    """The models in a run's folder of models."""
    return sorted(file.parent.name for file in models.glob(f"[!.]*/{CONFIG_FILE}"))


def check_port(address: Address) -> None:
    """Raise `OSError` where nothing can listen at the address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            place = f"{address.host}:{address.port}"
            raise OSError(f"cannot listen at {place}: {error.strerror}; choose another port") from error


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except UnicodeDecodeError as error:
        raise json.JSONDecodeError(f"no UTF-8 ({error.reason})", "", 0) from None


def _refusal(status: int, *problems: FieldProblem) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == _UNAUTHORIZED else None
    return JSONResponse({"errors": [_plain(problem) for problem in problems]}, status, headers=headers)


def _unavailable(error: RayError) -> JSONResponse:
    problem = FieldProblem(None, f"no song engine answers ({type(error).__name__}); send the request again")
    return JSONResponse({"errors": [_plain(problem)]}, _UNAVAILABLE, headers={"Retry-After": "5"})


def _plain(problem: FieldProblem) -> dict[str, Any]:
    """Without the line and column that it does not have."""
    return {name: value for name, value in asdict(problem).items() if name in ("field", "problem") or value is not None}


def _reason(error: Exception) -> str:
    return str(getattr(error, "cause", error))


def _is_local(request: Request) -> bool:
    """Whether a program of this machine asks, and no web page through somebody's browser (which names its origin)."""
    return is_loopback(request.client.host if request.client else "") and "origin" not in request.headers
