"""Who is let in: by the token alone, and nobody unasked from another machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.loop.access import MIN_TOKEN_LENGTH, NOBODY_IS_ASKED, Access, AccessError, authorization, is_loopback

TOKEN = "0123456789abcdef0123456789abcdef"
ACCESS = Access.by(TOKEN)


@given(st.text(max_size=60))
def test_no_other_text_than_the_token_is_let_in(text: str) -> None:
    assert ACCESS.admits(text) is False
    assert ACCESS.admits(f"Bearer {text}") is (text.strip() == TOKEN)


def test_the_header_of_the_client_is_what_the_service_lets_in() -> None:
    assert ACCESS.admits(authorization(TOKEN)["Authorization"])
    assert ACCESS.admits(f"bearer {TOKEN}")
    assert not ACCESS.admits(None)
    assert not ACCESS.admits(f"Basic {TOKEN}")
    assert not ACCESS.admits(TOKEN)
    assert authorization(None) == authorization("") == {}


def test_the_token_is_not_kept() -> None:
    assert TOKEN not in repr(ACCESS)


@pytest.mark.parametrize("token", ["short", "x" * (MIN_TOKEN_LENGTH - 1), "a token with spaces", "ä" * 32, "a\n" * 16])
def test_a_token_that_can_be_guessed_or_that_no_header_carries_is_refused(token: str) -> None:
    with pytest.raises(AccessError, match="LEVO_SERVE_TOKEN holds") as error:
        Access.by(token)
    assert token not in str(error.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "levo.example.org", ""])
def test_other_machines_are_not_let_in_without_a_token(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(AccessError, match="set LEVO_SERVE_TOKEN"):
        NOBODY_IS_ASKED.check(host)
    ACCESS.check(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    NOBODY_IS_ASKED.check(host)
    assert NOBODY_IS_ASKED.admits(None)
