"""Published packages and bags of HTDemucs, small and random here, give what `demucs` itself gives."""

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from annotation.separation.demucs_files import load_bag
from annotation.separation.htdemucs import Accompaniment, HtDemucsSeparator
from levo.song.digest import digest_file
from levo.song.waveform import Waveform

demucs_apply = pytest.importorskip("demucs.apply", reason="the extra `separation` is not installed")
SOURCES = ["drums", "bass", "other", "vocals"]
RATE = 8000


def write_package(folder: Path, signature: str, seed: int, **changes: Any) -> Path:
    """A package as demucs publishes them: half precision, its checksum in its name."""
    from demucs.htdemucs import HTDemucs
    from demucs.states import get_state

    torch.manual_seed(seed)
    kwargs = {
        "sources": SOURCES,
        "channels": 8,
        "nfft": 512,
        "depth": 2,
        "bottom_channels": 0,
        "t_layers": 1,
        "t_heads": 2,
        "samplerate": RATE,
        "segment": Fraction(39, 20),
    } | changes
    model = HTDemucs(**kwargs)
    package = {"klass": HTDemucs, "args": (), "kwargs": kwargs, "state": get_state(model, None, half=True)}
    path = folder / f"{signature}.th"
    torch.save(package | {"training_args": {"seed": seed}}, path)
    return path.rename(folder / f"{signature}-{digest_file(path)[:8]}.th")


def write_bag(folder: Path, weights: list[list[float]] | None, segment: float | None = None) -> Path:
    for number in range(2):
        write_package(folder, f"model{number}", number)
    bag = {"models": ["model0", "model1"]} | ({"weights": weights} if weights else {})
    path = folder / "both.yaml"
    path.write_text(yaml.safe_dump(bag | ({"segment": segment} if segment else {})))
    return path


def sound(duration_s: float, num_channels: int = 2, rate: int = RATE) -> Waveform:
    generator = np.random.default_rng(1)
    samples = generator.normal(0, 0.1, (num_channels, int(duration_s * rate)))
    return Waveform(np.clip(samples + 0.01, -1, 1).astype(np.float32), rate)


def by_demucs(folder: Path, name: str, mixture: Waveform, **settings: Any) -> np.ndarray[Any, Any]:
    """What demucs' own loading and `apply_model` give, normalised as its separator does."""
    from demucs.repo import AnyModelRepo, BagOnlyRepo, LocalRepo

    local = LocalRepo(folder)
    model = AnyModelRepo(local, BagOnlyRepo(folder, local)).get_model(name)
    track = torch.from_numpy(mixture.samples)
    mean, deviation = track.mean(0).mean(), track.mean(0).std() + 1e-8
    made = demucs_apply.apply_model(model, ((track - mean) / deviation)[None], **({"shifts": 0} | settings))
    result: np.ndarray[Any, Any] = (made * deviation + mean)[0].numpy()
    return result


@pytest.mark.parametrize("duration_s", [0.7, 1.95, 6.3])
def test_a_package_gives_what_demucs_gives(tmp_path: Path, duration_s: float) -> None:
    path = write_package(tmp_path, "tiny", 0)
    mixture = sound(duration_s)
    found = HtDemucsSeparator.load(path, batch_segments=3).sources(mixture, SOURCES)
    expected = by_demucs(tmp_path, "tiny", mixture)
    assert np.abs(np.stack([found[name] for name in SOURCES]) - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("weights", [None, [[1.0, 0.0, 0.5, 0.25], [0.0, 1.0, 0.5, 1.0]]])
def test_a_bag_gives_what_demucs_gives(tmp_path: Path, weights: list[list[float]] | None) -> None:
    path = write_bag(tmp_path, weights)
    mixture = sound(4.0)
    found = HtDemucsSeparator.load(path, overlap=0.1).sources(mixture, SOURCES)
    expected = by_demucs(tmp_path, "both", mixture, overlap=0.1)
    assert np.abs(np.stack([found[name] for name in SOURCES]) - expected).max() < 1e-5 * np.abs(expected).max()


def test_a_bags_shorter_segment_holds(tmp_path: Path) -> None:
    path = write_bag(tmp_path, None, segment=1.2)
    assert load_bag(path).segment_s == 1.2
    mixture = sound(4.0)
    found = HtDemucsSeparator.load(path).sources(mixture, ["vocals"])["vocals"]
    expected = by_demucs(tmp_path, "both", mixture)[3]
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_models_without_weight_in_what_is_wanted_do_not_run(tmp_path: Path) -> None:
    separator = HtDemucsSeparator.load(write_bag(tmp_path, [[1, 1, 1, 0], [0, 0, 0, 1]]))
    separator.bag.models[0].forward = None
    stems = separator.separate(sound(1.0))
    assert np.isfinite(stems.vocal.samples).all()


def test_shifts_are_demucs_own_with_offsets_of_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_package(tmp_path, "tiny", 0)
    mixture = sound(3.0)
    separator = HtDemucsSeparator.load(path, num_shifts=2, seed=5)
    offsets = iter(np.random.default_rng((5, 0)).integers(0, RATE // 2, 2, endpoint=True).tolist())
    monkeypatch.setattr(random, "randint", lambda low, high: next(offsets))
    expected = by_demucs(tmp_path, "tiny", mixture, shifts=2)[3]
    found = separator.sources(mixture, ["vocals"])["vocals"]
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    assert np.array_equal(found, separator.sources(mixture, ["vocals"])["vocals"])


def test_stems_add_up_at_the_mixtures_own_rate_channels_and_length(tmp_path: Path) -> None:
    path = write_package(tmp_path, "tiny", 0)
    for mixture in (sound(2.013, 1, 11025), sound(1.5, 2, 16000)):
        steps = Waveform(np.round(mixture.samples * 32768).astype(np.float32) / 32768, mixture.sample_rate_hz)
        stems = HtDemucsSeparator.load(path).separate(steps)
        assert np.array_equal(stems.mixture.samples, steps.samples)
        assert np.array_equal(stems.vocal.samples + stems.accompaniment.samples, steps.samples)
    summed = HtDemucsSeparator.load(path, accompaniment=Accompaniment.SUM)
    stems, sources = summed.separate(mixture), summed.sources(mixture, SOURCES)
    expected = sources["drums"] + sources["bass"] + sources["other"]
    assert np.abs(stems.accompaniment.samples - expected).max() < 1e-6


def test_settings_change_the_digest_and_the_number_at_once_does_not(tmp_path: Path) -> None:
    path = write_package(tmp_path, "tiny", 0)
    digest = HtDemucsSeparator.load(path).digest
    assert HtDemucsSeparator.load(path, batch_segments=1).digest == digest
    assert HtDemucsSeparator.load(path, overlap=0.5).digest != digest
    assert HtDemucsSeparator.load(write_package(tmp_path, "other", 1)).digest != digest


def test_bfloat16_stays_near(tmp_path: Path) -> None:
    path = write_package(tmp_path, "tiny", 0)
    mixture = sound(2.0)
    exact = HtDemucsSeparator.load(path).sources(mixture, ["vocals"])["vocals"]
    near = HtDemucsSeparator.load(path, dtype=torch.bfloat16).sources(mixture, ["vocals"])["vocals"]
    error = np.sqrt(np.mean((near - exact) ** 2) / np.mean(exact**2))
    assert 0 < error < 0.05


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return (Path.touch, (Path("evil"),))


def test_a_package_with_more_than_weights_in_it_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "evil.th"
    torch.save({"klass": Evil()}, path)
    with pytest.raises(ValueError, match="cannot be read as a Demucs package of tensors and HTDemucs alone"):
        load_bag(path)
    assert not Path("evil").exists()


def test_what_is_no_model_is_refused_with_its_name(tmp_path: Path) -> None:
    good = write_package(tmp_path, "tiny", 0)
    with pytest.raises(ValueError, match="its name says 00000000"):
        load_bag(good.rename(tmp_path / "tiny-00000000.th"))
    with pytest.raises(ValueError, match=r"is no Demucs model; expected a \.th package or a \.yaml bag"):
        load_bag(tmp_path / "model.safetensors")
    bag = tmp_path / "bag.yaml"
    bag.write_text("models: [gone]")
    with pytest.raises(ValueError, match="has 0 packages of 'gone'"):
        load_bag(bag)
    bag.write_text("weights: [1]")
    with pytest.raises(ValueError, match="names no models"):
        load_bag(bag)
    torch.save({"klass": None}, tmp_path / "none.th")
    with pytest.raises(ValueError, match="holds None; expected a package of HTDemucs"):
        load_bag(tmp_path / "none.th")


def test_models_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = write_bag(tmp_path, [[1, 1, 1, 0], [1, 1, 1, 0]])
    with pytest.raises(ValueError, match="a source has no weight"):
        load_bag(path)
    write_package(tmp_path, "slow", 0, samplerate=4000)
    path.write_text("models: [model0, slow]")
    with pytest.raises(ValueError, match="models differ in samplerate: 8000, 4000"):
        load_bag(path)
    instrumental = write_package(tmp_path, "no-voice".replace("-", ""), 0, sources=["drums", "bass"])
    with pytest.raises(ValueError, match="expected one of 'vocals'"):
        HtDemucsSeparator.load(instrumental)
    with pytest.raises(ValueError, match=r"segment_s is 9; expected at most the model's 1\.95 s"):
        HtDemucsSeparator.load(tmp_path / next(tmp_path.glob("model0*")), segment_s=9)
