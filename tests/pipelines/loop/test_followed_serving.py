"""Songs over HTTP by the model that a champion's pointer names, for whoever brings the token."""

import json
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs import cli
from levo.model.construction import new_lelm
from levo.model.sampling.request import SamplingParameters
from levo.model.store import load_config, model_digest, save_model
from pipelines.generation.endpoint import EndpointError, EndpointSinger
from pipelines.generation.in_process import SingingConfig
from pipelines.loop.access import TOKEN_VARIABLE, Access, AccessError, authorization
from pipelines.loop.following import FollowedPointer
from pipelines.loop.http_serving import Address, HttpConfig, start_http, stop_http
from pipelines.loop.model_pointer import write_pointer
from pipelines.loop.serving import ServingConfig
from pipelines.loop.song_orders import OrderTaker
from tests.pipelines.loop.test_http_serving import LENGTH, LYRICS, SquareCodec, drawn, free_address

pytestmark = pytest.mark.ray

START_LIMIT_S, FOLLOW_LIMIT_S = 180, 60
TOKEN = "0123456789abcdef0123456789abcdef"
CONFIG = ServingConfig(length_classes=(LENGTH,), num_replicas=2, health_check_period_s=0.3)


@dataclass(frozen=True)
class Service:
    """A service that follows a pointer; every request brings the token unless told otherwise."""

    address: Address
    champion: Path
    models: Path

    def ask(self, method: str, path: str, body: Any = None, token: str | None = TOKEN) -> tuple[int, dict[str, Any]]:
        content = None if body is None else json.dumps(body).encode()
        url = f"{self.address.url}{path}"
        request = urllib.request.Request(url, content, authorization(token), method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def health(self) -> dict[str, Any]:
        return self.ask("GET", "/health")[1]

    def wait_until(self, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end = time.monotonic() + FOLLOW_LIMIT_S
        while not is_so(health := self.health()):
            assert time.monotonic() < end, health
            time.sleep(0.1)
        return health


@pytest.fixture(scope="module")
def service(
    local_ray: None, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory, within: Callable[..., Any]
) -> Iterator[Service]:
    from ray import cloudpickle

    folder = tmp_path_factory.mktemp("followed")
    models, champion = folder / "models", folder / "champion"
    for seed, name in enumerate(("first", "second", "third")):
        save_model(new_lelm(load_config(tiny_model), seed), tiny_model / "tokenizer", models / name)
    write_pointer(champion, models / "first")
    address = free_address()
    orders = OrderTaker({}, SamplingParameters(temperature=1.0), LENGTH.max_frames, 24, 6)
    http = HttpConfig(
        models,
        folder / "pointer",
        orders,
        SquareCodec,  # type: ignore[arg-type]
        Access.by(TOKEN),
        FollowedPointer(champion),
    )
    by_value = sys.modules[SquareCodec.__module__]
    cloudpickle.register_pickle_by_value(by_value)
    within(START_LIMIT_S, lambda: start_http(CONFIG, http, models / "first", address))
    yield Service(address, champion, models)
    within(START_LIMIT_S, stop_http)
    cloudpickle.unregister_pickle_by_value(by_value)


def test_the_champion_moves_under_load_and_no_order_is_lost(service: Service) -> None:
    some_are_done = threading.Event()
    digests = {name: model_digest(service.models / name) for name in ("first", "second")}

    def order(seed: int) -> dict[str, Any]:
        status, answer = service.ask("POST", "/songs", {"lyrics": LYRICS, "description": "dark", "seed": seed})
        assert status == 200, answer
        if seed >= 8:
            some_are_done.set()
        return dict(answer["songs"][0])

    seeds = iter(range(10_000))
    songs: list[dict[str, Any]] = []
    is_followed = threading.Event()

    def client() -> None:
        while not is_followed.is_set():
            songs.append(order(next(seeds)))

    with ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(client) for _ in range(6)]
        try:
            assert some_are_done.wait(timeout=120)
            write_pointer(service.champion, service.models / "second")
            health = service.wait_until(lambda health: health["model_digest"] == digests["second"])
            after = order(next(seeds))
        finally:
            is_followed.set()
        for one in clients:
            one.result(timeout=120)
    assert after["model_digest"] == digests["second"]
    assert (health["follows"], health["refusal"], health["model"]) == (str(service.champion), None, "second")
    assert len({song["seed"] for song in songs}) == len(songs)
    assert {song["model_digest"] for song in songs} == set(digests.values())
    for name, digest in digests.items():
        named = [song for song in songs if song["model_digest"] == digest][:40]
        alone = drawn(
            service.models / name, [song["seed"] for song in named], SamplingParameters(temperature=1.0), None
        )
        assert [song["tokens"] for song in named] == alone


@pytest.mark.parametrize("case", ["missing", "damaged", "wider"])
def test_a_champion_that_cannot_be_sung_by_leaves_the_one_that_runs(service: Service, case: str) -> None:
    before = service.health()
    bad = service.models.parent / case
    problems = {"missing": "holds no model", "damaged": "is damaged", "wider": "has another config than"}
    if case != "missing":
        shutil.copytree(service.models / "third", bad)
    if case == "damaged":
        (bad / "model.safetensors").write_bytes(b"half")
    if case == "wider":
        config = json.loads((bad / "config.json").read_text())
        (bad / "config.json").write_text(json.dumps(config | {"feed_forward_width": 64}))
    write_pointer(service.champion, bad)
    health = service.wait_until(lambda health: problems[case] in (health["refusal"] or ""))
    assert (health["model"], health["model_digest"]) == (before["model"], before["model_digest"])
    assert service.ask("POST", "/songs", {"lyrics": LYRICS})[0] == 200
    write_pointer(service.champion, service.models / before["model"])
    service.wait_until(lambda health: health["refusal"] is None)


def test_a_service_that_follows_is_swapped_by_nobody_else(service: Service) -> None:
    status, answer = service.ask("PUT", "/model", {"name": "third"})
    assert status == 409
    assert str(service.champion) in answer["errors"][0]["problem"]


@pytest.mark.parametrize("token", [None, "", TOKEN[:-1], TOKEN.upper()])
def test_nobody_is_answered_without_the_token(service: Service, token: str | None) -> None:
    for method, path in (("POST", "/songs"), ("GET", "/health"), ("GET", "/prompts"), ("PUT", "/model"), ("GET", "/")):
        status, answer = service.ask(method, path, None if method == "GET" else {}, token)
        assert status == 401
        assert "Authorization" in answer["errors"][0]["problem"]


def test_a_client_of_ours_brings_the_token(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, out = tmp_path / "orders.jsonl", tmp_path / "out"
    file.write_text(json.dumps({"idx": "one", "gt_lyric": LYRICS, "seed": 7}))
    command = ["generate", str(file), str(out), "--endpoint", service.address.url]
    assert cli.main(command) == 1
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert cli.main(command) == 0
    assert np.load(out / "tokens" / "one.npy").shape[0] == 3
    singer = partial(EndpointSinger, service.address.url, SingingConfig())
    with pytest.raises(EndpointError, match="expected its own in LEVO_SERVE_TOKEN"):
        singer(token=TOKEN[::-1])


def test_no_service_listens_to_other_machines_without_a_token(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    orders = OrderTaker({}, SamplingParameters(), LENGTH.max_frames, 24, 6)
    http = HttpConfig(service.models, tmp_path / "pointer", orders, SquareCodec)  # type: ignore[arg-type]
    with pytest.raises(AccessError, match=r"listen at 0\.0\.0\.0"):
        start_http(CONFIG, http, service.models / "first", Address("0.0.0.0", 8999))
    assert not (tmp_path / "pointer").exists()
    assert cli.main(["serve", "--run", str(tmp_path), "--host", "0.0.0.0"]) == 1
    assert "set LEVO_SERVE_TOKEN" in capsys.readouterr().err
