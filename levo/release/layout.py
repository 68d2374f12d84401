"""What a release's config says in terms of ours, and how its tensors are named."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from levo.model.config import LeLMConfig
from levo.model.tokenizer import DESCRIPTION_TAGS, LYRICS_TAGS, base_vocabulary
from levo.release.config_file import value_at
from levo.release.errors import ReleaseError
from levo.release.tensors import PREFIX, TensorFacts

DEAD_TENSORS = frozenset(
    {
        "transformer.model.embed_tokens.weight",
        "transformer2.model.embed_tokens.weight",
        "transformer2.lm_head.weight",
        "layer2_emb.0.weight",
        "out_norm.weight",
        "out_norm.bias",
    }
)
DESCRIPTION_TABLE = "condition_provider.conditioners.type_info.output_proj.weight"
TextRules = Literal["v1", "v2"]


def text_rules(description_rows: int, num_base_tokens: int) -> TextRules:
    """Which release's text a checkpoint was trained on, by the rows of its description table.

    The second release adds its musicality tags to the tokenizer's own tokens, the first adds none.
    """
    if description_rows == num_base_tokens:
        return "v1"
    if description_rows == num_base_tokens + len(DESCRIPTION_TAGS):
        return "v2"
    raise ReleaseError(
        f"tensor {PREFIX}{DESCRIPTION_TABLE} has {description_rows} rows; with a tokenizer of {num_base_tokens} tokens "
        f"expected {num_base_tokens} (v1) or {num_base_tokens + len(DESCRIPTION_TAGS)} (v2): is it the right tokenizer?"
    )


def lelm_config(config: dict[str, Any], tokenizer: Path, rules: TextRules) -> LeLMConfig:
    """The model that a resolved config describes, over a tokenizer folder. Raises `ReleaseError` naming the key."""
    base = base_vocabulary(tokenizer)
    _check_what_is_fixed(config)
    patterns = value_at(config, "codebooks_pattern", dict)
    if patterns.get("modeling") != "delay":
        raise ReleaseError(f"config.yaml: codebooks_pattern.modeling is {patterns.get('modeling')!r}; expected 'delay'")
    try:
        return LeLMConfig(
            width=value_at(config, "lm.dim", int),
            num_heads=value_at(config, "lm.num_heads", int),
            feed_forward_width=value_at(config, "lm.intermediate_size", int),
            num_layers=value_at(config, "lm.num_layers", int),
            num_decoder_layers=value_at(config, "lm.num_layers_sub", int),
            code_size=value_at(config, "lm.code_size", int),
            delays=tuple(value_at(config, "codebooks_pattern.delay.delays", list)),
            max_positions=value_at(config, "lm.max_position_embeddings", int),
            max_decoder_positions=value_at(config, "lm.max_position_embeddings_sub", int),
            rope_base=float(value_at(config, "lm.rope_theta", (int, float))),
            decoder_rope_base=float(value_at(config, "lm.rope_theta_sub", (int, float))),
            lyrics_vocabulary_size=base.size + len(LYRICS_TAGS),
            description_vocabulary_size=base.size + (len(DESCRIPTION_TAGS) if rules == "v2" else 0),
            text_padding_id=base.padding_id,
            text_start_id=base.start_id,
            first_structure_id=base.size,
            max_lyrics_tokens=value_at(config, "conditioners.description.QwTokenizer.max_len", int),
            max_prompt_frames=value_at(config, "conditioners.prompt_audio.qt_embedding.max_len", int) - 2,
            max_description_tokens=value_at(config, "conditioners.type_info.QwTextTokenizer.max_len", int),
            musicality_tags=rules == "v2",
            prefix_padding="attended",
        )
    except ReleaseError:
        raise
    except (ValueError, TypeError) as error:
        raise ReleaseError(f"config.yaml describes no LeLM: {error}") from None


def _check_what_is_fixed(config: dict[str, Any]) -> None:
    """Refuse a config that asks for another model than ours: keys that are not followed must have our values."""
    code_size = value_at(config, "lm.code_size", int)
    tags = value_at(config, "conditioners.description.QwTokenizer.add_token_list", list)
    expected = {
        "lm.lm_type": "Llama",
        "fuser.prepend": ["description", "prompt_audio", "type_info"],
        "fuser.sum": [],
        "conditioners.description.model": "QwTokenizer",
        "conditioners.type_info.model": "QwTextTokenizer",
        "conditioners.prompt_audio.model": "qt_embedding",
        "conditioners.prompt_audio.qt_embedding.code_size": code_size,
    }
    for key, value in expected.items():
        found = value_at(config, key)
        if found != value:
            raise ReleaseError(f"config.yaml: {key} is {found!r}; expected {value!r}")
    if [tag for tag in tags if tag != "."] != list(LYRICS_TAGS):
        key = "conditioners.description.QwTokenizer.add_token_list"
        raise ReleaseError(f"config.yaml: {key} is {tags!r}; expected {list(LYRICS_TAGS)!r}")


@dataclass(frozen=True, slots=True)
class TensorTally:
    """A checkpoint's tensors against those of the model; names are the release's, without its prefix.

    `dead` are never read by the forward pass; `unexpected` have the prefix and no place in the model; `foreign` lack
    the prefix.
    """

    used: tuple[str, ...]
    dead: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    foreign: tuple[str, ...]
    misshapen: tuple[str, ...]


def tally(found: Mapping[str, TensorFacts], expected: Mapping[str, tuple[int, ...]]) -> TensorTally:
    """Compare a checkpoint with the model's shapes. Raises `ReleaseError` where no tensor has the prefix."""
    own = {name.removeprefix(PREFIX): facts for name, facts in found.items() if name.startswith(PREFIX)}
    if not own:
        raise ReleaseError(f"no tensor is named {PREFIX}*; found {', '.join(sorted(found)[:3]) or 'none'}")
    used = tuple(name for name in own if name in expected)
    wrong = tuple(
        f"{name} has shape {list(own[name].shape)}; the config asks for {list(expected[name])}"
        for name in used
        if own[name].shape != expected[name]
    )
    return TensorTally(
        used=used,
        dead=tuple(name for name in own if name in DEAD_TENSORS),
        missing=tuple(sorted(expected.keys() - own.keys())),
        unexpected=tuple(name for name in own if name not in expected and name not in DEAD_TENSORS),
        foreign=tuple(name for name in found if not name.startswith(PREFIX)),
        misshapen=wrong,
    )
