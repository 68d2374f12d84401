"""The small records of a song refuse what they must not hold, and say what they hold."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.song.arrays import Array
from levo.song.description import PURE_MUSIC_TOKEN, Description, MusicalityTier, parse_description
from levo.song.digest import canonical_json, digest_arrays, digest_bytes, digest_json
from levo.song.prompt import PromptSet, prompt_set_of
from levo.song.scores import Metric, Score, missing_score
from levo.song.timing import TimedWord
from levo.song.tokens import TokenGrid
from levo.song.waveform import Waveform, mono_waveform

TAGS = st.lists(
    st.text("abcdefghij -", min_size=1, max_size=8).map(str.strip).filter(bool), max_size=4, unique=True
).map(tuple)


@given(TAGS, st.none() | st.sampled_from(MusicalityTier), st.booleans())
def test_a_description_is_read_back_from_its_text(tags: tuple[str, ...], tier: MusicalityTier, pure: bool) -> None:
    description = Description(tags, tier, pure)
    if tags:
        assert parse_description(description.text) == description


@pytest.mark.parametrize(
    ("description", "text"),
    [
        (Description(("female", "dark")), "female, dark."),
        (Description(("piano",), MusicalityTier.VERY_LOW), "[Musicality-very-low], piano."),
        (Description(("piano",), MusicalityTier.HIGH, True), f"[Musicality-high], {PURE_MUSIC_TOKEN}, piano."),
        (Description(), "."),
        (Description((), MusicalityTier.MEDIUM), "[Musicality-medium], ."),
    ],
)
def test_the_conditioner_reads_these_texts(description: Description, text: str) -> None:
    assert description.text == text


def test_tags_are_lower_cased() -> None:
    assert parse_description(" Female ,DARK, [musicality-HIGH] .") == Description(
        ("female", "dark"), MusicalityTier.HIGH
    )


@pytest.mark.parametrize(
    ("samples", "rate", "problem"),
    [
        (np.zeros(4, np.float32), 16000, r"shape \(4,\); expected \[channel, sample\]"),
        (np.zeros((1, 4)), 16000, "are float64; expected float32"),
        (np.zeros((1, 4), np.float32), 0, "sample rate 0 Hz"),
    ],
)
def test_a_waveform_refuses_what_is_none(samples: Array, rate: int, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Waveform(samples, rate)


def test_a_waveform_knows_its_length_and_its_mean() -> None:
    waveform = Waveform(np.array([[0.5, 1.0, 0.0], [0.0, -1.0, 0.25]], np.float32), 2)
    assert (waveform.num_samples, waveform.duration_s) == (3, 1.5)
    assert waveform.mono.tolist() == [0.25, 0.0, 0.125]
    assert waveform.mono.dtype == np.float32
    assert mono_waveform(waveform.mono, 2).samples.tolist() == [[0.25, 0.0, 0.125]]


@pytest.mark.parametrize(
    ("codes", "problem"),
    [
        (np.zeros((2, 5), np.int32), r"shape \(2, 5\); expected \[3, frames\]"),
        (np.zeros(3, np.int32), r"shape \(3,\); expected"),
        (np.zeros((3, 5), np.int64), "are int64; expected int32"),
    ],
)
def test_a_token_grid_refuses_what_is_none(codes: Array, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        TokenGrid(codes)


@given(st.integers(0, 40), st.integers(0, 45), st.integers(0, 45))
def test_a_window_is_a_slice_of_every_stream(num_frames: int, start: int, length: int) -> None:
    grid = TokenGrid(np.arange(3 * num_frames, dtype=np.int32).reshape(3, num_frames))
    window = grid.window(start, length)
    assert np.array_equal(window.codes, grid.codes[:, start : start + length])
    assert window.codes.flags.c_contiguous
    assert window.duration_s == window.num_frames / 25


def test_a_score_is_a_number_or_a_reason_and_never_both_or_none() -> None:
    assert Score(0.0).value == 0.0
    assert missing_score("silent") == Score(None, "silent")
    for value, missing in ((None, None), (1.0, "silent")):
        with pytest.raises(ValueError, match="expected exactly one of them"):
            Score(value, missing)
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="is not finite"):
            Score(value)


def test_a_metric_names_its_direction_and_its_judge() -> None:
    with pytest.raises(ValueError, match="metric per: better is 'smaller'"):
        Metric("per", "smaller", "share", "training")
    with pytest.raises(ValueError, match="metric per: judge is 'own'"):
        Metric("per", "lower", "share", "own")


def test_prompt_sets_have_their_shares_and_never_change() -> None:
    shares = {PromptSet.PAIR: 5.0, PromptSet.SEARCH: 1.0, PromptSet.GATE: 1.0, PromptSet.REPORT: 3.0}
    drawn = [prompt_set_of(f"prompt-{number}", shares) for number in range(4000)]
    for name, share in shares.items():
        # Four standard deviations of a binomial count.
        expected = Fraction(int(share), 10) * 4000
        assert abs(drawn.count(name) - expected) < 4 * float(expected * (1 - Fraction(int(share), 10))) ** 0.5
    assert drawn == [prompt_set_of(f"prompt-{number}", shares) for number in range(4000)]
    assert prompt_set_of("any", {PromptSet.GATE: 1.0}) is PromptSet.GATE


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_joints_between_byte_strings_count(left: list[bytes], right: list[bytes]) -> None:
    assert (digest_bytes(*left) == digest_bytes(*right)) == (left == right)


def test_equal_values_have_equal_digests_whatever_their_order() -> None:
    assert digest_json({"a": 1, "b": {2, 1}}) == digest_json({"b": {1, 2}, "a": 1})
    assert canonical_json(TimedWord("moon", 0.0, 1.0)) == '{"end_s":1.0,"start_s":0.0,"word":"moon"}'
    with pytest.raises(TypeError, match="cannot write complex as canonical JSON"):
        digest_json(1j)


def test_arrays_differ_by_type_shape_and_content() -> None:
    arrays: list[Array] = [
        np.arange(6, dtype=np.int32),
        np.arange(6, dtype=np.int64),
        np.arange(6, dtype=np.int32).reshape(2, 3),
        np.arange(6, dtype=np.int32)[::-1],
    ]
    assert len({digest_arrays([array]) for array in arrays}) == 4
    assert digest_arrays([arrays[2].T]) == digest_arrays([np.ascontiguousarray(arrays[2].T)])
