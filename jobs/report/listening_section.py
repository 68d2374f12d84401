"""The report's players: the same prompt from every model side by side, and the real recordings."""

from pathlib import Path

from jobs.report.audio import data_uri, envelope
from jobs.report.charts import number_text
from jobs.report.data import Clip, ListeningPrompt, Recording, Take
from jobs.report.markup import Content, Markup, element
from jobs.report.phoneme_diff import phoneme_diff
from jobs.report.results_section import MODEL_NAMES, metric_title

_NUM_BARS = 96


def prompt_card(prompt: ListeningPrompt, folder: Path) -> Markup:
    """One prompt: what was asked for, and every model's song with what was heard in it."""
    asked: list[Content] = [
        element("div", element("h4", "Lyrics"), lyrics_block(prompt.lyrics)),
        element("div", element("h4", "Description"), element("p", prompt.description or "none")),
    ]
    if prompt.audio_prompt is not None:
        asked.append(element("div", element("h4", "Audio prompt"), player(prompt.audio_prompt, folder)))
    return element(
        "article",
        element("h3", f"Prompt {prompt.prompt_id}"),
        element("div", asked, class_="asked"),
        element("div", [_take(take, prompt, folder) for take in prompt.takes], class_="takes"),
        class_="card prompt",
    )


def recording_card(recording: Recording, folder: Path) -> Markup:
    """One real recording: its labels, and its stems and decoded tokens to hear."""
    facts = [
        ("status", recording.status),
        ("length", f"{recording.duration_s:.1f} s"),
        ("sections", " ".join(recording.sections) or "none"),
        ("tags", ", ".join(recording.tags) or "none"),
    ]
    return element(
        "article",
        element("h3", recording.name),
        element("dl", [[element("dt", name), element("dd", value)] for name, value in facts]),
        lyrics_block(recording.lyrics) if recording.lyrics else None,
        element("div", [_captioned(clip, folder) for clip in recording.clips], class_="takes"),
        class_="card recording",
    )


def player(clip: Clip, folder: Path) -> Markup:
    """A sound with its outline; the page's script moves a mark through the outline and lets one seek by it."""
    return element(
        "div",
        _outline(clip, folder),
        element("audio", controls=True, preload="none", src=data_uri(clip, folder), aria_label=clip.caption),
        class_="player",
    )


def lyrics_block(lyrics: str) -> Markup:
    """Lyrics in the released format, a section a line."""
    sections = [section.strip() for section in lyrics.split(";") if section.strip()]
    return element("p", [[section, element("br")] for section in sections], class_="lyrics")


def _take(take: Take, prompt: ListeningPrompt, folder: Path) -> Markup:
    scores = [
        element("span", metric_title(name), " ", element("b", "missing" if value is None else number_text(value)))
        for name, value in take.scores.items()
    ]
    return element(
        "section",
        element("h4", MODEL_NAMES.get(take.model, take.model)),
        player(take.clip, folder),
        element("p", scores, class_="scores"),
        element("p", " ".join(take.words) or "no words recognised", class_="heard"),
        element("p", phoneme_diff(prompt.phonemes, take.phonemes), class_="phonemes"),
        class_=f"take model-{take.model}",
    )


def _captioned(clip: Clip, folder: Path) -> Markup:
    return element("section", element("h4", clip.caption), player(clip, folder), class_="take")


def _outline(clip: Clip, folder: Path) -> Markup:
    bars = envelope(clip, folder, _NUM_BARS)
    strokes = "".join(
        f"M{number + 0.5:.1f} {12 - 11 * max(0.04, float(bar)):.1f}V{12 + 11 * max(0.04, float(bar)):.1f}"
        for number, bar in enumerate(bars)
    )
    shapes = [element("path", d=strokes, class_=kind) for kind in ("wave", "wave played")]
    box = f"0 0 {_NUM_BARS} 24"
    return element("svg", shapes, viewBox=box, preserveAspectRatio="none", class_="outline", aria_hidden="true")
