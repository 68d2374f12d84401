"""MuQ in its real format, tiny and random: its numbers are those of the package's own calls."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from levo.song.waveform import Waveform, mono_waveform
from reward.muq import AmplitudeToDB, MelSpectrogram, MuqEncoder, muq_model
from tests.reward.tiny_muq import MUQ, muq_config, write_muq

RATE = 24_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_muq(tmp_path_factory.mktemp("muq") / MUQ)


def song(seed: int, duration_s: float, rate: int = RATE) -> Waveform:
    noise = np.random.default_rng(seed).normal(0, 0.1, round(duration_s * rate)).astype(np.float32)
    return mono_waveform(np.cumsum(noise) / 50 + noise, rate)


def test_bands_are_those_of_librosa_and_decibels_have_a_floor() -> None:
    import librosa

    samples = song(1, 1.0).mono
    found = MelSpectrogram(RATE, 2048, 240, 128)(torch.tensor(samples)[None])[0]
    expected = librosa.feature.melspectrogram(
        y=samples, sr=RATE, n_fft=2048, hop_length=240, n_mels=128, htk=True, norm=None, pad_mode="reflect"
    )
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * expected.max())
    assert AmplitudeToDB()(torch.tensor([0.0, 1e-3, 1.0, 100.0])).tolist() == pytest.approx([-100, -30, 0, 20])


def test_features_are_the_packages_own(folder: Path) -> None:
    from safetensors.torch import load_file

    encoder = MuqEncoder.load(folder)
    model = muq_model(muq_config())
    model.load_state_dict(load_file(folder / "model.safetensors"))
    heard = song(2, 3.0)
    with torch.inference_mode():
        own = model.eval()(torch.tensor(heard.mono)[None], output_hidden_states=True)
    found = encoder.features(heard)
    assert found.shape == (75, 32)
    torch.testing.assert_close(found, own.hidden_states[6][0])
    assert not torch.equal(found, own.last_hidden_state[0])
    shorter = muq_model(muq_config() | {"encoder_depth": 6})
    shorter.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    shorter.model.conformer.layer_norm = torch.nn.Identity()
    with torch.inference_mode():
        torch.testing.assert_close(found, shorter.eval()(torch.tensor(heard.mono)[None]).last_hidden_state[0])
    torch.testing.assert_close(MuqEncoder.load(folder, layer=7).features(heard), own.last_hidden_state[0])
    assert MuqEncoder.load(folder, layer=7).digest != encoder.digest


def test_another_rate_and_two_channels_are_brought_to_its_own(folder: Path) -> None:
    encoder = MuqEncoder.load(folder)
    heard = song(3, 2.0, 48_000)
    doubled = Waveform(np.repeat(heard.samples, 2, axis=0), 48_000)
    torch.testing.assert_close(encoder.features(doubled), encoder.features(heard))
    assert len(encoder.features(heard)) == 50


def test_the_import_leaves_no_stand_in_behind(folder: Path) -> None:
    MuqEncoder.load(folder)
    assert "torchaudio" not in sys.modules
    from transformers.utils.import_utils import is_torchaudio_available

    assert not is_torchaudio_available()


def test_bad_input_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"too short: 0.50 s of 1 s"):
        MuqEncoder.load(folder).features(song(1, 0.5))
    with pytest.raises(ValueError, match=r"layer is 8; .* has the hidden states 0 to 7"):
        MuqEncoder.load(folder, layer=8)
    with pytest.raises(ValueError, match=r"has neither model\.safetensors nor pytorch_model\.bin"):
        MuqEncoder.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"has no readable config\.json"):
        MuqEncoder.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(muq_config() | {"conv_dim": 8}))
    with pytest.raises(ValueError, match=r"cannot be read as a MuQ model: .*size mismatch"):
        MuqEncoder.load(tmp_path)
