"""The original layout of LAION-CLAP becomes the model it was; what does not fit is named."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reward.similarity.clap import ClapSimilarity
from reward.similarity.clap_original import convert_clap


def tiny_model(*, fusion: bool) -> Any:
    from transformers import ClapConfig, ClapModel

    torch.manual_seed(0)
    audio = {
        "spec_size": 64,
        "num_mel_bins": 16,
        "window_size": 4,
        "patch_size": 4,
        "hidden_size": 16,
        "patch_embeds_hidden_size": 8,
        "depths": [1, 2],
        "num_attention_heads": [2, 4],
        "enable_fusion": fusion,
    }
    text = {
        "vocab_size": 20,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 14,
    }
    sizes = {"projection_dim": 12}
    model = ClapModel(ClapConfig(text_config=text | sizes, audio_config=audio | sizes, **sizes)).eval()
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return model


def original_name(name: str) -> str:
    """The name that a tensor has in LAION's own modules."""
    name = name.replace("text_model.", "text_branch.").replace("audio_model.audio_encoder.", "audio_branch.")
    name = name.replace("batch_norm", "bn0").replace("linear1", "0").replace("linear2", "2")
    for ours, theirs in (
        ("layernorm_before", "norm1"),
        ("layernorm_after", "norm2"),
        ("attention.self.rel", "attn.rel"),
        ("attention.self.qkv", "attn.qkv"),
    ):
        name = name.replace(ours, theirs) if "audio_branch" in name else name
    if ".blocks." in name:
        name = name.replace("attention.output.dense", "attn.proj").replace("intermediate.dense", "mlp.fc1")
        name = name.replace("output.dense", "mlp.fc2")
    return f"module.{name}"


def write_original(model: Any, path: Path, **changes: Tensor) -> Path:
    state: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        if ".blocks." in name and ".query." in name:
            parts = [model.state_dict()[name.replace("query", part)] for part in ("query", "key", "value")]
            state[original_name(name.replace("query", "qkv"))] = torch.cat(parts)
        elif not (".blocks." in name and (".key." in name or ".value." in name)):
            state[original_name(name)] = value
    state["module.audio_branch.tscam_conv.weight"] = torch.zeros(3)
    state["module.audio_branch.layers.0.blocks.0.attn_mask"] = torch.zeros(3)
    state["module.text_transform.sequential.0.weight"] = torch.zeros(3)
    torch.save({"epoch": 15, "name": "tiny", "state_dict": state | changes}, path)
    return path


def tokenizer_folder(folder: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: place for place, word in enumerate(("<s>", "<pad>", "</s>", "<unk>", "dark", "piano"))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(folder)
    return folder


@pytest.mark.parametrize("fusion", [False, True])
def test_a_checkpoint_becomes_the_model_that_it_was(fusion: bool, tmp_path: Path) -> None:
    model = tiny_model(fusion=fusion)
    path = write_original(model, tmp_path / "music.pt")
    convert_clap(path, tokenizer_folder(tmp_path / "roberta"), tmp_path / "out", spec_size=64, text_head_size=8)
    judge = ClapSimilarity.load(tmp_path / "out")
    sound = torch.randn(2, 4 if fusion else 1, 64, 16)
    is_longer = torch.tensor([[True], [False]])
    tokens = torch.tensor([[0, 4, 5, 2]])
    with torch.inference_mode():
        for ours, theirs in (
            (judge.model.get_text_features(input_ids=tokens), model.get_text_features(input_ids=tokens)),
            (
                judge.model.get_audio_features(input_features=sound, is_longer=is_longer),
                model.get_audio_features(input_features=sound, is_longer=is_longer),
            ),
        ):
            torch.testing.assert_close(ours.pooler_output, theirs.pooler_output, atol=1e-6, rtol=0)
    assert judge.extractor.sampling_rate == 48000
    assert judge.extractor.truncation == ("fusion" if fusion else "rand_trunc")
    assert judge.embed_text(["dark piano"]).shape == (1, 12)


def test_a_tensor_without_a_place_is_named(tmp_path: Path) -> None:
    tokenizer = tokenizer_folder(tmp_path / "roberta")
    path = write_original(tiny_model(fusion=False), tmp_path / "odd.pt", **{"module.extra.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"has \['extra.weight'\]; expected HTSAT, RoBERTa"):
        convert_clap(path, tokenizer, tmp_path / "out", spec_size=64, text_head_size=8)
    assert not (tmp_path / "out").exists()
    torch.save({"state_dict": {"a": torch.zeros(1)}}, path)
    with pytest.raises(ValueError, match="is no LAION-CLAP of HTSAT and RoBERTa"):
        convert_clap(path, tokenizer, tmp_path / "out")
    torch.save({"state_dict": {"a": Path("x")}}, path)
    with pytest.raises(ValueError, match="cannot be read as tensors alone"):
        convert_clap(path, tokenizer, tmp_path / "out")
