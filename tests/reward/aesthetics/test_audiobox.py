"""A small random model in the published formats of Audiobox Aesthetics, scored as the package's own program does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from levo.song.waveform import Waveform, mono_waveform
from reward.aesthetics.audiobox import AudioboxAesthetics

aes = pytest.importorskip("audiobox_aesthetics.model.aes", reason="the extra `aesthetics` is not installed")
RATE = 16000
SCALES = {axis: {"mean": 5.0 + place, "std": 1.0 + place / 10} for place, axis in enumerate(("CE", "CU", "PC", "PQ"))}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package builds its encoder of one size alone: a smaller one under the same name."""
    from audiobox_aesthetics.model.wavlm import WavLMConfig

    sizes = {
        "encoder_layers": 2,
        "encoder_embed_dim": 16,
        "encoder_ffn_embed_dim": 32,
        "encoder_attention_heads": 2,
        "conv_feature_layers": "[(8,10,5)] + [(8,3,2)] * 4 + [(8,2,2)] * 2",
        "conv_pos": 16,
        "conv_pos_groups": 2,
    }
    monkeypatch.setattr(aes, "DEFAULT_AUDIO_CFG", WavLMConfig(vars(aes.DEFAULT_AUDIO_CFG) | sizes))


def random_model() -> Any:
    torch.manual_seed(0)
    return aes.AesMultiOutput(nth_layer=3, target_transform=SCALES, proj_num_layer=2, proj_ln=True)


def write_checkpoint(path: Path) -> Any:
    model = random_model()
    config = {name: getattr(model, name) for name in ("proj_num_layer", "proj_ln", "proj_act_fn", "proj_dropout")}
    config |= {"nth_layer": 3, "use_weighted_layer_sum": True, "precision": "32", "normalize_embed": True}
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"model_cfg": config | {"output_dim": 1}, "state_dict": state, "target_transform": SCALES}, path)
    return model.eval()


def sound(duration_s: float, seed: int = 0) -> Waveform:
    generator = np.random.default_rng(seed)
    return mono_waveform(generator.normal(0, 0.1, int(duration_s * RATE)).astype(np.float32), RATE)


def by_hand(model: Any, song: Waveform) -> Mapping[str, float]:
    """The package's program (`infer.py`, which needs torchaudio) written out: window after window."""
    length, samples = 10 * RATE, torch.from_numpy(song.samples)
    totals, weight = dict.fromkeys(SCALES, 0.0), 0.0
    with torch.no_grad():
        for start in range(0, samples.shape[1], length):
            part = samples[:, start : start + length]
            window, mask = torch.zeros(1, 1, length), torch.zeros(1, 1, length, dtype=torch.bool)
            window[0, :, : part.shape[1]], mask[0, :, : part.shape[1]] = part, True
            share = part.shape[1] / length
            for axis, value in model({"wav": window, "mask": mask}).items():
                totals[axis] += share * (float(value) * SCALES[axis]["std"] + SCALES[axis]["mean"])
            weight += share
    return {axis: total / weight for axis, total in totals.items()}


@pytest.mark.parametrize("duration_s", [3.0, 10.0, 24.5])
def test_scores_are_the_packages_own(small: None, tmp_path: Path, duration_s: float) -> None:
    model = write_checkpoint(tmp_path / "checkpoint.pt")
    judge = AudioboxAesthetics.load(tmp_path / "checkpoint.pt", batch_windows=2)
    (scores,) = judge.judge([sound(duration_s)])
    found = {axis: score.value for axis, score in scores.items()}
    assert found == pytest.approx(by_hand(model, sound(duration_s)), abs=2e-5)
    assert len(set(found.values())) == 4


def test_both_published_formats_hold_one_model(small: None, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint.pt")
    random_model().save_pretrained(tmp_path / "folder")
    songs = [sound(12.0), sound(2.0, seed=1)]
    first = AudioboxAesthetics.load(tmp_path / "checkpoint.pt").judge(songs)
    assert AudioboxAesthetics.load(tmp_path / "folder").judge(songs) == first
    assert AudioboxAesthetics.load(tmp_path / "folder").judge(songs[1:]) == first[1:]


def test_other_rates_and_channels_are_heard_alike(small: None, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint.pt")
    judge = AudioboxAesthetics.load(tmp_path / "checkpoint.pt")
    tone = np.sin(2 * np.pi * 440 * np.arange(4 * 48000) / 48000).astype(np.float32)
    stereo, mono = Waveform(np.stack([tone, tone]), 48000), mono_waveform(tone[::3], RATE)
    values = [[score.value for score in scores.values()] for scores in judge.judge([stereo, mono])]
    assert values[0] == pytest.approx(values[1], abs=0.02)


def test_a_song_that_cannot_be_heard_has_no_score(small: None, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint.pt")
    judge = AudioboxAesthetics.load(tmp_path / "checkpoint.pt")
    silent = mono_waveform(np.zeros(2 * RATE, np.float32), RATE)
    broken = mono_waveform(np.full(2 * RATE, np.nan, np.float32), RATE)
    missing = [{score.missing for score in scores.values()} for scores in judge.judge([silent, sound(0.5), broken])]
    assert missing == [{"silent"}, {"too short: 0.50 s of 1 s"}, {"samples are not finite"}]
    with pytest.raises(ValueError, match="cannot be judged: silent"):
        judge.windows(silent)


def test_bfloat16_stays_near_and_has_a_name_of_its_own(small: None, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint.pt")
    exact = AudioboxAesthetics.load(tmp_path / "checkpoint.pt")
    near = AudioboxAesthetics.load(tmp_path / "checkpoint.pt", precision="bf16")
    assert near.digest != exact.digest
    for axis, score in near.judge([sound(5.0)])[0].items():
        assert score.value == pytest.approx(exact.judge([sound(5.0)])[0][axis].value, abs=0.05)


def test_what_holds_no_weights_is_refused(small: None, tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"bad\.pt cannot be read as weights of Audiobox Aesthetics"):
        AudioboxAesthetics.load(tmp_path / "bad.pt")
    with pytest.raises(ValueError, match=r"no config\.json"):
        AudioboxAesthetics.load(tmp_path)
    write_checkpoint(tmp_path / "checkpoint.pt")
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    torch.save(content | {"target_transform": {"CE": SCALES["CE"]}}, tmp_path / "few.pt")
    with pytest.raises(ValueError, match="no mean and deviation of CU, PC, PQ"):
        AudioboxAesthetics.load(tmp_path / "few.pt")
