"""The report's tables: what each figure is taken over."""

from jobs.loop_tables import shuffled_table
from pipelines.corpus.records import AudioPlace, AudioReference
from pipelines.loop.records import ScoredRow

ASKED = {"a": [["m", "uw", "n"]], "b": [["s", "k", "ay"]], "long": [["w", "ih", "n", "d"]]}


def sung(prompt_id: str, number: int, phonemes: list[str]) -> ScoredRow:
    return ScoredRow(
        candidate_id=f"{prompt_id}/{number}/x",
        prompt_id=prompt_id,
        audio=AudioReference(AudioPlace.OBJECTS, "x", "0", 1),
        duration_s=1.0,
        heard_phonemes=tuple(phonemes),
        heard_words=(),
        heard_tags=(),
        scores={},
    )


def test_a_song_is_held_against_another_prompt_s_lyrics_however_many_songs_a_prompt_has() -> None:
    own = [sung(name, number, ASKED[name][0]) for name in ("a", "b") for number in range(3)]
    exchanged = [sung(name, number, ASKED[other][0]) for name, other in (("a", "b"), ("b", "a")) for number in range(3)]
    long = [sung("long", 0, ASKED["a"][0])]
    table = shuffled_table(ASKED, {"long"}, {"faithful": own + long, "deaf": exchanged + long})
    assert table.rows == (("faithful", "1.000"), ("deaf", "0.000"))
