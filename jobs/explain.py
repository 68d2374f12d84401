"""`levo explain`: a model's lineage, from its weights to the pairs that made it, and to their songs and prompts."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from pipelines.refresh.lineage import Generation
    from pipelines.refresh.store import RefreshStore


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """Walk from a model of a line of champions back to the first: what made each, and why it was let pass."""

    model: Annotated[str, tyro.conf.Positional]
    """`champion`, `previous`, or the beginning of a model's SHA-256."""
    store: Path
    """The line's folder."""
    pairs: int = 3
    """How many of the newest training's pairs are shown with their songs."""
    json: bool = False
    """Print JSON."""


def main(arguments: Sequence[str]) -> int:
    """Print the lineage."""
    options = tyro.cli(ExplainOptions, args=list(arguments), prog="levo explain")
    from pipelines.refresh.line_facts import open_store
    from pipelines.refresh.lineage import lineage

    store = open_store(options.store)
    generations = lineage(store, options.model)
    if options.json:
        print(json.dumps([asdict(one) for one in generations], indent=1, default=str))
        return 0
    for place, one in enumerate(generations):
        print("\n".join(_lines(store, one)))
        if place == 0:
            print("\n".join(_pairs(store, one, options.pairs)))
    return 0


def _lines(store: "RefreshStore", one: "Generation") -> list[str]:
    role = "champion" if one.is_champion else "candidate, refused"
    lines = [f"{one.model.digest[:12]}  {role}", f"  weights   {store.model(one.model)}"]
    night = None if one.commit is None else one.commit.night
    if one.commit is None or night is None:
        return [*lines, "  made by   the run that the line began with"]
    lines.append(f"  made in   the night {night.date} (commit {one.commit.commit_id[:12]})")
    axes = night.trained_axes
    if one.parent is not None:
        mixed = " + ".join(
            f"{weight:g} x ({axis} {digest[:12]})"
            for axis, (digest, weight) in zip(axes, one.model.parts, strict=False)
        )
        lines.append(f"  mixture   champion {one.parent.digest[:12]} + differences: {mixed}")
    if night.gate is not None:
        verdict = "promoted" if night.gate.is_promoted else "refused"
        lines.append(f"  gate      {verdict} on fold {night.gate.fold}: {'; '.join(night.gate.reasons)}")
    total = sum(pairs.number for pairs in one.pairs)
    snapshot = str(one.commit.pairs)[:12]
    lines.append(f"  pairs     {total} of snapshot {snapshot}, {one.num_songs} songs, {one.num_prompts} prompts")
    lines += [
        f"    {pairs.number:4d} {pairs.axis:<10} of {pairs.night}, mean gap {pairs.mean_gap:.3f}, judge "
        f"{pairs.scorer_digest[:12]}, sung by {pairs.singer[:12]}"
        for pairs in one.pairs
    ]
    return lines


def _pairs(store: "RefreshStore", one: "Generation", number: int) -> list[str]:
    from pipelines.refresh.lineage import pairs_seen

    rows = sorted(pairs_seen(store, one.commit), key=lambda row: (-row.pair.gap, row.pair.pair_id))
    return [
        f"  pair {row.pair.pair_id}: {row.pair.metric} {row.pair.chosen_score:.3f} over {row.pair.rejected_score:.3f}; "
        f"songs {row.pair.chosen_id} ({row.chosen.sha256[:12]}), {row.pair.rejected_id} ({row.rejected.sha256[:12]}); "
        f"prompt {row.pair.prompt_id}: {row.lyrics[:60]}"
        for row in rows[:number]
    ]
