"""A tiny wav2vec 2.0 in the published format: scores are `transformers`' own, and lyrics stand where they are sung."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from annotation.recogniser.wav2vec2 import Wav2Vec2Aligner
from levo.song.arrays import Array
from levo.song.waveform import Waveform, mono_waveform

RATE = 16_000
HOP = 320
VOCABULARY = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "A": 5, "B": 6, "C": 7}
TONES_HZ = {"A": 300, "B": 900, "C": 2200}


def tiny_model(**changes: Any) -> Any:
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    shape: dict[str, Any] = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "conv_dim": (16,) * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "pad_token_id": 0,
    }
    quiet = dict.fromkeys(
        (
            "hidden_dropout",
            "attention_dropout",
            "activation_dropout",
            "feat_proj_dropout",
            "final_dropout",
            "layerdrop",
        ),
        0.0,
    )
    torch.manual_seed(0)
    return Wav2Vec2ForCTC(Wav2Vec2Config(**(shape | quiet | changes))).eval()


def write_folder(place: Path, model: Any, vocabulary: dict[str, Any] = VOCABULARY) -> Path:
    """The model as it is published: config, weights, vocabulary, feature extractor."""
    from transformers import Wav2Vec2FeatureExtractor

    model.save_pretrained(place)
    Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=True).save_pretrained(place)
    (place / "vocab.json").write_text(json.dumps(vocabulary))
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("wav2vec2") / "model", tiny_model())


def noise(seed: int, duration_s: float, rate: int = RATE) -> Waveform:
    return mono_waveform(np.random.default_rng(seed).normal(0, 0.1, round(duration_s * rate)).astype(np.float32), rate)


def own_log_probabilities(folder: Path, samples: Array, *, is_normal: bool = False) -> Array:
    """`transformers`' own way from samples to scores."""
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder, **({"do_normalize": False} if is_normal else {}))
    with torch.inference_mode():
        logits = Wav2Vec2ForCTC.from_pretrained(folder).eval()(
            extractor(samples, sampling_rate=RATE, return_tensors="pt").input_values
        )
    return np.asarray(torch.log_softmax(logits.logits[0], dim=-1).numpy())


def test_scores_are_transformers_own_with_the_sign_between_words_as_none(folder: Path) -> None:
    song = noise(0, 3.0)
    scores = Wav2Vec2Aligner.load(folder).scores(song)
    own = own_log_probabilities(folder, song.samples[0])
    letters = [VOCABULARY[name] for name in ("<s>", "</s>", "<unk>", "A", "B", "C")]
    np.testing.assert_array_equal(scores.log_probabilities[:, letters], own[:, letters])
    np.testing.assert_allclose(np.exp(scores.log_probabilities[:, 0]), np.exp(own[:, 0]) + np.exp(own[:, 4]), rtol=1e-5)
    assert (scores.symbols, scores.frame_rate_hz, scores.blank) == (tuple(VOCABULARY), 50.0, 0)


def test_a_long_song_is_heard_in_windows_that_are_each_the_models_own(folder: Path) -> None:
    """Windows of 8 s keep 4 s each: 0 ... 4 of the first 6 s, 4 ... 8 of 2 ... 10 s, and so on."""
    whole, windowed = Wav2Vec2Aligner.load(folder), Wav2Vec2Aligner.load(folder, window_s=8.0)
    song = noise(1, 17.3)
    exact, scores = whole.scores(song).log_probabilities, windowed.scores(song).log_probabilities
    assert scores.shape == exact.shape == ((song.num_samples - 400) // HOP + 1, len(VOCABULARY))
    samples = (song.samples[0] - song.samples[0].mean()) / np.sqrt(song.samples[0].var() + 1e-7)
    cuts = ((0, 0, 4, 6), (2, 4, 8, 10), (6, 8, 12, 14), (10, 12, 16, 17.3), (14, 16, 17.3, 17.3))
    for first_s, start_s, end_s, last_s in cuts:
        own = own_log_probabilities(folder, samples[first_s * RATE : round(last_s * RATE) + 80], is_normal=True)
        kept = slice((start_s - first_s) * 50, round((end_s - first_s) * 50))
        np.testing.assert_allclose(scores[start_s * 50 : round(end_s * 50), 5:], own[kept, 5:], atol=1e-5)
    assert np.abs(np.exp(scores[:, 5:]) - np.exp(exact[:, 5:])).max() < 0.05


def sung(rng: np.random.Generator, letters: str) -> tuple[Waveform, list[tuple[float, float]]]:
    """Each letter a tone, silence between, soft noise over all; and when each sounds."""
    parts, times, now = [], list[tuple[float, float]](), 0
    for letter in letters:
        gap, length = (round(rng.uniform(low, 0.25) * RATE) for low in (0.06, 0.15))
        parts += [np.zeros(gap), 0.3 * np.sin(2 * np.pi * TONES_HZ[letter] * np.arange(length) / RATE)]
        times.append(((now + gap) / RATE, (now + gap + length) / RATE))
        now += gap + length
    samples = np.concatenate([*parts, np.zeros(3200)])
    return mono_waveform((samples + rng.normal(0, 0.01, samples.size)).astype(np.float32), RATE), times


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Wav2Vec2Aligner:
    """A model that has learnt which tone is which letter, saved and loaded."""
    model, rng = tiny_model(), np.random.default_rng(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for _ in range(220):
        letters = "".join(rng.choice(list("ABC"), 5))
        song, times = sung(rng, letters)
        samples = song.samples[0]
        logits = model(torch.from_numpy((samples - samples.mean()) / samples.std())[None]).logits[0]
        middle_s = (np.arange(logits.shape[0]) * HOP + 200) / RATE
        target = torch.zeros(logits.shape[0], dtype=torch.long)
        for letter, (start_s, end_s) in zip(letters, times, strict=True):
            target[torch.from_numpy((start_s <= middle_s) & (middle_s < end_s))] = VOCABULARY[letter]
        loss = torch.nn.functional.cross_entropy(logits, target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    place: Path = tmp_path_factory.mktemp("taught") / "model"
    return Wav2Vec2Aligner.load(write_folder(place, model))


def test_words_stand_where_they_are_sung(taught: Wav2Vec2Aligner) -> None:
    song, times = sung(np.random.default_rng(99), "ABCCABBACA")
    lines = [["ab", "ccá"], ["Bb", "aca"]]
    aligned = taught.align(song, lines)
    assert [[word.word for word in line.words] for line in aligned] == lines
    true = [(times[first][0], times[last][1]) for first, last in ((0, 1), (2, 4), (5, 6), (7, 9))]
    for word, (start_s, end_s) in zip([word for line in aligned for word in line.words], true, strict=True):
        assert word.start_s == pytest.approx(start_s, abs=0.06)
        assert word.end_s == pytest.approx(end_s, abs=0.06)
        assert word.confidence is not None
        assert word.confidence > 0.5
    assert (aligned[1].start_s, aligned[1].end_s) == (aligned[1].words[0].start_s, aligned[1].words[1].end_s)


def test_other_words_than_those_sung_fit_worse(taught: Wav2Vec2Aligner) -> None:
    song, _ = sung(np.random.default_rng(98), "ABCCABBACA")

    def confidence(word: str) -> float:
        found = taught.align(song, [[word]])[0].words[0].confidence
        assert found is not None
        return found

    assert confidence("abccabbaca") > 0.9
    assert confidence("cabbaccabb") < 0.75


def test_times_are_those_of_the_song_at_any_rate(taught: Wav2Vec2Aligner) -> None:
    import soxr

    song, _ = sung(np.random.default_rng(97), "ABCA")
    stereo = np.stack([soxr.resample(song.samples[0], RATE, 44_100)] * 2).astype(np.float32)
    plain, resampled = (taught.align(heard, [["ab", "ca"]])[0] for heard in (song, Waveform(stereo, 44_100)))
    assert resampled.start_s == pytest.approx(plain.start_s, abs=0.021)
    assert resampled.end_s == pytest.approx(plain.end_s, abs=0.021)


def test_weights_of_older_files_are_the_same_model(folder: Path, tmp_path: Path) -> None:
    """Published files name the halves of a normalised weight otherwise, leave out the mask, and may be pickles."""
    old = shutil.copytree(folder, tmp_path / "old")
    weights = load_file(old / "model.safetensors")
    weights.pop("wav2vec2.masked_spec_embed")
    for half, name in (("g", "original0"), ("v", "original1")):
        base = "wav2vec2.encoder.pos_conv_embed.conv"
        weights[f"{base}.weight_{half}"] = weights.pop(f"{base}.parametrizations.weight.{name}")
    save_file(weights, old / "model.safetensors", metadata={"format": "pt"})
    expected = Wav2Vec2Aligner.load(folder)
    found = Wav2Vec2Aligner.load(old)
    song = noise(2, 2.0)
    np.testing.assert_array_equal(found.scores(song).log_probabilities, expected.scores(song).log_probabilities)
    assert found.digest != expected.digest
    (old / "model.safetensors").unlink()
    torch.save(weights, old / "pytorch_model.bin")
    np.testing.assert_array_equal(
        Wav2Vec2Aligner.load(old).scores(song).log_probabilities, expected.scores(song).log_probabilities
    )


def test_the_digest_names_files_precision_and_windows(folder: Path, tmp_path: Path) -> None:
    plain = Wav2Vec2Aligner.load(folder)
    assert Wav2Vec2Aligner.load(shutil.copytree(folder, tmp_path / "copy")).digest == plain.digest
    others = [Wav2Vec2Aligner.load(folder, dtype=torch.bfloat16), Wav2Vec2Aligner.load(folder, window_s=9.0)]
    assert len({plain.digest, *(other.digest for other in others)}) == 3


@pytest.mark.parametrize("name", ["config.json", "vocab.json", "preprocessor_config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    place = shutil.copytree(folder, tmp_path / "model")
    (place / name).unlink()
    with pytest.raises(ValueError, match=name):
        Wav2Vec2Aligner.load(place)


def test_what_is_no_such_model_is_refused(folder: Path, tmp_path: Path) -> None:
    place = shutil.copytree(folder, tmp_path / "model")
    (place / "vocab.json").write_text(json.dumps({"eng": VOCABULARY}))
    with pytest.raises(ValueError, match="expected the vocabulary of one language"):
        Wav2Vec2Aligner.load(place)
    (place / "vocab.json").write_text(json.dumps(VOCABULARY | {"Z": 99}))
    with pytest.raises(ValueError, match=r"columns \{'Z': 99\}; the model has 8"):
        Wav2Vec2Aligner.load(place)
    weights = load_file(place / "model.safetensors")
    weights.pop("lm_head.weight")
    save_file(weights, place / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"missing.*lm_head\.weight"):
        Wav2Vec2Aligner.load(place)
    (place / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"model cannot be read as a wav2vec 2\.0 CTC model"):
        Wav2Vec2Aligner.load(place)
    with pytest.raises(ValueError, match=r"window_s is 5\.0; expected more than three margins"):
        Wav2Vec2Aligner.load(folder, window_s=5.0)


def test_unusable_sound_and_words_that_cannot_be_sung_are_refused(folder: Path) -> None:
    aligner = Wav2Vec2Aligner.load(folder)
    with pytest.raises(ValueError, match=r"expected at least 0\.1 s"):
        aligner.align(noise(0, 0.05), [["a"]])
    with pytest.raises(ValueError, match="expected finite samples"):
        aligner.align(mono_waveform(np.full(RATE, np.nan, np.float32), RATE), [["a"]])
    with pytest.raises(ValueError, match=r"none of the words \['xyz'\]"):
        aligner.align(noise(0, 1.0), [["xyz"]])
    with pytest.raises(ValueError, match="49 frames for 200 symbols"):
        aligner.align(noise(0, 1.0), [["ab" * 100]])
