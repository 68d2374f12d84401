"""Boundary agreement against mir_eval, label error against a frame-by-frame twin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mir_eval.segment import detection

from annotation.quality.sections import boundary_agreement, inner_boundaries, section_label_error
from annotation.structure.protocol import section_kind
from levo.song.structure import StructureTag
from levo.song.timing import TimedSection

_TIMES = st.lists(st.integers(1, 600), max_size=12, unique=True).map(lambda ticks: sorted(tick / 10 for tick in ticks))


@given(_TIMES.filter(bool), _TIMES.filter(bool), st.sampled_from([0.5, 3.0]))
def test_boundary_agreement_is_that_of_mir_eval(
    reference_s: list[float], estimate_s: list[float], tolerance_s: float
) -> None:
    ours = boundary_agreement(reference_s, estimate_s, tolerance_s)
    spans = [np.column_stack([[0.0, *times], [*times, 70.0]]) for times in (reference_s, estimate_s)]
    theirs = detection(*spans, window=tolerance_s + 1e-9, trim=True)
    shifted = boundary_agreement(reference_s, estimate_s, tolerance_s + 1e-9)
    assert (shifted.precision, shifted.recall, shifted.f_measure) == pytest.approx(theirs)
    assert ours.recall <= shifted.recall


@given(_TIMES, st.floats(0, 3))
def test_boundaries_equal_to_the_reference_are_perfect_even_where_there_are_none(
    times_s: list[float], tolerance_s: float
) -> None:
    agreement = boundary_agreement(times_s, times_s, tolerance_s)
    assert (agreement.precision, agreement.recall, agreement.f_measure) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(("reference_s", "estimate_s"), [([1.0], []), ([], [1.0])])
def test_boundaries_on_one_side_only_agree_on_nothing(reference_s: list[float], estimate_s: list[float]) -> None:
    agreement = boundary_agreement(reference_s, estimate_s, 3.0)
    assert (agreement.precision, agreement.recall, agreement.f_measure) == (0.0, 0.0, 0.0)


def test_inner_boundaries_are_where_a_section_follows_another() -> None:
    sections = (
        TimedSection(StructureTag.VERSE, 0.0, 4.0),
        TimedSection(StructureTag.CHORUS, 4.0, 7.5),
        TimedSection(StructureTag.OUTRO_SHORT, 7.5, 9.0),
    )
    assert inner_boundaries(sections) == (4.0, 7.5)
    assert inner_boundaries(sections[:1]) == inner_boundaries(()) == ()


@st.composite
def _sections(draw: st.DrawFn) -> tuple[TimedSection, ...]:
    ends = sorted(draw(st.sets(st.integers(1, 99), max_size=5)) | {100})
    tags = [draw(st.sampled_from(list(StructureTag))) for _ in ends]
    starts = [0, *ends[:-1]]
    return tuple(TimedSection(tag, start / 10, end / 10) for tag, start, end in zip(tags, starts, ends, strict=True))


@given(_sections(), _sections())
def test_label_error_is_the_share_of_wrong_frames(
    reference: tuple[TimedSection, ...], estimate: tuple[TimedSection, ...]
) -> None:
    def kinds(sections: tuple[TimedSection, ...]) -> list[str]:
        middles = [(frame + 0.5) / 10 for frame in range(100)]
        return [
            next(section_kind(section.tag) for section in sections if section.start_s <= middle < section.end_s)
            for middle in middles
        ]

    wrong = sum(true != heard for true, heard in zip(kinds(reference), kinds(estimate), strict=True))
    assert section_label_error(reference, estimate) == pytest.approx(wrong / 100)


@given(_sections(), st.floats(0, 2))
def test_sections_equal_to_the_reference_have_no_label_error(
    sections: tuple[TimedSection, ...], collar_s: float
) -> None:
    assert section_label_error(sections, sections, collar_s) == pytest.approx(0)


def test_a_collar_forgives_a_boundary_that_is_a_little_late() -> None:
    truth = (TimedSection(StructureTag.VERSE, 0.0, 5.0), TimedSection(StructureTag.CHORUS, 5.0, 10.0))
    late = (TimedSection(StructureTag.VERSE, 0.0, 5.2), TimedSection(StructureTag.CHORUS, 5.2, 10.0))
    assert section_label_error(truth, late) == pytest.approx(0.02)
    assert section_label_error(truth, late, collar_s=0.5) == pytest.approx(0)


def test_time_that_no_estimate_covers_is_wrong_and_no_time_at_all_is_not() -> None:
    truth = (TimedSection(StructureTag.VERSE, 0.0, 5.0),)
    assert section_label_error(truth, ()) == 1.0
    assert section_label_error((), truth) == 0.0
