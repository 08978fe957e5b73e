"""Erasing a person: everything of theirs, everywhere, with a certificate; and keeping it so.

In:    whom somebody names; the stores; the erasure journal.
Out:   what would go and what stays; the certificate's path; where anything of them is still found.
Never: an erasure told as done whose verification found something; a person who comes back with a back-up, an import or
       a browser tab left open.
"""

import contextlib
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tillit import clock
from tillit.clock import rfc3339
from tillit.collect.door import Refuses
from tillit.collect.files import forget_uploads
from tillit.errors import BusyError, InputError, InternalError
from tillit.flow import EngineBusy, file_lock, forget_act, is_husk, iter_log
from tillit.identity import (
    DEFAULT_RULES,
    Holdings,
    Rules,
    applied_rules,
    find_held_positions,
    find_unheld,
    founded_at,
    list_claims,
    list_said,
    read_event,
    read_holdings,
    read_rules,
    rules_in_force,
)
from tillit.privacy.erasure import (
    BEGUN,
    KIND,
    PERSON,
    STORES,
    VERSION,
    Erasure,
    ErasureJournal,
    Judged,
    Said,
    Tombstones,
    Values,
    digest,
    erase_files,
    erase_from_quarantine,
    erase_from_rejects,
    load_pepper,
    load_signing_key,
    read_certificate,
    save_certificate,
    sign,
)
from tillit.records import KIND_ACT, KIND_EVENT, REFUSED_BODY, LogRow, Membership, NewRow
from tillit.store import Log, SqliteState, State
from tillit.store.lake import Lake
from tillit.store.scan import UNREADABLE, find_bytes, find_freed
from tillit.workspace.folder import Paths
from tillit.workspace.folding import Folding
from tillit.workspace.people import find_membership_of, unknown_profile
from tillit.workspace.plans import forget_plans

Key = tuple[str, str]
Append = Callable[[Sequence[NewRow]], tuple[int, int]]

_LAKE_S = 300.0
_PAUSE_S = 0.02
_READ_ROWS = 20_000
_MOST_MESSAGES = 8  # message ids that are looked for afterwards: each is nobody else's (taste)
_LONGEST_WORD = 32
# Up to so many bytes everything is decoded and looked through at once; beyond, what held the person, and the rest by
# `verify`: all of a gigabyte takes a quarter of a minute (measured).
_WHOLE_BYTES = 48 << 20
_SHORT = 6  # characters; a shorter value stands in others' bytes by chance


class _Body(msgspec.Struct):
    messageId: Any = None
    originalTimestamp: Any = None
    receivedAt: Any = None
    clock: Any = None
    traits: Any = None


_decode_body = msgspec.json.Decoder(_Body).decode


class ErasureIncomplete(InternalError):
    """Something of a person who was erased was still found."""

    code = "privacy.erasure-incomplete"

    def __init__(self, erasure_id: str, places: Sequence[str]) -> None:
        """Name the erasure and the places, nobody's values."""
        super().__init__(
            f"Erasure {erasure_id[:8]} is not complete: {len(places):,} places still hold something "
            f"({', '.join(places[:3])}). No certificate was written. Run it again; it goes on where it stopped.",
            erasure_id=erasure_id,
            places=list(places[:20]),
        )


class ErasurePending(BusyError):
    """An erasure is waiting for the engine or the keeper."""

    code = "privacy.erasure-pending"

    def __init__(self, what: str) -> None:
        """Say what it waits for."""
        super().__init__(
            f"The erasure was begun, but the {what} has not followed. It goes on by itself at the next start; "
            "`tillit doctor` shows how far everything is."
        )


class WordInvalid(InputError):
    """The reason of an erasure is a sentence, which could name somebody."""

    code = "privacy.reason-not-a-word"

    def __init__(self) -> None:
        """Say what is taken."""
        super().__init__(
            "The reason of an erasure is kept in its certificate and may not name anybody: one word of small letters "
            "and dashes, such as request, objection or retention."
        )


class Kept(NamedTuple):
    """Something that stays, and why. Grain: one per identifier or store."""

    what: str
    why: str


class Outline(NamedTuple):
    """What erasing somebody would do."""

    n_events: int
    n_identifiers: int  # that go
    keys: list[str]  # namespace:value of those that go
    stays: list[Kept]
    n_quarantined: int
    n_uploads: int


class Found(NamedTuple):
    """A place where something was found. Grain: one per place."""

    place: str
    is_readable: bool


class Done(NamedTuple):
    """What came of an erasure."""

    erasure_id: str
    certificate: Path
    n_events: int
    n_identifiers: int
    stays: list[Kept]


class _Target(NamedTuple):
    """Whom an erasure is about, as it was found."""

    holdings: Holdings
    positions: list[int]
    words: list[str]  # values to look for: identifiers as they were written, message ids
    names: list[str]
    messages: list[tuple[bytes, tuple[Key, ...], int, bool]]  # hash, keys, event_at, has_own_time


class Erasures:
    """Erasing people, and keeping them erased."""

    def __init__(
        self,
        log: Log,
        state: State,
        folding: Folding,
        paths: Paths,
        *,
        registry: SqliteState,
        store: SqliteState,
        lake: Callable[[], Lake],
        append: Append,
        let_go: Callable[[Membership], None],
        unshare: Callable[[], int],
        now: Callable[[], int],
    ) -> None:
        """Know the stores; nothing is read yet.

        `let_go` is what other parts do before nobody knows any more who it was, `unshare` what tables that were made
        of the lake do once the lake has let go.
        """
        self._let_go = let_go
        self._unshare = unshare
        self._log = log
        self._state = state
        self._folding = folding
        self._paths = paths
        self._registry = registry
        self._store = store
        self._lake = lake
        self._append = append
        self._now = now
        self._tombstones = Tombstones(store, lambda: load_pepper(registry))
        self._journal = ErasureJournal(store, self._tombstones)
        self._opening = threading.Lock()

    def token(self, profile_id: str) -> str:
        """Give the keyed hash of a profile's id, by which requests and packages name a person."""
        return hmac.new(load_pepper(self._registry), f"request\0{profile_id}".encode(), hashlib.sha256).hexdigest()

    # -- at the door

    def door(self) -> Refuses | None:
        """Give what refuses events of people who were erased; None while there are none. Asked once a request."""
        if not self._tombstones.refresh():
            return None
        rules = self._rules()

        def refuses(row: NewRow) -> bytes | None:
            judged = self._judge(row, rules)
            if judged.opens:
                with self._opening:
                    self._tombstones.open(judged.opens, at=row.event_at)
                    self._tombstones.refresh()
            return REFUSED_BODY if judged.is_refused else None

        return refuses

    def _rules(self) -> list[Rules]:
        """Give the rules under which anybody was erased, and those in force."""
        told = [read_rules(text) if text else DEFAULT_RULES for text in self._tombstones.rules]
        return told or [DEFAULT_RULES]

    def _judge(self, row: NewRow, rules: Sequence[Rules]) -> Judged:
        try:
            event = read_event(row.body)
            times = _decode_body(row.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            return Judged(is_refused=False)  # it names nobody that could be read; the fold puts it aside
        keys, proven = list_claims(event, rules)
        has_own_time = times.clock is None and times.originalTimestamp != times.receivedAt
        return self._tombstones.judge(
            Said(keys, proven, row.message_hash, row.received_at, row.event_at, has_own_time, row.trust)
        )

    def list_all(self) -> list[Erasure]:
        """Give every erasure, oldest first. They name nobody."""
        return self._journal.list_all()

    # -- looking first

    def outline(self, who: str) -> Outline:
        """Say what erasing somebody would do. Raises NotFound."""
        target = self._target(who)
        values = Values(target.words)
        names = self._naming(set(target.holdings.keys))
        rows = self._log_tables("SELECT raw FROM quarantine")
        n_quarantined = sum(values.are_in(bytes(raw)) or names(bytes(raw)) for (raw,) in rows)
        n_uploads = sum(1 for path in self._paths.uploads.glob("i*/*") if path.is_file() and path.name[0] != ".")
        stays = self._stays(target.holdings)
        goes = [key for i, key in target.holdings.identifiers.items() if i not in target.holdings.named_by_others]
        goes += [device.key for device in target.holdings.devices if device.is_theirs_alone]
        return Outline(
            len(target.positions), len(goes), [":".join(key) for key in goes], stays, n_quarantined, n_uploads
        )

    def _stays(self, holdings: Holdings) -> list[Kept]:
        kept = [
            Kept(":".join(holdings.identifiers[i]), "events of other people name it too: it stays theirs")
            for i in sorted(holdings.named_by_others & set(holdings.identifiers))
        ]
        kept += [
            Kept(":".join(device.key), "other people used this device too: what they did on it stays theirs")
            for device in holdings.devices
            if not device.is_theirs_alone
        ]
        return kept

    def _target(self, who: str) -> _Target:
        with self._state.snapshot() as reading:
            membership = find_membership_of(reading, who)
            if membership is None or not membership.identifiers:
                raise unknown_profile()
            holdings = read_holdings(reading, membership)
            positions = set(find_held_positions(reading, holdings))
            rules = rules_in_force(reading)
        values = Values([value for _, value in holdings.keys])
        positions.update(self._aside(values, set(holdings.keys)))
        return self._describe(holdings, sorted(positions), rules)

    def _aside(self, values: Values, keys: set[Key]) -> list[int]:
        """Give the places of rows without effect that name them: put aside, in conflict, resent after a forgetting."""
        names = self._naming(keys)
        places = [
            p
            for (p,) in self._state.read(
                "SELECT f.position FROM fate f LEFT JOIN fate o ON o.position = f.of_position "
                "WHERE f.fate IN ('quarantined', 'conflict') OR (f.fate = 'duplicate' AND o.fate = 'forgotten')"
            )
        ]
        found: list[int] = []
        for start in range(0, len(places), _READ_ROWS):
            rows = self._folding.rows(places[start : start + _READ_ROWS])
            found += [p for p, row in rows.items() if row.body and (values.are_in(row.body) or names(row.body))]
        return found

    def _naming(self, keys: set[Key]) -> Callable[[bytes], bool]:
        """Give a way to say whether bytes, read as an event, name one of some identifiers."""
        rules = [rules_in_force(self._state)]

        def names(raw: bytes) -> bool:
            try:
                told, _ = list_claims(read_event(raw), rules)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
                return False
            return not keys.isdisjoint(told)

        return names

    def _describe(self, holdings: Holdings, positions: list[int], rules: Rules) -> _Target:
        """Read what is about to go: how identifiers were written, what else is nobody else's."""
        keys = set(holdings.keys)
        words: dict[str, None] = dict.fromkeys(value for _, value in keys)
        names: dict[str, None] = {}
        ids: list[str] = []
        messages = []
        for start in range(0, len(positions), _READ_ROWS):
            for _, row in sorted(self._folding.rows(positions[start : start + _READ_ROWS]).items()):
                if row.kind != KIND_EVENT or is_husk(row):
                    continue
                try:
                    event, body = read_event(row.body or b""), _decode_body(row.body or b"")
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
                    continue
                for said in list_said(event, rules):
                    if (said.namespace, said.counts_as) in keys:
                        words[said.given] = None
                if isinstance(body.messageId, str) and len(body.messageId) >= 2 * _SHORT:
                    ids.append(body.messageId)
                if isinstance(body.traits, dict):
                    names.update(dict.fromkeys(_full_names(body.traits)))
                claims, _ = list_claims(event, [rules])
                own = body.clock is None and body.originalTimestamp != body.receivedAt
                messages.append((row.message_hash, tuple(claims), row.event_at, own))
        step = max(1, len(ids) // _MOST_MESSAGES)
        return _Target(holdings, positions, [*words, *ids[::step][:_MOST_MESSAGES]], list(names), messages)

    def _log_tables(self, sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(self._log.tables()) as tables:
            return tables.read(sql)

    # -- doing it

    def erase(self, who: str, *, reason: str = "request", operator: str = "process") -> Done:
        """Erase everybody whom an identifier names, look for what is left, and certify it.

        Raises: NotFound; ErasureIncomplete when something was still found; ErasurePending; EngineBusy when another
                erasure is running; WordInvalid.
        """
        if not reason or len(reason) > _LONGEST_WORD or not all(c.islower() or c == "-" for c in reason):
            raise WordInvalid
        with file_lock(self._paths.erasure_lock, "erasing of a person"):
            self._resume()
            self._folding.reach_patiently(self._log.head())
            return self._erase(who, secrets.token_hex(16), reason=reason, operator=operator)

    def _erase(self, who: str, erasure_id: str, *, reason: str, operator: str) -> Done:
        target = self._target(who)
        membership = find_membership_of(self._state, who)
        if membership is not None:
            self._let_go(membership)
        holdings = target.holdings
        begun_at, epoch, through = self._now(), self._log.epoch(), self._log.head()
        before = self._counts(target)
        if self._journal.find(erasure_id) is None:
            self._journal.begin(
                erasure_id,
                now=begun_at,
                epoch=epoch,
                through=through,
                rules=applied_rules(self._state).text,
                keys=holdings.keys,
            )
        n_gone = self._erase_places(target)
        position = self._forget(erasure_id, target.positions, epoch)
        # Whom others still name is known once the fold has let go of all that was theirs.
        gone = find_unheld(self._state, holdings.keys, through=through)
        messages = [
            key
            for key, claims, event_at, own in target.messages
            if not (own and event_at <= begun_at and gone.intersection(claims))
        ]
        self._journal.settle(erasure_id, [self._tombstones.hash_of(key) for key in gone], messages)
        self._sweep(through)
        if membership is not None:
            self._let_go(membership)  # what left while it went on was written down meanwhile
        self._follow_lake()
        n_gone["rejects"] += self._late_places(target)
        found, scan = self._look(target, gone)
        if found:
            raise ErasureIncomplete(erasure_id, [one.place for one in found])
        self._journal.finish(erasure_id)
        stays = [
            Kept(":".join(key), "somebody else holds it or used it too: it stays theirs")
            for key in [*holdings.identifiers.values(), *(d.key for d in holdings.devices)]
            if key not in gone
        ]
        document = self._document(erasure_id, target, before, n_gone, scan, position, stays)
        document |= {"reason": reason, "operator": operator if operator.isascii() and "@" not in operator else "named"}
        path = save_certificate(self._paths.certificates, sign(document, load_signing_key(self._registry)))
        return Done(erasure_id, path, len(target.positions), len(gone), stays)

    def _forget(self, erasure_id: str, positions: Sequence[int], epoch: int) -> int:
        self._folding.clear_checks()
        forget_plans(self._paths.plans)
        act = forget_act(positions, now=self._now(), name=bytes.fromhex(erasure_id))
        position, _ = self._append([act])
        self._journal.place(erasure_id, epoch=epoch, position=position, n_events=len(positions))
        self._folding.reach_patiently(position)
        # What was asked for meanwhile looked at a moment in which they were still there.
        forget_plans(self._paths.plans)
        return position

    def _erase_places(self, target: _Target) -> dict[str, int]:
        """Erase what lies outside log, state and lake."""
        gone = {"uploads": forget_uploads(self._paths.uploads, reason="somebody was erased since it was uploaded")}
        gone["exports"] = erase_files(self._paths.exports) if self._paths.exports.is_dir() else 0
        gone |= {"quarantine": 0, "rejects": 0}
        values = Values(target.words)
        with contextlib.closing(self._log.tables()) as tables:
            with tables.transaction() as tx:
                gone["quarantine"] = erase_from_quarantine(tx, values, self._naming(set(target.holdings.keys)))
            if gone["quarantine"]:
                tables.scrub()
        gone["rejects"] = erase_from_rejects(self._paths.rejects, values)
        return gone

    def _late_places(self, target: _Target) -> int:
        """Take out what was rejected or put aside while the erasure went on."""
        values = Values(target.words)
        with contextlib.closing(self._log.tables()) as tables:
            with tables.transaction() as tx:
                n_gone = erase_from_quarantine(tx, values, self._naming(set(target.holdings.keys)))
            if n_gone:
                tables.scrub()
        return n_gone + erase_from_rejects(self._paths.rejects, values)

    def _sweep(self, after: int) -> None:
        """Forget what the door took before it knew of the tombstones."""
        while True:
            head = self._log.head()
            found = [p for p in self._refused(self._rows_of_log(after, head)) if p <= head]
            if not found:
                return
            self._append([forget_act(found, now=self._now())])
            self._folding.reach_patiently(self._log.head())
            after = head

    def _rows_of_log(self, after: int, through: int) -> Iterator[LogRow]:
        while after < through:
            rows = self._log.read(after, _READ_ROWS)
            if not rows:
                return
            yield from (row for row in rows if row.position <= through)
            after = rows[-1].position

    def _refused(self, rows: Iterable[LogRow]) -> list[int]:
        self._tombstones.refresh()
        rules = self._rules()
        found = []
        for row in rows:
            if row.kind != KIND_EVENT or is_husk(row):
                continue
            if self._judge(_as_new(row), rules).is_refused:
                found.append(row.position)
        return found

    def _follow_lake(self) -> None:
        """Return when the lake holds no more than husks of what was forgotten."""
        deadline = clock.monotonic_s() + _LAKE_S
        while True:
            self._folding.write_lake()
            if not self._log.husked():
                self._unshare()
                return
            if clock.monotonic_s() > deadline:
                raise ErasurePending("lake")
            time.sleep(_PAUSE_S)

    # -- after a crash, after a restore

    def resume(self) -> None:
        """Finish what was begun, and do again what a log that was restored does not know. Cheap when there is neither.

        Beside another process that erases nothing is done: it is at it.
        """
        if not self._tombstones.refresh() and not any(one.state == BEGUN for one in self._journal.list_all()):
            return
        if not self._unfinished():
            return
        with contextlib.suppress(EngineBusy), file_lock(self._paths.erasure_lock, "erasing of a person"):
            self._resume()

    def _unfinished(self) -> list[Erasure]:
        return [one for one in self._journal.list_all() if one.state == BEGUN or not self._is_known(one)]

    def _is_known(self, one: Erasure) -> bool:
        """Say whether the log holds an erasure's act, or held it before it was trimmed."""
        if one.position < self._log.first_position():
            return one.position <= self._log.head()
        row = self._log.get([one.position]).get(one.position)
        return row is not None and row.kind == KIND_ACT and row.message_hash == bytes.fromhex(one.erasure_id)

    def _resume(self) -> None:
        lost = []
        for one in self._unfinished():
            if one.state == BEGUN:
                self._finish_begun(one)
            else:
                lost.append(one)
        if lost:
            self._reapply(lost)

    def _reapply(self, lost: Sequence[Erasure]) -> None:
        """Forget again all that the tombstones would refuse: the log was restored from before these erasures."""
        head = self._log.head()
        rows = (row for block in iter_log(self._log, self._lake, head) for row in block)
        positions = self._refused(rows)
        for one in lost:
            act = forget_act(positions, now=self._now(), name=bytes.fromhex(one.erasure_id))
            position, _ = self._append([act])
            self._journal.place(one.erasure_id, epoch=self._log.epoch(), position=position, n_events=one.n_events)
            positions = []
        with contextlib.closing(self._log.tables()) as tables:
            rules = self._rules()
            with tables.transaction() as tx:
                erase_from_quarantine(tx, Values([]), lambda raw: self._is_refused_raw(raw, rules))
            tables.scrub()
        with contextlib.suppress(InternalError):
            # State of another fold, or ahead of the log that was restored: `tillit rebuild` folds these acts as well.
            self._folding.reach_patiently(self._log.head())
            self._follow_lake()

    def _is_refused_raw(self, raw: bytes, rules: Sequence[Rules]) -> bool:
        return self._judge(NewRow(KIND_EVENT, "", 1, 0, 0, bytes(16), raw), rules).is_refused

    def _finish_begun(self, one: Erasure) -> None:
        """Go on where a process was killed: it told nobody that it was done."""
        act = next(
            (
                row
                for row in self._rows_of_log(one.through, self._log.head())
                if row.kind == KIND_ACT and row.message_hash == bytes.fromhex(one.erasure_id)
            ),
            None,
        )
        self._folding.reach_patiently(self._log.head())
        waiting = self._journal.waiting(one.erasure_id)
        keys = {
            self._tombstones.hash_of((namespace, value)): (namespace, value)
            for namespace, value in self._state.read("SELECT namespace, value FROM identifier")
        }
        known = {hashed: keys[hashed] for hashed in waiting if hashed in keys}
        if act is None:
            if known:
                namespace, value = next(iter(known.values()))
                self._erase(f"{namespace}:{value}", one.erasure_id, reason="request", operator="process")
            else:
                self._journal.settle(one.erasure_id, waiting, [])
                self._journal.finish(one.erasure_id)
            return
        told = msgspec.json.decode(act.body or b"{}")
        held = set(known.values()) - find_unheld(self._state, known.values(), through=one.through)
        gone = [hashed for hashed in waiting if known.get(hashed) not in held]
        messages = [row.message_hash for row in self._folding.rows(told.get("positions", [])).values()]
        self._journal.place(one.erasure_id, epoch=self._log.epoch(), position=act.position, n_events=len(messages))
        self._journal.settle(one.erasure_id, gone, messages)
        self._sweep(one.through)
        with contextlib.closing(self._log.tables()) as tables:
            tables.scrub()
        self._state.scrub()
        self._follow_lake()
        self._journal.finish(one.erasure_id)

    # -- looking for what is left

    def _counts(self, target: _Target) -> dict[str, int]:
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

    def _look(self, target: _Target, gone: set[Key]) -> tuple[list[Found], dict[str, Any]]:
        """Look for what is left: in all of a small workspace, else where it was and wherever it could be."""
        began = clock.monotonic_s()
        after = self._counts(target)
        found = [
            Found(name, is_readable=True)
            for name, n in after.items()
            if n and name in {"log.db: log", "lake/events/*.parquet"}
        ]
        markers = [value for value in _gone_words(target, gone) if len(value) >= _SHORT]
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
        found += self._scan([word for word in words if len(word) >= _SHORT], lambda _: False)
        if any(len(word) < _SHORT for word in words):
            names = self._naming({handle.key})
            found += self._walk(lambda row: names(row.body or b""))
            found += [
                Found("log.db: table quarantine", is_readable=True)
                for (raw,) in self._log_tables("SELECT raw FROM quarantine")
                if names(bytes(raw))
            ][:1]
        return list(dict.fromkeys(found))

    def _walk(self, is_hit: Callable[[LogRow], bool]) -> list[Found]:
        """Decode every event of log and lake."""
        found = []
        rows = self._rows_of_log(0, self._log.head())
        if any(row.kind == KIND_EVENT and not is_husk(row) and is_hit(row) for row in rows):
            found.append(Found("log.db: table log", is_readable=True))
        lake = self._lake()
        if any(not is_husk(row) and is_hit(row) for row in lake.iter_rows(0, lake.position())):
            found.append(Found("lake/events: column body", is_readable=True))
        return found

    def verify_certificate(self, path: Path) -> list[Found]:
        """Look through everything for what a certificate says was erased. Raises CertificateInvalid.

        Nobody knows the values any more: every event, every identifier and all that is in quarantine is hashed as
        tombstones are, and compared.
        """
        told = read_certificate(path, load_signing_key(self._registry))
        hashes = {bytes.fromhex(one) for one in told["tombstones"]}
        positions = [p for first, last in told["log"]["positions"] for p in range(first, last + 1)]
        rules = [rules_in_force(self._state), *self._rules()]
        erased_at = int(told["erased_at_us"])

        def is_theirs(body: bytes) -> bool:
            try:
                keys, _ = list_claims(read_event(body), rules)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
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

    # -- the certificate

    def _document(
        self,
        erasure_id: str,
        target: _Target,
        before: dict[str, int],
        places: dict[str, int],
        scan: dict[str, Any],
        position: int,
        stays: Sequence[Kept],
    ) -> dict[str, Any]:
        one = self._journal.find(erasure_id)
        assert one is not None, "it was begun"
        after = scan.pop("after")
        tombstones = self._journal.hashes_of(erasure_id)
        subject = json.dumps([erasure_id, sorted(target.holdings.keys)]).encode()
        stores = [
            {
                "name": name,
                "rows_before": n,
                "rows_after": after.get(name, 0),
                "scan_hash": digest(erasure_id.encode(), name.encode(), str(after.get(name, 0)).encode()),
            }
            for name, n in before.items()
        ]
        stores += [{"name": name, "rows_before": n, "rows_after": 0} for name, n in sorted(places.items())]
        return {
            "type": KIND,
            "version": VERSION,
            "erasure_id": erasure_id,
            "request": None,
            "begun_at": rfc3339(one.begun_at),
            "erased_at": rfc3339(one.erased_at),
            "erased_at_us": one.erased_at,
            "certified_at": rfc3339(self._now()),
            "subject_commitment": self._tombstones.commit(subject),
            "tombstone_commitment": digest(*tombstones),
            "tombstones": [one.hex() for one in tombstones],
            "n_events": len(target.positions),
            "log": {
                "epoch": one.epoch,
                "act": position,
                "through": one.through,
                "positions": _runs(target.positions),
            },
            "stores": stores,
            "key_ids_destroyed": [],
            "recipients": [],
            "exceptions": [{"basis": kept.why, "until": None} for kept in stays],
            "verification": scan,
            "log_checkpoint": None,
            "inclusion_proof": None,
        }

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()


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


def _gone_words(target: _Target, gone: set[Key]) -> list[str]:
    """Give the values to look for: not those of identifiers that others hold too."""
    stay = {value for key in target.holdings.keys if key not in gone for value in (key[1], key[1].casefold())}
    return [word for word in target.words if word not in stay and word.casefold() not in stay]


def _as_new(row: LogRow) -> NewRow:
    head = (row.kind, row.source, row.trust, row.received_at, row.event_at, row.message_hash)
    return NewRow(*head, row.body or b"")


def _full_names(traits: dict[str, Any]) -> Iterator[str]:
    for name in ("name", "displayName"):
        if isinstance(traits.get(name), str) and len(traits[name]) >= _SHORT and " " in traits[name].strip():
            yield traits[name].strip()


def _runs(positions: Sequence[int]) -> list[list[int]]:
    """Give sorted positions as runs of first and last.

    >>> _runs([1, 2, 3, 7])
    [[1, 3], [7, 7]]
    """
    runs: list[list[int]] = []
    for position in positions:
        if runs and runs[-1][1] == position - 1:
            runs[-1][1] = position
        else:
            runs.append([position, position])
    return runs


def _is_large(name: str) -> bool:
    return name.startswith(("log.db", "state.db")) or name.endswith(".parquet")
