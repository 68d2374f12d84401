"""Whether two tempi agree, with and without leave to hear half or double time."""

_METRICAL_LEVELS = (1.0, 2.0, 3.0, 1 / 2, 1 / 3)


def tempo_agrees(reference_bpm: float, estimate_bpm: float | None, tolerance: float = 0.04) -> bool:
    """Whether the estimate lies within a share of the reference (MIREX: 4 %); no estimate never agrees."""
    if reference_bpm <= 0:
        raise ValueError(f"reference tempo {reference_bpm} bpm; expected a positive number")
    return estimate_bpm is not None and abs(estimate_bpm - reference_bpm) <= tolerance * reference_bpm


def tempo_agrees_up_to_octave(reference_bpm: float, estimate_bpm: float | None, tolerance: float = 0.04) -> bool:
    """Whether the estimate, or its double, triple, half or third, agrees (F. Gouyon et al., 2006: accuracy 2)."""
    return any(tempo_agrees(level * reference_bpm, estimate_bpm, tolerance) for level in _METRICAL_LEVELS)
