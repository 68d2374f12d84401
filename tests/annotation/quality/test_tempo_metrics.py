"""Tempo agreement against mir_eval's tolerance and by examples of metrical levels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mir_eval.tempo import detection

from annotation.quality.tempo import tempo_agrees, tempo_agrees_up_to_octave


@given(st.integers(40, 240), st.integers(40, 240))
def test_agreement_is_mir_evals_with_one_tempo(reference_bpm: int, estimate_bpm: int) -> None:
    tempi = np.array([reference_bpm, reference_bpm], dtype=float), np.array([estimate_bpm, estimate_bpm], dtype=float)
    _, one_correct, _ = detection(tempi[0], 1.0, tempi[1], tol=0.04)
    assert tempo_agrees(reference_bpm, estimate_bpm) == one_correct


@pytest.mark.parametrize("factor", [1, 2, 3, 1 / 2, 1 / 3])
def test_a_metrical_level_agrees_up_to_octave_only(factor: float) -> None:
    assert tempo_agrees_up_to_octave(120, 120 * factor)
    assert tempo_agrees(120, 120 * factor) == (factor == 1)


def test_no_tempo_and_an_unrelated_one_agree_with_nothing() -> None:
    assert not tempo_agrees(120, None)
    assert not tempo_agrees_up_to_octave(120, None)
    assert not tempo_agrees_up_to_octave(120, 170)


def test_a_reference_that_is_no_tempo_is_refused() -> None:
    with pytest.raises(ValueError, match="-3 bpm; expected a positive number"):
        tempo_agrees(-3, 120)
