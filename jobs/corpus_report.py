"""What a corpus shows for itself: the funnel of its refusals, and its songs with their labels, to hear."""

from dataclasses import replace
from pathlib import Path

from jobs.report.audio import store_clip
from jobs.report.data import Clip, Funnel, FunnelStage, Recording
from jobs.report.page import write_recordings_page
from levo.codec.protocol import Codec
from levo.song.waveform import Waveform
from pipelines.corpus.records import PreparedSong
from pipelines.corpus.snapshot import Corpus

REPORT_FILE = "report.html"
_CLIPS_FOLDER = "report"
_LONGEST_CLIP_S = 60.0


def write_corpus_report(corpus: Corpus, codec: Codec, num_songs: int) -> Path:
    """Write `report.html` into the corpus's folder: the funnel, the first songs to hear, and every refusal."""
    folder, out = corpus.folder / _CLIPS_FOLDER, corpus.folder / REPORT_FILE
    recordings = heard_recordings(corpus, codec, folder, num_songs)
    write_recordings_page("Prepared recordings", corpus_funnel("recordings", corpus), recordings, folder, out)
    return out


def heard_recordings(corpus: Corpus, codec: Codec, folder: Path, num_songs: int | None = None) -> tuple[Recording, ...]:
    """Songs with their labels, decoded again from their tokens (the first minute), then what was refused and why."""
    found = [_recording(number, song, codec, corpus, folder) for number, song in enumerate(corpus.songs[:num_songs])]
    refused = [
        Recording(refusal.item_id, 0.0, f"refused at {refusal.stage}: {refusal.reason}", "", (), (), ())
        for refusal in corpus.refusals
    ]
    return (*found, *refused)


def corpus_funnel(title: str, corpus: Corpus) -> Funnel:
    """How many songs each stage took in and let through, with the reasons for the others."""
    stages = []
    refusals = corpus.refusals
    left = len(corpus.songs) + len(refusals)
    for name in dict.fromkeys(["listing", "check", "stems", *(refusal.stage for refusal in refusals)]):
        reasons: dict[str, int] = {}
        for refusal in refusals:
            if refusal.stage == name:
                reasons[refusal.reason] = reasons.get(refusal.reason, 0) + 1
        refused = sum(reasons.values())
        stages.append(FunnelStage(name, left, left - refused, reasons))
        left -= refused
    return Funnel(title, tuple(stages))


def _recording(number: int, song: PreparedSong, codec: Codec, corpus: Corpus, folder: Path) -> Recording:
    decoded = codec.decode(corpus.tokens(song))
    parts = {"mixture": decoded.mixture, "vocal": decoded.vocal, "accompaniment": decoded.accompaniment}
    clips: tuple[Clip, ...] = tuple(
        store_clip(_beginning(sound), folder, f"recording-{number}-{name}", f"{name}, decoded from its tokens")
        for name, sound in parts.items()
    )
    sections = tuple(
        f"{section.tag.token} {section.start_s:.1f}-{section.end_s:.1f} s" for section in song.sections or ()
    )
    return Recording(song.song_id, song.duration_s, "ok", song.lyrics, sections, song.tags, clips)


def _beginning(sound: Waveform) -> Waveform:
    return replace(sound, samples=sound.samples[:, : round(_LONGEST_CLIP_S * sound.sample_rate_hz)])
