"""In how many pieces a night's songs are made: all prompts once, none too large, the ends small."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.refresh.songs import chunk_sizes


@given(st.integers(0, 300), st.integers(1, 40))
def test_every_prompt_is_in_one_chunk_and_no_chunk_is_too_large(num_prompts: int, largest: int) -> None:
    sizes = chunk_sizes(num_prompts, largest)
    assert sum(sizes) == num_prompts
    assert all(1 <= size <= largest for size in sizes)


def test_what_fits_into_one_chunk_is_one() -> None:
    assert chunk_sizes(8, 8) == [8]
    assert chunk_sizes(0, 8) == []


def test_the_first_and_the_last_chunk_are_a_quarter_of_the_largest() -> None:
    assert chunk_sizes(48, 8) == [2, 8, 8, 7, 7, 7, 7, 2]
    assert chunk_sizes(9, 8) == [2, 5, 2]
