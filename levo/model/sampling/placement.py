"""Which rows of a lane a song takes: any free ones, or such as share a prefix with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Placement:
    """The rows of a lane in slots of `rows_per_slot`; all rows of a slot begin with the same prefix."""

    num_rows: int
    rows_per_slot: int = 1
    _rows: dict[int, str] = field(default_factory=dict)
    """The prefix of each taken row."""

    @property
    def num_free(self) -> int:
        """Rows that no song has."""
        return self.num_rows - len(self._rows)

    @property
    def is_empty(self) -> bool:
        """Whether no song is there."""
        return not self._rows

    def copy(self) -> "Placement":
        """The same, to try things on."""
        return Placement(self.num_rows, self.rows_per_slot, dict(self._rows))

    def holds(self, prefix: str) -> bool:
        """Whether a slot has the prefix already."""
        return self.rows_per_slot > 1 and prefix in self._rows.values()

    def take(self, prefixes: Sequence[str]) -> tuple[int, ...] | None:
        """Rows for a song, one a prefix, or None where it finds no room; nothing is then taken."""
        taken: list[int] = []
        for prefix in prefixes:
            row = self._room_for(prefix)
            if row is None:
                self.free(taken)
                return None
            self._rows[row] = prefix
            taken.append(row)
        return tuple(taken)

    def free(self, rows: Sequence[int]) -> None:
        """Give rows back."""
        for row in rows:
            del self._rows[row]

    def _room_for(self, prefix: str) -> int | None:
        unused: int | None = None
        for start in range(0, self.num_rows, self.rows_per_slot):
            slot = range(start, start + self.rows_per_slot)
            owners = {self._rows[row] for row in slot if row in self._rows}
            if owners == {prefix}:
                free = [row for row in slot if row not in self._rows]
                if free:
                    return free[0]
            elif not owners and unused is None:
                unused = start
        return unused
