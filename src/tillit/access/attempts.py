"""Failed sign-ins: who has to wait, and how long.

In:    what an attempt is counted by: a login and an address, or a browser that is known.
Out:   how long to wait before the next one is looked at.
Never: a lock without an end. A login that is guessed from everywhere stays open for browsers it was used in before.

A guesser cannot be told from a colleague who forgot, so nobody is locked out, only slowed down: after a few failures
each one doubles the wait, up to a quarter of an hour. A browser in which the operator has signed in before (a cookie
tells, OWASP: device cookies) is counted by itself, so strangers who guess at a login do not slow its owner down.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from tillit.clock import DAY, HOUR, MINUTE, SECOND
from tillit.store.state import Writing

_FORGOTTEN_AFTER = 1 * HOUR  # taste
_LONGEST_WAIT = 15 * MINUTE  # taste: four guesses an hour, a lunch at worst for whoever has no known browser
_SWEPT_AFTER = 1 * DAY


class Counted(NamedTuple):
    """Something that failures are counted by."""

    kind: str
    value: str
    n_free: int  # failures before the first wait

    @property
    def hash(self) -> bytes:
        """Give what is kept of it."""
        return hashlib.sha256(f"{self.kind}\0{self.value}".encode("utf-8", "replace")).digest()


def by_login(login: str) -> Counted:
    """Count by what was typed as a login, whether anybody has it or not."""
    return Counted("login", login[:200], 5)


def by_address(address: str) -> Counted:
    """Count by where it came from: an office or a proxy is one address for many."""
    return Counted("address", address, 20)


def by_device(device: str) -> Counted:
    """Count by a browser that is known."""
    return Counted("device", device, 10)


def by_operator(operator_id: str) -> Counted:
    """Count by who is signed in, when they are asked for their password again."""
    return Counted("operator", operator_id, 5)


def begin_attempt(tx: Writing, counted: Sequence[Counted], *, now: int) -> int:
    """Count an attempt as failed before it is looked at; give how long to wait instead, or 0 to go on.

    Before: of many who try at the same moment only so many get through.
    """
    rows = {bytes(row[0]): row for row in tx.read_in(_FIND, [one.hash for one in counted])}
    wait = max((int(row[3]) - now for row in rows.values()), default=0)
    if wait > 0:
        return wait
    tx.execute("DELETE FROM sign_in_attempt WHERE last_at < ?", (now - _SWEPT_AFTER,))
    for one in counted:
        row = rows.get(one.hash)
        n_failed = 1 + (int(row[1]) if row is not None and now - int(row[2]) < _FORGOTTEN_AFTER else 0)
        tx.execute(
            "INSERT INTO sign_in_attempt (attempt_hash, n_failed, last_at, open_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (attempt_hash) DO UPDATE SET n_failed = excluded.n_failed, last_at = excluded.last_at, "
            "open_at = excluded.open_at",
            (one.hash, n_failed, now, now + _wait_after(n_failed, one.n_free)),
        )
    return 0


def forgive_attempt(tx: Writing, counted: Sequence[Counted], *, now: int) -> None:
    """Take a counted attempt back: it was right. Earlier failures of an address stay, for they may be another's."""
    for one in counted:
        if one.kind == "address":
            tx.execute(
                "UPDATE sign_in_attempt SET n_failed = n_failed - 1, open_at = ? WHERE attempt_hash = ?",
                (now, one.hash),
            )
        else:
            tx.execute("DELETE FROM sign_in_attempt WHERE attempt_hash = ?", (one.hash,))


_FIND = "SELECT attempt_hash, n_failed, last_at, open_at FROM sign_in_attempt WHERE attempt_hash IN {in}"


def _wait_after(n_failed: int, n_free: int) -> int:
    beyond = n_failed - n_free
    return 0 if beyond < 0 else min(SECOND << min(beyond, 20), _LONGEST_WAIT)
