"""The metrics of a generated song: what each name means, which way is better, and whether its judge may make pairs."""

from levo.song.scores import Axis, Metric

PHONEME_ERROR_RATE = Metric("phoneme_error_rate", "lower", "errors per phoneme", "training")
SIMILARITY_TO_TEXT = Metric("similarity_to_text", "higher", "cosine", "training")
SIMILARITY_TO_PROMPT = Metric("similarity_to_prompt", "higher", "cosine", "training")
MUSICALITY = Metric("musicality", "higher", "standard deviations of clean songs", "training")
POCKETSPHINX_ERROR_RATE = Metric("pocketsphinx_phoneme_error_rate", "lower", "errors per phoneme", "held_out")
TAG_AGREEMENT = Metric("tag_agreement", "higher", "share of checkable tags", "held_out")
MUSICAL_DEFECTS = Metric("musical_defects", "lower", "defects", "held_out")
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
