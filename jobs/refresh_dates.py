"""Which nights are asked for: a date, a range of dates, or those that were begun and not ended, or not told."""

from datetime import date, timedelta

from pipelines.refresh.store import RefreshStore

_LONGEST_RANGE = 366


def asked_dates(one: str | None, backfill: str | None, resume: bool, store: RefreshStore) -> tuple[str, ...]:
    """The dates in the order in which they are done; raises ValueError where none, or two ways to ask, are given."""
    if sum((one is not None, backfill is not None)) > 1:
        raise ValueError(f"--date {one} and --backfill {backfill}; expected one of the two")
    if one is not None:
        return (_parsed("--date", one).isoformat(),)
    if backfill is not None:
        return _range(backfill)
    if resume:
        return tuple(sorted({*store.unfinished_nights(), *store.untold_nights()}))
    raise ValueError("no night is asked for; give --date 2026-11-26, --backfill 2026-11-01..2026-11-07 or --resume")


def _range(text: str) -> tuple[str, ...]:
    first, separator, last = text.partition("..")
    if not separator:
        raise ValueError(f"--backfill is {text!r}; expected two dates, as in 2026-11-01..2026-11-07")
    start, end = _parsed("--backfill", first), _parsed("--backfill", last)
    number = (end - start).days + 1
    if not 1 <= number <= _LONGEST_RANGE:
        raise ValueError(
            f"--backfill is {text!r}, {number} nights; expected 1 to {_LONGEST_RANGE}, the earlier date first"
        )
    return tuple((start + timedelta(days=day)).isoformat() for day in range(number))


def _parsed(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{option} is {text!r}; expected a date, as in 2026-11-26") from None
