"""Reading people, and writing down what colleagues say of them.

In:    who is meant: an identifier or a profile id; a scope.
Out:   documents, timelines, evidence; ids of the events that a colleague's words became.
Never: a change that is no event in the log.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from tillit.errors import InputError, NotFound
from tillit.identity import (
    ALIAS_RANK,
    Evidence,
    Handle,
    Named,
    find_membership,
    iter_events,
    profile_id,
    read_event,
    read_evidence,
    rules_in_force,
)
from tillit.profile import (
    NOT_REACHED,
    Earlier,
    Person,
    Standing,
    Told,
    act_row,
    correct_body,
    event_document,
    get_document,
    load_person,
    note_body,
    past_document,
    position_of,
    reaches,
    read_earlier,
    reduce_row,
    refused_document,
    retract_body,
)
from tillit.profile import event_id as event_id_of
from tillit.records import KIND_EVENT, LogRow, Membership, Refusal, Scope, Withheld
from tillit.store import Log, Reading, State
from tillit.workspace.folding import Folding
from tillit.workspace.groups import NO_FACTS, Groups, with_groups
from tillit.workspace.leave import Leave, Near, leave_for
from tillit.workspace.people import Related, find_membership_of, find_people, find_related, unknown_profile, word_about
from tillit.workspace.quarantine import Append

_MOST_PAST = 1_000_000  # events of one person, read to say what was known of them
_MOST_LOOKED_AT = 3_000  # events read to say what a trait was before: about 50 ms


class Ask(Protocol):
    """How leave to read is asked for."""

    def __call__(self, purpose: str | None = None, *, asked_by: str = "process") -> Scope:
        """Give a scope for a purpose."""
        ...


class Belonging(Protocol):
    """How the audiences of a person are asked for."""

    def __call__(self, membership: Membership, scope: Scope, *, at: int | None = None) -> dict[str, dict[str, Any]]:
        """Give those that a scope may be told of, now or at an instant."""
        ...


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

    def __init__(
        self,
        log: Log,
        state: State,
        folding: Folding,
        *,
        groups: Groups,
        audiences: Belonging,
        scope: Ask,
        append: Append,
        now: Callable[[], int],
    ) -> None:
        """Know the stores, whom to ask for leave, and the way into the log."""
        self._log = log
        self._state = state
        self._folding = folding
        self._groups = groups
        self._audiences = audiences
        self._scope = scope
        self._append = append
        self._now = now

    def get(self, who: str, *, purpose: str | None = None) -> dict[str, Any]:
        """Give the document of whoever holds an identifier (`namespace:value`) or a profile id. Raises NotFound."""
        found = self.find(who, self._scope(purpose))
        if found is None:
            raise unknown_profile()
        return found

    def find(self, who: str, scope: Scope) -> dict[str, Any] | None:
        """Give the document of whoever holds an identifier or a profile id, or None."""
        with self._state.snapshot() as reading:
            membership = find_membership_of(reading, who)
            if membership is None:
                return None
            return self._document(reading, membership, self.leave(reading, scope))

    def leave(self, reading: Reading, scope: Scope) -> Leave:
        """Begin to ask for leave to read of people at one moment of the state."""
        return leave_for(reading, scope, adult_age=self._groups.view().adult_age, epoch=self._log.epoch())

    def as_of(self, who: str, instant: int, scope: Scope) -> dict[str, Any] | None:
        """Give a person's document as it was known at an instant: from what had happened and had been heard by then.

        Who the person is, and what has been forgotten since, is as of today. None when the person is unknown.
        Units: instant is UTC epoch microseconds.
        """
        with self._state.snapshot() as reading:
            membership = find_membership_of(reading, who)
            if membership is None:
                return None
            permit = self.leave(reading, scope).of(membership)
            if isinstance(permit, Refusal):
                return _refused(permit)
            places = iter_events(reading, membership, before=(instant + 1, 0), limit=_MOST_PAST)
            rules = rules_in_force(reading)
        rows = self._folding.rows([p for _, p in places])
        own = {(one.namespace, one.value): Named(*one[:3], 0, one.rank) for one in membership.identifiers}
        told = []
        for row in rows.values():
            if row.logged_at <= instant:
                event = read_event(row.body or b"{}")
                idents = [own[key] for h in rules.handles_of(event) for key in _keys(h) if key in own]
                told.append(Told(row, event, idents))
        document = past_document(membership, told, permit, epoch=self._log.epoch())
        with self._state.snapshot() as reading:
            known = {one.row.position for one in told}
            near, view = Near(self.leave(reading, scope)), self._groups.view(instant)
            told_of = with_groups(
                reading, document, membership, view, near=near, known=known, kept_after=scope.kept_after
            )
            told_of["audiences"] = self._audiences(membership, scope, at=instant)
            return _within(scope, told_of)

    def facts(self, who: str, scope: Scope) -> dict[str, Any] | None:
        """Say whether somebody is deceased or a minor, and who are their guardians, with the evidence.

        Shape: {"deceased", "minor", "minor_evidence", "guardians"}; None when the person is unknown.
        """
        found = self.find(who, scope)
        return found["facts"] if found is not None else None

    def holders(self, who: Iterable[str]) -> set[str]:
        """Give the profile ids of those people who hold identifiers now, or whose ids these are."""
        return {one.profile_id for each in set(who) if (one := self.membership(each)) is not None}

    def membership(self, who: str) -> Membership | None:
        """Say who holds an identifier (`namespace:value`) or a profile id."""
        return find_membership_of(self._state, who)

    def events(
        self, who: str, scope: Scope, *, limit: int = 100, before: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None] | None:
        """Give a person's events, newest first, and where to go on; None when the person is unknown."""
        found = self.timeline(who, scope, limit=limit, before=before)
        return (found.events, found.next) if found is not None else None

    def timeline(self, who: str, scope: Scope, *, limit: int = 100, before: str | None = None) -> Timeline | None:
        """Give a page of a person's events, newest first; None when the person is unknown."""
        told = self.rows(who, scope, limit=limit, before=before)
        if told is None:
            return None
        epoch = self._log.epoch()
        documents = [event_document(row, scope, epoch=epoch) for row in told.rows]
        return Timeline(told.profile_id, [one for one in documents if one is not None], told.next)

    def rows(self, who: str, scope: Scope, *, limit: int = 100, before: str | None = None) -> TimelineRows | None:
        """Give the log rows of a page of a person's events, newest first; None when the person is unknown.

        Events that the purpose does not reach are left out, so that a page may be short while there is more.
        """
        place = _place(before)
        with self._state.snapshot() as reading:
            membership = find_membership_of(reading, who)
            if membership is None:
                return None
            if isinstance(self.leave(reading, scope).of(membership), Refusal):
                return TimelineRows(membership.profile_id, [], None)
            found = iter_events(reading, membership, before=place, limit=limit + 1)
        rows = self._folding.rows([p for _, p in found[:limit]])
        more = f"{found[limit - 1][0]}.{found[limit - 1][1]}" if len(found) > limit else None
        told = [rows[p] for _, p in found[:limit] if p in rows]
        return TimelineRows(
            membership.profile_id, [reduce_row(row, scope) for row in told if reaches(row, scope)], more
        )

    def person(self, who: str, scope: Scope) -> Person | None:
        """Give the document of a person, when they were active, and what colleagues said of them; None: unknown."""
        with self._state.snapshot() as reading:
            membership = find_membership_of(reading, who)
            if membership is None:
                return None
            permit = self.leave(reading, scope).of(membership)
            if isinstance(permit, Refusal):
                return Person(_refused(permit), {}, Standing({}, [], {}))
            person = load_person(reading, membership, permit, epoch=self._log.epoch())
            return person._replace(document=self._add_groups(reading, person.document, membership, scope))

    def evidence(self, who: str, scope: Scope, *, most_related: int = 12) -> tuple[Evidence, list[Related]] | None:
        """Say why a person's identifiers are theirs, and who else is near; None when the person is unknown."""
        with self._state.snapshot() as reading:
            membership = find_membership_of(reading, who)
            if membership is None:
                return None
            leave = self.leave(reading, scope)
            if isinstance(leave.of(membership), Refusal):
                return None
            found = _named_only(read_evidence(reading, membership), Near(leave))
            return found, find_related(reading, membership.profile_id, found, leave, most=most_related)

    def earlier(self, who: str, name: str, scope: Scope) -> EarlierValues | None:
        """Say what a trait was before, as far as the person's newest events tell; None when the person is unknown."""
        told = self.rows(who, scope, limit=_MOST_LOOKED_AT)
        if told is None:
            return None
        values = read_earlier(told.rows, name, scope, epoch=self._log.epoch())
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
        position = position_of(event_id, self._log.epoch())
        row = self._folding.rows([position]).get(position) if position is not None and position > 0 else None
        body = retract_body(row) if row is not None and row.kind == KIND_EVENT else None
        if row is None or body is None:
            raise _unknown_act()
        told = rules_in_force(self._state).handles_of(read_event(row.body or b"{}"))
        if who is not None and (not told or not self._holds(who, told[0])):
            raise _unknown_act()
        # The same id for every try: taking one thing back twice is one act.
        message_id = f"undo-{body['of']}"
        now = self._now()
        # A device changes hands: what takes an act back must fall into the same hands.
        event_at = row.event_at if "anonymousId" in body else now
        new = act_row(body, None, operator=operator, reason=reason, message_id=message_id, now=now, event_at=event_at)
        return event_id_of(self._append([new])[0], self._log.epoch())

    def _act(self, who: str, body: dict[str, Any], *, reason: str, operator: str) -> str:
        row = word_about(self._state, who, body, operator=operator, reason=reason, now=self._now())
        return event_id_of(self._append([row])[0], self._log.epoch())

    def _holds(self, who: str, handle: Handle) -> bool:
        one, other = self.membership(who), self.membership(f"{handle.namespace}:{handle.value}")
        return one is not None and other is not None and one.profile_id == other.profile_id

    def search(
        self, text: str, *, purpose: str | None = None, limit: int = 20, asked_by: str = "process"
    ) -> list[dict[str, Any]]:
        """Find people by words of names, parts of identifiers, order numbers; whole documents, best first."""
        scope = self._scope(purpose, asked_by=asked_by)
        with self._state.snapshot() as state:
            found = find_people(state, text, self.leave(state, scope), limit=limit)
            return [self._add_groups(state, document, membership, scope) for document, membership in found]

    def newest(self, *, scope: Scope, limit: int = 20) -> list[dict[str, Any]]:
        """Give the people heard of last."""
        recent = self._state.read(
            "SELECT identifier_id FROM identifier ORDER BY identifier_id DESC LIMIT ?", (limit * 3,)
        )
        people: dict[str, Membership] = {}
        for (identifier_id,) in recent:
            membership = find_membership(self._state, profile_id(identifier_id))
            if membership is not None and len(people) < limit:
                people.setdefault(membership.profile_id, membership)
        leave = self.leave(self._state, scope)
        return [self._document(self._state, m, leave) for m in people.values()]

    def _document(self, reading: Reading, membership: Membership, leave: Leave) -> dict[str, Any]:
        permit = leave.of(membership)
        if isinstance(permit, Refusal):
            return _refused(permit)
        document = get_document(reading, membership, permit, epoch=self._log.epoch())
        return self._add_groups(reading, document, membership, leave.scope)

    def _add_groups(
        self, reading: Reading, document: dict[str, Any], membership: Membership, scope: Scope
    ) -> dict[str, Any]:
        near = Near(self.leave(reading, scope))
        told = with_groups(reading, document, membership, self._groups.view(), near=near, kept_after=scope.kept_after)
        told["audiences"] = self._audiences(membership, scope)
        return _within(scope, told)


def _named_only(found: Evidence, near: Near) -> Evidence:
    """Leave out what would name somebody else whom the purpose may not reach."""

    def is_told(*ends: Named) -> bool:
        return all(near.may_name(end.namespace, end.value) for end in ends)

    return Evidence(
        [link for link in found.links if is_told(link.one, link.other)],
        [tenure for tenure in found.tenures if is_told(tenure.device, tenure.holder)],
        [one for one in found.neighbours if is_told(one.through)],
    )


def _refused(refusal: Refusal) -> dict[str, Any]:
    return {**refused_document(refusal), "groups": [], "facts": NO_FACTS, "audiences": {}}


def _within(scope: Scope, document: dict[str, Any]) -> dict[str, Any]:
    """Take out groups and facts that the purpose does not reach."""
    for part, nothing in (("groups", []), ("facts", NO_FACTS)):
        if not scope.allows(part):
            document[part] = nothing
            document["withheld"].append(Withheld(part, NOT_REACHED)._asdict())
    return document


def _keys(handle: Handle) -> list[tuple[str, str]]:
    """Give what a handle may stand for: an alias does not say what kind its previous id is."""
    kinds = ("anonymous_id", "user_id") if handle.rank == ALIAS_RANK else (handle.namespace,)
    return [(kind, handle.value) for kind in kinds]


def _unknown_act() -> NotFound:
    return NotFound("There is no correction or note by that event id here.", code="profile.unknown-act")


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
