"""The singer behind an address: what it says where nobody answers, or nobody of ours, or only now and then."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from levo.model.conditions import Conditions
from levo.model.sampling.request import SampledSong
from pipelines.generation.endpoint import EndpointError, EndpointSinger
from pipelines.generation.in_process import SingingConfig
from pipelines.generation.singer import Asked, GenerationError

HEALTH = {"model_digest": "abc", "code_size": 24, "max_frames": 40, "max_prompt_frames": 6}
SONG = {"seed": 7, "model_digest": "abc", "ended": True, "tokens": [[1], [2], [3]]}


class FakeService:
    """Answers from a list, in turn, and keeps what it was asked."""

    def __init__(self, health: dict[str, object]) -> None:
        self.answers: list[tuple[int, object]] = []
        self.asked: list[dict[str, object]] = []
        self.num_times_away = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.num_times_away -= 1
                self._send(*((503, "away") if service.num_times_away >= 0 else (200, health)))

            def do_POST(self) -> None:
                service.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._send(*service.answers.pop(0))

            def _send(self, status: int, body: object) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def service() -> Iterator[FakeService]:
    fake = FakeService(HEALTH)
    yield fake
    fake.server.shutdown()


def sung(service: FakeService, config: SingingConfig | None = None) -> object:
    singer = EndpointSinger(service.url, config or SingingConfig(rows=1), pause_s=0.0)
    ((idx, song),) = singer.sing([Asked("one", Conditions("[verse] sun.", "dark"), 7)])
    assert idx == "one"
    return song


def test_an_order_names_what_was_chosen_and_nothing_else(service: FakeService) -> None:
    service.answers = [(200, {"songs": [SONG]})]
    sung(service, SingingConfig(rows=1, max_duration_s=0.8, top_k=5))
    expected = {"lyrics": "[verse] sun.", "description": "dark", "seed": 7, "top_k": 5, "max_duration_s": 0.8}
    assert service.asked == [expected]


def test_a_service_that_is_away_for_a_while_is_waited_for(service: FakeService) -> None:
    service.num_times_away, service.answers = 4, [(200, {"songs": [SONG]})]
    assert isinstance(sung(service), SampledSong)
    service.num_times_away = 5
    with pytest.raises(EndpointError, match="Service Unavailable"):
        sung(service)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_while_a_part_of_the_service_is_away_it_is_asked_again(service: FakeService, status: int) -> None:
    service.answers = [(status, "away"), (200, {"songs": [SONG]})]
    assert isinstance(sung(service), SampledSong)
    assert len(service.asked) == 2


def test_a_service_that_is_busy_is_asked_again(service: FakeService) -> None:
    busy = {"errors": [{"field": None, "problem": "no song engine answers"}]}
    service.answers = [(503, busy), (503, busy), (200, {"songs": [SONG]})]
    song = sung(service)
    assert isinstance(song, SampledSong)
    assert song.tokens.codes.tolist() == [[1], [2], [3]]


def test_a_service_that_stays_away_is_the_orders_reason(service: FakeService) -> None:
    busy = {"errors": [{"field": None, "problem": "no song engine answers"}]}
    service.answers = [(503, busy)] * 5
    assert sung(service) == "no song engine answers"


def test_a_refusal_is_not_asked_again(service: FakeService) -> None:
    service.answers = [(422, {"errors": [{"field": "lyrics", "problem": "too long"}]})]
    assert sung(service) == "lyrics: too long"


def test_nobody_at_the_address_is_said_at_once() -> None:
    with pytest.raises(EndpointError, match=r"no song service answers at http://127\.0\.0\.1:9: .*levo serve"):
        EndpointSinger("http://127.0.0.1:9", SingingConfig())
    with pytest.raises(ValueError, match="endpoint 'elsewhere'; expected an address"):
        EndpointSinger("elsewhere", SingingConfig())


def test_a_stranger_at_the_address_is_told_from_a_service_of_ours() -> None:
    stranger = FakeService({"hello": "world"})
    with pytest.raises(EndpointError, match="tells no 'model_digest'"):
        EndpointSinger(stranger.url, SingingConfig())
    stranger.server.shutdown()


def test_a_length_that_the_service_does_not_draw_is_named(service: FakeService) -> None:
    with pytest.raises(GenerationError, match=r"max_duration_s is 99; this model takes 0\.04 to 1\.6 s"):
        EndpointSinger(service.url, SingingConfig(max_duration_s=99.0))
