"""The preference step against TRL's: a Llama of the language model's size, equal pairs, weights, optimiser and loss.

TRL runs its own trainer. Ours runs what stage 3 runs: both songs of a pair behind one prefix, logits of their codes
alone. `stored` takes the reference's log-probabilities from file on both sides; without, both run the reference too.
Seconds are processor seconds of all threads, over the trainer's steps alone.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from jobs.benchmarks.arms import Measured, in_turn, print_measured
from jobs.benchmarks.training import LanguageTower, TrainingSetting, llama, llama_weights, our_name
from levo.alignment.dpo import PairLogProbabilities, preference_loss
from levo.model.branches import BranchedLayout
from levo.training.losses import sequence_log_probability

OURS, OURS_STORED, TRL, TRL_STORED = "ours", "ours_stored", "trl", "trl_stored"
ARMS = (OURS, OURS_STORED, TRL, TRL_STORED)
_BETA = 0.1


@dataclass(frozen=True, slots=True)
class PreferenceSetting:
    """The sizes that all arms have; every pair has a prefix and two songs of the same length."""

    width: int = 512
    num_heads: int = 8
    inner_width: int = 1536
    num_layers: int = 8
    num_classes: int = 16385
    num_pairs: int = 2
    prefix_length: int = 256
    num_codes: int = 256
    num_steps: int = 4
    learning_rate: float = 1e-5

    @property
    def tower(self) -> TrainingSetting:
        """The Llama's sizes."""
        return TrainingSetting(
            width=self.width,
            num_heads=self.num_heads,
            inner_width=self.inner_width,
            num_layers=self.num_layers,
            num_classes=self.num_classes,
            num_positions=self.prefix_length + self.num_codes,
        )

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Prefixes [pair, position] and songs [2, pair, position] of every step, one after the other."""
        generator = torch.Generator().manual_seed(1)
        num_pairs = self.num_pairs * self.num_steps
        prefixes = torch.randint(self.num_classes, (num_pairs, self.prefix_length), generator=generator)
        songs = torch.randint(self.num_classes, (2, num_pairs, self.num_codes), generator=generator)
        return prefixes, songs


@dataclass(frozen=True, slots=True)
class PreferenceComparison:
    """What every arm took, by its name; an arm's value is its last step's loss.

    `short` are the arms on songs of a few codes. A song's log-probability is a float32 sum: at 256 codes of 16385
    classes it has steps of 2e-4, and so have the losses after a few updates.
    """

    arms: dict[str, Measured]
    short: dict[str, Measured]

    def ratio(self, ours: str, theirs: str) -> float:
        """Our processor seconds a step over theirs."""
        return self.arms[ours].median_s / self.arms[theirs].median_s

    @property
    def loss_difference(self) -> float:
        """How far apart the last losses of the arms are."""
        return _spread(self.arms)

    @property
    def short_loss_difference(self) -> float:
        """The same on short songs."""
        return _spread(self.short)


def compare_preference(setting: PreferenceSetting, num_rounds: int = 2) -> PreferenceComparison:
    """Run all arms by turns; raises `RuntimeError` where TRL is not installed."""
    plain = {name: getattr(setting, name) for name in PreferenceSetting.__dataclass_fields__}
    short = plain | {"prefix_length": 32, "num_codes": 8}
    return PreferenceComparison(
        in_turn("jobs.benchmarks.dpo", ARMS, plain, num_rounds), in_turn("jobs.benchmarks.dpo", ARMS, short, 1)
    )


def _spread(arms: dict[str, Measured]) -> float:
    values = [one.value for one in arms.values()]
    return max(values) - min(values)


class _PairTower(LanguageTower):
    def log_probabilities(self, prefixes: Tensor, songs: Tensor) -> Tensor:
        """Log-probabilities [2 * pair]: of the first songs, then of the second ones."""
        pairs = songs.flatten(0, 1)
        layout = BranchedLayout(prefixes.shape[1], pairs.shape[1] - 1, 2)
        x = layout.pack(self.embed(prefixes), self.embed(pairs[:, :-1]))
        states = self.tower(x, layout.positions(x.device), layout)
        last = states[:, layout.prefix_length - 1].repeat(2, 1)[:, None]
        logits = self.head(torch.cat([last, layout.codes_of(states)], dim=1))
        return sequence_log_probability(logits, pairs, special_id=-100)


def run_ours(setting: PreferenceSetting, *, is_stored: bool) -> Measured:
    """Our steps."""
    weights = {our_name(name): tensor for name, tensor in llama_weights(setting.tower).items()}
    policy = _PairTower(setting.tower)
    policy.load_state_dict(weights)
    reference = _PairTower(setting.tower)
    reference.load_state_dict(weights)
    optimiser = torch.optim.AdamW(policy.parameters(), lr=setting.learning_rate, weight_decay=0.0, fused=True)
    prefixes, songs = setting.pairs()
    parts = range(0, len(prefixes), setting.num_pairs)
    batches = [slice(start, start + setting.num_pairs) for start in parts]

    def of_reference(batch: slice) -> Tensor:
        with torch.no_grad():
            return reference.log_probabilities(prefixes[batch], songs[:, batch])

    stored = [of_reference(batch) for batch in batches] if is_stored else []
    seconds, loss = [], torch.zeros(())
    for step, batch in enumerate(batches):
        begun = time.process_time()
        known = stored[step] if is_stored else of_reference(batch)
        found = policy.log_probabilities(prefixes[batch], songs[:, batch])
        outcome = preference_loss(PairLogProbabilities(*found.chunk(2)), PairLogProbabilities(*known.chunk(2)), _BETA)
        loss = outcome.losses.mean()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        seconds.append(time.process_time() - begun)
    return Measured(tuple(seconds[1:]), 0, float(loss.detach()))


def run_trl(setting: PreferenceSetting, *, is_stored: bool) -> Measured:
    """TRL's steps, timed by its trainer's own callbacks."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import DPOConfig, DPOTrainer

    weights = llama_weights(setting.tower)
    policy, reference = llama(setting.tower), llama(setting.tower)
    policy.load_state_dict(weights)
    reference.load_state_dict(weights)
    prefixes, songs = setting.pairs()
    rows = Dataset.from_dict(
        {"prompt_ids": prefixes.tolist(), "chosen_ids": songs[0].tolist(), "rejected_ids": songs[1].tolist()}
    )
    seconds: list[float] = []
    losses: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_args: Any, **_named: Any) -> None:
            seconds.append(-time.process_time())

        def on_step_end(self, *_args: Any, **_named: Any) -> None:
            seconds[-1] += time.process_time()

        def on_log(self, _args: Any, _state: Any, _control: Any, logs: Any = None, **_named: Any) -> None:
            if logs and "loss" in logs:
                losses.append(float(logs["loss"]))

    with tempfile.TemporaryDirectory() as folder:
        config = DPOConfig(
            output_dir=folder,
            beta=_BETA,
            per_device_train_batch_size=setting.num_pairs,
            num_train_epochs=1,
            learning_rate=setting.learning_rate,
            lr_scheduler_type="constant",
            optim="adamw_torch_fused",
            weight_decay=0.0,
            max_length=None,
            precompute_ref_log_probs=is_stored,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            report_to=[],
            logging_steps=1,
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = _in_order(DPOTrainer)(
            model=policy,
            ref_model=None if is_stored else reference,
            args=config,
            train_dataset=rows,
            processing_class=_tokenizer(setting),
            callbacks=[Clock()],
        )
        trainer.train()
    return Measured(tuple(seconds[1:]), 0, losses[-1])


def _in_order(trainer: Any) -> Any:
    """The trainer, with its rows as they come and its tokens as they are."""
    from torch.utils.data import SequentialSampler

    class InOrder(trainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_args: Any, **_named: Any) -> Any:
            return dataset

        def _get_train_sampler(self, dataset: Any = None) -> Any:
            return SequentialSampler(dataset if dataset is not None else self.train_dataset)

    return InOrder


def _tokenizer(setting: PreferenceSetting) -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {f"<{number}>": number for number in range(setting.num_classes)}
    padding, end = list(words)[:2]
    plain = Tokenizer(models.WordLevel(words, unk_token=padding))
    return PreTrainedTokenizerFast(tokenizer_object=plain, pad_token=padding, eos_token=end, unk_token=padding)


_RUNS: dict[str, Callable[[PreferenceSetting], Measured]] = {
    OURS: lambda setting: run_ours(setting, is_stored=False),
    OURS_STORED: lambda setting: run_ours(setting, is_stored=True),
    TRL: lambda setting: run_trl(setting, is_stored=False),
    TRL_STORED: lambda setting: run_trl(setting, is_stored=True),
}

if __name__ == "__main__":
    print_measured(_RUNS[sys.argv[1]](PreferenceSetting(**json.loads(sys.argv[2]))))
