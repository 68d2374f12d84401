"""The note bank: stored and read back it is the same voice, and a damaged file is noticed."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from levo.song.files import DiskError
from pipelines.rendered import voice as voice_module
from pipelines.rendered.voice import Voice, bank_path, build_voice, load_voice, open_voice
from pipelines.rendered.world import Tempo, WorldConfig


def test_a_stored_bank_is_read_back_to_the_same_voice(voice: Voice, tmp_path: Path) -> None:
    again = load_voice(voice.config, voice.save(tmp_path))
    assert again.digest == voice.digest
    assert again.lexicon == voice.lexicon
    assert again.timings == voice.timings
    np.testing.assert_array_equal(again.note("low", "joy", 8, 50), voice.note("low", "joy", 8, 50))


def test_building_twice_gives_the_same_notes_on_any_number_of_threads() -> None:
    world = WorldConfig(words=("moon", "joy"), tempi=(Tempo.FAST,))
    assert build_voice(world).digest == build_voice(world, num_threads=1).digest


def test_a_bank_is_built_once_and_then_only_read(voice: Voice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voice.save(tmp_path)
    monkeypatch.delattr(voice_module, "build_voice")
    assert open_voice(voice.config, tmp_path).digest == voice.digest


def test_a_damaged_bank_is_refused_with_its_name(voice: Voice, tmp_path: Path) -> None:
    path = voice.save(tmp_path)
    content = bytearray(path.read_bytes())
    content[-1000] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=path.name):
        load_voice(voice.config, path)


def test_another_world_has_another_bank(tmp_path: Path) -> None:
    one = WorldConfig()
    assert bank_path(one, tmp_path) != bank_path(replace(one, words=("moon", "star")), tmp_path)
    assert bank_path(one, tmp_path) == bank_path(replace(one, max_frames=120), tmp_path)


def test_no_partial_file_is_left_beside_a_bank(voice: Voice, tmp_path: Path) -> None:
    path = voice.save(tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    assert set(load_file(path)) == {"8", "10", "12"}


def test_a_full_disk_leaves_no_part_of_a_bank(
    voice: Voice, tmp_path: Path, small_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    with small_disk(4096), pytest.raises(DiskError, match=f"cannot write {bank_path(voice.config, tmp_path)}"):
        voice.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_note_is_about_as_loud_and_none_clips(voice: Voice) -> None:
    for notes in voice.notes.values():
        scaled = notes / 32768
        assert np.abs(scaled).max() <= 0.46
        rms = np.sqrt((scaled**2).mean(axis=-1))
        assert rms.min() > 0.04
        assert rms.max() < 0.11


def test_the_lexicon_is_a_small_inventory_without_stress_marks(voice: Voice) -> None:
    assert voice.lexicon["moon"] == ("m", "u:", "n")
    assert voice.lexicon["star"] == ("s", "t", "A@")
    assert voice.phonemes == tuple(sorted({phoneme for word in voice.lexicon.values() for phoneme in word}))
    assert not any("'" in phoneme or "_" in phoneme for phoneme in voice.phonemes)
