"""All-In-One in its real format, tiny and random: through the package's own network and peaks."""

from dataclasses import asdict, replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from annotation.spectrum.log_filterbank import HOP_SAMPLES, log_bands, triangles
from annotation.structure.all_in_one import SOURCES, AllInOneLabeller, _package, _sections
from annotation.structure.neighbourhood import natten1dav, natten1dqkrpb, natten2dav, natten2dqkrpb, neighbours
from annotation.structure.protocol import SectionKind
from levo.song.structure import StructureTag
from levo.song.waveform import Waveform

RATE = 44_100


class FourBands:
    """A separator whose sources are the mixture at four levels."""

    digest = "four"

    def sources(self, mixture: Waveform, names: list[str]) -> dict[str, np.ndarray]:
        return {name: mixture.samples / (1 + number) for number, name in enumerate(names)}


def config() -> dict[str, Any]:
    settings = _package("allin1.config")
    data = settings.HarmonixConfig(duration_min=76, duration_max=660)
    small = {"depth": 3, "dim_embed": 8, "best_threshold_beat": 0.2, "best_threshold_downbeat": 0.2}
    whole = asdict(replace(settings.Config(data=data), **small))
    return {name: value for name, value in whole.items() if name != "defaults"}


def write_checkpoints(folder: Path, num_files: int = 2) -> None:
    """Checkpoints of the published format."""
    from omegaconf import OmegaConf

    for number in range(num_files):
        torch.manual_seed(number)
        model = _package("allin1.models.allinone").AllInOne(OmegaConf.create(config()))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, 0, 0.2)
        saved = {"config": config(), "state_dict": model.state_dict()}
        torch.save(saved, folder / f"harmonix-fold{number}.pth")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("allin1")
    write_checkpoints(folder)
    return folder


def song(duration_s: float, rate: int = RATE) -> Waveform:
    generator = np.random.default_rng(5)
    place = np.arange(round(duration_s * rate)) / rate
    loud = 0.1 + 0.4 * (np.sin(2 * np.pi * place / 7) > 0)
    return Waveform((loud * generator.normal(0, 0.3, (2, place.size))).astype(np.float32), rate)


def test_neighbours_move_inwards_at_the_edges() -> None:
    assert neighbours(6, 3, 1).tolist() == [[0, 1, 2], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [3, 4, 5]]
    assert neighbours(7, 3, 2).tolist() == [
        [0, 2, 4], [1, 3, 5], [0, 2, 4], [1, 3, 5], [2, 4, 6], [1, 3, 5], [2, 4, 6],
    ]  # fmt: skip
    with pytest.raises(ValueError, match="5 places; expected 6 or more"):
        neighbours(5, 3, 2)


@pytest.mark.parametrize(("length", "kernel", "dilation"), [(7, 3, 1), (11, 3, 3), (23, 5, 4)])
def test_attention_is_its_definition(length: int, kernel: int, dilation: int) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 2, length, 4).unbind(0)
    bias = torch.randn(2, 2 * kernel - 1)
    found = natten1dqkrpb(query, key, bias, kernel, dilation)
    near = neighbours(length, kernel, dilation)
    for place, number in product(range(length), range(kernel)):
        other = int(near[place, number])
        expected = (query[:, :, place] * key[:, :, other]).sum(-1) + bias[:, kernel - 1 + (other - place) // dilation]
        torch.testing.assert_close(found[:, :, place, number], expected)
    weights = found.softmax(-1)
    summed = sum(weights[..., number, None] * value[:, :, near[:, number]] for number in range(kernel))
    torch.testing.assert_close(natten1dav(weights, value, kernel, dilation), summed)


def test_attention_in_two_dimensions_is_its_definition() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 2, 5, 9, 4).unbind(0)
    bias = torch.randn(2, 5, 5)
    found = natten2dqkrpb(query, key, bias, 3, 1)
    rows, columns = neighbours(5, 3, 1), neighbours(9, 3, 1)
    total = torch.zeros_like(value)
    for row, column, up, across in product(range(5), range(9), range(3), range(3)):
        other_row, other_column = int(rows[row, up]), int(columns[column, across])
        product_of = (query[:, :, row, column] * key[:, :, other_row, other_column]).sum(-1)
        expected = product_of + bias[:, 2 + other_row - row, 2 + other_column - column]
        torch.testing.assert_close(found[:, :, row, column, 3 * up + across], expected)
        total[:, :, row, column] += (
            found[:, :, row, column, 3 * up + across, None] * value[:, :, other_row, other_column]
        )
    torch.testing.assert_close(natten2dav(found, value, 3, 1), total, rtol=1e-4, atol=1e-4)


def test_bands_are_the_81_that_the_network_was_trained_on() -> None:
    filters = triangles(RATE, 12, 30.0, 17000.0)
    assert filters.shape == (1024, 81)
    np.testing.assert_allclose(filters.sum(axis=0), 1, rtol=1e-6)
    centres = filters.argmax(axis=0) * RATE / 2048
    assert (np.diff(centres) > 0).all()
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    bands = log_bands(tone, RATE, 12, 30.0, 17000.0)
    assert bands.shape == (-(-RATE // HOP_SAMPLES), 81)
    assert abs(centres[bands[50].argmax()] - 1000) < 30
    middle = np.abs(np.fft.rfft(tone[50 * HOP_SAMPLES - 1024 :][:2048] * np.hanning(2048)))[:1024]
    np.testing.assert_allclose(bands[50], np.log10(1 + middle @ filters), rtol=1e-4, atol=1e-5)


def test_sections_are_the_packages_own_over_the_mean_of_the_checkpoints(checkpoints: Path) -> None:
    labeller = AllInOneLabeller.load(checkpoints, FourBands())
    heard = song(60.0)
    bands = torch.from_numpy(labeller.bands(heard))[None]
    ensemble = _package("allin1.models.ensemble").Ensemble(list(labeller.models))
    with torch.inference_mode():
        logits = ensemble(bands)
    own = _package("allin1.postprocessing.functional").postprocess_functional_structure(logits, labeller.models[0].cfg)
    found = labeller.label(heard, None)
    assert len(found) > 1
    assert found[0].start_s == 0
    assert found[-1].end_s == heard.duration_s
    assert {section.start_s for section in found} <= {float(segment.start) for segment in own}
    assert all(one.end_s == other.start_s for one, other in pairwise(found))


def test_one_checkpoint_or_a_folder_of_them(checkpoints: Path) -> None:
    one = AllInOneLabeller.load(checkpoints / "harmonix-fold0.pth", FourBands())
    both = AllInOneLabeller.load(checkpoints, FourBands())
    assert (len(one.models), len(both.models)) == (1, 2)
    assert one.digest != both.digest
    (silent,) = one.label(Waveform(np.zeros((1, RATE), np.float32), RATE), None)
    assert silent.tag is StructureTag.SILENCE


def test_labels_of_ten_become_seven_and_neighbours_of_one_kind_one() -> None:
    found = [
        (SectionKind.SILENCE, 0.0, 1.0),
        (SectionKind.INTRO, 1.0, 13.0),
        (SectionKind.VERSE, 13.0, 30.0),
        (SectionKind.VERSE, 30.0, 50.0),
        (SectionKind.INST, 50.0, 55.0),
        (SectionKind.INST, 55.0, 59.0),
        (SectionKind.CHORUS, 59.0, 80.01),
    ]
    tags = [(section.tag.value, section.start_s, section.end_s) for section in _sections(found, 80.0)]
    assert tags == [
        ("silence", 0.0, 1.0),
        ("intro-medium", 1.0, 13.0),
        ("verse", 13.0, 30.0),
        ("verse", 30.0, 50.0),
        ("inst-short", 50.0, 59.0),
        ("chorus", 59.0, 80.0),
    ]
    assert len(SOURCES) == 4


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no \.pth"):
        AllInOneLabeller.load(tmp_path, FourBands())
    torch.save({"weights": 1}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint of All-In-One: 'config'"):
        AllInOneLabeller.load(tmp_path, FourBands())
