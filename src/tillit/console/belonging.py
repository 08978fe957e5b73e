"""Who is in what, as people read it: how an audience is, its trend as a line, causes in words, versions in sentences.

In:    audiences and features in force, their members' changes, counts.
Out:   views: words, numbers, points of a line.
Never: a person's value; the name of somebody.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tillit.audience import (
    AUDIENCE,
    Applied,
    AudienceInvalid,
    Catalog,
    Change,
    Defined,
    DefinedFeature,
    Standing,
    read_audience,
    read_feature,
)
from tillit.clock import DAY, rfc3339
from tillit.consent import REASONS
from tillit.console.leaving import changed_text
from tillit.language.live import inputs_of
from tillit.language.nodes import Node
from tillit.language.sentences import difference, sentence
from tillit.workspace import Workspace

_INSTANT = re.compile(r"\b(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d(?:\.\d+)?Z")  # read as day and minute
_WIDTH, _HEIGHT = 240, 36  # units of the drawing, not of the screen
STATES = {"live": "ok", "filling": "quiet", "broken": "bad"}
ENTERED = {
    "event": "by what they did",
    "timer": "because time passed",
    "late": "by something that came late",
    "merge": "because two people became one",
    "joined": "because two people became one",
    "cut": "because a link was cut",
    "edit": "by a new definition",
    "erasure": "because somebody was forgotten",
    "correction": "because something was corrected",
    "rank": "because everybody was ranked anew",
}
_REASONS = {**REASONS, "withheld": "They are too many to ask of each why."}
KINDS = {"enter": "came in", "exit": "left", "move": "became one with somebody"}


class Trend(NamedTuple):
    """How many were in it, day by day."""

    line: str  # points of an SVG polyline
    area: str
    width: int
    height: int
    most: int
    least: int
    rows: list[tuple[str, int]]  # day, members: days on which the number changed, newest first


class AudienceView(NamedTuple):
    """One audience, in one line."""

    name: str
    title: str
    sentence: str
    purpose: str
    description: str
    n: int
    change: int
    health: str  # ok, quiet, bad
    state: str
    words: str
    share: int | None  # of filling, 0 to 100
    trend: Trend | None
    as_of: str | None  # of one that ranks: the instant for which its members were chosen


class Bar(NamedTuple):
    """One bar of a drawing, and its length beside the longest: 0 to 100."""

    label: str
    n: int
    share: float


def audience_views(ws: Workspace) -> list[AudienceView]:
    """Give every audience in force in one line."""
    catalog, standings = ws.audiences.catalog(), ws.memberships.standings()
    return [_view(ws, catalog, standings, name) for name in sorted(catalog.names)]


def audience_view(ws: Workspace, name: str) -> AudienceView:
    """Give one audience in one line. Raises UnknownAudience."""
    catalog = ws.audiences.catalog()
    if name not in catalog.names:
        ws.audiences.get(name)
    return _view(ws, catalog, ws.memberships.standings(), name)


def _view(ws: Workspace, catalog: Catalog, standings: Mapping[str, Standing], name: str) -> AudienceView:
    health = ws.audiences.health(name)
    newest = ws.audiences.history(AUDIENCE, name)[0]
    read = read_applied(newest)
    defined = catalog.definitions.audiences.get(name)
    days = ws.audiences.trend(name)
    n = standings[name].n_members if name in standings else 0
    return AudienceView(
        name,
        (read.title if read is not None else "") or name,
        read.sentence if read is not None else "",
        read.purpose if read is not None else "",
        defined.audience.description if defined is not None else "",
        n,
        n - days[-2][1],
        STATES[health.state],
        health.state,
        health.words,
        round(100 * health.done / health.of) if health.state == "filling" and health.of else None,
        draw_trend(days) if health.state != "broken" else None,
        ws.audiences.as_of(name),
    )


def retired_names(ws: Workspace, kind: str) -> list[tuple[str, str]]:
    """Give what is in use no more: name, title."""
    newest = {one.name: one for one in reversed(ws.audiences.history(kind))}
    found = []
    for name, one in sorted(newest.items()):
        read = read_applied(one)
        if read is not None and read.is_retired:
            found.append((name, read.title or name))
    return found


def draw_trend(days: Sequence[Sequence[int]]) -> Trend | None:
    """Draw how many there were on each day: (day since 1970, n). None when there never was anybody."""
    numbers = [n for _, n in days]
    if not any(numbers) or len(numbers) < 2:
        return None
    most = max(numbers)
    step = _WIDTH / (len(numbers) - 1)
    line = " ".join(f"{i * step:.1f},{_HEIGHT - n * (_HEIGHT - 2) / most:.1f}" for i, n in enumerate(numbers))
    rows = [
        (rfc3339(day * DAY)[:10], n)
        for i, (day, n) in enumerate(days)
        if i in (0, len(days) - 1) or n != days[i - 1][1]
    ]
    return Trend(line, f"0,{_HEIGHT} {line} {_WIDTH},{_HEIGHT}", _WIDTH, _HEIGHT, most, min(numbers), rows[::-1])


def reason_words(withheld: Mapping[str, int]) -> list[tuple[str, int]]:
    """Say why people are withheld, and how many for each reason, the most first."""
    ranked = sorted(withheld.items(), key=lambda one: (-one[1], one[0]))
    return [(_REASONS.get(reason, "The purpose does not reach them."), n) for reason, n in ranked]


def reason_rows(reasons: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give the parts of an explanation as rows: what joins each to the one before it, headings of groups."""
    rows = []
    seen: dict[int, int] = {}  # depth -> rows there since the group above began
    for one in reasons:
        depth = one["depth"]
        seen = {deep: n for deep, n in seen.items() if deep <= depth}
        is_first = not seen.get(depth)
        seen[depth] = seen.get(depth, 0) + 1
        rows.append(
            {
                **one,
                "joined": "" if is_first else _JOINED.get(one["joined_by"], one["joined_by"]),
                "heading": _HEADINGS.get(one.get("kind", ""), ""),
                "value": None if one["value"] is None else _INSTANT.sub(r"\1 \2", written(one["value"])),
                "wanted": _INSTANT.sub(r"\1 \2", one["wanted"] or ""),
                "flip": (one.get("flip") or "").rstrip("."),
            }
        )
    return rows


_JOINED = {"all": "and", "any": "or", "none": "nor", "not_all": "and"}
_HEADINGS = {
    "all": "all of these",
    "any": "at least one of these",
    "none": "none of these",
    "not_all": "not all of these",
}


def overlap_rows(overlaps: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give how an audience and others overlap: shares of a bar for here alone, both, there alone; most shared first."""
    rows = []
    for one in sorted(overlaps, key=lambda one: (-one["both"], one["audience"])):
        whole = one["here_only"] + one["both"] + one["there_only"]
        if whole:
            parts = [round(100 * one[part] / whole, 1) for part in ("here_only", "both", "there_only")]
            rows.append({**one, "title": titles.get(one["audience"], one["audience"]), "parts": parts})
    return rows


def value_bars(told: Mapping[str, Any]) -> list[Bar]:
    """Give the bars of a feature's distribution."""
    bars = told["bars"]
    longest = max((one["n"] for one in bars), default=0) or 1
    return [Bar(_bar_label(one), one["n"], round(100 * one["n"] / longest, 1)) for one in bars]


def _bar_label(one: Mapping[str, Any]) -> str:
    if "value" in one:
        return written(one["value"])
    return f"{written(one['from'])} to {written(one['until'])}"


def written(value: Any) -> str:
    """Write a value as people read it; what is missing is said to be."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{int(value):,}" if float(value).is_integer() else f"{value:,.2f}"
    return str(value)


# -- definitions


class Read(NamedTuple):
    """What one version says."""

    node: Node
    sentence: str
    title: str
    purpose: str
    is_retired: bool


def read_applied(one: Applied) -> Read | None:
    """Read one version; None when it cannot be read any more."""
    try:
        told, node = read_audience(one.text) if one.kind == AUDIENCE else read_feature(one.text)
    except AudienceInvalid:
        return None
    return Read(node, sentence(node), told.title, told.purpose, told.retired)


def changed_sentences(before: str, after: str, kind: str) -> list[str]:
    """Say in sentences how two texts of one definition differ."""
    old, new = (read_applied(Applied(0, kind, "", text, "", "", 0)) for text in (before, after))
    if old is None or new is None:
        return []
    found = difference(old.node, new.node)
    if old.purpose != new.purpose:
        found.append(f"changed: for {old.purpose} → for {new.purpose}")
    if old.is_retired != new.is_retired:
        found.append("retired: nobody is in it any more" if new.is_retired else "in use again")
    return found


def version_rows(history: Sequence[Applied]) -> list[dict[str, Any]]:
    """Give every version of one definition, newest first, with what changed in it."""
    rows = []
    for one, older in zip(history, [*history[1:], None], strict=True):
        read = read_applied(one)
        rows.append(
            {
                "position": one.position,
                "at": rfc3339(one.event_at),
                "operator": one.operator,
                "reason": one.reason,
                "text": one.text,
                "sentence": read.sentence if read is not None else "",
                "said": changed_sentences(older.text, one.text, one.kind) if older is not None else [],
                "changes": changed_text(older.text, one.text) if older is not None else [],
            }
        )
    return rows


def users_of(ws: Workspace, kind: str, name: str) -> list[tuple[str, str, str, str]]:
    """Give what names an audience or a feature: where each is shown, what it is called, what it is, how many it has."""
    told = ws.audiences.definitions()
    found = []
    defined: list[tuple[str, str, str, Defined | DefinedFeature]] = [
        *(("/console/audiences/" + key, one.audience.title or key, "audience", one)
          for key, one in told.audiences.items()),
        *(("/console/features/" + key, one.feature.title or key, "feature", one)
          for key, one in told.features.items()),
    ]  # fmt: skip
    for href, title, what, one in defined:
        inputs = inputs_of(one.said)
        if name in (inputs.audiences if kind == AUDIENCE else inputs.features):
            found.append((href, title, what, ""))
    if kind == AUDIENCE:
        found += [
            (
                f"/console/destinations/{key}",
                one.title or key,
                f"destination: a {one.kind}" if one.kind != "email" else "destination",
                "retired" if one.retired else there_words(ws.deliveries.queue.copies.counts(key)),
            )
            for key, (_, one) in ws.deliveries.definitions().destinations.items()
            if one.audience == name
        ]
    return sorted(found)


def there_words(records: Mapping[str, int]) -> str:
    """Say how many people a destination has, and how many are under way.

    >>> there_words({"acknowledged": 1200, "pending": 2, "removing": 1, "removed": 9})
    '1,200 there, 2 on their way, 1 being removed'
    """
    parts = [
        f"{n:,} {words}"
        for state, words in (
            ("acknowledged", "there"), ("pending", "on their way"), ("rejected", "refused"),
            ("removing", "being removed"),
        )
        if (n := records.get(state, 0)) or state == "acknowledged"
    ]  # fmt: skip
    return ", ".join(parts)


# -- members


def change_words(change: Change) -> tuple[str, str]:
    """Say what happened, and why."""
    return KINDS[change.kind], ENTERED.get(change.cause, change.cause)
