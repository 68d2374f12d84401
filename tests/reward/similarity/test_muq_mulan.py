"""MuQ-MuLan in its real format, tiny and random: the judge's numbers are those of the package's own calls."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from annotation.tags.zero_shot import ZeroShotTagger
from levo.codec.stems import Stems
from levo.song.description import Description
from levo.song.waveform import Waveform, mono_waveform
from reward.similarity.muq_mulan import MuqMulanSimilarity
from tests.reward.tiny_muq import MUQ, ROBERTA, own_mulan, write_mulan

RATE = 24_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mulan(tmp_path_factory.mktemp("mulan"))


@pytest.fixture(scope="module")
def own(folder: Path) -> Any:
    return own_mulan(folder)


@pytest.fixture(scope="module")
def judge(folder: Path) -> MuqMulanSimilarity:
    return MuqMulanSimilarity.load(folder, batch_clips=2)


def song(seed: int, duration_s: float) -> Waveform:
    noise = np.random.default_rng(seed).normal(0, 0.1, round(duration_s * RATE)).astype(np.float32)
    return mono_waveform(np.cumsum(noise) / 50 + noise, RATE)


@pytest.mark.parametrize("duration_s", [3.0, 7.0, 10.0, 24.5, 30.0])
def test_a_songs_latent_is_the_packages_own(judge: MuqMulanSimilarity, own: Any, duration_s: float) -> None:
    heard = song(1, duration_s)
    with torch.inference_mode():
        expected = own(wavs=torch.tensor(heard.mono)[None])[0]
    torch.testing.assert_close(judge.embed_song(heard), expected, rtol=1e-4, atol=1e-5)


def test_scores_are_the_packages_products(judge: MuqMulanSimilarity, own: Any) -> None:
    songs, texts = [song(2, 12.0), song(3, 5.0)], [("female", "dark"), ("male", "piano")]
    found = judge.similarity_to_text(songs, [Description(tags) for tags in texts])
    with torch.inference_mode():
        for heard, text, score in zip(songs, texts, found, strict=True):
            product = own.calc_similarity(own(wavs=torch.tensor(heard.mono)[None]), own(texts=[", ".join(text)]))
            assert score.value == pytest.approx(float(product), abs=1e-5)
    (same,) = judge.similarity_to_audio(songs[:1], songs[:1])
    assert same.value == pytest.approx(float(judge.embed_song(songs[0]).square().sum()), abs=1e-6)
    assert float(judge.embed_song(songs[0]).norm()) < 1, "the clips of this song differ"


def test_texts_do_not_depend_on_each_other(judge: MuqMulanSimilarity) -> None:
    texts = ["female", "male, dark, bright, piano, guitar"]
    both = judge.embed_text(texts)
    torch.testing.assert_close(both[:1], judge.embed_text(texts[:1]))
    assert both.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)


def test_what_cannot_be_heard_is_missing_with_its_reason(judge: MuqMulanSimilarity) -> None:
    silent = mono_waveform(np.zeros(2 * RATE, np.float32), RATE)
    scores = judge.similarity_to_text(
        [silent, song(1, 0.5), song(1, 2.0)], [Description(("dark",)), Description(("dark",)), Description(())]
    )
    reasons = [score.missing for score in scores]
    assert reasons == ["silent", "too short: 0.50 s of 1 s", "the description has no tags"]
    with pytest.raises(ValueError, match="1 songs and 0 prompts"):
        judge.similarity_to_audio([silent], [])


def test_it_finds_tags_by_lists(judge: MuqMulanSimilarity) -> None:
    tagger = ZeroShotTagger(judge, min_lift=0.0)
    heard = song(4, 3.0)
    tags = tagger.tag(Stems(heard, heard, heard))
    assert tags.genre is not None
    assert tags.voice is not None
    assert tagger.digest != ZeroShotTagger(judge).digest


def test_bad_folders_are_named(folder: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / folder.name
    shutil.copytree(folder, alone)
    with pytest.raises(ValueError, match=rf"needs 'OpenMuQ/{MUQ}'; expected its folder {MUQ} in it or beside it"):
        MuqMulanSimilarity.load(alone)
    for name in (MUQ, ROBERTA):
        shutil.copytree(folder.parent / name, alone / name)
    assert MuqMulanSimilarity.load(alone).digest == MuqMulanSimilarity.load(folder).digest
    with pytest.raises(ValueError, match="batch_clips is 0"):
        MuqMulanSimilarity.load(alone, batch_clips=0)
    weights = torch.load(alone / "pytorch_model.bin", weights_only=True)
    weights.pop("mulan.audio_to_latents.weight")
    torch.save(weights, alone / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"cannot be read as a MuQ-MuLan model: .*audio_to_latents\.weight"):
        MuqMulanSimilarity.load(alone)
    config = json.loads((alone / "config.json").read_text())
    del config["text_model"]
    (alone / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="names no audio_model and text_model"):
        MuqMulanSimilarity.load(alone)
