"""A song's description: comma-separated tags, and the musicality tier that the released model reads before them."""

from dataclasses import dataclass
from enum import StrEnum


class MusicalityTier(StrEnum):
    """LeVo 2's five tiers, best first."""

    VERY_HIGH = "very-high"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    VERY_LOW = "very-low"

    @property
    def token(self) -> str:
        """The tier as the text conditioner knows it: `[Musicality-high]`."""
        return f"[Musicality-{self.value}]"


PURE_MUSIC_TOKEN = "[Pure-Music]"
DROPPED_DESCRIPTION = "."


@dataclass(frozen=True, slots=True)
class Description:
    """Lower-cased style tags (`female`, `dark`, `piano`) and, where known, a musicality tier."""

    tags: tuple[str, ...] = ()
    tier: MusicalityTier | None = None
    pure_music: bool = False

    @property
    def text(self) -> str:
        """The conditioner's text: `[Musicality-high], female, dark.`; a lone `.` stands for no tags."""
        head = [self.tier.token] if self.tier else []
        if self.pure_music:
            head.append(PURE_MUSIC_TOKEN)
        if not self.tags:
            return ", ".join([*head, DROPPED_DESCRIPTION])
        return ", ".join([*head, *self.tags]) + "."


def parse_description(text: str) -> Description:
    """Read comma-separated tags (a trailing full stop and upper case are allowed); tier tokens are recognised."""
    tiers = {tier.token.lower(): tier for tier in MusicalityTier}
    tier: MusicalityTier | None = None
    pure_music = False
    tags: list[str] = []
    for piece in text.strip().rstrip(".").split(","):
        tag = piece.strip().lower()
        if tag in tiers:
            tier = tiers[tag]
        elif tag == PURE_MUSIC_TOKEN.lower():
            pure_music = True
        elif tag:
            tags.append(tag)
    return Description(tuple(tags), tier, pure_music)
