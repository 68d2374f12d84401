"""The released checkpoints' config and tensor names, in terms of ours."""

from collections.abc import Mapping
from typing import Any

import yaml
from torch import Tensor

from levo.model.config import LeLMConfig, TextVocabulary

_PREFIX = "audiolm."
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


def released_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The song model's tensors of a release, without the six that its forward pass never reads."""
    own = {name.removeprefix(_PREFIX): tensor for name, tensor in state.items() if name.startswith(_PREFIX)}
    if not own:
        raise ValueError(f"no tensor is named {_PREFIX}*; found {', '.join(sorted(state)[:3]) or 'none'}")
    return {name: tensor for name, tensor in own.items() if name not in DEAD_TENSORS}


def released_config(config_yaml: str, vocabulary: TextVocabulary) -> LeLMConfig:
    """The model that a release's config.yaml describes; it is read as plain data, its resolvers are not run."""
    release: dict[str, Any] = yaml.safe_load(config_yaml)
    model, conditioners = release["lm"], release["conditioners"]
    return LeLMConfig(
        width=model["dim"],
        num_heads=model["num_heads"],
        feed_forward_width=model["intermediate_size"],
        num_layers=model["num_layers"],
        num_decoder_layers=model["num_layers_sub"],
        code_size=model["code_size"],
        delays=tuple(release["codebooks_pattern"]["delay"]["delays"]),
        max_positions=model["max_position_embeddings"],
        max_decoder_positions=model["max_position_embeddings_sub"],
        rope_base=float(model["rope_theta"]),
        decoder_rope_base=float(model["rope_theta_sub"]),
        lyrics_vocabulary_size=vocabulary.lyrics_size,
        description_vocabulary_size=vocabulary.description_size,
        text_padding_id=vocabulary.padding_id,
        text_start_id=vocabulary.start_id,
        first_structure_id=vocabulary.first_structure_id,
        max_lyrics_tokens=conditioners["description"]["QwTokenizer"]["max_len"],
        max_prompt_frames=conditioners["prompt_audio"]["qt_embedding"]["max_len"] - 2,
        max_description_tokens=conditioners["type_info"]["QwTextTokenizer"]["max_len"],
        prefix_padding="attended",
    )
