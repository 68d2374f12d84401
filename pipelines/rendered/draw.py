"""Which songs are drawn for what: fitting, prompting and the corpus each have a name space that shares no song."""

from levo.song.labelled import LabelledSong
from pipelines.rendered.plan import SongPlan, plan_song
from pipelines.rendered.song import render_song
from pipelines.rendered.voice import Voice
from pipelines.rendered.world import WorldConfig


def draw_plans(
    namespace: str, num_songs: int, seed: int, config: WorldConfig, long_share: float = 0.0
) -> tuple[SongPlan, ...]:
    """Songs `NAMESPACE-00000` on; a share of them, spread evenly, are long. Song i does not depend on `num_songs`."""
    if not 0 <= long_share <= 1:
        raise ValueError(f"long_share is {long_share}; expected a share between 0 and 1")
    return tuple(
        plan_song(
            f"{namespace}-{index:05d}", seed, config, long=int((index + 1) * long_share) > int(index * long_share)
        )
        for index in range(num_songs)
    )


def render_training_songs(
    num_songs: int, seed: int, voice: Voice, long_share: float = 0.0, purpose: str = "fit"
) -> list[LabelledSong]:
    """Songs to fit codecs, recognisers and judges on: other ones for another purpose or seed, none is in a corpus."""
    plans = draw_plans(f"train-{purpose}", num_songs, seed, voice.config, long_share)
    return [render_song(plan, voice) for plan in plans]


def plan_companion(plan: SongPlan, config: WorldConfig) -> SongPlan:
    """Another short song of the same style, with words of its own: where a plan's audio prompt is taken from."""
    return plan_song(f"{plan.song_id}-companion", plan.seed, config, style=plan.style)
