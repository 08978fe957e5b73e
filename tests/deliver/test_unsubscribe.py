"""Tokens in links to unsubscribe: ours are read, everything else is unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deliver.letters import KEY
from tillit.deliver.unsubscribe import TokenUnknown, Unsubscribing, make_token, read_token

SECRET = b"a secret of thirty-two octets..."
TOKEN = make_token(SECRET, key=KEY, purpose="newsletter", channel="email")


def test_a_token_says_what_it_was_made_for() -> None:
    assert read_token(SECRET, TOKEN) == Unsubscribing(KEY, "newsletter", "email")


def test_a_token_can_stand_in_a_url_and_in_a_header() -> None:
    assert set(TOKEN) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


@given(at=st.integers(0, len(TOKEN) - 1), put=st.characters())
def test_a_token_with_another_letter_is_unknown(at: int, put: str) -> None:
    changed = TOKEN[:at] + put + TOKEN[at + 1 :]

    if changed != TOKEN:
        with pytest.raises(TokenUnknown):
            read_token(SECRET, changed)


@given(token=st.text(max_size=200))
def test_anything_else_is_unknown(token: str) -> None:
    with pytest.raises(TokenUnknown):
        read_token(SECRET, token)


def test_a_token_of_another_workspace_is_unknown() -> None:
    with pytest.raises(TokenUnknown):
        read_token(b"another secret", TOKEN)
