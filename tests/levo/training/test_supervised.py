from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from levo.model.lelm import LeLM
from levo.model.store import load_model
from levo.song.tokens import Stream
from levo.training.batches import SongBatch, num_tokens_of, padded_codes, predict
from levo.training.encoded import encoded_conditions
from levo.training.examples import ExampleStore, TrainingExample, write_examples
from levo.training.freezing import freeze_all_but
from levo.training.metrics import StepCost
from levo.training.phases import PhaseConfig, Stage
from levo.training.supervised import SupervisedTask

CPU = torch.device("cpu")


@pytest.fixture
def model(tiny_model: Path) -> LeLM:
    return load_model(tiny_model).model


@pytest.fixture
def make_task(song_store: ExampleStore, tiny_model: Path, tmp_path: Path, model: LeLM) -> Callable[..., SupervisedTask]:
    conditions = encoded_conditions(song_store, tiny_model, tmp_path / "cache")

    def make(stage: Stage = Stage.JOINT, micro_batches: int = 1, *, chunked_loss: bool = False) -> SupervisedTask:
        phase = PhaseConfig(
            name="phase",
            stage=stage,
            data=song_store.folder,
            num_steps=10,
            batch_rows=8,
            learning_rate=1e-3,
            seed=5,
            micro_batches=micro_batches,
            chunked_loss=chunked_loss,
        )
        return SupervisedTask(phase, song_store, conditions, model.config, StepCost(1.0, 0.0))

    return make


@pytest.mark.parametrize(("micro_batches", "world_size"), [(4, 1), (1, 2), (2, 4)])
def test_the_gradient_does_not_depend_on_how_the_batch_is_cut(
    make_task: Callable[..., SupervisedTask], model: LeLM, micro_batches: int, world_size: int
) -> None:
    def gradients(micro: int, workers: int) -> dict[str, torch.Tensor]:
        model.zero_grad()
        task = make_task(micro_batches=micro)
        for rank in range(workers):
            for batch in task.micro_batches(3, rank, workers, CPU):
                torch.autograd.backward(task.share(model, batch).loss)
        return {
            name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None
        }

    whole, cut = gradients(1, 1), gradients(micro_batches, world_size)
    assert whole.keys() == cut.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(cut[name], gradient, atol=2e-6, rtol=1e-4)


def test_metrics_of_all_workers_together_are_those_of_one(
    make_task: Callable[..., SupervisedTask], model: LeLM
) -> None:
    def metrics(micro: int, workers: int) -> dict[str, float]:
        task = make_task(micro_batches=micro)
        sums = torch.zeros(task.num_measures, dtype=torch.float64)
        for rank in range(workers):
            for batch in task.micro_batches(0, rank, workers, CPU):
                sums += task.share(model, batch).sums
        return task.metrics(sums, 1)

    whole = metrics(1, 1)
    assert set(whole) == {"loss"} | {
        f"{kind}/{stream}" for kind in ("loss", "accuracy") for stream in ("mixed", "vocal", "accompaniment")
    }
    assert metrics(2, 4) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("stage", [Stage.PRETRAIN, Stage.EXTEND, Stage.JOINT])
def test_the_chunked_loss_is_the_loss_with_the_same_gradients_and_measures(
    make_task: Callable[..., SupervisedTask], model: LeLM, stage: Stage
) -> None:
    freeze_all_but(model, stage.trained_part)

    def learned(chunked: bool) -> tuple[float, dict[str, float], dict[str, torch.Tensor]]:
        model.zero_grad()
        task = make_task(stage, chunked_loss=chunked)
        # Step 9 is the tenth, which is logged: there accuracy is counted on both ways.
        (batch,) = task.micro_batches(9, 0, 1, CPU)
        share = task.share(model, batch)
        torch.autograd.backward(share.loss)
        gradients = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
        return float(share.loss.detach()), task.metrics(share.sums, 1), gradients

    (loss, metrics, gradients), (other_loss, other_metrics, other_gradients) = learned(False), learned(True)
    assert other_loss == pytest.approx(loss, rel=1e-6)
    assert other_metrics == pytest.approx(metrics, rel=1e-6)
    assert other_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(other_gradients[name], gradient, atol=2e-6, rtol=1e-4)


def test_without_logits_accuracy_is_counted_at_the_steps_that_are_logged(
    make_task: Callable[..., SupervisedTask], model: LeLM
) -> None:
    task = make_task(chunked_loss=True)
    shares = [task.share(model, batch).sums for step in (3, 9) for batch in task.micro_batches(step, 0, 1, CPU)]
    interval, logged = task.metrics(shares[0] + shares[1], 2), task.metrics(shares[1], 1)
    assert interval["accuracy/vocal"] == logged["accuracy/vocal"]
    assert interval["loss/vocal"] != logged["loss/vocal"]


@pytest.mark.parametrize(
    ("stage", "streams"),
    [
        (Stage.PRETRAIN, (Stream.MIXED,)),
        (Stage.EXTEND, (Stream.VOCAL, Stream.ACCOMPANIMENT)),
        (Stage.SFT, tuple(Stream)),
    ],
)
def test_a_stage_predicts_its_own_streams_and_a_short_forward_predicts_the_same(
    make_task: Callable[..., SupervisedTask], model: LeLM, stage: Stage, streams: tuple[Stream, ...]
) -> None:
    assert stage.streams == streams
    batch = next(iter(make_task(stage).micro_batches(0, 0, 1, CPU))).songs
    whole = predict(model, batch, tuple(Stream), model.config).logits
    asked = predict(model, batch, streams, model.config).logits
    assert tuple(asked) == streams
    for stream in streams:
        torch.testing.assert_close(asked[stream], whole[stream], atol=1e-5, rtol=0)


def test_a_frame_is_predicted_from_earlier_columns_of_the_delay_pattern_only(
    model: LeLM, song_store: ExampleStore, tiny_model: Path, tmp_path: Path
) -> None:
    conditions = encoded_conditions(song_store, tiny_model, tmp_path / "cache")
    codes = padded_codes(song_store, [4], model.config)
    changed = codes.clone()
    changed[0, :, 6] = (changed[0, :, 6] + 1) % model.config.code_size
    rows = conditions.rows(torch.tensor([4]).numpy())
    before, after = (
        predict(model, SongBatch(each, rows), tuple(Stream), model.config).logits for each in (codes, changed)
    )
    # Stream 1 lags by two frames, so its frame 4 shares a column with stream 0's frame 6 and its frame 5 follows it.
    assert torch.equal(before[Stream.MIXED][0, :7], after[Stream.MIXED][0, :7])
    assert not torch.equal(before[Stream.MIXED][0, 7], after[Stream.MIXED][0, 7])
    assert torch.equal(before[Stream.VOCAL][0, :5], after[Stream.VOCAL][0, :5])
    assert not torch.equal(before[Stream.VOCAL][0, 5], after[Stream.VOCAL][0, 5])


def test_the_end_token_follows_songs_that_ended_and_no_others(
    tmp_path: Path, make_song: Callable[[int], TrainingExample], model: LeLM
) -> None:
    whole, cut = make_song(0), replace(make_song(1), ended=False)
    store = write_examples([whole, cut], tmp_path / "songs")
    codes, config = padded_codes(store, [0, 1], model.config), model.config
    assert (codes[0] == config.end_id).sum(dim=1).tolist() == [1, 1, 1]
    assert (codes[1] == config.end_id).sum() == 0
    assert [num_tokens_of(store, [row]) for row in (0, 1)] == [whole.codes.shape[1] + 1, cut.codes.shape[1]]
    for row, song in enumerate((whole, cut)):
        assert num_tokens_of(store, [row]) == int((codes[row, 0] != config.special_id).sum())
        assert codes[row, :, : song.codes.shape[1]].tolist() == song.codes.tolist()


def test_dropped_conditions_depend_on_seed_and_step_alone(make_task: Callable[..., SupervisedTask]) -> None:
    def prompts(step: int, workers: int) -> torch.Tensor:
        task = make_task()
        batches = [batch for rank in range(workers) for batch in task.micro_batches(step, rank, workers, CPU)]
        return torch.cat([batch.songs.conditions.prompt_codes for batch in batches])

    assert torch.equal(prompts(2, 1), prompts(2, 4))
    assert not torch.equal(prompts(2, 1), prompts(3, 1))
