"""The engine's thread: answers come to those who asked, a swap loses nothing, and a stopped engine says so."""

import time
from collections.abc import Callable, Iterator

import pytest

from levo.model.conditions import Conditions
from levo.model.sampling.engine import RequestError, SamplingEngine
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.loop import EngineLoop, EngineStoppedError
from levo.model.sampling.request import SampledSong, SamplingRequest
from levo.model.store import LoadedModel

MakeRequest = Callable[[int], SamplingRequest]
CLASSES = [LengthClass(num_rows=6, max_frames=16, max_prefix=40, prefill_rows=3)]


@pytest.fixture
def loop(loaded: LoadedModel) -> Iterator[EngineLoop]:
    loop = EngineLoop(SamplingEngine(loaded, CLASSES))
    yield loop
    loop.close()


def test_answers_equal_the_engines_own(loop: EngineLoop, loaded: LoadedModel, make_request: MakeRequest) -> None:
    requests = [make_request(number) for number in range(9)]
    answers = [loop.submit(request).result(timeout=60) for request in requests]
    expected = SamplingEngine(loaded, CLASSES).run(requests)
    assert [song.tokens.codes.tolist() for song in answers] == [song.tokens.codes.tolist() for song in expected]


def test_a_swap_under_load_loses_nothing(
    loop: EngineLoop, loaded: LoadedModel, other_loaded: LoadedModel, make_request: MakeRequest
) -> None:
    before = [loop.submit(make_request(number)) for number in range(12)]
    assert before[0].result(timeout=60).model_digest == loaded.digest
    assert loop.swap_model(other_loaded).result(timeout=60) == other_loaded.digest
    after = [loop.submit(make_request(number)) for number in range(12, 24)]
    assert {song.result(timeout=60).model_digest for song in before} <= {loaded.digest, other_loaded.digest}
    assert {song.result(timeout=60).model_digest for song in after} == {other_loaded.digest}


@pytest.mark.parametrize("waits_until_running", [True, False])
def test_a_caller_that_goes_away_takes_its_song_alone(
    loop: EngineLoop, make_request: MakeRequest, waits_until_running: bool
) -> None:
    answers = [loop.submit(make_request(number)) for number in range(4)]
    leaving = answers.pop(0)
    while waits_until_running and not (leaving.running() or leaving.done()):
        time.sleep(0.001)
    leaving.cancel()
    loop.cancel(make_request(0).request_id)
    assert all(isinstance(answer.result(timeout=60), SampledSong) for answer in answers)
    loop.check()


def test_a_swap_that_nobody_waits_for_stops_nothing(
    loop: EngineLoop, other_loaded: LoadedModel, make_request: MakeRequest
) -> None:
    loop.swap_model(other_loaded).cancel()
    assert isinstance(loop.submit(make_request(0)).result(timeout=60), SampledSong)


def test_a_bad_request_fails_alone(loop: EngineLoop, make_request: MakeRequest) -> None:
    good = loop.submit(make_request(1))
    bad = loop.submit(SamplingRequest("bad", Conditions("no tag"), 0, 5))
    with pytest.raises(RequestError, match="section starts with 'no tag'"):
        bad.result(timeout=60)
    assert isinstance(good.result(timeout=60), SampledSong)
    loop.check()


def test_a_closed_loop_answers_everyone(loaded: LoadedModel, make_request: MakeRequest) -> None:
    loop = EngineLoop(SamplingEngine(loaded, CLASSES))
    answers = [loop.submit(make_request(number)) for number in range(30)]
    loop.close()
    late = loop.submit(make_request(99))
    for answer in (*answers, late):
        assert isinstance(answer.exception(timeout=10), EngineStoppedError | None)
    assert isinstance(late.exception(timeout=10), EngineStoppedError)
    with pytest.raises(EngineStoppedError):
        loop.check()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_engine_that_dies_fails_its_songs_and_its_health_check(
    loaded: LoadedModel, make_request: MakeRequest
) -> None:
    class BrokenEngine(SamplingEngine):
        def step(self) -> list[SampledSong]:
            raise RuntimeError("out of memory")

    loop = EngineLoop(BrokenEngine(loaded, CLASSES))
    with pytest.raises(EngineStoppedError, match="before the song was finished: RuntimeError: out of memory"):
        loop.submit(make_request(0)).result(timeout=60)
    deadline = time.monotonic() + 10
    while loop._thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(EngineStoppedError) as raised:
        loop.check()
    assert "out of memory" in str(raised.value.__cause__)
