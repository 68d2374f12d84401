"""Which part of the model a tensor belongs to, and so which stage of training moves it."""

from enum import StrEnum

_DECODER_PREFIXES = (
    "layer2_emb.",
    "mlp.",
    "transformer2.",
    "linears.",
    "condition_provider.conditioners.prompt_audio.emb.1.",
    "condition_provider.conditioners.prompt_audio.emb.2.",
    "condition_provider.conditioners.prompt_audio.layer2_EOT_emb",
)


class ModelPart(StrEnum):
    """The two parts that stages 1 and 2 train: everything the mixed logits depend on, and the rest."""

    LANGUAGE_MODEL = "language_model"
    AR_DECODER = "ar_decoder"


def part_of(name: str) -> ModelPart:
    """The part of a state-dict key; text tables are read by both towers and stay with the language model."""
    return ModelPart.AR_DECODER if name.startswith(_DECODER_PREFIXES) else ModelPart.LANGUAGE_MODEL
