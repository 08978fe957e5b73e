"""Groups of people, and facts about a person: what identity, profiles and groups say together.

In:    a group as `kind:id`; a person's membership and document; a scope.
Out:   a group with its members page by page; the groups and facts of a document; ids of the events that a colleague's
       words became.
Never: a change that is no event in the log; a member whom a colleague's word, since taken back, put there.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from tillit.clock import rfc3339
from tillit.errors import InputError, NotFound
from tillit.flow import standing_statements
from tillit.groups import (
    GUARDIAN,
    HOUSEHOLD,
    GroupPlace,
    facts_of,
    find_trait,
    join_body,
    judge_places,
    leave_body,
    list_anchors,
    list_traits,
    parse_group,
)
from tillit.identity import (
    LinkEvidence,
    Named,
    find_membership,
    find_shared,
    find_shared_identifier,
    list_sharing,
    profile_id,
    rules_in_force,
)
from tillit.profile import NOT_REACHED, event_id, strand_keys
from tillit.records import TRUST_NAMES, TRUST_SERVER, Membership, Scope
from tillit.store import Log, Reading, State
from tillit.workspace.leave import Near, PersonWithheld, leave_for
from tillit.workspace.people import can_be_known, word_about
from tillit.workspace.quarantine import Append

_MOST_IN_HOUSEHOLD = 100  # identifiers looked at for guardians
_MEMBER = ("role", "since", "until", "source", "event_id", "trust")
_MOST_HOLDERS = 50  # of one device, each looked at as a member


class View(NamedTuple):
    """How groups and facts are told."""

    epoch: int
    at: int  # UTC epoch microseconds: who belongs, and how old somebody is, as of then
    adult_age: int


class Groups:
    """Reading groups, and writing down what colleagues say of them."""

    def __init__(self, log: Log, state: State, *, adult_age: int, append: Append, now: Callable[[], int]) -> None:
        """Know the stores and the way into the log."""
        self._log = log
        self._state = state
        self._adult_age = adult_age
        self._append = append
        self._now = now

    def view(self, at: int | None = None) -> View:
        """Say how groups and facts are told, now or at an instant."""
        return View(self._log.epoch(), self._now() if at is None else at, self._adult_age)

    def get(self, group: str, scope: Scope, *, limit: int = 100, after: str | None = None) -> dict[str, Any]:
        """Give a group and a page of its members. A page may hold fewer than `limit`, and more or fewer at its end.

        Shape:  {"group", "kind", "name", "traits", "members": [{"profile_id", "role", "since", "until", evidence}],
                "next"}; `next` is the `after` of the page after, None at the end. Members whom the purpose may not
                reach are left out, and what they said of the group.
        Raises: NotFound when nothing was said of it; PersonWithheld when the purpose reaches no groups.
        """
        key = parse_group(group) if can_be_known(group) else None
        view = self.view()
        with self._state.snapshot() as reading:
            near = Near(leave_for(reading, scope, adult_age=self._adult_age, epoch=view.epoch))
            if not scope.allows("groups"):
                raise PersonWithheld(scope, NOT_REACHED)
            shared = _shared_by(reading, key)
            if shared is not None and key is not None:
                return _shared_group(reading, key, shared, view, near)
            if key is None or not list_anchors(reading, key, after=0, limit=1):
                raise NotFound("Nothing was said here of a group by that name.", code="groups.unknown")
            anchors = list_anchors(reading, key, after=_place(after), limit=limit + 1)
            members = [
                {"profile_id": who.profile_id, **_told(place, view)}
                for who, place in _iter_members(reading, key, anchors[:limit], view.at)
                if place.position > scope.kept_after and near.may_tell(who)
            ]
            traits = {
                one.name: {"value": one.value, "at": rfc3339(one.event_at), **_evidence(one, view)}
                for one in list_traits(reading, key, near.may_hear)
                if one.position > scope.kept_after
            }
        name = traits.get("name", {}).get("value")
        return {
            "group": key,
            "kind": key.partition(":")[0],
            "name": name if isinstance(name, str) else None,
            "traits": traits,
            "members": members,
            "next": str(anchors[limit - 1]) if len(anchors) > limit else None,
        }

    # -- what colleagues say: each an event in the log, which the fold applies

    def join(
        self,
        who: str,
        group: str,
        *,
        role: str = "",
        since: str = "",
        until: str = "",
        reason: str = "",
        operator: str = "process",
    ) -> str:
        """Say that somebody belongs to a group; give the event's id. `profiles.undo` takes it back.

        It counts more than what sources send, less than what the customer proved. Since and until are ISO 8601.
        Raises: NotFound, GroupInvalid, ActInvalid.
        """
        body = join_body(group, role=role, since=since, until=until)
        return self._act(who, body, reason=reason, operator=operator)

    def leave(self, who: str, group: str, *, reason: str = "", operator: str = "process") -> str:
        """Say that somebody does not belong to a group; give the event's id. Raises as `join`."""
        return self._act(who, leave_body(group), reason=reason, operator=operator)

    def _act(self, who: str, body: dict[str, Any], *, reason: str, operator: str) -> str:
        row = word_about(self._state, who, body, operator=operator, reason=reason, now=self._now())
        return event_id(self._append([row])[0], self._log.epoch())


NO_FACTS: dict[str, Any] = {"deceased": None, "minor": None, "minor_evidence": None, "guardians": []}


def with_groups(
    reading: Reading,
    document: dict[str, Any],
    membership: Membership,
    view: View,
    *,
    near: Near | None = None,
    known: Collection[int] | None = None,
    kept_after: int = 0,
) -> dict[str, Any]:
    """Add a person's groups and the facts about them to their document; `known`: only what these positions said.

    What was said up to `kept_after` is too old for the purpose: nobody's place rests on it.

    With `near` nothing is told of other people, or of what they said, whom the purpose may not reach.

    Shape: the document with "groups": [{"group", "kind", "name", "role", "since", "until", evidence}] and "facts".
    """
    statements = standing_statements(reading, strand_keys(membership), known)
    places = [one for one in judge_places(statements, view.at) if one.position > kept_after]
    facts = facts_of(document["traits"], at=view.at, adult_age=view.adult_age)
    return {
        **document,
        "groups": [
            *[_group(reading, place, view, near) for place in places],
            *[
                _shared_place(link, view)
                for link in _shared_of(reading, membership, known)
                if link.position > kept_after
                and (near is None or near.may_name(link.other.namespace, link.other.value))
            ],
        ],
        "facts": {
            **facts,
            "guardians": _guardians(reading, membership.profile_id, places, view, near) if facts["minor"] else [],
        },
    }


def _guardians(
    reading: Reading, own_id: str, places: Sequence[GroupPlace], view: View, near: Near | None
) -> list[dict[str, Any]]:
    """Give the guardians in a minor's households; what a public key says makes nobody a guardian."""
    return [
        {"profile_id": who.profile_id, "group": one.group_key, "at": rfc3339(one.since_at), **_evidence(one, view)}
        for mine in places
        if mine.group_key.startswith(f"{HOUSEHOLD}:") and mine.trust >= TRUST_SERVER
        for who, one in _iter_members(
            reading, mine.group_key, list_anchors(reading, mine.group_key, after=0, limit=_MOST_IN_HOUSEHOLD), view.at
        )
        if who.profile_id != own_id
        and one.role == GUARDIAN
        and one.trust >= TRUST_SERVER
        and (near is None or near.may_tell(who))
    ]


def _iter_members(
    reading: Reading, group_key: str, anchors: Sequence[int], at: int
) -> Iterator[tuple[Membership, GroupPlace]]:
    """Give the people of whom something was said at these identifiers, each where their first identifier stands."""
    for anchor in anchors:
        for membership in _people_at(reading, anchor):
            statements = [
                one for one in standing_statements(reading, strand_keys(membership)) if one.group_key == group_key
            ]
            if statements and min(one.identifier_id for one in statements) == anchor:
                for place in judge_places(statements, at):
                    yield membership, place


def _people_at(reading: Reading, anchor: int) -> list[Membership]:
    """Give whoever an identifier is, or whoever held the device that it is."""
    holders = reading.read(
        "SELECT DISTINCT holder_id FROM tenure WHERE identifier_id = ? ORDER BY holder_id LIMIT ?",
        (anchor, _MOST_HOLDERS),
    )
    found: dict[str, Membership] = {}
    for identifier_id in [holder_id for (holder_id,) in holders] or [anchor]:
        membership = find_membership(reading, profile_id(identifier_id))
        if membership is not None:
            found.setdefault(membership.profile_id, membership)
    return list(found.values())


def _group(reading: Reading, place: GroupPlace, view: View, near: Near | None) -> dict[str, Any]:
    name = find_trait(reading, place.group_key, "name", near.may_hear if near is not None else lambda _: True)
    return {
        "group": place.group_key,
        "kind": place.group_key.partition(":")[0],
        "name": name.value if name is not None and isinstance(name.value, str) else None,
        **_told(place, view),
    }


# -- households of people who share an address, a card: it is the identifier that names them


def _shared_of(reading: Reading, membership: Membership, known: Collection[int] | None) -> list[LinkEvidence]:
    return find_shared(reading, membership, known=known) if rules_in_force(reading).shares else []


def _shared_by(reading: Reading, key: str | None) -> Named | None:
    kind, _, group_id = (key or "").partition(":")
    return find_shared_identifier(reading, group_id) if kind == HOUSEHOLD else None


def _shared_place(link: LinkEvidence, view: View) -> dict[str, Any]:
    return {
        "group": f"{HOUSEHOLD}:{profile_id(link.other.identifier_id)}",
        "kind": HOUSEHOLD,
        "name": f"{link.other.namespace} {link.other.value}",
        "role": None,
        "since": rfc3339(link.event_at),
        "until": None,
        **_evidence(link, view),
    }


def _shared_group(reading: Reading, key: str, shared: Named, view: View, near: Near) -> dict[str, Any]:
    members = []
    for root in list_sharing(reading, shared.identifier_id):
        membership = find_membership(reading, profile_id(root))
        links = find_shared(reading, membership) if membership is not None and near.may_tell(membership) else []
        for link in links:
            if membership is not None and link.other.identifier_id == shared.identifier_id:
                place = _shared_place(link, view)
                members.append({"profile_id": membership.profile_id, **{n: place[n] for n in _MEMBER}})
    return {
        "group": key,
        "kind": HOUSEHOLD,
        # It is theirs who may be told of; when there are none of them, nobody's.
        "name": f"{shared.namespace} {shared.value}" if members and near.reaches(shared.namespace) else None,
        "traits": {},
        "members": members,
        "next": None,
    }


def _told(place: GroupPlace, view: View) -> dict[str, Any]:
    return {
        "role": place.role,
        "since": rfc3339(place.since_at),
        "until": rfc3339(place.until_at) if place.until_at is not None else None,
        **_evidence(place, view),
    }


def _evidence(said: Any, view: View) -> dict[str, Any]:
    return {
        "source": said.source,
        "event_id": event_id(said.position, view.epoch),
        "trust": TRUST_NAMES[said.trust],
    }


def _place(after: str | None) -> int:
    if after is None:
        return 0
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise InputError("`after` is the `next` of an earlier answer.", code="groups.bad-cursor")
    return int(after)
