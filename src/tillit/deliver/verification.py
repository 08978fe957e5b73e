"""Verification: a code that goes to an address, and that whoever reads there can say.

In:    the id of a verification, an address, the workspace's secret.
Out:   its code, made when the message is rendered and again when it is said; how often it was tried.
Never: a code kept anywhere: it follows from the id, the address and the secret.
"""

import hmac
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tillit.deliver.requests import Request
from tillit.errors import BusyError, NotFound, RefusedError
from tillit.store import SqliteState

VERIFICATION = "verification"  # under this name the request's data hold the id
LIFE_S = 600  # a quarter of what people accept, many times what a mail takes; taste
MOST_TRIES = 5  # of a million codes: one in 200,000 is guessed
MOST_OF_ADDRESS = 5  # codes an hour to one address: more is somebody else's joke; taste
MOST_OF_ASKER = 1_000  # an hour, of one key; taste
_HOUR = 3_600_000_000
_USE = b"tillit verification 1\0"  # the same secret makes nothing else alike
_SHOWN_CODE = "000000"  # where somebody tries out what would leave


class VerificationUnknown(NotFound):
    """There is no such verification, or it is over."""

    code = "deliver.verification-unknown"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("There is no such verification, or its ten minutes are over. Ask for a new code.")


class CodeWrong(RefusedError):
    """The code is not the one that was sent."""

    code = "deliver.code-wrong"

    def __init__(self, n_left: int) -> None:
        """Say how often it may still be tried."""
        more = "Ask for a new one." if n_left == 0 else f"It may be tried {n_left} more times."
        super().__init__(f"This is not the code that was sent. {more}", tries_left=n_left)


class TooManyCodes(BusyError):
    """Too many codes were asked for."""

    code = "deliver.too-many-codes"
    status = 429

    def __init__(self) -> None:
        """Say how many may be."""
        super().__init__(
            f"Too many codes were asked for: {MOST_OF_ADDRESS} an hour to one address, {MOST_OF_ASKER:,} for one "
            "key. Try again later."
        )


class Verification(NamedTuple):
    """A code that was asked for. Grain: one per code."""

    verification_id: str
    asked_by: str  # the key's id
    address_hash: bytes
    position: int  # of the request in the log
    n_tries: int
    created_at: int  # UTC epoch microseconds
    verified_at: int | None

    @property
    def expires_at(self) -> int:
        """Say until when the code counts. Units: UTC epoch microseconds."""
        return self.created_at + LIFE_S * 1_000_000


_COLUMNS = ", ".join(Verification._fields)


class Codes:
    """The codes of one workspace that are under way."""

    def __init__(self, store: SqliteState, *, now: Callable[[], int]) -> None:
        """Use the deliveries' store."""
        self._store = store
        self._now = now

    def check(self, address_hash: bytes, asked_by: str) -> None:
        """Say whether one more code may go to an address. Raises TooManyCodes."""
        since = self._now() - _HOUR
        ((to_address, of_asker),) = self._store.read(
            "SELECT coalesce(sum(address_hash = ?), 0), coalesce(sum(asked_by = ?), 0) FROM verification "
            "WHERE created_at > ?",
            (address_hash, asked_by, since),
        )
        if to_address >= MOST_OF_ADDRESS or of_asker >= MOST_OF_ASKER:
            raise TooManyCodes

    def add(self, verification_id: str, *, asked_by: str, address_hash: bytes, position: int) -> Verification:
        """Keep that a code was asked for; those of yesterday are let go."""
        now = self._now()
        told = Verification(verification_id, asked_by, address_hash, position, 0, now, None)
        with self._store.transaction() as tx:
            tx.execute("DELETE FROM verification WHERE created_at < ?", (now - 24 * _HOUR,))
            tx.execute(f"INSERT INTO verification ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", told)
        return told

    def try_one(self, verification_id: str, asked_by: str) -> Verification:
        """Give what a code is said of, and count the try: before it is compared, so that none is free.

        Raises: VerificationUnknown, also when it was tried too often, or by another than asked for it.
        """
        with self._store.transaction() as tx:
            rows = tx.read(
                f"SELECT {_COLUMNS} FROM verification WHERE verification_id = ? AND verified_at IS NULL "
                "AND asked_by = ? AND n_tries < ? AND created_at > ?",
                (verification_id, asked_by, MOST_TRIES, self._now() - LIFE_S * 1_000_000),
            )
            if not rows:
                raise VerificationUnknown
            tx.execute("UPDATE verification SET n_tries = n_tries + 1 WHERE verification_id = ?", (verification_id,))
        told = Verification(*rows[0])
        return told._replace(n_tries=told.n_tries + 1)

    def end(self, verification_id: str) -> None:
        """Note that the code was right: it counts once."""
        with self._store.transaction() as tx:
            tx.execute(
                "UPDATE verification SET verified_at = ? WHERE verification_id = ?", (self._now(), verification_id)
            )


def code_of(secret: bytes, verification_id: str, address: str) -> str:
    """Give the code of a verification: six digits.

    It is the address's own: in a message to another address the same id has another code.

    >>> len(code_of(b"secret", "v1", "ana@example.org"))
    6
    """
    digest = hmac.digest(secret, _USE + f"{verification_id}\0{address.strip().lower()}".encode(), "sha256")
    return f"{int.from_bytes(digest[:8]) % 1_000_000:06d}"


def with_code(request: Request, address: str, secret: bytes) -> Mapping[str, Any]:
    """Give a request's data for rendering: with the code where it is a verification's.

    Whoever tries out what would leave (a request at no place in the log) is shown no code that counts.
    """
    told = request.data.get(VERIFICATION)
    if not isinstance(told, str) or not address:
        return request.data
    code = code_of(secret, told, address) if request.position else _SHOWN_CODE
    return {**request.data, "code": code}
