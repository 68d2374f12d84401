"""Recipes of the nightly refresh, by the names of the loop's: what a night does on two cores, and on a cluster."""

from collections.abc import Callable
from dataclasses import replace

from levo.alignment.trial_config import TrialConfig
from pipelines.loop.metrics import MUSICAL_DEFECTS, POCKETSPHINX_ERROR_RATE, TAG_AGREEMENT
from pipelines.refresh.config import RefreshConfig, RefreshPrompts
from pipelines.refresh.decision import DecisionRules


def demo(seed: int = 0) -> RefreshConfig:
    """Nights of some minutes on two cores; with half as many prompts in a fold intervals were as wide as the gains."""
    return RefreshConfig(
        recipe="demo",
        seed=seed,
        prompts=RefreshPrompts(num_pair=640, num_search=16, num_gate=384, num_report=96, num_gate_folds=4),
        prompts_per_night=48,
        candidates_per_prompt=6,
        songs_per_gate_prompt=2,
        songs_per_search_prompt=2,
        songs_per_report_prompt=2,
        decision=DecisionRules(min_pairs=48, min_new_share=0.3),
        agreement_pairs=48,
        # About as wide as half the interval of an equal candidate on a fold: narrower ones would refuse all.
        gate_limits={POCKETSPHINX_ERROR_RATE.name: 0.06, TAG_AGREEMENT.name: 0.05, MUSICAL_DEFECTS.name: 0.2},
    )


def tiny(seed: int = 0) -> RefreshConfig:
    """The same nights with next to nothing in them, for faults, gates and leases."""
    return replace(
        demo(seed),
        recipe="tiny",
        prompts=RefreshPrompts(num_pair=20, num_search=4, num_gate=16, num_report=6, num_gate_folds=2),
        prompts_per_night=5,
        candidates_per_prompt=3,
        songs_per_gate_prompt=1,
        songs_per_search_prompt=1,
        songs_per_report_prompt=1,
        prompts_per_chunk=8,
        decision=DecisionRules(min_pairs=4, min_new_share=0.2, min_agreement=0.0, min_yield_share=0.0),
        agreement_pairs=2,
        preflight=TrialConfig(num_steps=3, num_pairs=8),
        lease_s=10.0,
    )


def _released(name: str, seed: int) -> RefreshConfig:
    """Nights of a cluster; the sizes are ours, since the papers describe one alignment and no refresh."""
    return replace(
        demo(seed),
        recipe=name,
        prompts=RefreshPrompts(num_pair=20_000, num_search=64, num_gate=1_024, num_report=256, num_gate_folds=8),
        prompts_per_night=512,
        decision=DecisionRules(min_pairs=512, min_new_share=0.3),
        agreement_pairs=256,
    )


REFRESH_RECIPES: dict[str, Callable[[int], RefreshConfig]] = {
    "demo": demo,
    "tiny": tiny,
    "base": lambda seed: _released("base", seed),
    "large": lambda seed: _released("large", seed),
}


def refresh_named(name: str, seed: int) -> RefreshConfig:
    """A recipe by its name; raises `ValueError` with the names there are."""
    if name not in REFRESH_RECIPES:
        raise ValueError(f"no recipe {name!r} for a refresh; expected one of {sorted(REFRESH_RECIPES)}")
    return REFRESH_RECIPES[name](seed)
