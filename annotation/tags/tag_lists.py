"""The tags that a description may hold, kind by kind, and the sentence by which a text-music model is asked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TagList:
    """Tags of one kind: at most `max_tags` are given, those that are as likely as the best but for a share `margin`."""

    kind: str
    prompt: str
    tags: tuple[str, ...]
    max_tags: int = 1
    margin: float = 0.0

    def __post_init__(self) -> None:
        if len(self.tags) < 2 or len(set(self.tags)) != len(self.tags):
            raise ValueError(f"{self.kind} tags are {self.tags}; expected two or more, each once")
        if "{tag}" not in self.prompt:
            raise ValueError(f"the prompt of {self.kind} is {self.prompt!r}; expected one with {{tag}} in it")

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the model reads for each tag."""
        return tuple(self.prompt.format(tag=tag) for tag in self.tags)


GENDER = TagList("gender", "a song with a {tag} singing voice", ("female", "male"))
TIMBRE = TagList(
    "timbre",
    "a song with a {tag} voice",
    ("bright", "dark", "warm", "soft", "rough", "breathy", "clear", "deep", "powerful", "nasal"),
)
GENRE = TagList(
    "genre",
    "this is {tag} music",
    (
        "pop", "rock", "folk", "electronic", "dance", "hip hop", "rap", "r&b", "soul", "jazz", "blues", "country",
        "metal", "punk", "reggae", "latin", "funk", "disco", "gospel", "classical", "opera", "ambient", "house",
        "techno", "trap", "indie", "ballad", "bossa nova", "ska", "grunge", "synthpop", "world", "soundtrack",
        "new age", "bluegrass", "flamenco", "chinese traditional", "j-pop", "k-pop", "children's",
    ),
)  # fmt: skip
EMOTION = TagList(
    "emotion",
    "this music feels {tag}",
    (
        "happy", "sad", "angry", "calm", "romantic", "melancholic", "energetic", "dreamy", "hopeful", "nostalgic",
        "tense", "dark", "playful", "lonely", "triumphant", "peaceful", "passionate", "mysterious", "uplifting",
        "tender",
    ),
)  # fmt: skip
INSTRUMENT = TagList(
    "instrument",
    "music played on {tag}",
    (
        "piano", "acoustic guitar", "electric guitar", "bass guitar", "drums", "synthesizer", "strings", "violin",
        "cello", "flute", "saxophone", "trumpet", "organ", "harp", "harmonica", "accordion", "ukulele", "banjo",
        "erhu", "guzheng", "percussion", "drum machine", "electric piano", "clarinet", "choir",
    ),
    max_tags=3,
    margin=0.5,
)  # fmt: skip
TAG_LISTS = (GENDER, TIMBRE, GENRE, EMOTION, INSTRUMENT)
