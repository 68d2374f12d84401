"""The gate of the rival that trains on a corpus whose labels fit."""

import pytest

from levo.song.scores import Score, missing_score
from pipelines.corpus.records import AudioPlace, AudioReference
from pipelines.loop.metrics import MUSICALITY, PHONEME_ERROR_RATE, SIMILARITY_TO_TEXT
from pipelines.loop.records import ScoredRow
from pipelines.loop.rivals import QualityGate

GOOD = {PHONEME_ERROR_RATE.name: Score(0.0), SIMILARITY_TO_TEXT.name: Score(1.0), MUSICALITY.name: Score(0.0)}


def row(**changed: Score) -> ScoredRow:
    return ScoredRow(
        candidate_id="song",
        prompt_id="song",
        audio=AudioReference(AudioPlace.OBJECTS, "x", "0", 1),
        duration_s=1.0,
        heard_phonemes=(),
        heard_words=(),
        heard_tags=(),
        scores=GOOD | changed,
    )


def test_a_song_that_fits_its_labels_is_admitted() -> None:
    assert QualityGate().admits(row())


@pytest.mark.parametrize(
    ("metric", "score"),
    [
        (PHONEME_ERROR_RATE.name, Score(0.9)),
        (SIMILARITY_TO_TEXT.name, Score(0.1)),
        (MUSICALITY.name, Score(-4.0)),
        (PHONEME_ERROR_RATE.name, missing_score("silent")),
    ],
)
def test_one_label_that_does_not_fit_keeps_a_song_out(metric: str, score: Score) -> None:
    assert not QualityGate().admits(row(**{metric: score}))
