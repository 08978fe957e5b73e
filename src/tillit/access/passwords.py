"""Passwords of operators: which are fit, and how they are kept.

In:    a password as it was typed.
Out:   an Argon2id hash; whether a password is the one of a hash.
Never: a password in a store, a log or an error; an answer that comes sooner when there is nobody to compare with.
"""

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from tillit.errors import BusyError, InputError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

# NIST SP 800-63B asks for at least 8 and allows 64; a console over personal values asks for more, and a bound keeps
# hashing bounded.
SHORTEST = 12
LONGEST = 200
_FEWEST_DISTINCT = 5

# OWASP Password Storage Cheat Sheet, Argon2id: 19 MiB, 2 passes, 1 lane. More memory would let a few strangers who
# sign in at once fill a small machine.
_MEMORY_KIB = 19_456
_PASSES = 2
_LANES = 1
_AT_ONCE = 2  # hashes in one process at a time: 38 MiB
_PATIENCE_S = 5.0

# The commonest of leaked lists that are long enough to pass (SecLists, most used of 12 and more), and our own words.
_COMMON = frozenset(
    (
        "password1234 password12345 passwordpassword password123456 passw0rd1234 p@ssw0rd1234 1q2w3e4r5t6y "
        "1qaz2wsx3edc qwertyuiop12 qwertyuiop123 qwertyuiopasdf qwerty123456 qwerty1234567 abcd12345678 abc123abc123 "
        "administrator administrator1 admin1234567 adminadminadmin letmeinletmein letmein12345 iloveyou1234 "
        "iloveyouiloveyou welcome12345 welcome123456 changeme1234 changemechangeme trustno1trustno1 monkey123456 "
        "football1234 sunshine1234 princess1234 superman1234 dragon123456 correcthorsebatterystaple tillittillit "
        "tillit123456 tillit-console customerdata customerdataplatform"
    ).split()
)
_RUNS = ("01234567890123456789", "09876543210987654321", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")


class WeakPassword(InputError):
    """A password is too short, too long or too easily guessed."""

    code = "access.weak-password"

    def __init__(self, reason: str) -> None:
        """Say what is wrong with it, without repeating it."""
        super().__init__(
            f"This password {reason}. Take {SHORTEST} to {LONGEST} characters that nobody would guess; "
            "four random words do."
        )


def check_password(password: str, *, about: tuple[str, ...] = ()) -> None:
    """Refuse a password that is easily guessed. `about` is what everybody knows of its owner: login and name.

    Raises: WeakPassword.

    >>> check_password("a kettle sings at dawn")
    >>> check_password("123456789012")
    Traceback (most recent call last):
    tillit.access.passwords.WeakPassword: This password is among the commonest. Take 12 to 200 characters that nobody \
would guess; four random words do.
    """
    told = _same(password)
    if len(told) < SHORTEST:
        raise WeakPassword(f"has fewer than {SHORTEST} characters")
    if len(told) > LONGEST:
        raise WeakPassword(f"has more than {LONGEST} characters")
    bare = told.casefold()
    if bare in _COMMON or any(bare in run * 2 for run in _RUNS):
        raise WeakPassword("is among the commonest")
    if len(set(bare)) < _FEWEST_DISTINCT:
        raise WeakPassword("repeats the same few characters")
    for known in about:
        word = _same(known).casefold()
        if word and bare in {word, word * 2, word.partition("@")[0]}:
            raise WeakPassword("is the login or the name")


class Passwords:
    """Hashes and compares, a few at a time."""

    def __init__(self) -> None:
        """Compute nothing yet."""
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        from argon2 import PasswordHasher  # loads only where somebody signs in

        return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("nobody has this password")

    def hash(self, password: str) -> str:
        """Give what is kept of a password. Raises BusyError when too many sign in at once."""
        with self._turn():
            return self._hasher.hash(_same(password))

    def is_right(self, kept: str | None, password: str) -> bool:
        """Say whether a password is the one of a hash; without a hash it takes as long, and is wrong."""
        from argon2.exceptions import InvalidHashError, VerificationError

        with self._turn():
            try:
                self._hasher.verify(kept or self._nobodys, _same(password)[: LONGEST + 1])
            except (VerificationError, InvalidHashError):
                return False
        return kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Say whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=_PATIENCE_S):
            raise BusyError("Too many are signing in at once. Try again in a moment.", code="access.sign-in-busy")
        try:
            yield
        finally:
            self._turns.release()


def _same(text: str) -> str:
    # Keyboards and systems write one and the same letter in several ways.
    return unicodedata.normalize("NFKC", text)
