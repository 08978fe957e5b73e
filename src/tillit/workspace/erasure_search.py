"""Looking for what is left of somebody: in every store, in every spelling.

In:    whom an erasure is about, an identifier, or a certificate; the stores.
Out:   the places where something of them still stands; how many rows of theirs each store holds.
Never: a store passed over: what is too large to be read whole is asked row by row.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tillit import clock
from tillit.errors import InputError
from tillit.flow import is_husk
from tillit.identity import founded_at, list_claims, read_event, rules_in_force
from tillit.privacy.erasure import PERSON, STORES, Tombstones, load_signing_key, read_certificate
from tillit.records import KIND_EVENT, LogRow
from tillit.store import Log, SqliteState, State
from tillit.store.lake import Lake
from tillit.store.scan import UNREADABLE, find_bytes, find_freed
from tillit.workspace.erasure_refusal import Refusal
from tillit.workspace.erasure_target import SHORT, UNREADABLE_EVENT, Key, Target, gone_words, naming
from tillit.workspace.folder import Paths
from tillit.workspace.folding import Folding

# Up to so many bytes everything is decoded and looked through at once; beyond, what held the person, and the rest by
# `verify`: all of a gigabyte takes a quarter of a minute (measured).
_WHOLE_BYTES = 48 << 20
_READ_ROWS = 20_000
# The column of each table of the state by which its rows hang on an identifier.
_OWNED_BY = {
    "identifier": "identifier_id",
    "link": "strong_id",
    "tenure": "holder_id",
    "event_index": "anchor_id",
    "strand": "identifier_id",
    "search_term": "identifier_id",
    "operator_act": "identifier_id",
    "group_member": "identifier_id",
    "group_trait": "identifier_id",
}


class Found(NamedTuple):
    """A place where something was found. Grain: one per place."""

    place: str
    is_readable: bool


class Search:
    """Looks through log, state, lake and files."""

    def __init__(
        self,
        log: Log,
        state: State,
        folding: Folding,
        paths: Paths,
        *,
        registry: SqliteState,
        tombstones: Tombstones,
        refusal: Refusal,
        lake: Callable[[], Lake],
    ) -> None:
        """Know the stores; nothing is read yet."""
        self._log = log
        self._state = state
        self._folding = folding
        self._paths = paths
        self._registry = registry
        self._tombstones = tombstones
        self._refusal = refusal
        self._lake = lake

    # -- after an erasure

    def counts(self, target: Target) -> dict[str, int]:
        """Say how many rows of theirs each store holds."""
        with contextlib.closing(self._log.tables()) as tables:
            n_log = sum(
                1
                for (body,) in tables.read_in("SELECT body FROM log WHERE position IN {in}", target.positions)
                if body and not bytes(body).startswith(b'{"type":"husk"')
            )
        lake = self._lake()
        n_lake = lake.count_told(target.positions) if lake.position() else 0
        ids = [*target.holdings.identifiers, *(d.identifier_id for d in target.holdings.devices if d.is_theirs_alone)]
        counted = {"log.db: log": n_log, "lake/events/*.parquet": n_lake}
        for store in STORES:
            if store.file == "state.db" and store.owner == PERSON:
                column = _OWNED_BY.get(store.table)
                if column is not None:
                    sql = f"SELECT count(*) FROM {store.table} WHERE {column} IN {{in}} GROUP BY {column}"
                    counted[store.name] = sum(n for (n,) in self._state.read_in(sql, ids))
        return counted

    def look(self, target: Target, gone: set[Key]) -> tuple[list[Found], dict[str, Any]]:
        """Look for what is left: in all of a small workspace, else where it was and wherever it could be."""
        began = clock.monotonic_s()
        after = self.counts(target)
        found = [
            Found(name, is_readable=True)
            for name, n in after.items()
            if n and name in {"log.db: log", "lake/events/*.parquet"}
        ]
        markers = [value for value in gone_words(target, gone) if len(value) >= SHORT]
        markers += self._distinctive(target.names)
        n_bytes = sum(path.stat().st_size for path in self._paths.root.rglob("*") if path.is_file())
        is_whole = n_bytes <= _WHOLE_BYTES
        passing = (lambda _: False) if is_whole else _is_large
        found += self._scan(markers, passing)
        found += self._ask_stores(gone)
        if not is_whole:
            found += [
                Found(f"{path.name}: freed pages", is_readable=True)
                for path in (self._paths.log, self._paths.state)
                if path.exists() and find_freed(path)
            ]
        scan = {
            "method": "whole" if is_whole else "targeted",
            "n_markers": len(markers),
            "n_bytes": n_bytes,
            "found": len(found),
            "milliseconds": round((clock.monotonic_s() - began) * 1_000),
            "after": after,
        }
        return found, scan

    # -- at any time

    def verify(self, who: str) -> list[Found]:
        """Look through everything for an identifier, in every spelling; an empty list is the good answer.

        Values shorter than six characters stand in others' bytes by chance: they are looked for as identifiers, in
        every event that log, lake and quarantine hold.
        """
        rules = rules_in_force(self._state)
        handle = rules.parse(who)
        if handle is None:
            raise InputError(
                "That is no identifier: write it as namespace:value, such as user_id:42.", code="privacy.no-identifier"
            )
        given = who.partition(":")[2].strip()
        words = list(dict.fromkeys([given, handle.value]))
        found = self._ask_stores([handle.key])
        found += self._scan([word for word in words if len(word) >= SHORT], lambda _: False)
        if any(len(word) < SHORT for word in words):
            names = naming(self._state, {handle.key})
            found += self._walk(lambda row: names(row.body or b""))
            found += [
                Found("log.db: table quarantine", is_readable=True)
                for (raw,) in read_log_tables(self._log, "SELECT raw FROM quarantine")
                if names(bytes(raw))
            ][:1]
        return list(dict.fromkeys(found))

    def verify_certificate(self, path: Path) -> list[Found]:
        """Look through everything for what a certificate says was erased. Raises CertificateInvalid.

        Nobody knows the values any more: every event, every identifier and all that is in quarantine is hashed as
        tombstones are, and compared.
        """
        told = read_certificate(path, load_signing_key(self._registry))
        hashes = {bytes.fromhex(one) for one in told["tombstones"]}
        positions = [p for first, last in told["log"]["positions"] for p in range(first, last + 1)]
        rules = [rules_in_force(self._state), *self._refusal.rules()]
        erased_at = int(told["erased_at_us"])

        def is_theirs(body: bytes) -> bool:
            try:
                keys, _ = list_claims(read_event(body), rules)
            except UNREADABLE_EVENT:
                return False
            return any(self._tombstones.hash_of(key) in hashes for key in keys)

        found = [
            Found(f"log.db: position {p}", is_readable=True)
            for p, row in self._folding.rows(positions).items()
            if row.kind == KIND_EVENT and not is_husk(row)
        ]
        # What they did since, by a new act, is theirs again.
        found += self._walk(lambda row: row.received_at <= erased_at and is_theirs(row.body or b""))
        with contextlib.closing(self._log.tables()) as tables:
            kept = tables.read("SELECT raw FROM quarantine WHERE received_at <= ?", (erased_at,))
        found += [Found("log.db: table quarantine", is_readable=True) for (raw,) in kept if is_theirs(bytes(raw))][:1]
        through = int(told["log"]["through"])
        for identifier_id, namespace, value in self._state.read(
            "SELECT identifier_id, namespace, value FROM identifier"
        ):
            if founded_at(identifier_id) <= through and self._tombstones.hash_of((namespace, value)) in hashes:
                found.append(Found("state.db: table identifier", is_readable=True))
        return list(dict.fromkeys(found))

    # -- ways to look

    def _scan(self, markers: Sequence[str], passing: Callable[[str], bool]) -> list[Found]:
        if not markers:
            return []
        return [
            Found(f"{one.file}: {one.place}", is_readable=one.marker != UNREADABLE)
            for one in find_bytes(self._paths.root, list(markers), passing_over=passing, apart=True)
        ]

    def _distinctive(self, names: Sequence[str]) -> list[str]:
        """Give those full names by a word of which nobody can be found any more."""
        told = []
        for name in names:
            words = [word.casefold() for word in name.split()]
            if any(not self._state.read("SELECT 1 FROM search_term WHERE term = ? LIMIT 1", (w,)) for w in words):
                told.append(name)
        return told

    def _ask_stores(self, keys: Iterable[Key]) -> list[Found]:
        """Ask state and lake whether they know an identifier, whatever its length."""
        found = []
        told = list(keys)
        for namespace, value in told:
            sql = "SELECT 1 FROM identifier WHERE namespace = ? AND value = ?"
            if self._state.read(sql, (namespace, value)):
                found.append(Found("state.db: table identifier", is_readable=True))
        lake = self._lake()
        if lake.position():
            for column, name in (("user_id", "user_id"), ("anonymous_id", "anonymous_id")):
                values = [value for namespace, value in told if namespace == name]
                if values:
                    marks = ", ".join("?" * len(values))
                    if lake.query(f"SELECT 1 FROM events WHERE {column} IN ({marks}) LIMIT 1", values):
                        found.append(Found(f"lake/events: column {column}", is_readable=True))
        return found

    def _walk(self, is_hit: Callable[[LogRow], bool]) -> list[Found]:
        """Decode every event of log and lake."""
        found = []
        rows = rows_between(self._log, 0, self._log.head())
        if any(row.kind == KIND_EVENT and not is_husk(row) and is_hit(row) for row in rows):
            found.append(Found("log.db: table log", is_readable=True))
        lake = self._lake()
        if any(not is_husk(row) and is_hit(row) for row in lake.iter_rows(0, lake.position())):
            found.append(Found("lake/events: column body", is_readable=True))
        return found


def read_log_tables(log: Log, sql: str) -> list[tuple[Any, ...]]:
    """Ask the tables that stand beside the log in its file."""
    with contextlib.closing(log.tables()) as tables:
        return tables.read(sql)


def rows_between(log: Log, after: int, through: int) -> Iterator[LogRow]:
    """Give the rows that the log itself holds after one place and up to another."""
    while after < through:
        rows = log.read(after, _READ_ROWS)
        if not rows:
            return
        yield from (row for row in rows if row.position <= through)
        after = rows[-1].position


def _is_large(name: str) -> bool:
    return name.startswith(("log.db", "state.db")) or name.endswith(".parquet")
