"""Ageing by measured drift: a pair is used until the champion is no longer the model that could have sung its songs.

DPO learns from what its policy would say; pairs of songs that the policy has moved away from teach it little, or harm
(F. Tajwar et al.: Preference fine-tuning of LLMs should leverage suboptimal, on-policy data, ICML 2024). How far it has
moved is how much its log-probability of a pair's songs has changed since the night that sampled them, a token.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from levo.alignment.pairs import PairStore
from levo.alignment.reference import SongLogProbability
from pipelines.refresh.pool import PairStatus, PooledPair

_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class PairLikelihood:
    """Log-probabilities of a pair's songs under the champion, in nats a token."""

    chosen: float
    rejected: float


def likelihoods(store: PairStore, known: Mapping[str, SongLogProbability]) -> dict[str, PairLikelihood]:
    """What a model thinks of the songs of a store's pairs, by pair id."""
    per_token = [known[digest].per_token for digest in store.songs.digests]
    sides = zip(store.chosen.tolist(), store.rejected.tolist(), strict=True)
    return {
        store[index].pair_id: PairLikelihood(_kept(per_token[chosen]), _kept(per_token[rejected]))
        for index, (chosen, rejected) in enumerate(sides)
    }


def aged(
    rows: Iterable[PooledPair], now: Mapping[str, PairLikelihood], night: str, max_drift: float
) -> list[PooledPair]:
    """The pool with tonight's drift: new pairs get the likelihoods that later nights are held against.

    Active pairs that drifted beyond `max_drift` are aged; aged ones stay as they are.
    """
    return [_measured(row, now[row.pair.pair_id], night, max_drift) if row.is_active else row for row in rows]


def rejuvenated(rows: Iterable[PooledPair]) -> list[PooledPair]:
    """The pool with every pair in use again, for a champion that came back: its own drift is to decide anew."""
    return [replace(row, status=PairStatus.ACTIVE, aged_on=None) for row in rows]


def mean_drift(rows: Iterable[PooledPair], night: str) -> float:
    """The mean drift of the earlier pairs that were in use until this night, those that it aged included; 0 of none."""
    drifts = [row.drift for row in rows if row.night != night and (row.is_active or row.aged_on == night)]
    return sum(drifts) / len(drifts) if drifts else 0.0


def _measured(row: PooledPair, now: PairLikelihood, night: str, max_drift: float) -> PooledPair:
    if row.night == night:
        return replace(row, chosen_log_probability=now.chosen, rejected_log_probability=now.rejected, drift=0.0)
    changes = (now.chosen - row.chosen_log_probability, now.rejected - row.rejected_log_probability)
    drift = round(max(map(abs, changes)), _DECIMALS)
    if drift <= max_drift:
        return replace(row, drift=drift)
    return replace(row, drift=drift, status=PairStatus.AGED, aged_on=night)


def _kept(value: float) -> float:
    """As the pool keeps it: a tie of the last digits is no drift."""
    return round(value, _DECIMALS)
