"""What the pages show, read from the workspace.

In:    a workspace, a scope, positions and ids.
Out:   views: plain texts and numbers for templates.
Never: a personal value without a scope; a guess about whose an event was.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from tillit.clock import rfc3339
from tillit.errors import NotFound
from tillit.identity import Event, Handle, is_identity_act
from tillit.records import ACT_TYPES, IDENTITY_ACT_TYPES, TRUST_OPERATOR, LogRow, Scope
from tillit.workspace import Workspace, name_of

# Properties that tell most about an event, in this order; the others follow as they came.
_TELLING = ("name", "query", "order_id", "revenue", "value", "price", "path", "email", "method", "reason")
_MONEY = {"revenue", "value", "price"}
_UNTOLD = {"url", "title", "currency", "product_id"}
_MOST_SUMMARY = 3
_LONGEST_NAME = 80

# What a colleague's decisions about who is who are called.
DECISIONS = {
    "cut": "Cut a link",
    "pin": "Pinned apart",
    "join": "Joined",
    "undo": "Took a decision back",
    "block": "Blocked a value",
    "free": "Freed a value",
    "alarm": "Found a value of many",
}

_decode_event = msgspec.json.Decoder(Event).decode
_decode = msgspec.json.Decoder().decode


class EventView(NamedTuple):
    """One event, in one line."""

    position: int
    event_id: str
    type: str
    name: str
    at: str  # when it happened, RFC 3339
    source: str
    who: str
    profile_id: str | None
    summary: str
    fate: str  # empty: applied


class Bar(NamedTuple):
    """One count, and its length beside the largest."""

    name: str
    n: int
    share: float  # 0 to 100


class CustomerView(NamedTuple):
    """One person, in one line."""

    profile_id: str
    name: str
    initials: str
    handles: list[tuple[str, str]]  # (namespace, value), strongest first
    n_handles: int
    n_events: int
    last_seen_at: str | None


class CustomerDetail(NamedTuple):
    """One person, whole."""

    view: CustomerView
    identifiers: list[dict[str, Any]]
    bars: list[Bar]
    first_seen_at: str | None


def event_views(
    workspace: Workspace, rows: Sequence[LogRow], scope: Scope, *, with_who: bool = True
) -> list[EventView]:
    """Give events in one line each, with the person they belong to where that is known and wanted."""
    if not rows:
        return []
    fates = workspace.events.fates(rows[0].position, max(row.position for row in rows))
    epoch = workspace.log.epoch()
    known: dict[str, tuple[str, str]] = {}
    return [
        _event_view(workspace, row, scope, epoch, fates.get(row.position, ("", ""))[0], known if with_who else None)
        for row in rows
    ]


def _event_view(
    workspace: Workspace, row: LogRow, scope: Scope, epoch: int, fate: str, known: dict[str, tuple[str, str]] | None
) -> EventView:
    told, properties = _read_body(row)
    decision = read_decision(workspace, row, told.type, scope)
    if decision is not None and known is not None:
        who, profile_id = _known_as(workspace, decision["a"], decision["a"].partition(":")[2], scope, known)
    else:
        who, profile_id = _whose(workspace, row, told, scope, known) if known is not None else ("", None)
    name = told.event if told.type == "track" else told.name
    if row.trust == TRUST_OPERATOR and told.type in ACT_TYPES:
        name, properties = _act_words(workspace, row, told)
    elif is_identity_act(row):
        name, properties = _decision_words(workspace, row, told.type, decision)
    return EventView(
        position=row.position,
        event_id=f"e{epoch}-{row.position}",
        type=told.type,
        name=_short(name if isinstance(name, str) and name else told.type, _LONGEST_NAME),
        at=rfc3339(row.event_at),
        source=row.source,
        who=who,
        profile_id=profile_id,
        summary=_summary(properties, name),
        fate="forgotten" if told.type == "husk" else fate,
    )


def _act_words(workspace: Workspace, row: LogRow, told: Event) -> tuple[str, dict[str, Any]]:
    """Say what a colleague did, and who and why."""
    said = _decode(row.body or b"{}")
    names = {"correct": f"Corrected {', '.join(told.traits or ())}", "note": "Note", "retract": "Undone"}
    names |= {"group_join": "Put into a group", "group_leave": "Taken out of a group"}
    names |= {"consent": "Wrote down a choice"}
    by = operator_name(workspace, said.get("operator") or "")
    words = {
        "chose": _choices(said),
        "group": said.get("groupId"),
        "reason": said.get("text") or said.get("reason"),
        "by": by,
    }
    return names[told.type], {
        **{name: value for name, value in words.items() if value},
        **(told.traits if told.type == "correct" and isinstance(told.traits, dict) else {}),
    }


def _choices(said: dict[str, Any]) -> str:
    told = [one for one in said.get("statements") or () if isinstance(one, dict)]
    return ", ".join(f"{one.get('purpose')} {one.get('state')}" for one in told)


def read_decision(workspace: Workspace, row: LogRow, kind: str, scope: Scope) -> dict[str, Any] | None:
    """Give the decision about who is who that a row holds, once the fold has taken it."""
    if row.trust != TRUST_OPERATOR or kind not in IDENTITY_ACT_TYPES:
        return None
    return workspace.identity.decision(f"e{workspace.log.epoch()}-{row.position}", scope)


def _decision_words(
    workspace: Workspace, row: LogRow, kind: str, decision: dict[str, Any] | None
) -> tuple[str, dict[str, Any]]:
    """Say what a colleague decided about who is who."""
    said = _decode(row.body or b"{}")
    pair = [decision["a"], decision["b"]] if decision is not None else [":".join(one) for one in said["identifiers"]]
    pair = list(dict.fromkeys(pair))  # of a value both ends are the same
    words = {
        "name": " and ".join(_short(one.partition(":")[2], 28) for one in pair),
        "reason": said.get("reason"),
        "by": operator_name(workspace, said.get("operator") or ""),
    }
    return DECISIONS[kind], {name: value for name, value in words.items() if value}


def operator_name(workspace: Workspace, operator_id: str) -> str:
    """Say what to call an operator: their name, or what an act was signed with where it is no operator's id."""
    try:
        return workspace.operators.get(operator_id).name
    except NotFound:
        return operator_id


def _read_body(row: LogRow) -> tuple[Event, dict[str, Any]]:
    """Read an event as the fold does, and what it says beside that."""
    if row.body is None:
        return Event(type="husk"), {}
    try:
        told = _decode_event(row.body)
    except msgspec.ValidationError:
        return Event(type="unreadable"), {}
    document = _decode(row.body)
    properties = document.get("traits" if told.type in {"identify", "group"} else "properties")
    return told, properties if isinstance(properties, dict) else {}


def _whose(
    workspace: Workspace, row: LogRow, told: Event, scope: Scope, known: dict[str, tuple[str, str]]
) -> tuple[str, str | None]:
    handles = [one for one in workspace.identity.rules().handles_of(told) if one.rank >= 0]
    if not handles:
        return "nobody named", None
    anchor = handles[0]
    membership = workspace.profiles.membership(f"{anchor.namespace}:{anchor.value}")
    if membership is None:
        return _shown_handle(anchor), None
    # A device is lent and passed on: the event is theirs only when they held it then.
    held = any(
        any(begin <= row.event_at < until for _, begin, until in member.spans)
        for member in membership.identifiers
        if (member.namespace, member.value) == (anchor.namespace, anchor.value)
    )
    if not held:
        return _shown_handle(anchor), None
    return _known_as(workspace, f"{anchor.namespace}:{anchor.value}", _shown_handle(anchor), scope, known)


def _known_as(
    workspace: Workspace, who: str, fallback: str, scope: Scope, known: dict[str, tuple[str, str]]
) -> tuple[str, str | None]:
    """Say what whoever holds an identifier is called, and their id."""
    membership = workspace.profiles.membership(who)
    if membership is None:
        return _short(fallback, _LONGEST_NAME), None
    if membership.profile_id not in known:
        document = workspace.profiles.find(membership.profile_id, scope)
        known[membership.profile_id] = (
            name_of(document) if document is not None and document["identifiers"] else fallback,
            "",
        )
    return known[membership.profile_id][0], membership.profile_id


def _shown_handle(one: Handle) -> str:
    return f"Visitor {one.value[:8]}" if one.namespace == "anonymous_id" else _short(one.value, _LONGEST_NAME)


def _summary(properties: dict[str, Any], name: object) -> str:
    """Tell the few properties that say most."""
    told: list[str] = []
    for key in (*(k for k in _TELLING if k in properties), *(k for k in properties if k not in _TELLING)):
        value = properties[key]
        if value == name or key in _UNTOLD or not isinstance(value, (str, int, float)) or isinstance(value, bool):
            continue
        is_money = key in _MONEY and not isinstance(value, str)
        text = f"{value:.2f}" if is_money else _short(str(value), 60)
        if key in _MONEY and isinstance(properties.get("currency"), str):
            text = f"{text} {_short(properties['currency'], 8)}"
        told.append(text if key in _TELLING else f"{_short(key, 24)} {text}")
        if len(told) == _MOST_SUMMARY:
            break
    return " · ".join(told)


def read_place(workspace: Workspace, event_id: str) -> int | None:
    """Give the log position that an event id names, or None when it names none of this life of the log."""
    epoch, dash, place = event_id.removeprefix("e").partition("-")
    if not dash or not event_id.isascii() or not epoch.isdigit() or not place.isdigit() or len(place) > 18:
        return None
    return int(place) if int(epoch) == workspace.log.epoch() else None


def customer_view(document: dict[str, Any]) -> CustomerView:
    """Give one person in one line."""
    name = name_of(document)
    handles = [(one["namespace"], one["value"]) for one in document["identifiers"]]
    return CustomerView(
        profile_id=document["id"],
        name=name,
        initials=_initials(name),
        handles=[(namespace, _short(value, _LONGEST_NAME)) for namespace, value in handles[:3]],
        n_handles=len(handles),
        n_events=document["n_events"],
        last_seen_at=document["last_seen_at"],
    )


def customer_detail(document: dict[str, Any]) -> CustomerDetail:
    """Give one person whole, but for traits and timeline."""
    counts = dict(document["counts"])
    kinds = {"page": "Pages seen", "screen": "Screens seen", "identify": "Said who they are", "group": "Joined a group"}
    for kind, label in kinds.items():
        if kind in document["types"]:
            counts[label] = counts.get(label, 0) + document["types"][kind]
    largest = max(counts.values(), default=1)
    bars = [
        Bar(_short(name, _LONGEST_NAME), n, round(100 * n / largest, 1))
        for name, n in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    ]
    return CustomerDetail(
        view=customer_view(document),
        identifiers=document["identifiers"],
        bars=bars,
        first_seen_at=document["first_seen_at"],
    )


def _initials(name: str) -> str:
    if name.startswith("Visitor "):
        return "V"
    words = [word for word in name.replace("@", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:2]).upper() or "?"


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
