"""HTML and SVG as values: whatever is not markup already is escaped, so that no lyric can become a script."""

import html
from collections.abc import Iterable
from dataclasses import dataclass

_VOID_TAGS = frozenset({"br", "meta", "circle", "line", "path", "polyline", "rect", "polygon"})


@dataclass(frozen=True, slots=True)
class Markup:
    """Finished markup. Only this module and the report's own style and script make it from text."""

    text: str


Content = Markup | str | Iterable["Content"] | None


def element(name: str, /, *content: Content, **attributes: str | float | bool | None) -> Markup:
    """One element; in attribute names underscores stand for hyphens, a last one for nothing (`class_`).

    An attribute that is None or False is left out.
    """
    head = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID_TAGS and not content:
        return Markup(f"<{head}/>")
    return Markup(f"<{head}>{join(content).text}</{name}>")


def join(content: Iterable[Content]) -> Markup:
    """Pieces after one another; None is nothing."""
    return Markup("".join(_escaped(piece) for piece in content))


def _escaped(content: Content) -> str:
    if content is None:
        return ""
    if isinstance(content, Markup):
        return content.text
    if isinstance(content, str):
        return html.escape(content)
    return join(content).text


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f' {name}="{html.escape(text)}"'
