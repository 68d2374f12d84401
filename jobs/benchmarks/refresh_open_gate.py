"""`levo refresh` with a gate that lets every candidate pass, for trials of nights that change the champion.

A small run's candidates are as good as its champion, and the gate rightly promotes none of them.
"""

import sys
from dataclasses import replace
from unittest.mock import patch

import pipelines.refresh.night
from jobs.cli import main
from pipelines.refresh.gate import GateDecision
from pipelines.refresh.gate_steps import judge
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.songs import ScoredSongs


def let_pass(setting: NightSetting, look: int, champion: ScoredSongs, candidate: ScoredSongs) -> GateDecision:
    """What the gate says, and a promotion whatever that is."""
    return replace(judge(setting, look, champion, candidate), is_promoted=True, alarms=())


if __name__ == "__main__":
    with patch.object(pipelines.refresh.night, "judge", let_pass):
        sys.exit(main(["refresh", *sys.argv[1:]]))
