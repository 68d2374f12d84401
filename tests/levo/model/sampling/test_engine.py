"""The engine draws each song by its own request, whatever runs beside it, and names the weights that drew it."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from levo.model.conditions import Conditions, ConditionTokens
from levo.model.construction import new_lelm
from levo.model.delay import interleave
from levo.model.lelm import LeLMCaches
from levo.model.sampling.engine import (
    EngineProgress,
    RequestError,
    SamplingEngine,
    encode_request,
    num_to_admit,
)
from levo.model.sampling.lane import Lane, LogitsError
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.placement import Placement
from levo.model.sampling.request import SampledSong, SamplingParameters, SamplingRequest
from levo.model.store import LoadedModel, load_model

SHORT = LengthClass(num_rows=7, max_frames=16, max_prefix=40, prefill_rows=3)
LONG = LengthClass(num_rows=2, max_frames=40, max_prefix=60, prefill_rows=2)
SHORT_SHARED = replace(SHORT, num_rows=8, rows_per_prefix=4)
LONG_SHARED = replace(LONG, num_rows=4, rows_per_prefix=2)
MakeRequest = Callable[[int], SamplingRequest]


def drawn_together(
    loaded: LoadedModel, requests: list[SamplingRequest], lengths: tuple[LengthClass, ...]
) -> dict[str, SampledSong]:
    return {song.request_id: song for song in SamplingEngine(loaded, lengths).run(requests)}


def plain_request(name: str, seed: int, max_frames: int = 12) -> SamplingRequest:
    return SamplingRequest(name, Conditions("[verse] sun moon."), seed, max_frames)


@pytest.mark.parametrize("lengths", [(SHORT, LONG), (SHORT_SHARED, LONG_SHARED)], ids=["own prefixes", "shared"])
def test_a_seeds_song_is_the_same_alone_and_in_twenty_neighbourhoods(
    loaded: LoadedModel, make_request: MakeRequest, lengths: tuple[LengthClass, ...]
) -> None:
    targets = [make_request(number) for number in range(8)]
    alone = {target.request_id: drawn_together(loaded, [target], lengths)[target.request_id] for target in targets}
    for neighbourhood in range(20):
        draw = random.Random(neighbourhood)
        neighbours = [make_request(100 + 50 * neighbourhood + number) for number in range(draw.randint(0, 16))]
        mixed = [*targets, *neighbours]
        draw.shuffle(mixed)
        together = drawn_together(loaded, mixed, lengths)
        for name, song in alone.items():
            assert song.tokens.codes.tolist() == together[name].tokens.codes.tolist()
            assert song.ended == together[name].ended


def test_seeds_differ_and_repeat(loaded: LoadedModel) -> None:
    songs = SamplingEngine(loaded, [SHORT]).run([plain_request(f"{n}", seed) for n, seed in enumerate((1, 2, 1))])
    first, second, again = (song.tokens.codes.tolist() for song in songs)
    assert first == again
    assert first != second


@pytest.mark.parametrize("length", [SHORT, SHORT_SHARED], ids=["own prefixes", "shared"])
def test_a_greedy_song_is_the_likeliest_code_of_the_whole_forward_pass_at_every_frame(
    loaded: LoadedModel, length: LengthClass
) -> None:
    request = replace(plain_request("a", 0, 14), parameters=SamplingParameters(temperature=0.0, min_frames=14))
    song = SamplingEngine(loaded, [length]).run([request])[0]
    config, tokens = loaded.model.config, encode_request(request, loaded.encoder, loaded.model.config).tokens
    codes = torch.from_numpy(song.tokens.codes).long()[None]
    with torch.inference_mode():
        logits = loaded.model(interleave(codes, config.delays, config.special_id), tokens).logits
    for stream, delay in enumerate(config.delays):
        likeliest = logits[stream][0, delay : delay + 14, : config.code_size].argmax(dim=1)
        assert likeliest.tolist() == song.tokens.codes[stream].tolist()


def test_a_model_without_decoder_layers_draws_its_tracks_from_the_language_models_states(loaded: LoadedModel) -> None:
    model = new_lelm(replace(loaded.model.config, num_decoder_layers=0), 0).eval()
    shallow = LoadedModel(model, loaded.encoder, "shallow")
    request = replace(plain_request("a", 0, 14), parameters=SamplingParameters(temperature=0.0, min_frames=14))
    song = SamplingEngine(shallow, [SHORT]).run([request])[0]
    codes = torch.from_numpy(song.tokens.codes).long()[None]
    sequence = interleave(codes, model.config.delays, model.config.special_id)
    with torch.inference_mode():
        logits = model(sequence, encode_request(request, loaded.encoder, model.config).tokens).logits
    delay = model.config.delays[1]
    likeliest = logits[1][0, delay : delay + 14, : model.config.code_size].argmax(dim=1)
    assert likeliest.tolist() == song.tokens.codes[1].tolist()


def test_guidance_of_one_costs_one_row_and_any_other_two(loaded: LoadedModel) -> None:
    for guidance, num_rows in ((1.0, 1), (1.5, 2), (0.0, 2)):
        request = replace(plain_request("a", 0), parameters=SamplingParameters(guidance=guidance))
        assert encode_request(request, loaded.encoder, loaded.model.config).num_rows == num_rows


def test_a_song_ends_at_the_end_of_its_mixed_stream(loaded: LoadedModel) -> None:
    config = loaded.model.config
    requests = [plain_request(f"{seed}", seed) for seed in range(40)]
    with torch.no_grad():
        loaded.model.transformer.lm_head.weight[config.end_id] *= 4
        songs = SamplingEngine(loaded, [SHORT]).run(requests)
        loaded.model.transformer.lm_head.weight[config.end_id] /= 4
    ended = [song for song in songs if song.ended]
    assert 0 < len(ended) < len(songs)
    assert all(1 <= song.tokens.num_frames < 12 for song in ended if song.tokens.num_frames != 12)
    assert all(song.tokens.num_frames == 12 for song in songs if not song.ended)
    assert all(song.tokens.codes.min() >= 0 and song.tokens.codes.max() < config.code_size for song in songs)


def test_no_song_ends_before_its_least_length(loaded: LoadedModel) -> None:
    parameters = SamplingParameters(min_frames=9, temperature=5.0)
    songs = SamplingEngine(loaded, [SHORT]).run(
        [replace(plain_request(f"{seed}", seed), parameters=parameters) for seed in range(30)]
    )
    assert min(song.tokens.num_frames for song in songs) >= 9


def test_a_request_takes_the_smallest_length_class_that_holds_it(loaded: LoadedModel) -> None:
    engine = SamplingEngine(loaded, [LONG, SHORT])
    for name, max_frames in (("short", 16), ("long", 17)):
        engine.submit(plain_request(name, 0, max_frames))
    engine.step()
    assert {length: lane.num_songs for length, lane in engine._lanes.items()} == {SHORT: 1, LONG: 1}


def test_every_song_names_the_one_model_that_drew_it(
    loaded: LoadedModel, other_loaded: LoadedModel, make_request: MakeRequest
) -> None:
    requests = [make_request(number) for number in range(20)]
    pure = {
        model.digest: {
            song.request_id: song.tokens.codes.tolist()
            for song in drawn_together(model, requests, (SHORT, LONG)).values()
        }
        for model in (loaded, other_loaded)
    }
    engine = SamplingEngine(loaded, [SHORT])
    for request in requests:
        engine.submit(request)
    songs = [song for _ in range(9) for song in engine.step()]
    engine.swap_model(other_loaded)
    while engine.num_waiting or engine.num_running:
        songs.extend(engine.step())
    assert sorted(song.request_id for song in songs) == sorted(request.request_id for request in requests)
    assert {song.model_digest for song in songs} == {loaded.digest, other_loaded.digest}
    for song in songs:
        assert song.tokens.codes.tolist() == pure[song.model_digest][song.request_id]


def test_a_model_of_another_config_is_not_swapped_in(loaded: LoadedModel, other_loaded: LoadedModel) -> None:
    other_loaded.model.config = replace(loaded.model.config, delays=(0, 1, 1))
    with pytest.raises(RequestError, match="another config"):
        SamplingEngine(loaded, [SHORT]).swap_model(other_loaded)
    other_loaded.model.config = loaded.model.config


def test_cancelling_returns_the_frames_that_all_streams_have(loaded: LoadedModel) -> None:
    request = replace(plain_request("a", 5), parameters=SamplingParameters(min_frames=12))
    whole = SamplingEngine(loaded, [SHORT]).run([request])[0]
    engine = SamplingEngine(loaded, [SHORT])
    engine.submit(request)
    for _ in range(7):
        engine.step()
    part = engine.cancel("a")
    assert part is not None
    assert part.interrupted
    assert not part.ended
    assert part.tokens.codes.tolist() == whole.tokens.codes[:, : 7 - loaded.model.config.max_delay].tolist()
    assert engine.cancel("a") is None
    assert engine.run([request])[0].tokens.codes.tolist() == whole.tokens.codes.tolist()


def test_a_stopped_run_returns_what_is_finished_and_marks_the_rest(loaded: LoadedModel) -> None:
    requests = [plain_request(f"{seed}", seed) for seed in range(12)]
    seen: list[EngineProgress] = []
    engine = SamplingEngine(loaded, [SHORT])
    songs = engine.run(requests, seen.append, should_stop=lambda: bool(seen))
    assert [song.request_id for song in songs] == [request.request_id for request in requests]
    assert sum(not song.interrupted for song in songs) == seen[-1].num_finished > 0
    assert any(song.interrupted for song in songs)
    assert engine.num_running == engine.num_waiting == 0


@pytest.mark.parametrize(
    ("conditions", "max_frames", "error", "message"),
    [
        (Conditions("[vrese] sun."), 5, RequestError, r"line 1, column 1: unknown structure tag '\[vrese\]'"),
        (Conditions("[verse]" + " sun" * 300), 5, ValueError, "302 tokens; the model takes 160"),
        (Conditions("[verse]" + " sun" * 80), 5, RequestError, "behind 84 condition positions"),
        (Conditions("[verse] sun."), 41, RequestError, "asks for 41 frames"),
        (Conditions(description="[Musicality-best], dark."), 5, RequestError, r"unknown tag '\[Musicality-best\]'"),
    ],
)
def test_requests_that_cannot_be_served_are_refused(
    loaded: LoadedModel, conditions: Conditions, max_frames: int, error: type[Exception], message: str
) -> None:
    engine = SamplingEngine(loaded, [SHORT, LONG])
    with pytest.raises(error, match=message):
        engine.submit(SamplingRequest("a", conditions, 0, max_frames))
    assert engine.num_waiting == 0


def test_a_request_id_is_refused_while_it_is_in_use(loaded: LoadedModel) -> None:
    engine = SamplingEngine(loaded, [SHORT])
    engine.submit(plain_request("a", 0))
    with pytest.raises(RequestError, match="'a' is already waiting or running"):
        engine.submit(plain_request("a", 1))


@pytest.mark.parametrize(
    ("prefixes", "num_free_rows", "num_joining"),
    [
        (["a"], 5, 1),
        (["a", "b", "c", "d", "e"], 2, 0),
        (["a", "b", "c", "d", "e"], 3, 3),
        (["ax", "bx"], 4, 2),
        (["ax", "by"], 4, 1),
        (["ax"], 1, 0),
        ([], 7, 0),
        (["a", "b"], 7, 2),
        (["a", "a", "a", "a", "b", "b"], 7, 6),
        (["a", "a", "a", "a", "b", "b"], 5, 5),
        (["a", "a", "a", "a", "b", "b"], 2, 0),
        (["a", "b", "b", "c", "c", "d"], 7, 5),
    ],
)
def test_songs_join_by_the_prefill_or_all_that_wait(prefixes: list[str], num_free_rows: int, num_joining: int) -> None:
    placement = Placement(SHORT.num_rows)
    placement.take(["other"] * (SHORT.num_rows - num_free_rows))
    assert num_to_admit(prefixes, placement, SHORT) == num_joining


def test_songs_that_find_no_slot_do_not_wait_for_company_where_nothing_runs() -> None:
    length = replace(SHORT, num_rows=4, rows_per_prefix=4)
    assert num_to_admit(["a", "a", "b"], Placement(4, 4), length) == 2


def test_songs_of_more_prompts_than_slots_are_all_drawn(loaded: LoadedModel) -> None:
    words = ("sun", "moon", "rain", "wind", "stone")
    requests = [
        SamplingRequest(f"{word}-{number}", Conditions(f"[verse] {word}."), number, 12)
        for word in words
        for number in range(5)
    ]
    songs = SamplingEngine(loaded, [SHORT_SHARED]).run(requests)
    assert [song.request_id for song in songs] == [request.request_id for request in requests]
    assert not any(song.interrupted for song in songs)


@pytest.mark.parametrize("steps_per_look", [2, 7, 16])
def test_songs_are_the_same_where_their_end_is_noticed_late(
    loaded: LoadedModel, make_request: MakeRequest, steps_per_look: int
) -> None:
    requests = [make_request(number) for number in range(6)]
    requests = [one for one in requests if one.max_frames <= SHORT.max_frames and one.parameters.guidance == 1.0][:3]
    drawn: dict[int, list[object]] = {}
    for each in (1, steps_per_look):
        lane = Lane(loaded, SHORT, steps_per_look=each)
        lane.admit([encode_request(one, loaded.encoder, loaded.model.config) for one in requests])
        songs: list[SampledSong] = []
        while lane.num_songs:
            songs += lane.step()
        songs.sort(key=lambda song: song.request_id)
        drawn[each] = [(song.request_id, song.tokens.codes.tolist(), song.ended) for song in songs]
    assert drawn[1] == drawn[steps_per_look]
    assert len(drawn[1]) == len(requests) > 1


def test_logits_that_are_no_numbers_stop_the_engine_and_name_the_song(tiny_model: Path) -> None:
    broken = load_model(tiny_model)
    with torch.no_grad():
        broken.model.transformer.lm_head.weight.fill_(float("nan"))
    engine = SamplingEngine(broken, [SHORT])
    engine.submit(plain_request("a", 0))
    with pytest.raises(LogitsError, match="the logits of a and 0 other songs are not finite; the weights"):
        engine.step()


def test_more_songs_than_a_lane_of_few_rows_holds_do_not_wait_for_ever() -> None:
    few = LengthClass(num_rows=4, max_frames=16, max_prefix=40, prefill_rows=8)
    assert num_to_admit(["a", "b", "c", "d", "e"], Placement(few.num_rows), few) == 4


def test_a_prefix_is_computed_once_for_all_candidates_and_null_rows(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    guided = SamplingParameters(guidance=2.0)
    requests = [
        SamplingRequest(f"{word}{n}", Conditions(f"[verse] {word}."), n, 12, guided)
        for word in ("sun", "moon")
        for n in range(3)
    ]
    wide = LengthClass(num_rows=12, max_frames=16, max_prefix=40, prefill_rows=3)
    alone = {one.request_id: SamplingEngine(loaded, [wide]).run([one])[0].tokens.codes.tolist() for one in requests}
    prefills: list[int] = []
    prefill = loaded.model.prefill

    def counted(tokens: ConditionTokens, length: int, caches: LeLMCaches) -> torch.Tensor:
        prefills.append(length)
        return prefill(tokens, length, caches)

    monkeypatch.setattr(loaded.model, "prefill", counted)
    together = SamplingEngine(loaded, [wide]).run(requests)
    assert len(prefills) == 1
    assert {song.request_id: song.tokens.codes.tolist() for song in together} == alone
    assert alone["sun0"] != alone["sun1"]


def test_a_class_that_the_model_cannot_hold_is_refused(loaded: LoadedModel) -> None:
    engine = SamplingEngine(loaded, [LengthClass(num_rows=1, max_frames=9000, max_prefix=40)])
    engine.submit(plain_request("a", 0))
    with pytest.raises(ValueError, match="needs 9247 positions; the model has 1280"):
        engine.step()
