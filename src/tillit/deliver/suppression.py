"""Suppression: whom nothing is sent to, whatever anybody agreed to.

In:    a person or an address that bounced, complained, unsubscribed, died, or that a colleague names.
Out:   whether a message may go; the list, with who lifted what.
Never: an address: its keyed hash alone, so that the list outlives erasure and holds nobody's values.
"""

import contextlib
import hmac
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

from tillit.errors import InputError, NotFound
from tillit.store import Reading, SqliteState

HARD_BOUNCE, COMPLAINT, UNSUBSCRIBE = "hard_bounce", "complaint", "unsubscribe"
DECEASED, ERASED, OPERATOR = "deceased", "erased", "operator"
# Reason -> the classes of message that it stops.
STOPS: dict[str, frozenset[str]] = {
    HARD_BOUNCE: frozenset({"transactional", "service", "marketing"}),
    DECEASED: frozenset({"transactional", "service", "marketing"}),
    ERASED: frozenset({"marketing"}),  # who comes back and orders something hears of the order
    OPERATOR: frozenset({"transactional", "service", "marketing"}),
    COMPLAINT: frozenset({"service", "marketing"}),
    UNSUBSCRIBE: frozenset({"marketing"}),
}
ADDRESS, DOMAIN, PERSON = "address", "domain", "person"
_LONGEST_WORDS = 500


class UnknownReason(InputError):
    """A reason was named that the list does not know."""

    code = "deliver.unknown-reason"

    def __init__(self, reason: str) -> None:
        """Name those there are."""
        super().__init__(f"There is no reason {reason[:40]!r} for the suppression list. There are: {', '.join(STOPS)}.")


class NotSuppressed(NotFound):
    """Nobody stands on the suppression list under this number."""

    code = "deliver.not-suppressed"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("There is no such entry on the suppression list, or it was lifted. List it to see which are.")


class Suppressed(NamedTuple):
    """One entry of the list. Grain: one per time that somebody came onto it."""

    suppression_id: int
    subject_kind: str  # address, domain, person
    subject_hash: bytes
    reason: str
    purpose: str  # of an unsubscribe; empty: all
    source: str  # console, cli, api, bounce, complaint, one-click, fold
    at: int  # UTC epoch microseconds
    by_whom: str
    words: str
    subject_ref: str  # the profile id of that moment; empty: nobody was known by it
    delivery_id: int | None
    lifted_at: int | None
    lifted_by: str
    lifted_words: str


_COLUMNS = ", ".join(Suppressed._fields)


class Suppressions:
    """The list of one workspace. `secret` keys the hashes."""

    def __init__(self, store: SqliteState, *, secret: bytes) -> None:
        """Use the deliveries' store."""
        self._store = store
        self._secret = secret

    def hash_of(self, kind: str, value: str) -> bytes:
        """Give the hash under which an address, a domain or a profile id stands."""
        told = _spelled(value) if kind != PERSON else value
        return hmac.digest(self._secret, f"{kind}\0{told}".encode(), "sha256")[:16]

    def add(
        self,
        kind: str,
        value: str | bytes,
        reason: str,
        *,
        source: str,
        at: int,
        by: str,
        words: str = "",
        purpose: str = "",
        subject_ref: str = "",
        delivery_id: int | None = None,
    ) -> int:
        """Put somebody on the list; who stands there for the same reason already stays as they were.

        `value` in bytes is the hash. Gives the number of the entry. Raises UnknownReason.
        """
        if reason not in STOPS:
            raise UnknownReason(reason)
        digest = value if isinstance(value, bytes) else self.hash_of(kind, value)
        with self._store.transaction() as tx:
            found = tx.read(
                "SELECT suppression_id FROM suppression WHERE subject_hash = ? AND reason = ? AND purpose = ? "
                "AND lifted_at IS NULL",
                (digest, reason, purpose),
            )
            if found:
                return int(found[0][0])
            (last,) = tx.read("SELECT coalesce(max(suppression_id), 0) FROM suppression")[0]
            tx.execute(
                f"INSERT INTO suppression ({_COLUMNS}) VALUES ({', '.join('?' * len(Suppressed._fields))})",
                (
                    int(last) + 1,
                    kind,
                    digest,
                    reason,
                    purpose,
                    source,
                    at,
                    by,
                    words.strip()[:_LONGEST_WORDS],
                    subject_ref,
                    delivery_id,
                    None,
                    "",
                    "",
                ),
            )
        return int(last) + 1

    def lift(self, suppression_id: int, *, at: int, by: str, words: str) -> Suppressed:
        """Take an entry off the list; it stays to be seen. Raises NotSuppressed."""
        with self._store.transaction() as tx:
            rows = tx.read(
                f"SELECT {_COLUMNS} FROM suppression WHERE suppression_id = ? AND lifted_at IS NULL", (suppression_id,)
            )
            if not rows:
                raise NotSuppressed
            tx.execute(
                "UPDATE suppression SET lifted_at = ?, lifted_by = ?, lifted_words = ? WHERE suppression_id = ?",
                (at, by, words.strip()[:_LONGEST_WORDS], suppression_id),
            )
        return _entry(rows[0])

    def find_stop(
        self,
        message_class: str,
        purpose: str,
        *,
        address: str,
        people: Sequence[str],
        yes_at: int | None = None,
        reading: Reading | None = None,
    ) -> Suppressed | None:
        """Give the entry that stops a message of a class to an address of a person; None: none does.

        `people`: every profile id that was ever theirs. `yes_at`: when they agreed to the purpose, if they did: who
        unsubscribed or was erased before may be written to again.
        """
        hashes = [self.hash_of(PERSON, one) for one in people]
        if address:
            hashes += [self.hash_of(ADDRESS, address), self.hash_of(DOMAIN, address.rpartition("@")[2])]
        rows = (reading or self._store).read_in(
            f"SELECT {_COLUMNS} FROM suppression WHERE lifted_at IS NULL AND subject_hash IN {{in}}", hashes
        )
        for one in sorted(map(_entry, rows)):
            if one.reason in (UNSUBSCRIBE, ERASED) and yes_at is not None and one.at < yes_at:
                continue
            if message_class in STOPS[one.reason] and one.purpose in ("", purpose):
                return one
        return None

    def list_newest(
        self, *, before: int | None = None, limit: int = 100, lifted: bool = False, reason: str = ""
    ) -> list[Suppressed]:
        """Give entries, newest first; `lifted`: also those that were taken off."""
        where, params = ["suppression_id < ?"], list[Any]([(1 << 62) if before is None else before])
        if not lifted:
            where.append("lifted_at IS NULL")
        if reason:
            where.append("reason = ?")
            params.append(reason)
        rows = self._store.read(
            f"SELECT {_COLUMNS} FROM suppression WHERE {' AND '.join(where)} ORDER BY suppression_id DESC LIMIT ?",
            (*params, limit),
        )
        return [_entry(row) for row in rows]

    def find(self, kind: str, value: str | bytes) -> list[Suppressed]:
        """Give the entries of an address, a domain or a profile id, newest first, with those that were lifted.

        `value` in bytes is the hash.
        """
        rows = self._store.read(
            f"SELECT {_COLUMNS} FROM suppression WHERE subject_hash = ? ORDER BY suppression_id DESC",
            (value if isinstance(value, bytes) else self.hash_of(kind, value),),
        )
        return [_entry(row) for row in rows]

    def version(self) -> int:
        """Give a number that changes when somebody came onto the list."""
        return int(self._store.read("SELECT coalesce(max(suppression_id), 0) FROM suppression")[0][0])

    def forget(self, subjects: Sequence[str]) -> None:
        """Let go of what colleagues wrote about a person, and of who it was; the hash of the address stays."""
        with self._store.transaction() as tx:
            rows = tx.read_in("SELECT suppression_id FROM suppression WHERE subject_ref IN {in}", subjects)
            tx.executemany(
                "UPDATE suppression SET words = '', lifted_words = '', subject_ref = '' WHERE suppression_id = ?", rows
            )


def _spelled(value: str) -> str:
    """Write an address or a domain in the one way in which mail goes there, however it is written.

    >>> _spelled("Ana@B\u00dcCHER.example."), _spelled("ana@xn--bcher-kva.example")
    ('ana@xn--bcher-kva.example', 'ana@xn--bcher-kva.example')
    """
    name, at, domain = unicodedata.normalize("NFKC", value.strip()).lower().rpartition("@")
    domain = domain.rstrip(".")
    if not domain.isascii():
        import idna  # by few processes, and by those seldom

        with contextlib.suppress(idna.IDNAError):  # no mail can go there
            domain = idna.encode(domain, uts46=True).decode()
    return f"{name}{at}{domain}"


def _entry(row: Sequence[Any]) -> Suppressed:
    one = Suppressed(*row)
    return one._replace(subject_hash=bytes(one.subject_hash))
