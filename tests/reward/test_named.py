"""Judges by name: each loads what its name says, and a name that is none is refused with the known ones."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from levo.codec.storage import save_stored
from levo.song.files import write_json
from levo.song.waveform import mono_waveform
from reward.musicality.embedding_reward import RewardFit
from reward.musicality.embedding_training import fit_reward
from reward.musicality.preferences import read_preferences
from reward.named import MUSICALITY, REWARD_FACTS, load_aesthetics, load_named, load_similarity
from tests.reward.aesthetics.test_song_eval import Published
from tests.reward.tiny_muq import MUQ, write_mulan, write_muq

RATE = 24_000


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, 2 * RATE).astype(np.float32)


def random_vector(name: str) -> np.ndarray:
    return np.random.default_rng(len(name) + ord(name[-1]) + ord(name[0])).normal(size=12).astype(np.float32)


def test_song_eval_finds_muq_beside_its_head(tmp_path: Path) -> None:
    write_muq(tmp_path / MUQ)
    head = tmp_path / "SongEval"
    head.mkdir()
    save_file(Published(32, 48, 2).state_dict(), head / "model.safetensors")
    song = mono_waveform(noise(1), RATE)
    (scores,) = load_aesthetics(f"song-eval:{head}").judge([song])
    (score,) = load_named("musicality", f"song-eval-mem:{head / 'model.safetensors'}", MUSICALITY, "cpu").score([song])
    assert score == scores["MEM"]


def test_a_reward_of_ones_own_knows_its_embedding(tmp_path: Path) -> None:
    folder = write_mulan(tmp_path / "models")
    embedder = load_similarity(f"muq-mulan:{folder}")
    song = mono_waveform(noise(3), RATE)
    rows = [{"better": f"{pair}/a", "worse": f"{pair}/b"} for pair in range(40)]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    vectors = {name: random_vector(name) for row in rows for name in row.values()}
    fitted = fit_reward(read_preferences(file, None), vectors, embedder.digest, RewardFit(0, 10))
    save_stored(fitted.head.stored(), tmp_path / "reward")
    write_json(tmp_path / "reward" / REWARD_FACTS, {"embedding": f"muq-mulan:{folder}"})
    reward = load_named("musicality", f"reward:{tmp_path / 'reward'}", MUSICALITY, "cpu")
    (score,) = reward.score([song])
    assert score.value == pytest.approx(float(fitted.head.scores(embedder.embed_song(song).numpy()[None])[0]))
    (tmp_path / "reward" / REWARD_FACTS).unlink()
    with pytest.raises(ValueError, match=r"is no folder of `levo train reward`"):
        load_named("musicality", f"reward:{tmp_path / 'reward'}", MUSICALITY, "cpu")


@pytest.mark.parametrize("choice", ["clap", "clap:", "mulan:somewhere", ""])
def test_a_name_that_is_none_is_refused(choice: str) -> None:
    with pytest.raises(ValueError, match=rf"similarity is '{choice}'; expected similarity:PATH, clap:PATH, muq-mulan"):
        load_similarity(choice)


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere has no readable config\.json"):
        load_similarity(f"muq-mulan:{tmp_path / 'nowhere'}")
    torch.save({}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="cannot be read as weights of Audiobox"):
        load_aesthetics(f"audiobox:{tmp_path / 'x.pt'}")
