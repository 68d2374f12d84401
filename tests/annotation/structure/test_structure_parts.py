"""Novelty against the checkerboard written out, peaks, runs and thresholds against slow twins, tags by duration."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.structure.activity import two_level_threshold, without_short_runs
from annotation.structure.novelty import novelty, peaks
from annotation.structure.protocol import SectionKind, section_kind, songprep_text, structure_tag
from levo.song.arrays import Array
from levo.song.structure import StructureTag
from levo.song.timing import TimedSection, TimedWord


def _checkerboard_novelty(features: Array, width: int) -> Array:
    """Foote's kernel on the matrix of squared distances: across less half of what lies within each side."""
    taper = np.hanning(2 * width + 1)[width : 2 * width]
    distance = np.square(features[:, None] - features[None, :]).sum(axis=2)
    values = np.zeros(len(features))
    for frame in range(1, len(features)):
        before = np.arange(frame)[::-1][:width]
        after = np.arange(frame, len(features))[:width]
        left, right = taper[: before.size] / taper[: before.size].sum(), taper[: after.size] / taper[: after.size].sum()
        across = left @ distance[np.ix_(before, after)] @ right
        within = left @ distance[np.ix_(before, before)] @ left + right @ distance[np.ix_(after, after)] @ right
        values[frame] = across - within / 2
    return values


@pytest.mark.parametrize("width", [2, 5, 40])
def test_novelty_is_the_checkerboard_on_squared_distances(width: int) -> None:
    features = np.random.default_rng(width).normal(size=(30, 4)).astype(np.float32)
    np.testing.assert_allclose(novelty(features, width), _checkerboard_novelty(features, width), atol=1e-4)


def test_novelty_peaks_where_the_features_step() -> None:
    features = np.repeat(np.eye(3, dtype=np.float32), [20, 30, 25], axis=0)
    values = novelty(features, 8)
    assert peaks(values, threshold=float(values.mean()), min_distance=8).tolist() == [20, 50]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 5))
def test_peaks_are_apart_above_the_threshold_and_leave_nothing_higher_alone(values: list[int], distance: int) -> None:
    chosen = peaks(np.array(values, dtype=np.float32), threshold=3, min_distance=distance).tolist()
    assert all(values[frame] > 3 for frame in chosen)
    assert all(b - a >= distance for a, b in itertools.pairwise(chosen))
    for frame, value in enumerate(values):
        if value > 3 and frame not in chosen:
            assert any(abs(frame - other) < distance and values[other] >= value for other in chosen)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.booleans(), st.integers(1, 8))
def test_short_runs_of_one_value_are_turned_over(frames: list[bool], of: bool, shortest: int) -> None:
    expected, start = list(frames), 0
    for end in range(1, len(frames) + 1):
        if end == len(frames) or frames[end] != frames[start]:
            if frames[start] == of and end - start < shortest:
                expected[start:end] = [not of] * (end - start)
            start = end
    assert without_short_runs(np.array(frames), shortest * 0.1, of=of).tolist() == expected


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=20).filter(lambda values: len(set(values)) > 1))
def test_the_two_level_threshold_leaves_the_least_variance_within_the_groups(values: list[int]) -> None:
    def within(threshold: float) -> float:
        groups = [[v for v in values if v > threshold], [v for v in values if v <= threshold]]
        return sum(float(np.var(group)) * len(group) for group in groups if group)

    threshold = two_level_threshold(np.array(values, dtype=np.float64))
    assert within(threshold) == pytest.approx(min(within(cut) for cut in sorted(values)[:-1]), abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "duration_s", "tag"),
    [
        (SectionKind.INTRO, 9.99, StructureTag.INTRO_SHORT),
        (SectionKind.INTRO, 10.0, StructureTag.INTRO_MEDIUM),
        (SectionKind.INST, 20.0, StructureTag.INST_MEDIUM),
        (SectionKind.OUTRO, 20.01, StructureTag.OUTRO_LONG),
        (SectionKind.VERSE, 99.0, StructureTag.VERSE),
        (SectionKind.SILENCE, 99.0, StructureTag.SILENCE),
    ],
)
def test_the_tag_says_how_long_an_instrumental_section_is(
    kind: SectionKind, duration_s: float, tag: StructureTag
) -> None:
    assert structure_tag(kind, duration_s) is tag


def test_every_tag_has_a_kind_and_every_kind_a_tag() -> None:
    assert {section_kind(tag) for tag in StructureTag} == set(SectionKind)
    assert all(section_kind(structure_tag(kind, 15.0)) is kind for kind in SectionKind)


def test_songprep_text_names_kinds_and_seconds() -> None:
    sections = (TimedSection(StructureTag.INTRO_LONG, 0.0, 21.0), TimedSection(StructureTag.VERSE, 21.0, 26.204))
    assert songprep_text(sections) == "[intro][0.00:21.00] ; [verse][21.00:26.20]"
    words = [TimedWord("red", 21.0, 21.4), TimedWord("moon", 25.9, 26.1), TimedWord("late", 26.1, 27.0)]
    assert songprep_text(sections, words) == "[intro][0.00:21.00] ; [verse][21.00:26.20]red moon"
    assert songprep_text(()) == ""
