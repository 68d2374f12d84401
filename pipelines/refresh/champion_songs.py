"""Songs of the champion that are asked for after a training, and need nothing of it: they may be sung beside it."""

from collections.abc import Sequence

from levo.song.scores import Axis
from pipelines.refresh.commits import ModelEntry
from pipelines.refresh.gate_steps import gate_songs
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.songs import ScoredSongs, SongPlaces
from pipelines.refresh.training_steps import mixtures, search_songs


def champion_songs(
    setting: NightSetting, date: str, axes: Sequence[Axis], champion: ModelEntry, look: int, places: SongPlaces
) -> list[ScoredSongs]:
    """The champion's songs for the gate, and for the search where it has several mixtures to choose from.

    The search's come last, since its judges are those that hear the mixtures next.
    """
    songs = [gate_songs(setting, champion, champion.digest, look, places)]
    if len(mixtures(axes, setting.context.config.merge.coefficients)) > 1:
        songs.append(search_songs(setting, date, setting.store.model(champion), places))
    return songs
