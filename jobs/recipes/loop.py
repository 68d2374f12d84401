"""Recipes of the closed loop: `demo` for two cores and a quarter of an hour, `tiny` for tests of faults and gates.

`base` and `large` have the released models' shapes, for a cluster; nothing here has run them whole.
"""

from collections.abc import Callable
from dataclasses import replace

from levo.model.conditions import ConditionDropout
from levo.model.config import LeLMConfig, base_config, large_config
from levo.model.sampling.length_class import LengthClass
from levo.song.scores import Axis
from levo.training.precision import Precision
from pipelines.loop.config import (
    AlignmentConfig,
    CorpusConfig,
    JudgesConfig,
    LoopConfig,
    MergeConfig,
    ModelSize,
    PhasePlan,
    PromptsConfig,
    SamplingConfig,
    TrainingConfig,
)
from pipelines.rendered.noise import NoiseShares
from pipelines.rendered.world import WorldConfig


def demo(seed: int = 0) -> LoopConfig:
    """The whole loop on two cores: a corpus of 2,272 songs and a song model of two million parameters."""
    clean, everything = ("studio",), ("studio", "wild")
    return LoopConfig(
        recipe="demo",
        seed=seed,
        world=WorldConfig(),
        corpus=CorpusConfig(
            num_studio=1792,
            num_wild=448,
            num_long=32,
            num_separation_sample=64,
            noise=NoiseShares(wrong_lyrics=0.35, wrong_tags=0.7, glitches=0.6),
        ),
        judges=JudgesConfig(
            num_codec_songs=192,
            semantic_steps=600,
            num_recogniser_songs=288,
            recogniser_steps=450,
            num_similarity_songs=320,
            similarity_steps=400,
            num_musicality_songs=200,
            musicality_steps=400,
            num_tagger_songs=128,
            num_noise_songs=32,
        ),
        model=ModelSize(
            width=128, num_heads=4, feed_forward_width=384, num_layers=4, num_decoder_layers=2, delays=(0, 2, 2)
        ),
        training=TrainingConfig(
            phases=(
                PhasePlan("pretrain-2s", "pretrain", clean, 450, 8, 1.5e-3, 50, 48, 1.0, audio_prompt_dropout=1.0),
                PhasePlan("pretrain-4s", "pretrain", clean, 350, 8, 1.5e-3, 5, 96, 1.0, audio_prompt_dropout=1.0),
                PhasePlan("pretrain-clean", "pretrain", clean, 1400, 6, 2.5e-3, 5, None, 0.06),
                PhasePlan("pretrain", "pretrain", everything, 160, 6, 6e-4, 5, None, 0.3, even=True),
                PhasePlan("extend", "extend", everything, 700, 6, 4e-3, 20, None, 0.05),
            ),
            num_workers=2,
            threads_per_worker=1,
            zero_stage=0,
            use_gpu=False,
            precision=Precision.NATIVE,
            dropout=ConditionDropout(all_conditions=0.05, description=0.1, audio_prompt=0.5),
            table_std=0.1,
            checkpoint_every=500,
            max_failures=2,
        ),
        prompts=PromptsConfig(num_pair=160, num_search=48, num_report=96, num_long_report=8, audio_prompt_frames=50),
        sampling=SamplingConfig(
            length_classes=(
                LengthClass(num_rows=48, max_frames=176, max_prefix=112),
                LengthClass(num_rows=8, max_frames=776, max_prefix=224),
            ),
            num_replicas=2,
            threads_per_replica=1,
            temperature=0.8,
            top_k=0,
            guidance=1.0,
            candidates_per_prompt=6,
            samples_per_search_prompt=2,
            samples_per_report_prompt=3,
        ),
        alignment=AlignmentConfig(
            margins={Axis.LYRIC: 0.1, Axis.PROMPT: 0.05, Axis.MUSICALITY: 0.3},
            noise_multiple=2.0,
            pairs_per_prompt=3,
            beta=0.1,
            learning_rate={Axis.LYRIC: 5e-5, Axis.PROMPT: 5e-5, Axis.MUSICALITY: 5e-5},
            mixed_learning_rate=5e-5,
            batch_size=8,
            epochs=2.0,
            mixed_epochs=0.6,
        ),
        merge=MergeConfig(
            coefficients=((0.8, 0.4, 0.8), (1.0, 0.5, 1.0)),
            max_similarity_loss=0.02,
            max_musicality_loss=0.15,
        ),
    )


def tiny(seed: int = 0) -> LoopConfig:
    """The same loop with next to nothing in it: it shows that the parts fit, and learns nothing worth hearing."""
    recipe = demo(seed)
    return replace(
        recipe,
        recipe="tiny",
        corpus=CorpusConfig(num_studio=24, num_wild=16, num_long=4, num_separation_sample=6),
        judges=JudgesConfig(
            num_codec_songs=24,
            semantic_steps=30,
            num_recogniser_songs=16,
            recogniser_steps=20,
            num_similarity_songs=64,
            similarity_steps=10,
            num_musicality_songs=16,
            musicality_steps=10,
            num_tagger_songs=64,
            num_noise_songs=4,
        ),
        model=replace(recipe.model, width=32, num_heads=2, feed_forward_width=64, num_layers=1, num_decoder_layers=1),
        training=replace(
            recipe.training,
            phases=tuple(
                replace(phase, steps=10, warmup_steps=2, learning_rate=1.5e-3) for phase in recipe.training.phases
            ),
            checkpoint_every=10,
        ),
        prompts=replace(recipe.prompts, num_pair=8, num_search=4, num_report=6, num_long_report=2),
        sampling=replace(
            recipe.sampling,
            length_classes=(
                LengthClass(num_rows=16, max_frames=176, max_prefix=112),
                LengthClass(num_rows=4, max_frames=776, max_prefix=224),
            ),
            candidates_per_prompt=3,
        ),
        alignment=replace(
            recipe.alignment, margins=dict.fromkeys(Axis, 0.0), noise_multiple=0.0, pairs_per_prompt=1, epochs=1
        ),
        merge=replace(recipe.merge, coefficients=((0.334, 0.333, 0.333),)),
    )


def base(seed: int = 0) -> LoopConfig:
    """The loop at the shape of the released base model (2.0 billion parameters in its blocks), on eight GPUs."""
    return _released("base", base_config(), seed, num_workers=8, zero_stage=2)


def large(seed: int = 0) -> LoopConfig:
    """The loop at the shape of the released v2-large model (4.0 billion parameters in its blocks), on 16 GPUs."""
    return _released("large", large_config(), seed, num_workers=16, zero_stage=3)


def _released(name: str, shape: LeLMConfig, seed: int, *, num_workers: int, zero_stage: int) -> LoopConfig:
    """Two songs a worker and a step, as in the paper; rates and steps are ours, since the papers give none."""
    recipe = demo(seed)
    batch, room = 2 * num_workers, shape.prefix_length

    def phase(plan: PhasePlan) -> PhasePlan:
        return replace(plan, batch_size=batch, learning_rate=1e-4 if plan.stage == "pretrain" else 2e-4)

    return replace(
        recipe,
        recipe=name,
        model=ModelSize.of(shape),
        training=replace(
            recipe.training,
            phases=tuple(phase(plan) for plan in recipe.training.phases),
            num_workers=num_workers,
            threads_per_worker=4,
            zero_stage=zero_stage,
            use_gpu=True,
            precision=Precision.BFLOAT16,
            table_std=None,
            chunked_loss=True,
            recompute_activations=True,
        ),
        sampling=replace(
            recipe.sampling,
            length_classes=(
                LengthClass(num_rows=32, max_frames=recipe.sampling.length_classes[0].max_frames, max_prefix=room),
                LengthClass(num_rows=8, max_frames=recipe.sampling.length_classes[1].max_frames, max_prefix=room),
            ),
            threads_per_replica=4,
            use_gpu=True,
        ),
        alignment=replace(
            recipe.alignment, learning_rate=dict.fromkeys(Axis, 1e-6), mixed_learning_rate=1e-6, batch_size=batch
        ),
    )


RECIPES: dict[str, Callable[[int], LoopConfig]] = {"demo": demo, "tiny": tiny, "base": base, "large": large}


def recipe_named(name: str, seed: int) -> LoopConfig:
    """A recipe by its name; raises `ValueError` with the names there are."""
    if name not in RECIPES:
        raise ValueError(f"no recipe {name!r}; expected one of {sorted(RECIPES)}")
    return RECIPES[name](seed)
