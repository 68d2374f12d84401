"""CLAP in its real format, tiny and random: the judge's numbers are those of `transformers`' own calls."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from levo.song.description import Description
from levo.song.waveform import Waveform, mono_waveform
from reward.similarity.clap import ClapSimilarity
from reward.similarity.windows import windows_of
from tests.reward.word_tokenizer import write_word_tokenizer

RATE = 48_000
WINDOW_S = 2
WORDS = ("female", "male", "dark", "bright", "piano", "guitar", ",")


def write_tiny_clap(place: Path, truncation: str) -> None:
    """A small random CLAP in the Hugging Face format."""
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    audio = {
        "spec_size": 64,
        "num_mel_bins": 16,
        "window_size": 4,
        "patch_size": 2,
        "patch_stride": [2, 2],
        "hidden_size": 16,
        "patch_embeds_hidden_size": 8,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "enable_fusion": truncation == "fusion",
    }
    text = {
        "vocab_size": 20,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 14,
        "projection_dim": 12,
    }
    torch.manual_seed(0)
    model = ClapModel(ClapConfig(text_config=text, audio_config=audio | {"projection_dim": 12}, projection_dim=12))
    model.eval().save_pretrained(place)
    ClapFeatureExtractor(
        feature_size=16, sampling_rate=RATE, hop_length=480, max_length_s=WINDOW_S, truncation=truncation
    ).save_pretrained(place)
    write_word_tokenizer(place, WORDS)


@pytest.fixture(scope="module", params=["rand_trunc", "fusion"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("clap") / request.param
    write_tiny_clap(place, request.param)
    return place


def song(seed: int, duration_s: float, rate: int = RATE) -> Waveform:
    noise = np.random.default_rng(seed).normal(0, 0.1, round(duration_s * rate)).astype(np.float32)
    return mono_waveform(np.cumsum(noise) / 50 + noise, rate)


def own_embedding(folder: Path, samples: np.ndarray) -> torch.Tensor:
    from transformers import ClapFeatureExtractor, ClapModel

    model, extractor = ClapModel.from_pretrained(folder).eval(), ClapFeatureExtractor.from_pretrained(folder)
    inputs = extractor(samples, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        inputs["is_longer"] = torch.zeros((1, 1), dtype=torch.bool)
        found: torch.Tensor = model.get_audio_features(**inputs).pooler_output[0]
    return found


def test_a_song_of_one_window_is_embedded_as_the_library_does(folder: Path) -> None:
    judge = ClapSimilarity.load(folder)
    for one in (song(1, WINDOW_S), song(2, 1.3)):
        torch.testing.assert_close(judge.embed_song(one), own_embedding(folder, one.mono), atol=1e-5, rtol=0)


def test_a_longer_song_is_the_mean_of_its_windows(folder: Path) -> None:
    long = song(3, 2.5 * WINDOW_S)
    windows = [long.mono[: WINDOW_S * RATE], long.mono[WINDOW_S * RATE : 2 * WINDOW_S * RATE]]
    windows.append(long.mono[-WINDOW_S * RATE :])
    mean = torch.stack([own_embedding(folder, window) for window in windows]).mean(dim=0)
    for batch_windows in (1, 8):
        found = ClapSimilarity.load(folder, batch_windows=batch_windows).embed_song(long)
        torch.testing.assert_close(found, mean / mean.norm(), atol=1e-5, rtol=0)


def test_scores_are_cosines_and_do_not_depend_on_neighbours(folder: Path) -> None:
    from transformers import AutoTokenizer, ClapModel

    judge = ClapSimilarity.load(folder)
    songs = [song(seed, 3.0) for seed in range(3)]
    descriptions = [Description(("female", "dark")), Description(("piano",)), Description(("male", "bright", "guitar"))]
    together = judge.similarity_to_text(songs, descriptions)
    tokens = AutoTokenizer.from_pretrained(folder)("female, dark", return_tensors="pt")
    with torch.inference_mode():
        text = ClapModel.from_pretrained(folder).eval().get_text_features(**tokens).pooler_output[0]
    assert together[0].value == pytest.approx(float(judge.embed_song(songs[0]) @ text), abs=1e-5)
    fresh = ClapSimilarity.load(folder)
    alone = [fresh.similarity_to_text([one], [text])[0] for one, text in zip(songs, descriptions, strict=True)]
    assert [one.value for one in together] == [one.value for one in alone]
    assert judge.similarity_to_audio(songs[:1], songs[:1])[0].value == pytest.approx(1.0, abs=1e-6)


def test_the_global_random_state_is_left_alone(folder: Path) -> None:
    judge = ClapSimilarity.load(folder)
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    judge.embed_song(song(1, 5.0))
    assert np.random.random() == expected


def test_what_cannot_be_heard_has_a_missing_score_with_its_reason(folder: Path) -> None:
    judge = ClapSimilarity.load(folder)
    broken = song(1, 2.0).samples.copy()
    broken[0, 3] = np.nan
    songs = [song(1, 0.5), mono_waveform(np.zeros(2 * RATE, np.float32), RATE), Waveform(broken, RATE), song(1, 2.0)]
    tags = [Description(("dark",))] * 3 + [Description(())]
    reasons = [score.missing for score in judge.similarity_to_text(songs, tags)]
    assert [reason and reason.split(":")[0] for reason in reasons] == [
        "too short",
        "silent",
        "samples are not finite",
        "the description has no tags",
    ]
    with pytest.raises(ValueError, match="1 songs and 0 descriptions"):
        judge.similarity_to_text(songs[:1], [])
    with pytest.raises(ValueError, match="cannot be embedded: silent"):
        judge.embed_song(songs[1])


def test_folders_that_are_no_model_are_named_and_other_weights_have_another_digest(
    folder: Path, tmp_path: Path
) -> None:
    judge = ClapSimilarity.load(folder)
    assert ClapSimilarity.load(folder).digest == judge.digest
    assert ClapSimilarity.load(folder, dtype=torch.bfloat16).digest != judge.digest
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    weights = load_file(copy / "model.safetensors")
    save_file({name: value + 0 for name, value in weights.items()} | {"logit_scale_a": torch.ones(())}, copy / "w")
    (copy / "w").replace(copy / "model.safetensors")
    assert ClapSimilarity.load(copy).digest != judge.digest
    some = dict(list(weights.items())[1:])
    save_file(some, copy / "model.safetensors")
    with pytest.raises(ValueError, match="missing_keys"):
        ClapSimilarity.load(copy)
    (copy / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:2000])
    with pytest.raises(ValueError, match="cannot be read as a CLAP model"):
        ClapSimilarity.load(copy)
    (copy / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match=r"has no preprocessor_config\.json"):
        ClapSimilarity.load(copy)


def test_windows_cover_a_song_and_the_last_ends_with_it() -> None:
    samples = np.arange(25, dtype=np.float32)
    assert [window.tolist()[0::9] for window in windows_of(samples, 10)] == [[0, 9], [10, 19], [15, 24]]
    assert [window.size for window in windows_of(samples, 25)] == [25]
    assert len(windows_of(samples[:20], 10)) == 2
    with pytest.raises(ValueError, match="windows of 0 samples"):
        windows_of(samples, 0)
