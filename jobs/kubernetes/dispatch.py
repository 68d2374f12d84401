"""Makes a night's RayJob, of two who try exactly once, and follows it to its end."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.kubernetes.api import CONFLICT, ClusterApi, KubernetesError
from jobs.kubernetes.night import NightState, date_of, rayjob_of, state_of

_PATIENCE_S = 600.0
_TRY_AGAIN = (429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class EndedNight:
    """A night's RayJob after its end."""

    name: str
    state: NightState
    rayjob: Mapping[str, Any]


def dispatch(
    template: Mapping[str, Any],
    job: str,
    api: ClusterApi,
    poll_s: float,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = print,
) -> EndedNight:
    """The night for which the Job of this name is due: made unless it is there, and waited for."""
    day = date_of(api.get(f"/apis/batch/v1/namespaces/{api.namespace}/jobs/{job}"))
    rayjob, rayjobs = rayjob_of(template, day), f"/apis/ray.io/v1/namespaces/{api.namespace}/rayjobs"
    name = str(rayjob["metadata"]["name"])
    say(f"{name}: {'created' if _created(api, rayjobs, rayjob) else 'there already'}")
    ended = _ended(api, f"{rayjobs}/{name}", poll_s, sleep)
    return EndedNight(name, state_of(ended), ended)


def _created(api: ClusterApi, path: str, rayjob: Mapping[str, Any]) -> bool:
    """Whether it was made now; its name is taken where an earlier attempt, or somebody else, has made it."""
    try:
        api.create(path, rayjob)
    except KubernetesError as error:
        if error.status != CONFLICT:
            raise
        return False
    return True


def _ended(api: ClusterApi, path: str, poll_s: float, sleep: Callable[[float], None]) -> Mapping[str, Any]:
    """The RayJob once it has ended; an API that does not answer for some minutes is waited for."""
    away_s = 0.0
    while True:
        try:
            rayjob = api.get(path)
        except (ConnectionError, KubernetesError) as error:
            passes = isinstance(error, ConnectionError) or error.status in _TRY_AGAIN
            if not passes or away_s >= _PATIENCE_S:
                raise
            away_s += poll_s
        else:
            if state_of(rayjob) is not NightState.RUNNING:
                return rayjob
            away_s = 0.0
        sleep(poll_s)
