"""How well estimated sections match the true ones: boundaries within a tolerance, and time under a wrong label.

Boundaries are the inner ones, where one section gives way to the next; a song's start and end are no finding. Times
are seconds. With no boundary on either side the match is perfect; with none on one side all three figures are zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from annotation.structure.protocol import section_kind
from levo.song.timing import TimedSection


@dataclass(frozen=True, slots=True)
class BoundaryAgreement:
    """Share of estimated boundaries that are true, of true ones that are found, and their harmonic mean."""

    precision: float
    recall: float
    f_measure: float


def inner_boundaries(sections: Sequence[TimedSection]) -> tuple[float, ...]:
    """The times at which a section follows another, in order."""
    return tuple(section.start_s for section in sections[1:])


def boundary_agreement(
    reference_s: Sequence[float], estimate_s: Sequence[float], tolerance_s: float
) -> BoundaryAgreement:
    """Hit rate of boundaries, each matched at most once (MIREX structural segmentation: 0.5 s and 3 s)."""
    if not reference_s and not estimate_s:
        return BoundaryAgreement(1.0, 1.0, 1.0)
    if not reference_s or not estimate_s:
        return BoundaryAgreement(0.0, 0.0, 0.0)
    matches = _count_matches(sorted(reference_s), sorted(estimate_s), tolerance_s)
    precision, recall = matches / len(estimate_s), matches / len(reference_s)
    f_measure = 2 * precision * recall / (precision + recall) if matches else 0.0
    return BoundaryAgreement(precision, recall, f_measure)


def section_label_error(
    reference: Sequence[TimedSection], estimate: Sequence[TimedSection], collar_s: float = 0.0
) -> float:
    """Share of the reference's time in which the estimate says another kind, or nothing.

    Lengths within a kind count as one: `intro-short` and `intro-long` are both an intro. A collar leaves out that much
    time around each end of a reference section, half before it and half after it, as pyannote's error rate does.
    Without any scored time the error is zero.
    """
    scored = wrong = 0.0
    for section in reference:
        start_s, end_s = section.start_s + collar_s / 2, section.end_s - collar_s / 2
        span_s = max(0.0, end_s - start_s)
        same = (other for other in estimate if section_kind(other.tag) is section_kind(section.tag))
        right_s = sum(max(0.0, min(end_s, other.end_s) - max(start_s, other.start_s)) for other in same)
        scored += span_s
        wrong += max(0.0, span_s - right_s)
    return wrong / scored if scored > 0 else 0.0


def _count_matches(reference_s: list[float], estimate_s: list[float], tolerance_s: float) -> int:
    """The most pairs within the tolerance; on a line, taking the earliest partner first reaches it."""
    matches = 0
    candidates = iter(estimate_s)
    candidate = next(candidates, None)
    for boundary in reference_s:
        while candidate is not None and candidate < boundary - tolerance_s:
            candidate = next(candidates, None)
        if candidate is not None and candidate <= boundary + tolerance_s:
            matches += 1
            candidate = next(candidates, None)
    return matches
