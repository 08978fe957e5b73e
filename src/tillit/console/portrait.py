"""What the page of one customer shows: traits, evidence, the year in columns, notes.

In:    a person, what their identifiers rest on, who is near.
Out:   views: plain texts and numbers for templates, drawings as numbers.
Never: a list without an end; a value that is not in the documents it was given.
"""

from datetime import date
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from tillit.clock import DAY, rfc3339
from tillit.identity import LinkEvidence, TenureEvidence
from tillit.profile import Act, Person, event_id
from tillit.records import TRUST_NAMES, TRUST_OPERATOR
from tillit.workspace import Related, name_of

_LONGEST_VALUE = 300
FIRST_TRAITS = 20
FIRST_ROWS = 12
_MOST_COLUMNS = 48  # of the drawing: then quarters, then years
_MOST_SERIES = 6
_MONTH_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


class TraitView(NamedTuple):
    """One trait, with where it is from."""

    name: str
    value: str
    rest: str  # what of a long value did not fit
    kind: str  # how the value is written in a form: text, number, truth, other
    at: str
    source: str
    trust: str
    event_id: str
    correction: "ActView | None"


class ActView(NamedTuple):
    """One act of a colleague."""

    event_id: str
    at: str
    operator: str
    reason: str
    text: str
    names: str


class LinkView(NamedTuple):
    """One piece of evidence."""

    one: str
    one_kind: str
    other: str
    other_kind: str
    verdict: str
    reason: str
    rule: str
    trust: str
    source: str
    at: str
    event_id: str


class TenureView(NamedTuple):
    """One time in which a device was somebody's."""

    device: str
    device_kind: str
    holder: str
    is_theirs: bool
    from_at: str
    until: str
    event_id: str


class RelatedView(NamedTuple):
    """Somebody else."""

    profile_id: str
    name: str
    reasons: list[tuple[str, str, str]]  # what, through which identifier, event id


class GroupView(NamedTuple):
    """One group of a person, with some of the others in it."""

    group: str
    kind: str
    name: str
    role: str
    since: str
    until: str
    trust: str
    event_id: str
    others: list[tuple[str, str, str]]  # profile id, name, role
    has_more: bool


class FactView(NamedTuple):
    """One fact about a person that colleagues must heed."""

    words: str
    event_id: str
    profile_id: str  # of a guardian


class Column(NamedTuple):
    """One column of the drawing."""

    label: str
    x: float
    width: float
    parts: list[tuple[int, float, float, int]]  # series, y, height, n
    n: int


class Activity(NamedTuple):
    """Events by source over time, as stacked columns."""

    columns: list[Column]
    series: list[tuple[int, str, int]]  # number, source, n
    rows: list[tuple[str, list[int], int]]  # a period, n of each series, all; newest first
    most: int
    width: int
    height: int
    n_beyond: int  # events whose month or source is not kept
    jumps: list[tuple[str, str]]  # cursor, month; newest first


def trait_views(person: Person, epoch: int, *, most: int) -> list[TraitView]:
    """Give a person's first traits, in the order of their names."""
    return [_trait(name, held, person, epoch) for name, held in islice(person.document["traits"].items(), most)]


def _trait(name: str, held: dict[str, Any], person: Person, epoch: int) -> TraitView:
    value = held["value"]
    text = shown(value)
    act = person.standing.corrections.get(name)
    counts = act is not None and held["trust"] == TRUST_NAMES[TRUST_OPERATOR]
    kind = "truth" if isinstance(value, bool) else "number" if isinstance(value, (int, float)) else "text"
    return TraitView(
        name=name,
        value=text[:_LONGEST_VALUE],
        rest=text[_LONGEST_VALUE:],
        kind=kind if not isinstance(value, (dict, list)) else "other",
        at=held["at"],
        source=held["source"],
        trust=held["trust"],
        event_id=held["event_id"],
        correction=act_view(act, epoch) if act is not None and counts else None,
    )


def shown(value: Any) -> str:
    """Write a value as people read it."""
    if value is None:
        return "no value"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def taken_back(person: Person, epoch: int) -> list[ActView]:
    """Give corrections that left a trait without a value, or that a better trusted value outweighs."""
    traits = person.document["traits"]
    return [
        act_view(act, epoch, names=name)
        for name, act in sorted(person.standing.corrections.items())
        if name not in traits or traits[name]["trust"] != TRUST_NAMES[TRUST_OPERATOR]
    ]


def act_view(act: Act, epoch: int, *, names: str = "") -> ActView:
    """Give one act."""
    return ActView(
        event_id(act.position, epoch),
        rfc3339(act.event_at),
        act.operator,
        act.reason,
        act.text,
        names or ", ".join(act.traits),
    )


def link_view(link: LinkEvidence, epoch: int) -> LinkView:
    """Give one piece of evidence."""
    return LinkView(
        link.one.value,
        link.one.namespace,
        link.other.value,
        link.other.namespace,
        link.verdict,
        link.reason,
        link.rule,
        TRUST_NAMES.get(link.trust, ""),
        link.source,
        rfc3339(link.event_at),
        event_id(link.position, epoch),
    )


def tenure_view(tenure: TenureEvidence, epoch: int) -> TenureView:
    """Give one time of a device."""
    return TenureView(
        tenure.device.value,
        tenure.device.namespace,
        tenure.holder.value,
        tenure.is_theirs,
        rfc3339(tenure.from_at),
        rfc3339(tenure.until) if tenure.until is not None else "",
        event_id(tenure.from_position, epoch),
    )


def group_view(place: dict[str, Any], others: list[tuple[str, str, str]], *, has_more: bool) -> GroupView:
    """Give one group of a person's document, and others in it."""
    return GroupView(
        group=place["group"],
        kind=place["kind"],
        name=place["name"] or place["group"].partition(":")[2],
        role=place["role"] or "",
        since=place["since"],
        until=place["until"] or "",
        trust=place["trust"],
        event_id=place["event_id"],
        others=others,
        has_more=has_more,
    )


def fact_views(facts: dict[str, Any]) -> list[FactView]:
    """Give the facts that change how a person is to be treated."""
    told = []
    if facts["deceased"] is not None:
        told.append(FactView("deceased", facts["deceased"]["event_id"], ""))
    if facts["minor"]:
        told.append(FactView("minor", facts["minor_evidence"]["event_id"], ""))
    return told + [FactView("guardian", one["event_id"], one["profile_id"]) for one in facts["guardians"]]


_WHY = {
    "soft": "a link waits at",
    "device": "shared the device",
    "refused": "a link was refused at",
    "withdrawn": "a colleague cut the link at",
}


def related_view(related: Related, epoch: int) -> RelatedView:
    """Give somebody else, and why they are named here."""
    return RelatedView(
        related.document["id"],
        name_of(related.document),
        [(_WHY[one.reason], one.through.value, event_id(one.position, epoch)) for one in related.reasons],
    )


def draw_activity(months: dict[str, dict[int, int]]) -> Activity | None:
    """Draw events by source over time; None when there are none."""
    told = {source: {m: n for m, n in counted.items() if m} for source, counted in months.items()}
    n_beyond = sum(counted.get(0, 0) for counted in months.values())
    every = sorted({m for counted in told.values() for m in counted})
    if not every:
        return None
    first, last = every[0], every[-1]
    step = next((size for size in (1, 3) if (last - first) // size < _MOST_COLUMNS), 12)
    # Columns of a century and more: the newest are drawn.
    begin = max(first // step, last // step - 3 * _MOST_COLUMNS)
    totals = {source: sum(counted.values()) for source, counted in told.items() if counted}
    named = sorted(totals, key=lambda source: (-totals[source], source))
    lead = named[: _MOST_SERIES - 1] if len(named) > _MOST_SERIES else named
    names = [*lead, "others"] if len(lead) < len(named) else lead
    periods: dict[int, list[int]] = {}
    for source, counted in told.items():
        at = lead.index(source) if source in lead else len(lead)
        for month, n in counted.items():
            periods.setdefault(max(month // step, begin), [0] * len(names))[at] += n
    most = max(map(sum, periods.values()))
    n_columns = last // step - begin + 1
    width, height = 720, 140
    slot = width / n_columns
    columns = []
    for i in range(n_columns):
        period = begin + i
        counts = periods.get(period, [])
        y = float(height)
        parts = []
        for at, n in enumerate(counts):
            if n:
                tall = max(1.0, n / most * (height - 8))
                y -= tall
                parts.append((at, round(y, 1), round(tall, 1), n))
        bar = min(slot * 0.82, 36)
        columns.append(
            Column(_period(period, step), round(i * slot + (slot - bar) / 2, 2), round(bar, 2), parts, sum(counts))
        )
    rows = [(_period(p, step), periods[p], sum(periods[p])) for p in sorted(periods, reverse=True)]
    series = [(i, name, sum(counts[i] for counts in periods.values())) for i, name in enumerate(names)]
    jumps = [(f"{_end_of(m)}.0", _period(m, 1)) for m in reversed(every)][:600]
    return Activity(columns, series, rows, most, width, height, n_beyond, jumps)


def _period(at: int, step: int) -> str:
    if step == 12:
        return str(at)
    year, month = divmod(at * step, 12)
    return f"{_MONTH_NAMES[month]} {year}" if step == 1 else f"Q{month // 3 + 1} {year}"


def _end_of(month: int) -> int:
    year, month = divmod(month + 1, 12)
    return (date(year, month + 1, 1).toordinal() - date(1970, 1, 1).toordinal()) * DAY


def month_of(at: str) -> str:
    """Name the month of an instant in RFC 3339.

    >>> month_of("2026-03-02T10:00:00Z")
    'Mar 2026'
    """
    return f"{_MONTH_NAMES[int(at[5:7]) - 1]} {at[:4]}"


def parse_value(kind: str, text: str) -> Any:
    """Read a value from a form. Raises: ValueError when it is none of its kind."""
    if kind == "none":
        return None
    if kind == "number":
        number = msgspec.json.decode(text.strip().encode())
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ValueError
        return number
    if kind == "truth":
        return {"true": True, "yes": True, "false": False, "no": False}[text.strip().lower()]
    if kind != "text":
        raise ValueError
    return text
