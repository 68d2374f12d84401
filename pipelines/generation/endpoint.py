"""The singer behind an address: a service started by `levo serve`, asked over HTTP for one song an order."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from levo.model.sampling.request import SampledSong
from levo.song.tokens import FRAME_RATE_HZ, NUM_STREAMS, TokenGrid
from pipelines.generation.in_process import SingingConfig
from pipelines.generation.singer import Asked, ModelFacts
from pipelines.loop.access import TOKEN_VARIABLE, authorization

_TIMEOUT_S = 6 * 3600.0
_ATTEMPTS, _PAUSE_S = 5, 5.0
_UNAUTHORIZED = 401
_TRY_AGAIN = (500, 502, 503, 504)
"""What a service answers while a part of it is away; a song asked for twice is the same."""


class EndpointError(OSError):
    """A service that does not answer, or not as one of ours."""


class EndpointSinger:
    """Has a service sing; as many orders are under way as `rows` says."""

    def __init__(self, url: str, config: SingingConfig, *, token: str | None = None, pause_s: float = _PAUSE_S) -> None:
        """Ask the service what it serves; `token` is what it may ask for.

        Raises `EndpointError` where nothing of ours answers.
        """
        self._url, self._config, self._pause_s = url.rstrip("/"), config, pause_s
        self._headers = {"Content-Type": "application/json", **authorization(token)}
        if not self._url.startswith(("http://", "https://")):
            raise ValueError(f"endpoint {url!r}; expected an address such as http://127.0.0.1:8000")
        health = self._health()
        try:
            self.facts = ModelFacts(
                health["model_digest"], health["code_size"], health["max_frames"], health["max_prompt_frames"]
            )
        except KeyError as error:
            raise EndpointError(f"{self._url}/health tells no {error}; is it a service of this version?") from None
        self._max_frames = self.facts.frames_of(config.max_duration_s)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What was chosen; the rest is as the service has it."""
        return {"endpoint": True, **self._config.chosen, "max_frames": self._max_frames}

    def sing(self, asked: Iterable[Asked]) -> Iterator[tuple[str, SampledSong | str]]:
        """Songs as they are answered; a refusal, or a service that stays away, is the order's reason."""
        under_way: dict[Future[SampledSong | str], str] = {}
        with ThreadPoolExecutor(self._config.rows or 1) as pool:
            try:
                for one in asked:
                    under_way[pool.submit(self._sung, one)] = one.idx
                while under_way:
                    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield under_way.pop(future), future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _health(self) -> dict[str, Any]:
        for num_left in reversed(range(_ATTEMPTS)):
            try:
                found: dict[str, Any] = self._answer("/health", None, timeout_s=30.0)
            except urllib.error.HTTPError as error:
                if error.code == _UNAUTHORIZED:
                    raise EndpointError(f"{self._url} asks for a token; expected its own in {TOKEN_VARIABLE}") from None
                if error.code not in _TRY_AGAIN or not num_left:
                    raise self._nobody(error.reason) from None
                time.sleep(self._pause_s)
            except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
                raise self._nobody(getattr(error, "reason", error)) from None
            else:
                break
        return found

    def _nobody(self, reason: object) -> EndpointError:
        return EndpointError(f"no song service answers at {self._url}: {reason}; start one with `levo serve`")

    def _sung(self, asked: Asked) -> SampledSong | str:
        body = json.dumps(self._order(asked)).encode()
        reason = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(self._pause_s)
            try:
                (song,) = self._answer("/songs", body, timeout_s=_TIMEOUT_S)["songs"]
            except urllib.error.HTTPError as error:
                reason = _problems(error)
                if error.code not in _TRY_AGAIN:
                    return reason
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                reason = f"the service at {self._url} does not answer: {getattr(error, 'reason', error)}"
            else:
                tokens = TokenGrid(np.array(song["tokens"], dtype=np.int32).reshape(NUM_STREAMS, -1))
                return SampledSong(asked.idx, song["seed"], tokens, song["ended"], song["model_digest"])
        return reason

    def _order(self, asked: Asked) -> dict[str, Any]:
        conditions = asked.conditions
        order: dict[str, Any] = {"seed": asked.seed, **self._config.chosen}
        order |= {"lyrics": conditions.lyrics, "description": conditions.description or ""}
        if conditions.audio_prompt is not None:
            order["prompt_codes"] = conditions.audio_prompt.codes.tolist()
        if self._config.max_duration_s is not None:
            order["max_duration_s"] = self._max_frames / FRAME_RATE_HZ
        return order

    def _answer(self, path: str, body: bytes | None, *, timeout_s: float) -> Any:
        request = urllib.request.Request(self._url + path, body, self._headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            return json.load(answer)


def _problems(error: urllib.error.HTTPError) -> str:
    try:
        problems = json.load(error)["errors"]
        return "; ".join(": ".join(filter(None, (one["field"], one["problem"]))) for one in problems)
    except (ValueError, KeyError, TypeError):
        return f"the service answers {error.code} {error.reason}"
