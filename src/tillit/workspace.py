"""The workspace: the object a caller holds. One part per room, no logic of its own.

In:    a folder.
Out:   `profiles`, `events`, `quarantine`, `keys`, `lake`, and calls that append to the log.
Never: a rule. Rooms know; this file opens stores and hands over what rooms need.
"""

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tillit import clock
from tillit.access import (
    JOURNAL_MIGRATIONS,
    REGISTRY_MIGRATIONS,
    Audit,
    ConsoleSessions,
    Journal,
    Keys,
    Operators,
    Passwords,
    SignIn,
    Sources,
)
from tillit.collect.door import random_id, take
from tillit.collect.files import forget_uploads
from tillit.collect.limits import limits_from
from tillit.collect.quarantine import (
    Quarantined,
    count_by_code,
    count_since,
    expire,
    find_quarantined,
    list_groups,
    list_quarantined,
    list_waiting,
    note_all_replayed,
    note_replayed,
    retry,
    retry_mended,
)
from tillit.consent import permit_for, scope_for
from tillit.errors import BusyError, InputError, NotFound, SettingsError
from tillit.flow import (
    Applied,
    Difference,
    Engine,
    EngineBusy,
    LakeWriter,
    carry_fates,
    compare_states,
    file_lock,
    fold_anew,
    forget_act,
    prepare,
    reset_state,
)
from tillit.flow.rebuild import iter_log
from tillit.identity import (
    Evidence,
    Handle,
    find_membership,
    handles_of,
    iter_events,
    profile_id,
    read_event,
    read_evidence,
)
from tillit.people import Related, find_membership_of, find_people, find_related
from tillit.profile import (
    Earlier,
    Person,
    act_row,
    correct_body,
    event_document,
    get_document,
    load_person,
    note_body,
    position_of,
    read_earlier,
    retract_body,
)
from tillit.profile import event_id as event_id_of
from tillit.records import KIND_ACT, KIND_EVENT, TRUST_SERVER, LogRow, Membership, NewRow, Permit, QuarantineRow
from tillit.settings import Settings
from tillit.store import Log, PostgresState, SqliteState, State
from tillit.store.lake import Lake
from tillit.store.migrations import MigrationChanged
from tillit.store.sqlite import StoreBroken

MARK = "tillit.toml"
_WAIT_S = 5.0
_MOST_LOOKED_AT = 3_000  # events read to say what a trait was before: about 50 ms


class NoWorkspace(SettingsError):
    """The folder is not a workspace."""

    code = "workspace.missing"

    def __init__(self, path: Path) -> None:
        """Name the folder and the command that makes one."""
        super().__init__(
            f"{path} is not a workspace: it has no {MARK}. Make one with `tillit init {path}`.", path=str(path)
        )


class Paths:
    """Where things lie in a workspace."""

    def __init__(self, root: Path) -> None:
        """Name every file once."""
        self.root = root
        self.settings = root / MARK
        self.log = root / "log.db"
        self.state = root / "state.db"
        self.registry = root / "registry.db"
        self.journal = root / "journal.db"
        self.lake = root / "lake" / "events"
        self.rejects = root / "rejects"
        self.uploads = root / "uploads"
        self.run = root / "run"
        self.engine_lock = self.run / "engine.lock"
        self.lake_lock = self.run / "lake.lock"
        self.serve_lock = self.run / "serve.lock"
        self.serve_url = self.run / "serve.url"


def create_workspace(path: Path) -> Paths:
    """Make a workspace folder that only its owner may enter; an existing one is left as it is."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    paths = Paths(path)
    for folder in (paths.rejects, paths.run, paths.lake.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    if not paths.settings.exists():
        paths.settings.write_text(
            "# Settings of this workspace. `tillit settings sample` prints all of them.\n", encoding="utf-8"
        )
        paths.settings.chmod(0o600)
    with (
        contextlib.closing(Log.open(paths.log)),
        contextlib.closing(_registry(paths)),
        contextlib.closing(_journal(paths)),
    ):
        pass
    # SQLite syncs this folder when it first writes, nobody the one above: a power cut may not take the workspace whole.
    for folder in (path, path.resolve().parent):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return paths


def discard_unreadable_state(path: Path) -> bool:
    """Delete a state file that is damaged or of another version, so that it can be folded anew; say whether it was.

    Raises: EngineBusy while a server runs.
    """
    paths = Paths(path)
    if Settings.load(path).state.url or not paths.state.exists():
        return False
    try:
        with contextlib.closing(SqliteState(paths.state)) as state:
            if state.read("PRAGMA quick_check(1)") == [("ok",)]:
                prepare(state)
                return False
    except (StoreBroken, MigrationChanged):
        pass  # what it holds can be told again from the log
    with file_lock(paths.engine_lock, "fold"):
        for end in ("", "-wal", "-shm"):
            Path(f"{paths.state}{end}").unlink(missing_ok=True)
    return True


def _registry(paths: Paths) -> SqliteState:
    store = SqliteState(paths.registry, synchronous="FULL", cache_kb=512)
    store.migrate(REGISTRY_MIGRATIONS)
    return store


def _journal(paths: Paths) -> SqliteState:
    store = SqliteState(paths.journal, cache_kb=512)
    store.migrate(JOURNAL_MIGRATIONS)
    return store


def open_state(paths: Paths, settings: Settings, *, read_only: bool = False) -> State:
    """Open the engine that keeps derived state: SQLite in the folder, or PostgreSQL by its address."""
    if settings.state.url:
        return PostgresState(settings.state.url)
    return SqliteState(paths.state, read_only=read_only)


class Workspace:
    """One workspace, open in this process."""

    def __init__(self, path: Path, *, settings: Settings | None = None, now: Callable[[], int] = clock.now_us) -> None:
        """Open the stores; nothing is folded yet."""
        self.paths = Paths(path)
        if not self.paths.settings.exists():
            raise NoWorkspace(path)
        self.settings = settings if settings is not None else Settings.load(path)
        self.now = now
        self.limits = limits_from(self.settings.collect)
        self.log = Log.open(self.paths.log, synchronous=self.settings.log.synchronous)
        self._registry = _registry(self.paths)
        self._journal_store = _journal(self.paths)
        self.state = open_state(self.paths, self.settings)
        prepare(self.state)
        self.keys = Keys(self._registry, now=now)
        self.journal = Journal(self._journal_store, now=now)
        self.audit = Audit(self._journal_store, now=now)
        passwords = Passwords()
        self.operators = Operators(self._registry, now=now, passwords=passwords)
        self.sessions = ConsoleSessions(self._registry, now=now, place=self.paths.run)
        self.sign_in = SignIn(self._registry, now=now, passwords=passwords, sessions=self.sessions)
        self.sources = Sources(self.log, self.keys, now=now)
        self.profiles = Profiles(self)
        self.events = Events(self)
        self.quarantine = Quarantine(self)
        self.folding = Folding(self)
        self._lake: Lake | None = None

    @property
    def lake(self) -> Lake:
        """Give the whole history as open tables, for reading."""
        if self._lake is None:
            self._lake = Lake.open(self.paths.lake, read_only=True)
        return self._lake

    # -- saying what happened (as the Segment specification names it)

    def track(self, *, event: str, properties: Mapping[str, Any] | None = None, **who: Any) -> None:
        """Say that somebody did something. `who`: user_id, anonymous_id, timestamp, message_id, context."""
        self.append([_message("track", who, event=event, properties=dict(properties or {}))])

    def identify(self, *, traits: Mapping[str, Any] | None = None, **who: Any) -> None:
        """Say who somebody is and what is known of them."""
        self.append([_message("identify", who, traits=dict(traits or {}))])

    def page(self, *, name: str | None = None, properties: Mapping[str, Any] | None = None, **who: Any) -> None:
        """Say that somebody saw a page."""
        self.append([_message("page", who, name=name, properties=dict(properties or {}))])

    def screen(self, *, name: str | None = None, properties: Mapping[str, Any] | None = None, **who: Any) -> None:
        """Say that somebody saw a screen of an app."""
        self.append([_message("screen", who, name=name, properties=dict(properties or {}))])

    def group(self, *, group_id: str, traits: Mapping[str, Any] | None = None, **who: Any) -> None:
        """Say that somebody belongs to a group."""
        self.append([_message("group", who, groupId=group_id, traits=dict(traits or {}))])

    def alias(self, *, previous_id: str, **who: Any) -> None:
        """Say that somebody had another id before."""
        self.append([_message("alias", who, previousId=previous_id)])

    def append(
        self, messages: Sequence[Mapping[str, Any]], *, source: str = "python", trust: int = TRUST_SERVER
    ) -> None:
        """Check messages as the HTTP door does and put them in the log; return once they are on disk.

        Raises: InputError naming the first message that could not be taken; the good ones are in the log, the bad
                ones in quarantine.
        """
        now = self.now()
        told = [dict(message) for message in messages]
        taken = take(told, route_type=None, source=source, trust=trust, received_at=now, limits=self.limits)
        self.append_rows(taken.rows, taken.quarantine)
        if taken.quarantine:
            first = taken.quarantine[0]
            raise InputError(
                f"{len(taken.quarantine)} of {len(messages)} events went to quarantine. The first: {first.reason}",
                code=f"collect.{first.code}",
                n_quarantined=len(taken.quarantine),
            )

    def append_rows(self, rows: Sequence[NewRow], quarantine: Sequence[QuarantineRow] = ()) -> tuple[int, int]:
        """Put checked rows in the log; return their positions once they are on disk."""
        return self.log.append(rows, quarantine, now=self.now())

    # -- keeping up

    def flush(self) -> None:
        """Return when everything appended so far is applied. Folds here when nobody else does, else waits."""
        self.folding.reach(self.log.head(), _WAIT_S)

    def forget(self, event_positions: Sequence[int]) -> None:
        """Take events out of log and state so that no byte of them stays; the lake follows.

        Files that were uploaded and wait go too: nobody knows whom they name, and importing one would bring them back.
        """
        forget_uploads(self.paths.uploads, reason="somebody was forgotten since it was uploaded")
        self.append_rows([forget_act(event_positions, now=self.now())])
        self.flush()

    def permit(self, purpose: str | None = None, *, asked_by: str = "process") -> Permit:
        """Ask for leave to use one person's values."""
        return permit_for(
            purpose or "service",
            declared=self.settings.consent.purposes,
            position=self.folding.position(),
            asked_by=asked_by,
        )

    def close(self) -> None:
        """Apply what is left, let the lake follow when nobody else keeps it, and let go of everything."""
        self.folding.close()
        self.journal.close()
        self.quarantine.close()
        if self._lake is not None:
            self._lake.close()
        for store in (self.state, self._registry, self._journal_store, self.log):
            store.close()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


class Replayed(NamedTuple):
    """What a second try came to."""

    n_replayed: int
    n_refused: int
    next: int | None = None  # of many: where the next part begins; None at the end


class Timeline(NamedTuple):
    """A page of one person's events, newest first."""

    profile_id: str
    events: list[dict[str, Any]]
    next: str | None  # the `before` of the page after; None at the end


class TimelineRows(NamedTuple):
    """A page of one person's events as the log holds them, newest first."""

    profile_id: str
    rows: list[LogRow]
    next: str | None


class EarlierValues(NamedTuple):
    """What a trait was before."""

    values: list[Earlier]  # newest first
    n_events: int  # so many of the person's newest events were looked at
    is_all: bool  # these are all they have


class Profiles:
    """Reading people, and writing down what colleagues say of them."""

    def __init__(self, workspace: Workspace) -> None:
        """Belong to a workspace."""
        self._ws = workspace

    def get(self, who: str, *, purpose: str | None = None) -> dict[str, Any]:
        """Give the document of whoever holds an identifier (`namespace:value`) or a profile id. Raises NotFound."""
        found = self.find(who, self._ws.permit(purpose))
        if found is None:
            raise unknown_profile()
        return found

    def find(self, who: str, permit: Permit) -> dict[str, Any] | None:
        """Give the document of whoever holds an identifier or a profile id, or None."""
        with self._ws.state.snapshot() as reading:
            membership = find_membership_of(reading, who)
            if membership is None:
                return None
            return get_document(reading, membership, permit, epoch=self._ws.log.epoch())

    def membership(self, who: str) -> Membership | None:
        """Say who holds an identifier (`namespace:value`) or a profile id."""
        return find_membership_of(self._ws.state, who)

    def events(
        self, who: str, permit: Permit, *, limit: int = 100, before: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None] | None:
        """Give a person's events, newest first, and where to go on; None when the person is unknown."""
        found = self.timeline(who, permit, limit=limit, before=before)
        return (found.events, found.next) if found is not None else None

    def timeline(self, who: str, permit: Permit, *, limit: int = 100, before: str | None = None) -> Timeline | None:
        """Give a page of a person's events, newest first; None when the person is unknown."""
        told = self.rows(who, permit, limit=limit, before=before)
        if told is None:
            return None
        epoch = self._ws.log.epoch()
        documents = [event_document(row, permit, epoch=epoch) for row in told.rows]
        return Timeline(told.profile_id, documents, told.next)

    def rows(self, who: str, permit: Permit, *, limit: int = 100, before: str | None = None) -> TimelineRows | None:
        """Give the log rows of a page of a person's events, newest first; None when the person is unknown."""
        del permit  # proof that the caller asked: rows hold what the person said
        place = _place(before)
        with self._ws.state.snapshot() as reading:
            membership = find_membership_of(reading, who)
            if membership is None:
                return None
            found = iter_events(reading, membership, before=place, limit=limit + 1)
        rows = self._ws.folding.rows([p for _, p in found[:limit]])
        more = f"{found[limit - 1][0]}.{found[limit - 1][1]}" if len(found) > limit else None
        return TimelineRows(membership.profile_id, [rows[p] for _, p in found[:limit] if p in rows], more)

    def person(self, who: str, permit: Permit) -> Person | None:
        """Give the document of a person, when they were active, and what colleagues said of them; None: unknown."""
        with self._ws.state.snapshot() as reading:
            membership = find_membership_of(reading, who)
            if membership is None:
                return None
            return load_person(reading, membership, permit, epoch=self._ws.log.epoch())

    def evidence(self, who: str, permit: Permit, *, most_related: int = 12) -> tuple[Evidence, list[Related]] | None:
        """Say why a person's identifiers are theirs, and who else is near; None when the person is unknown."""
        with self._ws.state.snapshot() as reading:
            membership = find_membership_of(reading, who)
            if membership is None:
                return None
            found = read_evidence(reading, membership)
            epoch = self._ws.log.epoch()
            return found, find_related(reading, membership.profile_id, found, permit, most=most_related, epoch=epoch)

    def earlier(self, who: str, name: str, permit: Permit) -> EarlierValues | None:
        """Say what a trait was before, as far as the person's newest events tell; None when the person is unknown."""
        told = self.rows(who, permit, limit=_MOST_LOOKED_AT)
        if told is None:
            return None
        values = read_earlier(told.rows, name, permit, epoch=self._ws.log.epoch())
        return EarlierValues(values, len(told.rows), told.next is None)

    # -- what colleagues say: each an event in the log, which the fold applies

    def correct(self, who: str, name: str, value: Any, *, reason: str, operator: str = "process") -> str:
        """Say what a trait of a person truly is (None: nothing); give the event's id.

        A correction counts more than what was sent or claimed, less than what the customer proved.
        Raises: NotFound, ActInvalid.
        """
        return self._act(who, correct_body(name, value), reason=reason, operator=operator)

    def note(self, who: str, text: str, *, operator: str = "process") -> str:
        """Write a note about a person; give the event's id. Raises NotFound, ActInvalid."""
        return self._act(who, note_body(text), reason="", operator=operator)

    def undo(self, event_id: str, *, reason: str = "", operator: str = "process", who: str | None = None) -> str:
        """Take a correction or a note back, as if it had never been; give the event's id.

        With `who`, only when it is about that person. Raises NotFound, ActInvalid.
        """
        ws = self._ws
        position = position_of(event_id, ws.log.epoch())
        row = ws.folding.rows([position]).get(position) if position is not None and position > 0 else None
        body = retract_body(row) if row is not None and row.kind == KIND_EVENT else None
        if row is None or body is None:
            raise _unknown_act()
        told = handles_of(read_event(row.body or b"{}"))
        if who is not None and (not told or not self._holds(who, told[0])):
            raise _unknown_act()
        # The same id for every try: taking one thing back twice is one act.
        message_id = f"undo-{body['of']}"
        now = ws.now()
        # A device changes hands: what takes an act back must fall into the same hands.
        event_at = row.event_at if "anonymousId" in body else now
        new = act_row(body, None, operator=operator, reason=reason, message_id=message_id, now=now, event_at=event_at)
        return event_id_of(ws.append_rows([new])[0], ws.log.epoch())

    def _act(self, who: str, body: dict[str, Any], *, reason: str, operator: str) -> str:
        ws = self._ws
        membership = self.membership(who)
        if membership is None or not membership.identifiers:
            raise unknown_profile()
        now = ws.now()
        row = act_row(
            body,
            membership.identifiers[0],
            operator=operator,
            reason=reason,
            message_id=random_id(),
            now=now,
            event_at=now,
        )
        return event_id_of(ws.append_rows([row])[0], ws.log.epoch())

    def _holds(self, who: str, handle: Handle) -> bool:
        one, other = self.membership(who), self.membership(f"{handle.namespace}:{handle.value}")
        return one is not None and other is not None and one.profile_id == other.profile_id

    def search(
        self, text: str, *, purpose: str | None = None, limit: int = 20, asked_by: str = "process"
    ) -> list[dict[str, Any]]:
        """Find people by words of names, parts of identifiers, order numbers; whole documents, best first."""
        scope = scope_for(
            purpose or "service",
            declared=self._ws.settings.consent.purposes,
            position=self._ws.folding.position(),
            asked_by=asked_by,
        )
        permit = self._ws.permit(scope.purpose, asked_by=asked_by)
        with self._ws.state.snapshot() as state:
            return find_people(state, text, permit, limit=limit, epoch=self._ws.log.epoch())

    def newest(self, *, permit: Permit, limit: int = 20) -> list[dict[str, Any]]:
        """Give the people heard of last."""
        recent = self._ws.state.read(
            "SELECT identifier_id FROM identifier ORDER BY identifier_id DESC LIMIT ?", (limit * 3,)
        )
        people: dict[str, Membership] = {}
        for (identifier_id,) in recent:
            membership = find_membership(self._ws.state, profile_id(identifier_id))
            if membership is not None and len(people) < limit:
                people.setdefault(membership.profile_id, membership)
        return [get_document(self._ws.state, m, permit, epoch=self._ws.log.epoch()) for m in people.values()]


class Events:
    """Reading what happened."""

    def __init__(self, workspace: Workspace) -> None:
        """Belong to a workspace."""
        self._ws = workspace

    def after(self, position: int, permit: Permit, *, limit: int = 100) -> list[tuple[int, dict[str, Any]]]:
        """Give events after a log position, in order, each with its position."""
        epoch = self._ws.log.epoch()
        rows = self._ws.log.read(position, limit)
        return [(row.position, event_document(row, permit, epoch=epoch)) for row in rows if row.kind == 1]

    def applied(
        self,
        after: int,
        permit: Permit,
        *,
        limit: int = 100,
        type: str | None = None,
        name: str | None = None,
        source: str | None = None,
    ) -> tuple[list[tuple[int, dict[str, Any]]], int]:
        """Give events that the fold has applied, after a position, in log order, and where to go on.

        Shape: ([(position, document)], position). Looks at `limit` rows and leaves out repeats, what was forgotten,
               and what was not asked for, so that a page may be short or empty while there is more.
        """
        through = self._ws.folding.position()
        rows = [row for row in self._ws.log.read(after, limit) if row.position <= through]
        if not rows:
            return [], after
        last = rows[-1].position
        # An event without an identifier is in nobody's profile, but it did happen: the lake keeps it as well.
        left_out = {p for p, (fate, _) in self.fates(rows[0].position, last).items() if fate != "quarantined"}
        epoch = self._ws.log.epoch()
        found = []
        for row in rows:
            if row.kind != KIND_EVENT or row.position in left_out or (source is not None and row.source != source):
                continue
            document = event_document(row, permit, epoch=epoch)
            if (
                document["type"] != "husk"
                and (type is None or document["type"] == type)
                and (name is None or document["name"] == name)
            ):
                found.append((row.position, document))
        return found, last

    def fates(self, first: int, last: int) -> dict[int, tuple[str, str]]:
        """Say what became of log rows: position -> (fate, code); rows that were simply applied are left out."""
        rows = self._ws.state.read(
            "SELECT position, fate, code FROM fate WHERE position >= ? AND position <= ?", (first, last)
        )
        return {p: (fate, code) for p, fate, code in rows}


class Quarantine:
    """What could not be taken."""

    def __init__(self, workspace: Workspace) -> None:
        """Belong to a workspace."""
        self._ws = workspace
        self._store = workspace.log.tables()

    def rows(
        self, *, limit: int = 100, before: int | None = None, code: str | None = None, source: str | None = None
    ) -> list[Quarantined]:
        """Give quarantined events, newest first."""
        return list_quarantined(self._store, limit=limit, before=before, code=code, source=source)

    def find(self, quarantine_id: int) -> Quarantined | None:
        """Give one quarantined event."""
        return find_quarantined(self._store, quarantine_id)

    def counts(self) -> dict[str, int]:
        """Say how many wait, by code."""
        return count_by_code(self._store)

    def count(self) -> int:
        """Say how many wait."""
        return sum(self.counts().values())

    def replay(self, ids: Sequence[int] | None = None) -> Replayed:
        """Judge events again under today's rules; all that wait when none is named."""
        n_replayed = n_refused = 0
        for kept in self._waiting() if ids is None else map(self._get, ids):
            if kept.replayed_position is not None:
                continue
            taken = retry(kept, limits=self._ws.limits)
            if taken.rows:
                first, _ = self._ws.append_rows(taken.rows)
                note_replayed(self._store, kept.quarantine_id, first)
                n_replayed += 1
            else:
                n_refused += 1
        return Replayed(n_replayed, n_refused)

    def replay_part(
        self, *, limit: int, before: int | None = None, code: str | None = None, source: str | None = None
    ) -> Replayed:
        """Judge one part of those that wait again, newest first, in one commit; `next` says where to go on."""
        waiting = list_waiting(self._store, limit=limit, before=before, code=code, source=source)
        judged = [(kept, retry(kept, limits=self._ws.limits)) for kept in waiting]
        good = [(kept.quarantine_id, taken.rows[0]) for kept, taken in judged if taken.rows]
        if good:
            first, _ = self._ws.append_rows([row for _, row in good])
            note_all_replayed(self._store, [(number, first + i) for i, (number, _) in enumerate(good)])
        more = waiting[-1].quarantine_id if len(waiting) == limit else None
        return Replayed(len(good), len(waiting) - len(good), more)

    def mend(self, quarantine_id: int, mended: bytes) -> str | None:
        """Take what was written in the place of one event; None when it was taken, else why it is still refused.

        The bytes that came stay in quarantine; the mended event has the same message id, so both together count once.
        Raises: NotFound, AlreadyReplayed, MendedOtherId.
        """
        taken = retry_mended(self._get(quarantine_id), mended, limits=self._ws.limits)
        if not taken.rows:
            return taken.quarantine[0].reason if taken.quarantine else "There is no event in it."
        first, _ = self._ws.append_rows(taken.rows)
        note_replayed(self._store, quarantine_id, first)
        return None

    def groups(self) -> list[tuple[str, str, int, int]]:
        """Give (code, source, how many wait, when the newest came)."""
        return list_groups(self._store)

    def count_since(self, at: int) -> int:
        """Say how many were turned away since an instant."""
        return count_since(self._store, at)

    def expire(self, before: int) -> int:
        """Let go of what arrived before an instant; say how many."""
        n_gone = expire(self._store, before=before)
        if n_gone:
            self._store.scrub()
        return n_gone

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()

    def _get(self, quarantine_id: int) -> Quarantined:
        found = self.find(quarantine_id)
        if found is None:
            raise NotFound(f"There is no quarantined event {quarantine_id}.", code="collect.unknown-quarantine")
        return found

    def _waiting(self) -> Iterator[Quarantined]:
        before: int | None = None
        while page := self.rows(limit=500, before=before):
            before = page[-1].quarantine_id
            yield from (kept for kept in page if kept.replayed_position is None)


class Folding:
    """Keeping derived state up: here when nobody else does, else by waiting for whoever does."""

    def __init__(self, workspace: Workspace) -> None:
        """Belong to a workspace; take no lock yet."""
        self._ws = workspace
        self._locks = contextlib.ExitStack()
        self._engine: Engine | None = None
        self._mutex = threading.RLock()

    def position(self) -> int:
        """Say how far the fold has come."""
        found = self._ws.state.read("SELECT position FROM fold")
        return int(found[0][0]) if found else 0

    def rows(self, positions: Sequence[int]) -> dict[int, LogRow]:
        """Read log rows, from the lake where the log was trimmed."""
        found = self._ws.log.get(positions)
        missing = [p for p in positions if p not in found]
        if missing:
            found.update((row.position, row) for row in self._ws.lake.read_positions(missing))
        return found

    def engine(self) -> Engine:
        """Become the one who folds. Raises EngineBusy when another process is."""
        with self._mutex:
            if self._engine is None:
                self._locks.enter_context(file_lock(self._ws.paths.engine_lock, "fold"))
                try:
                    self._engine = self._engine_here()
                except BaseException:
                    self._locks.close()
                    raise
            return self._engine

    def _engine_here(self) -> Engine:
        """Make an engine; the lock is held."""
        settings = self._ws.settings.engine
        return Engine(
            self._ws.log,
            self._ws.state,
            self._ws.paths.lake,
            now=self._ws.now,
            batch_rows=settings.batch_rows,
            tick_s=settings.tick_s,
        )

    def reach(self, position: int, timeout_s: float) -> None:
        """Return when the fold has come to a position. Raises BusyError when it does not in time."""
        with self._mutex:
            try:
                self.engine().catch_up()
            except EngineBusy:
                pass
            else:
                return
        deadline = clock.monotonic_s() + timeout_s
        while self.position() < position:
            if clock.monotonic_s() > deadline:
                raise BusyError(
                    f"The events are on disk, but the fold did not reach position {position} in {timeout_s:.0f} s. "
                    "`tillit doctor` shows how far it is.",
                    code="flow.behind",
                )
            time.sleep(0.005)

    def write_lake(self) -> None:
        """Let the lake follow the fold, unless another process keeps it."""
        try:
            with file_lock(self._ws.paths.lake_lock, "lake"):
                lake = Lake.open(self._ws.paths.lake)
                LakeWriter(self._ws.log, self._ws.state, lake).catch_up()
                lake.close()
        except EngineBusy:
            return

    def check(self, progress: Callable[[Applied], None] | None = None) -> list[Difference]:
        """Fold the log anew beside the live state and compare (law L8): no difference is the good answer."""
        ws = self._ws
        self.clear_checks()
        folder = Path(tempfile.mkdtemp(prefix="check-", dir=ws.paths.run))
        try:
            with file_lock(folder / "lock", "check"), ws.state.snapshot() as live:
                position, _, epoch = live.read("SELECT position, logged_at, epoch FROM fold")[0]
                anew = SqliteState(folder / "state.db", synchronous="OFF")
                prepare(anew)
                carry_fates(live, anew, before=ws.log.first_position())
                fold_anew(anew, iter_log(ws.log, lambda: ws.lake, position), self.rows, epoch=epoch, progress=progress)
                found = compare_states(live, anew)
                anew.close()
            return found
        finally:
            shutil.rmtree(folder)

    def clear_checks(self) -> None:
        """Delete what checks left behind that were killed: it holds what people may have asked to be forgotten."""
        for folder in self._ws.paths.run.glob("check-*"):
            with contextlib.suppress(EngineBusy, FileNotFoundError), file_lock(folder / "lock", "check"):
                shutil.rmtree(folder)

    def rebuild(self, progress: Callable[[Applied], None] | None = None) -> int:
        """Throw derived state away and fold the log anew. Raises EngineBusy while a server runs."""
        ws = self._ws
        with self._mutex:
            if self._engine is None:
                self._locks.enter_context(file_lock(ws.paths.engine_lock, "fold"))
            reset_state(ws.state, first_position=ws.log.first_position())
            acts: list[LogRow] = []

            def noting_acts() -> Iterator[list[LogRow]]:
                for block in iter_log(ws.log, lambda: ws.lake, ws.log.head()):
                    acts.extend(row for row in block if row.kind == KIND_ACT)
                    yield block

            with ws.state.hurried():
                fold = fold_anew(ws.state, noting_acts(), self.rows, epoch=ws.log.epoch(), progress=progress)
            position = fold.position
            if acts:
                # An engine may have been killed in the middle of one: the fold has now passed it for good.
                engine = self._engine_here()
                for row in acts:
                    engine.act(row)
            self.release()
            return position

    def release(self) -> None:
        """Let another process fold."""
        self._engine = None
        self._locks.close()

    def close(self) -> None:
        """Apply what is left when we are the one who folds, and let go."""
        with self._mutex:
            if self._engine is not None:
                self._engine.catch_up()
                self.write_lake()
            self.release()


def _unknown_act() -> NotFound:
    return NotFound("There is no correction or note by that event id here.", code="profile.unknown-act")


def unknown_profile() -> NotFound:
    """Say that nobody is known by what was asked for, without repeating it."""
    return NotFound("Nobody is known here by that identifier or id.", code="profile.unknown")


def _message(kind: str, who: dict[str, Any], **fields: Any) -> dict[str, Any]:
    names = {
        "user_id": "userId",
        "anonymous_id": "anonymousId",
        "message_id": "messageId",
        "timestamp": "timestamp",
        "context": "context",
        "integrations": "integrations",
    }
    unknown = sorted(set(who) - set(names))
    if unknown:
        raise InputError(
            f"Unknown argument {', '.join(unknown)}. There are: {', '.join(names)}.", code="collect.unknown-argument"
        )
    message = {"type": kind, **{names[name]: value for name, value in who.items() if value is not None}}
    message.update((name, value) for name, value in fields.items() if value is not None)
    return message


def _place(before: str | None) -> tuple[int, int] | None:
    if before is None:
        return None
    at, _, position = before.partition(".")
    try:
        place = int(at), int(position)
        if max(map(abs, place)) >= 1 << 62:
            raise ValueError
        return place
    except ValueError as exc:
        raise InputError(
            "`before` is the `next` of an earlier answer, such as 1767225600000000.42.", code="profile.bad-cursor"
        ) from exc
