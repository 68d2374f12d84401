from pathlib import Path

import numpy as np
import pytest
import torch

from levo.alignment import song_probability
from levo.alignment.reference import ReferenceStore
from levo.alignment.song_probability import compute_log_probabilities, fill_reference
from levo.model.delay import interleave
from levo.model.store import load_model
from levo.training.batches import padded_codes
from levo.training.encoded import encoded_conditions
from levo.training.examples import ExampleStore
from levo.training.workers import SingleWorker


def test_a_song_s_log_probability_is_the_sum_over_its_tokens_one_by_one(
    tiny_model: Path, song_store: ExampleStore, tmp_path: Path
) -> None:
    model = load_model(tiny_model).model
    config = model.config
    conditions = encoded_conditions(song_store, tiny_model, tmp_path / "cache")
    song = 3
    codes = padded_codes(song_store, [song], config)
    sequence = interleave(codes, config.delays, config.special_id)
    expected = [0.0, 0.0, 0.0]
    with torch.no_grad():
        # Column by column, as a sampler would see it: the logits behind column p are those of column p + 1.
        for position in range(sequence.shape[-1] - 1):
            logits = model(sequence[:, :, : position + 1], conditions.rows(np.array([song]))).logits
            for stream in range(3):
                code = int(sequence[0, stream, position + 1])
                if code != config.special_id:
                    expected[stream] += float(logits[stream][0, -1].double().log_softmax(-1)[code])
    (record,) = compute_log_probabilities(model, config, song_store, conditions, [song], batch_rows=4)
    assert list(record.log_probabilities) == pytest.approx(expected, rel=1e-5)
    assert record.total == pytest.approx(sum(expected), rel=1e-5)
    assert record.num_tokens == (song_store.num_frames[song] + 1,) * 3
    assert record.per_token == pytest.approx(sum(expected) / sum(record.num_tokens), rel=1e-5)


def test_a_song_s_log_probability_does_not_depend_on_its_neighbours(
    tiny_model: Path, song_store: ExampleStore, tmp_path: Path
) -> None:
    model = load_model(tiny_model).model
    conditions = encoded_conditions(song_store, tiny_model, tmp_path / "cache")
    every = range(len(song_store))
    alone, together = (
        {
            record.song_digest: record.total
            for record in compute_log_probabilities(model, model.config, song_store, conditions, every, rows)
        }
        for rows in (1, 16)
    )
    assert together == pytest.approx(alone, rel=1e-5)
    assert len(alone) == len(song_store)


def test_the_reference_is_computed_once_for_a_model_and_a_song(
    tiny_model: Path, song_store: ExampleStore, tmp_path: Path
) -> None:
    loaded = load_model(tiny_model)
    conditions = encoded_conditions(song_store, tiny_model, tmp_path / "cache")
    reference = ReferenceStore(tmp_path / "reference")
    assert reference.missing(loaded.digest, song_store.digests) == sorted(song_store.digests)
    first_half = fill_reference(reference, loaded, song_store, conditions, _Workers(rank=0))
    assert 0 < first_half < len(song_store)
    assert fill_reference(reference, loaded, song_store, conditions, _Workers(rank=0)) == 0, "the rest is another's"
    assert fill_reference(reference, loaded, song_store, conditions, SingleWorker()) == len(song_store) - first_half
    assert fill_reference(reference, loaded, song_store, conditions, SingleWorker()) == 0
    assert reference.read(loaded.digest).keys() == set(song_store.digests)
    assert reference.read("another model") == {}
    assert not list((tmp_path / "reference").rglob("*.partial"))


def test_what_a_kill_left_is_filed_to_the_last_digit_as_it_would_have_been(
    tiny_model: Path, song_store: ExampleStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(song_probability, "_PART_SONGS", 2)
    loaded = load_model(tiny_model)
    conditions = encoded_conditions(song_store, tiny_model, tmp_path / "cache")
    calm, killed = (ReferenceStore(tmp_path / name) for name in ("calm", "killed"))
    for rank in range(2):
        fill_reference(calm, loaded, song_store, conditions, _Workers(rank=rank))
    # The first worker had filed all of its songs, the second one some, when they were killed.
    fill_reference(killed, loaded, song_store, conditions, _Workers(rank=0))
    parts = sorted((tmp_path / "calm").rglob("*.arrow"))
    assert len(parts) > 2
    fill_reference(killed, loaded, song_store, conditions, _Workers(rank=1))
    for part in parts[1::2]:
        (tmp_path / "killed" / part.relative_to(tmp_path / "calm")).unlink()
    for rank in (1, 0):
        fill_reference(killed, loaded, song_store, conditions, _Workers(rank=rank))
    assert killed.read(loaded.digest) == calm.read(loaded.digest)


class _Workers(SingleWorker):
    world_size = 2

    def __init__(self, rank: int) -> None:
        self.rank = rank
