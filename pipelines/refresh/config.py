"""What a refresh is made of: the prompts it may draw, how much a night does, and when it trains and promotes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from levo.alignment.trial_config import SHORT_TRIAL, TrialConfig
from levo.song.prompt import PromptSet
from pipelines.refresh.copies import CopyRules
from pipelines.refresh.decision import DecisionRules

OPERATIONAL = frozenset({"lease_s", "grace_days", "has_report"})
"""Fields of a configuration that change nothing of what nights come to."""
TUNABLE = frozenset(
    {"prompts_per_night", "prompts_per_chunk", "weak_share", "decision", "agreement_pairs", "preflight"}
)
"""Fields that may change from night to night: how much a night does and when it trains, not what is compared with what.
"""


@dataclass(frozen=True, slots=True)
class RefreshPrompts:
    """How many prompts each set holds, all of them short; gate prompts are looked at a fold at a time, in turns."""

    num_pair: int
    num_search: int
    num_gate: int
    num_report: int
    num_gate_folds: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.num_gate_folds <= self.num_gate // 2:
            raise ValueError(
                f"num_gate_folds is {self.num_gate_folds} for {self.num_gate} gate prompts; expected 1 or more, "
                "and two prompts a fold or more"
            )

    @property
    def by_set(self) -> dict[PromptSet, int]:
        """The numbers by set."""
        return {
            PromptSet.PAIR: self.num_pair,
            PromptSet.SEARCH: self.num_search,
            PromptSet.GATE: self.num_gate,
            PromptSet.REPORT: self.num_report,
        }


@dataclass(frozen=True, slots=True)
class RefreshConfig:
    """A line of champions: what every night does; alignment, sampling and merging are as in the loop's recipe."""

    recipe: str
    seed: int
    prompts: RefreshPrompts
    prompts_per_night: int
    candidates_per_prompt: int
    songs_per_gate_prompt: int
    songs_per_search_prompt: int
    songs_per_report_prompt: int
    prompts_per_chunk: int = 8
    """The most prompts whose songs are sampled and scored together: what a kill can lose."""
    weak_share: float = 0.25
    decision: DecisionRules = field(default_factory=DecisionRules)
    gate_limits: Mapping[str, float] = field(default_factory=dict)
    """How much worse a candidate may be, by metric, in the metric's unit; a metric without one may not be worse."""
    max_policy_drift: float = 0.03
    """Pairs go where the champion's log-probability of one of their songs moved by more, in nats a token. A promotion
    of the demo's moves songs by 0.03 to 0.14: nine in ten of the pairs that made it go, and are not learned twice."""
    agreement_pairs: int = 16
    """New pairs of an axis that held-out judges hear each night; 0 asks them nothing. The more, the surer it is told
    that they disagree: one that prefers the other song in 65 % of pairs is found out in half of the nights by 16 pairs,
    in seven of eight by 48."""
    copies: CopyRules = field(default_factory=CopyRules)
    preflight: TrialConfig | None = SHORT_TRIAL
    """The short trial that looks for the signs of a training that fails, before it; None does without."""
    has_report: bool = True
    """Whether a new champion sings the report prompts, which no decision reads."""
    lease_s: float = 120.0
    grace_days: int = 14
    """How long attempts that committed nothing, and candidates that were refused, are kept."""

    def __post_init__(self) -> None:
        for name in ("candidates_per_prompt", "songs_per_gate_prompt", "prompts_per_chunk", "prompts_per_night"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.prompts_per_night > self.prompts.num_pair:
            raise ValueError(
                f"prompts_per_night is {self.prompts_per_night}; expected at most num_pair, {self.prompts.num_pair}"
            )
