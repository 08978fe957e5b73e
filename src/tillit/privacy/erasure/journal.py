"""The erasure journal: which erasures were begun and done, kept apart from the back-ups.

In:    what an erasure did, step by step.
Out:   rows of erasures.db; which erasures a log that was restored does not know.
Never: an erasure forgotten because a back-up is older than it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tillit.privacy.erasure.tombstones import Key, Tombstones
from tillit.store import SqliteState

BEGUN, DONE = "begun", "done"
_COLUMNS = "erasure_id, begun_at, erased_at, state, epoch, through, position, n_events"


class Erasure(NamedTuple):
    """Somebody was erased. Grain: one per erasure. Names nobody."""

    erasure_id: str
    begun_at: int  # UTC epoch microseconds
    erased_at: int  # what was sent or dated up to then is refused
    state: str
    epoch: int
    through: int  # where the log ended when it began
    position: int  # of the act in the log; 0: not there yet
    n_events: int


class ErasureJournal:
    """The erasures of one workspace."""

    def __init__(self, store: SqliteState, tombstones: Tombstones) -> None:
        """Use erasures.db."""
        self._store = store
        self._tombstones = tombstones

    def begin(
        self, erasure_id: str, *, now: int, epoch: int, through: int, rules: str, keys: Mapping[Key, bool]
    ) -> None:
        """Note that an erasure begins, and whom it is about: identifiers with whether each is a device."""
        hashes = [(self._tombstones.hash_of(key), int(is_device)) for key, is_device in keys.items()]
        with self._store.transaction() as tx:
            tx.execute(
                "INSERT INTO erasure "
                "(erasure_id, begun_at, erased_at, state, epoch, through, position, n_events, rules) "
                "VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?)",
                (erasure_id, now, now, BEGUN, epoch, through, rules),
            )
            tx.execute(
                "INSERT INTO tombstone_check (one, check_hash) VALUES (1, ?) ON CONFLICT (one) DO NOTHING",
                (self._tombstones.check_hash(),),
            )
            for hashed, is_device in hashes:
                # One that stands from an earlier erasure stands until this one settles it anew.
                tx.execute(
                    "INSERT INTO tombstone (identifier_hash, erasure_id, erased_at, open_at, is_device, state) "
                    "VALUES (?, ?, ?, NULL, ?, 'waiting') ON CONFLICT (identifier_hash) DO UPDATE SET erasure_id = ?",
                    (hashed, erasure_id, now, is_device, erasure_id),
                )
        self._tombstones.reload()

    def place(self, erasure_id: str, *, epoch: int, position: int, n_events: int) -> None:
        """Note where its act stands in the log."""
        with self._store.transaction() as tx:
            tx.execute(
                "UPDATE erasure SET epoch = ?, position = ?, n_events = ? WHERE erasure_id = ?",
                (epoch, position, n_events, erasure_id),
            )

    def settle(self, erasure_id: str, gone: Iterable[bytes], messages: Sequence[bytes]) -> None:
        """Let tombstones stand for what nobody holds any more (by hash), and drop those of what somebody else does."""
        with self._store.transaction() as tx:
            tx.executemany(
                "UPDATE tombstone SET state = 'standing', open_at = NULL, erased_at = "
                "(SELECT e.erased_at FROM erasure e WHERE e.erasure_id = tombstone.erasure_id) "
                "WHERE identifier_hash = ? AND erasure_id = ?",
                [(one, erasure_id) for one in gone],
            )
            tx.execute("DELETE FROM tombstone WHERE erasure_id = ? AND state = 'waiting'", (erasure_id,))
            tx.executemany(
                "INSERT INTO erased_message (message_hash, erasure_id) VALUES (?, ?) "
                "ON CONFLICT (message_hash) DO NOTHING",
                [(self._tombstones.hash_of_message(one), erasure_id) for one in messages],
            )
        self._tombstones.reload()

    def finish(self, erasure_id: str) -> None:
        """Note that everything was erased and looked at."""
        with self._store.transaction() as tx:
            tx.execute("UPDATE erasure SET state = ? WHERE erasure_id = ?", (DONE, erasure_id))

    def waiting(self, erasure_id: str) -> set[bytes]:
        """Give the hashes of identifiers of which it is not yet known whether somebody else holds them."""
        rows = self._store.read(
            "SELECT identifier_hash FROM tombstone WHERE erasure_id = ? AND state = 'waiting'", (erasure_id,)
        )
        return {bytes(one) for (one,) in rows}

    def find(self, erasure_id: str) -> Erasure | None:
        """Give one erasure."""
        rows = self._store.read(f"SELECT {_COLUMNS} FROM erasure WHERE erasure_id = ?", (erasure_id,))
        return Erasure(*rows[0]) if rows else None

    def list_all(self) -> list[Erasure]:
        """Give every erasure, oldest first."""
        return [Erasure(*row) for row in self._store.read(f"SELECT {_COLUMNS} FROM erasure ORDER BY begun_at")]

    def count_tombstones(self, erasure_id: str) -> int:
        """Say how many identifiers an erasure left a tombstone for."""
        sql = "SELECT count(*) FROM tombstone WHERE erasure_id = ? AND state = 'standing'"
        return int(self._store.read(sql, (erasure_id,))[0][0])

    def hashes_of(self, erasure_id: str) -> list[bytes]:
        """Give the keyed hashes of the identifiers that an erasure left a tombstone for, in order."""
        rows = self._store.read(
            "SELECT identifier_hash FROM tombstone WHERE erasure_id = ? AND state = 'standing' "
            "ORDER BY identifier_hash",
            (erasure_id,),
        )
        return [bytes(one) for (one,) in rows]
