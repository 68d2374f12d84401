"""The metrics of a generated song: what each name means, which way is better, and whether its judge may make pairs."""

from levo.song.scores import Axis, Metric
from reward.judges.defects import DEFECTS_METRIC
from reward.judges.tag_agreement import TAG_AGREEMENT_METRIC
from reward.musicality.protocol import MUSICALITY_METRIC
from reward.similarity.protocol import PROMPT_METRIC, TEXT_METRIC

PHONEME_ERROR_RATE = Metric("phoneme_error_rate", "lower", "errors per phoneme", "training")
SIMILARITY_TO_TEXT = TEXT_METRIC
SIMILARITY_TO_PROMPT = PROMPT_METRIC
MUSICALITY = MUSICALITY_METRIC
POCKETSPHINX_ERROR_RATE = Metric("pocketsphinx_phoneme_error_rate", "lower", "errors per phoneme", "held_out")
TAG_AGREEMENT = TAG_AGREEMENT_METRIC
MUSICAL_DEFECTS = DEFECTS_METRIC
FRECHET_AUDIO_DISTANCE = Metric("frechet_audio_distance", "lower", "distance", "held_out")

METRICS = (
    PHONEME_ERROR_RATE,
    SIMILARITY_TO_TEXT,
    SIMILARITY_TO_PROMPT,
    MUSICALITY,
    POCKETSPHINX_ERROR_RATE,
    TAG_AGREEMENT,
    MUSICAL_DEFECTS,
    FRECHET_AUDIO_DISTANCE,
)

PAIR_METRIC = {
    Axis.LYRIC: PHONEME_ERROR_RATE,
    Axis.PROMPT: SIMILARITY_TO_TEXT,
    Axis.MUSICALITY: MUSICALITY,
}
"""The training judge that each preference is made by."""

HELD_OUT_METRIC = {
    Axis.LYRIC: POCKETSPHINX_ERROR_RATE,
    Axis.PROMPT: TAG_AGREEMENT,
    Axis.MUSICALITY: MUSICAL_DEFECTS,
}
"""The judge that made no pair and must agree before a gain counts."""
