"""Erasing a person: everything of theirs, everywhere, with a certificate; and keeping it so.

In:    whom somebody names; the stores; the erasure journal.
Out:   what would go and what stays; the certificate's path; where anything of them is still found.
Never: an erasure told as done whose verification found something; a person who comes back with a back-up, an import or
       a browser tab left open.
"""

import contextlib
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tillit import clock
from tillit.collect.door import Refuses
from tillit.collect.files import forget_uploads
from tillit.errors import BusyError, InputError, InternalError
from tillit.flow import EngineBusy, file_lock, forget_act, iter_log
from tillit.identity import applied_rules, find_unheld
from tillit.privacy.erasure import (
    BEGUN,
    Erasure,
    ErasureJournal,
    Tombstones,
    Values,
    erase_files,
    erase_from_quarantine,
    erase_from_rejects,
    load_pepper,
    load_signing_key,
    save_certificate,
    sign,
)
from tillit.records import KIND_ACT, Membership, NewRow
from tillit.store import Log, SqliteState, State
from tillit.store.lake import Lake
from tillit.workspace.erasure_document import document_of
from tillit.workspace.erasure_refusal import Refusal
from tillit.workspace.erasure_search import Found, Search, read_log_tables, rows_between
from tillit.workspace.erasure_target import Kept, Target, find_target, naming, stays_of
from tillit.workspace.folder import Paths
from tillit.workspace.folding import Folding
from tillit.workspace.people import find_membership_of
from tillit.workspace.plans import forget_plans

Append = Callable[[Sequence[NewRow]], tuple[int, int]]

_LAKE_S = 300.0
_PAUSE_S = 0.02
_READ_ROWS = 20_000
_LONGEST_WORD = 32


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


class Outline(NamedTuple):
    """What erasing somebody would do."""

    n_events: int
    n_identifiers: int  # that go
    keys: list[str]  # namespace:value of those that go
    stays: list[Kept]
    n_quarantined: int
    n_uploads: int


class Done(NamedTuple):
    """What came of an erasure."""

    erasure_id: str
    certificate: Path
    n_events: int
    n_identifiers: int
    stays: list[Kept]


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
        self._refusal = Refusal(self._tombstones)
        self._search = Search(
            log, state, folding, paths,
            registry=registry, tombstones=self._tombstones, refusal=self._refusal, lake=lake,
        )  # fmt: skip

    def token(self, profile_id: str) -> str:
        """Give the keyed hash of a profile's id, by which requests and packages name a person."""
        return hmac.new(load_pepper(self._registry), f"request\0{profile_id}".encode(), hashlib.sha256).hexdigest()

    def door(self) -> Refuses | None:
        """Give what refuses events of people who were erased; None while there are none. Asked once a request."""
        return self._refusal.door()

    def list_all(self) -> list[Erasure]:
        """Give every erasure, oldest first. They name nobody."""
        return self._journal.list_all()

    # -- looking first

    def outline(self, who: str) -> Outline:
        """Say what erasing somebody would do. Raises NotFound."""
        target = find_target(self._state, self._folding, who)
        values = Values(target.words)
        names = naming(self._state, set(target.holdings.keys))
        rows = read_log_tables(self._log, "SELECT raw FROM quarantine")
        n_quarantined = sum(values.are_in(bytes(raw)) or names(bytes(raw)) for (raw,) in rows)
        n_uploads = sum(1 for path in self._paths.uploads.glob("i*/*") if path.is_file() and path.name[0] != ".")
        stays = stays_of(target.holdings)
        goes = [key for i, key in target.holdings.identifiers.items() if i not in target.holdings.named_by_others]
        goes += [device.key for device in target.holdings.devices if device.is_theirs_alone]
        return Outline(
            len(target.positions), len(goes), [":".join(key) for key in goes], stays, n_quarantined, n_uploads
        )

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
        target = find_target(self._state, self._folding, who)
        membership = find_membership_of(self._state, who)
        if membership is not None:
            self._let_go(membership)
        holdings = target.holdings
        begun_at, epoch, through = self._now(), self._log.epoch(), self._log.head()
        before = self._search.counts(target)
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
        found, scan = self._search.look(target, gone)
        if found:
            raise ErasureIncomplete(erasure_id, [one.place for one in found])
        self._journal.finish(erasure_id)
        stays = [
            Kept(":".join(key), "somebody else holds it or used it too: it stays theirs")
            for key in [*holdings.identifiers.values(), *(d.key for d in holdings.devices)]
            if key not in gone
        ]
        one = self._journal.find(erasure_id)
        assert one is not None, "it was begun"
        document = document_of(
            one,
            target,
            position=position,
            before=before,
            places=n_gone,
            scan=scan,
            stays=stays,
            tombstones=self._tombstones,
            hashes=self._journal.hashes_of(erasure_id),
            reason=reason,
            operator=operator,
            now=self._now(),
        )
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

    def _erase_places(self, target: Target) -> dict[str, int]:
        """Erase what lies outside log, state and lake."""
        gone = {"uploads": forget_uploads(self._paths.uploads, reason="somebody was erased since it was uploaded")}
        gone["exports"] = erase_files(self._paths.exports) if self._paths.exports.is_dir() else 0
        gone |= {"quarantine": 0, "rejects": 0}
        values = Values(target.words)
        with contextlib.closing(self._log.tables()) as tables:
            with tables.transaction() as tx:
                gone["quarantine"] = erase_from_quarantine(tx, values, naming(self._state, set(target.holdings.keys)))
            if gone["quarantine"]:
                tables.scrub()
        gone["rejects"] = erase_from_rejects(self._paths.rejects, values)
        return gone

    def _late_places(self, target: Target) -> int:
        """Take out what was rejected or put aside while the erasure went on."""
        values = Values(target.words)
        with contextlib.closing(self._log.tables()) as tables:
            with tables.transaction() as tx:
                n_gone = erase_from_quarantine(tx, values, naming(self._state, set(target.holdings.keys)))
            if n_gone:
                tables.scrub()
        return n_gone + erase_from_rejects(self._paths.rejects, values)

    def _sweep(self, after: int) -> None:
        """Forget what the door took before it knew of the tombstones."""
        while True:
            head = self._log.head()
            found = [p for p in self._refusal.places(rows_between(self._log, after, head)) if p <= head]
            if not found:
                return
            self._append([forget_act(found, now=self._now())])
            self._folding.reach_patiently(self._log.head())
            after = head

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
        positions = self._refusal.places(rows)
        for one in lost:
            act = forget_act(positions, now=self._now(), name=bytes.fromhex(one.erasure_id))
            position, _ = self._append([act])
            self._journal.place(one.erasure_id, epoch=self._log.epoch(), position=position, n_events=one.n_events)
            positions = []
        with contextlib.closing(self._log.tables()) as tables:
            rules = self._refusal.rules()
            with tables.transaction() as tx:
                erase_from_quarantine(tx, Values([]), lambda raw: self._refusal.is_refused(raw, rules))
            tables.scrub()
        with contextlib.suppress(InternalError):
            # State of another fold, or ahead of the log that was restored: `tillit rebuild` folds these acts as well.
            self._folding.reach_patiently(self._log.head())
            self._follow_lake()

    def _finish_begun(self, one: Erasure) -> None:
        """Go on where a process was killed: it told nobody that it was done."""
        act = next(
            (
                row
                for row in rows_between(self._log, one.through, self._log.head())
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

    def verify(self, who: str) -> list[Found]:
        """Look through everything for an identifier, in every spelling; an empty list is the good answer."""
        return self._search.verify(who)

    def verify_certificate(self, path: Path) -> list[Found]:
        """Look through everything for what a certificate says was erased. Raises CertificateInvalid."""
        return self._search.verify_certificate(path)

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()
