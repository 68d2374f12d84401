"""Songs over HTTP: the engine's own songs with their sound, refusals in JSON, models swapped under load."""

import base64
import io
import json
import shutil
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from jobs import cli
from levo.codec.stems import Stems
from levo.model.conditions import Conditions
from levo.model.construction import new_lelm
from levo.model.sampling.engine import SamplingEngine
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.request import SamplingParameters, SamplingRequest
from levo.model.store import load_config, load_model, model_digest, save_model
from levo.song.tokens import TokenGrid
from levo.song.waveform import Waveform
from pipelines.loop.http_serving import Address, HttpConfig, check_port, start_http, stop_http
from pipelines.loop.serving import ServingConfig
from pipelines.loop.song_orders import OrderTaker

pytestmark = pytest.mark.ray

START_LIMIT_S = 180
RATE = 8000
LENGTH = LengthClass(num_rows=8, max_frames=40, max_prefix=40)
LYRICS = "[verse] sun moon rain."


class SquareCodec:
    """Each frame sounds as loud as its mixed code is high."""

    digest, sample_rate_hz, frame_rate_hz, code_size = "square", RATE, 25, 24

    def decode(self, tokens: TokenGrid) -> Stems:
        levels = np.repeat(tokens.codes.astype(np.float32) / 32, RATE // 25, axis=1)
        mixture, vocal, accompaniment = (Waveform(level[None], RATE) for level in levels)
        return Stems(vocal, accompaniment, mixture)


@dataclass(frozen=True)
class Service:
    """A running service and the folder of its models."""

    address: Address
    models: Path

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address.url}{path}", content, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def songs(self, **order: Any) -> list[dict[str, Any]]:
        status, answer = self.ask("POST", "/songs", {"lyrics": LYRICS} | order)
        assert status == 200, answer
        songs: list[dict[str, Any]] = answer["songs"]
        return songs


@pytest.fixture(scope="module")
def service(
    local_ray: None, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory, within: Callable[..., Any]
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("http")
    models = folder / "lelm"
    shutil.copytree(tiny_model, models / "first")
    save_model(new_lelm(load_config(tiny_model), seed=1), tiny_model / "tokenizer", models / "second")
    address = free_address()
    prompt = np.arange(18, dtype=np.int32).reshape(3, 6)
    orders = OrderTaker({"prompt-1": prompt}, SamplingParameters(temperature=1.0), LENGTH.max_frames, 24, 6)
    http = HttpConfig(models, folder / "pointer", orders, SquareCodec)  # type: ignore[arg-type]
    within(START_LIMIT_S, lambda: start_http(ServingConfig(length_classes=(LENGTH,)), http, models / "first", address))
    yield Service(address, models)
    within(START_LIMIT_S, stop_http)


@pytest.fixture(scope="module", autouse=True)
def _module_by_value() -> Iterator[None]:
    """Workers cannot import a test module by its name."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def free_address() -> Address:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Address(port=probe.getsockname()[1])


def drawn(model: Path, seeds: list[int], parameters: SamplingParameters, prompt: TokenGrid | None) -> list[Any]:
    conditions = Conditions(LYRICS, "dark.", prompt)
    requests = [SamplingRequest(f"{seed}", conditions, seed, 40, parameters) for seed in seeds]
    return [song.tokens.codes.tolist() for song in SamplingEngine(load_model(model), (LENGTH,)).run(requests)]


def test_the_songs_are_the_engines_own_and_name_the_model(service: Service) -> None:
    parameters = SamplingParameters(temperature=0.9, top_k=10, guidance=1.5)
    songs = service.songs(
        description="dark", audio_prompt="prompt-1", candidates=3, seed=7, temperature=0.9, top_k=10, guidance=1.5
    )
    prompt = TokenGrid(np.arange(18, dtype=np.int32).reshape(3, 6))
    assert [song["seed"] for song in songs] == [7, 8, 9]
    assert [song["tokens"] for song in songs] == drawn(service.models / "first", [7, 8, 9], parameters, prompt)
    assert {song["model_digest"] for song in songs} == {model_digest(service.models / "first")}
    assert all(song["duration_s"] == len(song["tokens"][0]) / 25 for song in songs)
    assert all(song["audio"] is None for song in songs)


def test_a_song_comes_with_its_sound(service: Service) -> None:
    for kind in ("wav", "mp3"):
        (song,) = service.songs(seed=3, audio=kind)
        assert song["audio"]["format"] == kind
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(song["audio"]["base64"])))
        assert rate == song["audio"]["sample_rate_hz"] == RATE
        if kind == "wav":
            expected = np.repeat(np.array(song["tokens"][0]) / 32, RATE // 25)
            assert np.abs(samples - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("POST", "/songs", b'{"lyrics": ', 400, None),
        ("POST", "/songs", b"\xff", 400, None),
        ("POST", "/songs", {"lyrics": LYRICS, "seed": "x"}, 422, "seed"),
        ("POST", "/songs", {"lyrics": "[verse] " + "sun " * 300}, 422, None),
        ("PUT", "/model", b"second", 400, "name"),
        ("PUT", "/model", {"name": "third"}, 404, "name"),
        ("PUT", "/model", {"name": "../lelm/second"}, 404, "name"),
        ("GET", "/songs", None, 404, None),
    ],
)
def test_a_refusal_says_what_is_wrong_and_the_service_goes_on(
    service: Service, method: str, path: str, body: Any, status: int, field: str | None
) -> None:
    code, answer = service.ask(method, path, body)
    assert code == status
    assert [problem["field"] for problem in answer["errors"]] == [field]
    assert all(problem["problem"] for problem in answer["errors"])
    assert service.ask("GET", "/health")[0] == 200


def test_lyrics_are_refused_with_line_and_column(service: Service) -> None:
    status, answer = service.ask("POST", "/songs", {"lyrics": "[verse] sun. ;\n[inst-long] moon."})
    assert status == 422
    (problem,) = answer["errors"]
    assert (problem["field"], problem["line"], problem["column"]) == ("lyrics", 2, 13)


def test_a_file_of_orders_is_sung_by_the_service(service: Service, tmp_path: Path) -> None:
    prompt = np.arange(18, dtype=np.int32).reshape(3, 6)
    np.save(tmp_path / "prompt.npy", prompt)
    orders = [
        {"idx": "one", "gt_lyric": LYRICS, "descriptions": "dark", "seed": 7, "prompt_codes_path": "prompt.npy"},
        {"idx": "two", "gt_lyric": LYRICS, "seed": 8},
        {"idx": "long", "gt_lyric": "[verse] " + "sun " * 4000 + ".", "seed": 9},
    ]
    file, out = tmp_path / "orders.jsonl", tmp_path / "out"
    file.write_text("".join(json.dumps(order) + "\n" for order in orders))
    command = ["generate", str(file), str(out), "--endpoint", service.address.url, "--temperature", "0.9"]
    assert cli.main(command) == 1
    found = {row["idx"]: row for row in map(json.loads, (out / "results.jsonl").read_text().splitlines())}
    expected = drawn(service.models / "first", [7], SamplingParameters(temperature=0.9), TokenGrid(prompt))
    assert np.load(found["one"]["tokens_path"]).tolist() == expected[0]
    assert found["two"]["model_digest"] == model_digest(service.models / "first")
    assert "the model takes 16" in found["long"]["error"]
    first = (out / "tokens" / "one.npy").stat().st_mtime_ns
    assert cli.main(command) == 1
    assert (out / "tokens" / "one.npy").stat().st_mtime_ns == first


@pytest.mark.parametrize(
    ("codes", "problem"),
    [
        ([[1, 2], [3, 4]], "lists of [2] codes; expected 3 of one length"),
        ([[1], [2], [3, 4]], "lists of [1, 2] codes"),
        ([[1], [24], [3]], "codes outside 0 to 23"),
        ([[], [], []], "lists of [0] codes"),
    ],
)
def test_prompt_codes_are_checked(service: Service, codes: list[list[int]], problem: str) -> None:
    status, answer = service.ask("POST", "/songs", {"lyrics": LYRICS, "prompt_codes": codes})
    assert status == 422
    assert answer["errors"][0]["field"] == "prompt_codes"
    assert problem in answer["errors"][0]["problem"]


def test_prompts_are_listed(service: Service) -> None:
    assert service.ask("GET", "/prompts") == (200, {"prompts": ["prompt-1"]})


def test_a_swap_under_load_loses_no_order(service: Service) -> None:
    digests = {name: model_digest(service.models / name) for name in ("first", "second")}
    some_are_done = threading.Event()

    def order(seed: int) -> dict[str, Any]:
        (song,) = service.songs(description="dark", seed=seed)
        if seed >= 8:
            some_are_done.set()
        return song

    with ThreadPoolExecutor(12) as clients:
        answers = [clients.submit(order, seed) for seed in range(48)]
        assert some_are_done.wait(timeout=120)
        swapped = service.ask("PUT", "/model", {"name": "second"})
        songs = [answer.result(timeout=120) for answer in answers]
    assert swapped == (200, {"model": "second", "model_digest": digests["second"]})
    assert [song["seed"] for song in songs] == list(range(48))
    assert {song["model_digest"] for song in songs} == set(digests.values())
    for name, digest in digests.items():
        named = [song for song in songs if song["model_digest"] == digest]
        alone = drawn(
            service.models / name, [song["seed"] for song in named], SamplingParameters(temperature=1.0), None
        )
        assert [song["tokens"] for song in named] == alone
    assert service.ask("GET", "/health")[1] == {
        "status": "ok",
        "model": "second",
        "model_digest": digests["second"],
        "code_size": 24,
        "max_frames": 40,
        "max_prompt_frames": 6,
    }


def test_a_model_that_cannot_be_swapped_in_leaves_the_one_that_runs(service: Service) -> None:
    before = service.ask("GET", "/health")
    shutil.copytree(service.models / "first", service.models / "damaged")
    (service.models / "damaged" / "model.safetensors").write_bytes(b"half")
    shutil.copytree(service.models / "first", service.models / "wider")
    config = json.loads((service.models / "wider" / "config.json").read_text())
    (service.models / "wider" / "config.json").write_text(json.dumps(config | {"feed_forward_width": 64}))
    for name, problem in (("damaged", "is damaged"), ("wider", "has another config than")):
        status, answer = service.ask("PUT", "/model", {"name": name})
        assert status == 409
        assert problem in answer["errors"][0]["problem"]
    assert service.ask("GET", "/health") == before


def test_a_web_page_cannot_swap_the_model(service: Service) -> None:
    before = service.ask("GET", "/health")
    status, answer = service.ask("PUT", "/model", {"name": "first"}, {"Origin": "http://example.org"})
    assert status == 403
    assert "own machine" in answer["errors"][0]["problem"]
    assert service.ask("GET", "/health") == before


def test_a_port_that_is_taken_is_named(service: Service) -> None:
    with pytest.raises(OSError, match=f"cannot listen at 127.0.0.1:{service.address.port}: Address already in use"):
        check_port(service.address)
