"""Drafts: a definition while somebody builds it: rows of a form, finished or half done.

In:    nodes of a definition; fields of a form, named by their place: `d.rows.0.tests.0.op`.
Out:   drafts, plain definitions, what each row lacks, fields again.
Never: a definition that the rows cannot say: whatever can be read can be shown, changed and read as the same again.

A draft is maps, lists and texts. What is left empty becomes None in the plain definition, and reading says what is
missing there.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tillit.clock import rfc3339
from tillit.language.instants import LONGEST, write_span
from tillit.language.nodes import (
    Absolute,
    AllClauses,
    AllOf,
    AnyClause,
    AnyOf,
    Calendar,
    Clause,
    Compare,
    Condition,
    EventValue,
    Ever,
    Everybody,
    FeatureValue,
    FirstTime,
    InAudience,
    InGroup,
    Matcher,
    Nested,
    Not,
    NotClause,
    Path,
    Permitted,
    PropertyTest,
    Ranked,
    Regularly,
    Restarted,
    Rolling,
    Sample,
    Session,
    SinceLast,
    Step,
    Test,
    TraitValue,
    Value,
    Window,
)
from tillit.language.nodes import Sequence as Steps
from tillit.language.reading import LanguageInvalid, read_condition, read_value
from tillit.language.sentences import sentence
from tillit.language.writing import stopped_spans

Draft = dict[str, Any]

ROOT = "d"
RANK = "d.rank"
ROWS = ("event", "trait", "feature", "first_time", "stopped", "restarted", "regularly", "sequence", "audience",
        "permitted", "sample", "in_group", "everybody", "group")  # fmt: skip
VALUES = ("event", "trait", "feature")
RANKS = ("", "highest", "lowest", "drawn")  # how many of those of whom it is so; empty: all of them
FILTERS = ("property", "nested", "group")
_BOUNDED = ("within", "absolute", "calendar")  # when something may have been the first time
WINDOWS = ("ever", "within", "between", "older", "absolute", "calendar", "since_last", "session")
SPANS = ("within_last", "more_than_ago", "within_next")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks", "y": "years"}
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,15}", re.ASCII)
_MOST_FIELDS = 5_000
_DEEPEST = 120
_EXACT = 1 << 53
_YES = "yes"


# -- texts of single values


def write_scalar(value: bool | float | str) -> str:
    """Write a value as somebody types it: a text that looks like something else stands in quotes.

    >>> write_scalar(True), write_scalar(50.0), write_scalar("50"), write_scalar("pro")
    ('true', '50', '"50"', 'pro')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value)) if float(value).is_integer() and abs(value) < _EXACT else repr(value)
    return value if _is_plain(value) and read_scalar(value) == value else json.dumps(value, ensure_ascii=False)


def read_scalar(text: str) -> bool | float | str | None:
    """Read what somebody typed; None when it is nothing."""
    told = text.strip()
    if told in ("true", "false"):
        return told == "true"
    if _WHOLE.fullmatch(told):
        return int(told)
    if _NUMBER.fullmatch(told):
        return float(told)
    return _unquoted(told) or (None if not told else "" if told == '""' else told)


def write_list(values: Sequence[bool | float | str]) -> str:
    """Write values with commas between them."""
    return ", ".join(_item(write_scalar(one)) for one in values)


def read_list(text: str) -> list[Any]:
    """Read values with commas between them."""
    return [one for one in map(read_scalar, _split(text)) if one is not None]


def write_names(names: Sequence[str]) -> str:
    """Write names with commas between them."""
    return ", ".join(_item(one if _is_plain(one) else json.dumps(one, ensure_ascii=False)) for one in names)


def read_names(text: str) -> list[str]:
    """Read names with commas between them: what looks like a number is a name here."""
    return [_unquoted(one) or one for one in map(str.strip, _split(text)) if one]


def write_path(path: Path) -> str:
    """Write the name of a property: `shipping.country`."""
    joined = ".".join(path)
    if all(part and "." not in part for part in path) and _is_plain(joined) and not joined.startswith("["):
        return joined
    return json.dumps(list(path), ensure_ascii=False)


def read_path(text: str) -> str | list[str] | None:
    """Read the name of a property; None when it is none."""
    told = text.strip()
    if told.startswith("["):
        try:
            parts = json.loads(told)
        except ValueError:
            return told
        if isinstance(parts, list) and all(isinstance(one, str) for one in parts):
            return parts
    return told or None


def _is_plain(text: str) -> bool:
    return bool(text) and text == text.strip() and text.isprintable() and not text.startswith('"')


def _item(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if "," in text and not text.startswith('"') else text


def _unquoted(text: str) -> str | None:
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        return None
    try:
        told = json.loads(text)
    except ValueError:
        return None
    return told if isinstance(told, str) else None


def _split(text: str) -> list[str]:
    found, begun, is_quoted, is_escaped = [], 0, False, False
    for place, letter in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif letter == "\\" and is_quoted:
            is_escaped = True
        elif letter == '"' and (is_quoted or not text[begun:place].strip()):
            is_quoted = not is_quoted
        elif letter == "," and not is_quoted:
            found.append(text[begun:place])
            begun = place + 1
    return [*found, text[begun:]]


def _span_text(draft: Mapping[str, str]) -> str | None:
    n = draft["n"].strip()
    return f"{n}{draft['unit']}" if n else None


def _span_draft(span: int) -> Draft:
    text = write_span(span)
    return {"n": text[:-1], "unit": text[-1]}


def _number(text: str) -> Any:
    told = read_scalar(text)
    return told if told is None or isinstance(told, int | float) else text.strip()


def _instant(at: int) -> str:
    told = rfc3339(at)
    return told[:10] if told.endswith("T00:00:00Z") else told


# -- from nodes


def draft_of(node: Condition) -> Draft:
    """Make a draft of a condition: a group of rows."""
    if isinstance(node, Ranked):
        return draft_of(node.of) | {"rank": _rank(node)}
    inner, negated = (node.condition, _YES) if isinstance(node, Not) else (node, "")
    if isinstance(inner, AllOf | AnyOf) and stopped_spans(inner) is None:
        return _row(inner) | {"not": negated}
    return {"kind": "group", "not": "", "joined": "all", "rows": [_row(node)]}


def _rank(node: Ranked) -> Draft:
    return {
        "how": "drawn" if node.by is None else "highest" if node.is_highest else "lowest",
        "n": str(node.most) if node.most else f"{Decimal(node.millionths) / 10_000:f}%",
        "by": _value(node.by) if node.by is not None else {},
        "salt": node.salt,
        "every": _span_draft(node.every),
    }


def draft_of_value(node: Value) -> Draft:
    """Make a draft of a feature's value: a group of one row."""
    return {"kind": "group", "not": "", "joined": "all", "rows": [{"not": "", **_value(node), "tests": []}]}


def _row(node: Condition) -> Draft:
    if isinstance(node, Not):
        row = _row(node.condition)
        if row["not"]:
            row = {"kind": "group", "not": "", "joined": "all", "rows": [row]}
        return row | {"not": _YES}
    stopped = stopped_spans(node)
    if stopped is not None:
        matcher, quiet, active = stopped
        return {
            "kind": "stopped", "not": "", **_matcher(matcher), "quiet": _span_draft(quiet),
            "active": _span_draft(active),
        }  # fmt: skip
    return {"not": "", **_ROW_OF[type(node)](node)}


def _compare(node: Compare) -> Draft:
    return _value(node.value) | {"tests": [_test(one) for one in node.tests]}


def _value(node: Value) -> Draft:
    match node:
        case TraitValue(path):
            return {"kind": "trait", "path": write_path(path)}
        case FeatureValue(name):
            return {"kind": "feature", "name": name}
        case EventValue(matcher, window, aggregate):
            return {
                "kind": "event",
                **_matcher(matcher),
                "window": _window(window),
                "made": aggregate.kind,
                "of": write_path(aggregate.path) if aggregate.path else "",
            }
    raise AssertionError(f"no such value: {node!r}")


def _sequence(node: Steps) -> Draft:
    return {
        "kind": "sequence",
        "steps": [_step(one) for one in node.steps],
        "within": _span_draft(node.within),
        "total": _span_draft(node.total) if node.total is not None else {},
        "same": ", ".join(_item(write_path(path)) for path in node.same),
        "unless": _matcher(node.unless) if node.unless is not None else {},
        "has_unless": _YES if node.unless is not None else "",
        "unless_within": _span_draft(node.unless_within) if node.unless is not None else {},
    }


def _in_group(node: InGroup) -> Draft:
    return {
        "kind": "in_group",
        "of": node.kind or "*",
        "role": write_names(node.roles),
        "known": {"path": write_path(node.trait) if node.trait else "", "tests": [_test(one) for one in node.tests]},
        "sizes": {"tests": [_test(one) for one in node.sizes]},
        "member": draft_of(node.member) if node.member is not None else {},
        "counts": {"tests": [_test(one) for one in node.counts]},
        "others": _YES if node.others_only else "",
    }


def _step(step: Step) -> Draft:
    return {
        **_matcher(step.matcher),
        "gap": _span_draft(step.gap) if step.gap is not None else {},
        "without": _matcher(step.without) if step.without is not None else {},
        "has_without": _YES if step.without is not None else "",
    }


def _matcher(matcher: Matcher) -> Draft:
    what = matcher.type if matcher.type in ("page", "screen") else "event"
    names = write_names(matcher.names) if matcher.names else "*"
    return {"what": what, "names": names, "where": _filters(matcher.where)}


def _filters(node: Clause | None) -> Draft:
    if node is None:
        return {"kind": "group", "not": "", "joined": "all", "rows": []}
    inner, negated = (node.clause, _YES) if isinstance(node, NotClause) else (node, "")
    if isinstance(inner, AllClauses | AnyClause):
        return _filter(inner) | {"not": negated}
    return {"kind": "group", "not": "", "joined": "all", "rows": [_filter(node)]}


def _filter(node: Clause) -> Draft:
    match node:
        case NotClause(inner):
            row = _filter(inner)
            if row["not"]:
                row = {"kind": "group", "not": "", "joined": "all", "rows": [row]}
            return row | {"not": _YES}
        case AllClauses(parts):
            return {"kind": "group", "not": "", "joined": "all", "rows": [_filter(one) for one in parts]}
        case AnyClause(parts):
            return {"kind": "group", "not": "", "joined": "any", "rows": [_filter(one) for one in parts]}
        case Nested(path, quantifier, inner):
            return {"kind": "nested", "not": "", "path": write_path(path), "quantifier": quantifier,
                    "where": _filters(inner)}  # fmt: skip
        case PropertyTest(path, tests):
            return {"kind": "property", "not": "", "path": write_path(path), "tests": [_test(one) for one in tests]}
    raise AssertionError(f"no such clause: {node!r}")


def _test(test: Test) -> Draft:
    op, value = test.op, test.value
    if op in SPANS:
        span = _span_draft(value)
        return {"op": op, "value": span["n"], "unit": span["unit"]}
    if op in ("before", "after"):
        return {"op": op, "value": _instant(value)}
    if op == "between":
        return {"op": op, "value": write_scalar(value[0]), "high": write_scalar(value[1])}
    if isinstance(value, tuple):
        return {"op": op, "value": write_list(value)}
    if op in _TEXTS:
        return {"op": op, "value": value if _is_plain(value) else json.dumps(value, ensure_ascii=False)}
    return {"op": op, "value": "" if value is None else write_scalar(value)}


_TEXTS = frozenset({"contains", "not_contains", "starts_with", "ends_with", "matches"})


def _window(window: Window) -> Draft:
    match window:
        case Ever():
            return {"when": "ever"}
        case Rolling(within, older) if within >= LONGEST and older:
            return {"when": "older", "older": _span_draft(older)}
        case Rolling(within, older) if older:
            return {"when": "between", "span": _span_draft(within), "older": _span_draft(older)}
        case Rolling(within, _):
            return {"when": "within", "span": _span_draft(within)}
        case Absolute(first, last):
            return {"when": "absolute", "from": _instant(first) if first is not None else "",
                    "until": _instant(last) if last is not None else ""}  # fmt: skip
        case Calendar(unit, back, length, zone):
            return {"when": "calendar", "unit": unit, "back": str(back), "length": str(length), "zone": zone}
        case SinceLast(matcher, within):
            return {"when": "since_last", "since": _matcher(matcher), "span": _span_draft(within)}
        case Session(gap):
            return {"when": "session", "span": _span_draft(gap)}
    raise AssertionError(f"no such window: {window!r}")


def _group(joined: str) -> Callable[[Any], Draft]:
    return lambda node: {"kind": "group", "joined": joined, "rows": [_row(one) for one in node[0]]}


_ROW_OF: dict[type, Callable[[Any], Draft]] = {
    AllOf: _group("all"),
    AnyOf: _group("any"),
    Compare: _compare,
    FirstTime: lambda node: {"kind": "first_time", **_matcher(node.matcher), "window": _window(node.window)},
    Restarted: lambda node: {
        "kind": "restarted", **_matcher(node.matcher), "within": _span_draft(node.within),
        "quiet": _span_draft(node.quiet),
    },
    Regularly: lambda node: {
        "kind": "regularly", **_matcher(node.matcher), "every": _span_draft(node.every),
        "at_least": str(node.at_least), "of": str(node.of),
    },
    Steps: _sequence,
    InAudience: lambda node: {"kind": "audience", "name": node.name},
    Permitted: lambda node: {"kind": "permitted", "name": node.purpose},
    Sample: lambda node: {
        "kind": "sample", "salt": node.salt, "from": write_scalar(node.from_share),
        "until": write_scalar(node.until_share),
    },
    InGroup: _in_group,
    Everybody: lambda _node: {"kind": "everybody"},
}  # fmt: skip


# -- whatever a form sent becomes a whole draft


def tidy(told: Mapping[str, Any] | None = None) -> Draft:
    """Fill in what a draft lacks and leave out what is none of it, so that a page can show it."""
    return _tidy_group(told or {}, _tidy_row, 0) | {"rank": _tidy_rank(_map(_map(told).get("rank")))}


def _tidy_rank(said: Mapping[str, Any]) -> Draft:
    by = _map(said.get("by"))
    kind = _one_of(by, "kind", VALUES)
    return {
        "how": _one_of(said, "how", RANKS),
        "n": _text(said, "n", "1000"),
        "by": _tidy_row({**by, "kind": kind}, 1) | {"not": "", "tests": []},
        "salt": _text(said, "salt"),
        "every": _tidy_span(said.get("every"), "1d"),
    }


def tidy_value(told: Mapping[str, Any] | None = None) -> Draft:
    """Do the same for the draft of a value: one row of those that are values."""
    draft = tidy(told)
    rows = [one for one in draft["rows"] if one["kind"] in VALUES] or [_tidy_row({"kind": "event"}, 1)]
    del draft["rank"]
    return draft | {"joined": "all", "not": "", "rows": [rows[0] | {"not": "", "tests": []}]}


def new_row(kind: str = "event") -> Draft:
    """Begin a row."""
    return _tidy_row({"kind": kind}, 0)


def _tidy_group(told: Any, tidy_one: Callable[[Any, int], Draft], depth: int) -> Draft:
    said = _map(told)
    return {
        "kind": "group",
        "not": _text(said, "not"),
        "joined": _one_of(said, "joined", ("all", "any")),
        "rows": [tidy_one(one, depth + 1) for one in _list(said, "rows")] if depth < _DEEPEST else [],
    }


def _tidy_row(told: Any, depth: int) -> Draft:
    said = _map(told)
    kind = _one_of(said, "kind", ROWS)
    if kind == "group":
        return _tidy_group(said, _tidy_row, depth)
    row: Draft = {"kind": kind, "not": _text(said, "not")}
    if kind in ("event", "first_time", "stopped", "restarted", "regularly"):
        row |= _tidy_matcher(said, depth)
    if kind in ("event", "first_time"):
        row["window"] = _tidy_window(said.get("window"), depth, is_bounded=kind == "first_time")
    if kind in ("event", "trait", "feature"):
        row["tests"] = [_tidy_test(one) for one in _list(said, "tests")]
    if kind == "event":
        row["made"] = _one_of(said, "made", MADE)
        row["of"] = _text(said, "of")
    for name, default in _SPANS_OF.get(kind, {}).items():
        row[name] = _tidy_span(said.get(name), default)
    for name, text in _TEXTS_OF.get(kind, {}).items():
        row[name] = _text(said, name, text)
    if kind == "sequence":
        row["steps"] = [_tidy_step(one, depth) for one in _list(said, "steps")] or [_tidy_step({}, depth)] * 2
        row["total"] = _tidy_span(said.get("total"), "")
        row["has_unless"] = _text(said, "has_unless")
        row["unless"] = _tidy_matcher(_map(said.get("unless")), depth)
        row["unless_within"] = _tidy_span(said.get("unless_within"), "1d")
    if kind == "in_group":
        for name in ("known", "sizes", "counts"):
            row[name] = {"tests": [_tidy_test(one) for one in _list(_map(said.get(name)), "tests")]}
        row["known"]["path"] = _text(_map(said.get("known")), "path")
        row["member"] = _tidy_group(said.get("member"), _tidy_row, depth)
    return row


MADE = ("count", "sum", "average", "minimum", "maximum", "distinct", "first", "last", "most_frequent")
_SPANS_OF: dict[str, dict[str, str]] = {
    "stopped": {"quiet": "30d", "active": "90d"},
    "restarted": {"within": "7d", "quiet": "60d"},
    "regularly": {"every": "7d"},
    "sequence": {"within": "30d"},
}
_TEXTS_OF: dict[str, dict[str, str]] = {
    "trait": {"path": ""},
    "feature": {"name": ""},
    "audience": {"name": ""},
    "permitted": {"name": ""},
    "regularly": {"at_least": "3", "of": "4"},
    "sequence": {"same": ""},
    "sample": {"salt": "", "from": "0", "until": "0.1"},
    "in_group": {"of": "household", "role": "", "others": _YES},
}


def _tidy_step(told: Any, depth: int) -> Draft:
    said = _map(told)
    return {
        **_tidy_matcher(said, depth),
        "gap": _tidy_span(said.get("gap"), ""),
        "has_without": _text(said, "has_without"),
        "without": _tidy_matcher(_map(said.get("without")), depth),
    }


def _tidy_matcher(said: Mapping[str, Any], depth: int) -> Draft:
    return {
        "what": _one_of(said, "what", ("event", "page", "screen")),
        "names": _text(said, "names"),
        "where": _tidy_group(said.get("where"), _tidy_filter, depth),
    }


def _tidy_filter(told: Any, depth: int) -> Draft:
    said = _map(told)
    kind = _one_of(said, "kind", FILTERS)
    if kind == "group":
        return _tidy_group(said, _tidy_filter, depth)
    row = {"kind": kind, "not": _text(said, "not"), "path": _text(said, "path")}
    if kind == "nested":
        where = _tidy_group(said.get("where"), _tidy_filter, depth)
        return row | {
            "quantifier": _one_of(said, "quantifier", ("some", "every", "none")),
            "where": where if where["rows"] else where | {"rows": [_tidy_filter({}, depth + 1)]},
        }
    tests = [_tidy_test(one) for one in _list(said, "tests")]
    return row | {"tests": tests or [_tidy_test({"op": "equals"})]}


def _tidy_test(told: Any) -> Draft:
    said = _map(told)
    return {
        "op": _text(said, "op", "equals"),
        "value": _text(said, "value"),
        "high": _text(said, "high"),
        "unit": _one_of(said, "unit", tuple(UNITS), "d"),
    }


def _tidy_window(told: Any, depth: int, *, is_bounded: bool) -> Draft:
    said = _map(told)
    return {
        "when": _one_of(said, "when", _BOUNDED if is_bounded else WINDOWS),
        "span": _tidy_span(said.get("span"), "30d"),
        "older": _tidy_span(said.get("older"), "7d"),
        "from": _text(said, "from"),
        "until": _text(said, "until"),
        "unit": _one_of(said, "unit", ("day", "week", "month", "quarter", "year"), "month"),
        "back": _text(said, "back", "0"),
        "length": _text(said, "length", "1"),
        "zone": _text(said, "zone", "UTC"),
        "since": _tidy_matcher(_map(said.get("since")), depth + 1) if depth < _DEEPEST else {},
    }


def _tidy_span(told: Any, default: str) -> Draft:
    said = _map(told)
    return {
        "n": _text(said, "n", default[:-1] if told is None else ""),
        "unit": _one_of(said, "unit", tuple(UNITS), default[-1:] or "d"),
    }


def _map(told: Any) -> Mapping[str, Any]:
    return told if isinstance(told, Mapping) else {}


def _list(said: Mapping[str, Any], name: str) -> list[Any]:
    told = said.get(name)
    return told if isinstance(told, list) else []


def _text(said: Mapping[str, Any], name: str, default: str = "") -> str:
    told = said.get(name)
    return told if isinstance(told, str) else default


def _one_of(said: Mapping[str, Any], name: str, known: Sequence[str], default: str = "") -> str:
    told = said.get(name)
    return told if isinstance(told, str) and told in known else default or known[0]


# -- as a plain definition


class Written:
    """A plain definition, and which row of the draft stands at which of its places."""

    def __init__(self, draft: Draft, *, is_value: bool = False) -> None:
        """Write it."""
        self.is_value = is_value
        self.rows: dict[str, tuple[str, Any]] = {}  # place in the definition -> place in the draft, plain
        self.faults: dict[str, str] = {}  # place in the draft -> what is missing or wrong there
        self.sentences: dict[str, str] = {}  # place in the draft -> what is said there
        self.node: Condition | Value | None = None
        self.plain: Any = None
        rows = draft["rows"]
        rank = _map(draft.get("rank"))
        is_ranked = bool(rank.get("how"))
        word = "limit" if rank.get("how") == "drawn" else "top"
        begin = f"definition.{word}.of" if is_ranked else "definition"
        if is_value:
            self.plain = _plain_value(rows[0], {})
            self.rows["definition"] = (f"{ROOT}.rows.0", self.plain)
        elif len(rows) == 1 and not draft["not"] and draft["joined"] == "all":
            self.plain = self._one(rows[0], begin, f"{ROOT}.rows.0")
        elif rows:
            self.plain = self._one(draft, begin, ROOT)
        if is_ranked and rows:
            self.plain = {word: {"of": self.plain, **_plain_rank(rank)}}
            self.rows["definition"] = (RANK, self.plain)
        self._judge(rows)

    def _one(self, row: Draft, where: str, place: str) -> Any:
        inner = f"{where}.not" if row["not"] else where
        if row["kind"] == "group":
            word = row["joined"]
            plain: Any = {
                word: [self._one(one, f"{inner}.{word}[{i}]", f"{place}.rows.{i}") for i, one in enumerate(row["rows"])]
            }
        else:
            plain = _PLAIN_OF[row["kind"]](row)
        if row["kind"] == "in_group" and row["member"]["rows"]:
            plain["group"]["member"] = self._of_member(row["member"], f"{inner}.group.member", f"{place}.member")
        plain = {"not": plain} if row["not"] else plain
        self.rows[where] = (place, plain)
        if row["kind"] != "group":
            self._read_row(row, plain, where, place)
        elif not row["rows"]:
            self.faults[place] = "Nothing stands in this group: add a condition, or take the group out."
        return plain

    def _of_member(self, draft: Draft, where: str, place: str) -> Any:
        rows = draft["rows"]
        if len(rows) == 1 and not draft["not"] and draft["joined"] == "all":
            return self._one(rows[0], where, f"{place}.rows.0")
        return self._one(draft, where, place)

    def _read_row(self, row: Draft, plain: Any, where: str, place: str) -> None:
        try:
            self.sentences[place] = sentence(read_condition(plain, where))
        except LanguageInvalid as exc:
            # What a member's row lacks is said there.
            self.faults[self.place_of(str(exc.details.get("where", ""))) if row["kind"] == "in_group" else place] = (
                words_of(exc)
            )
        twice = _twice(row)
        if twice:
            self.faults[place] = twice

    def _judge(self, rows: Sequence[Draft]) -> None:
        if not rows:
            self.faults[ROOT] = "Nothing is said yet: add a condition. “Everybody” is one."
        if self.faults:
            return
        try:
            self.node = read_value(self.plain) if self.is_value else read_condition(self.plain)
        except LanguageInvalid as exc:
            self.faults[self.place_of(str(exc.details.get("where", "")))] = words_of(exc)
        else:
            self.sentences[ROOT] = sentence(self.node)
            if self.is_value:
                self.sentences[f"{ROOT}.rows.0"] = self.sentences[ROOT]

    def place_of(self, where: str) -> str:
        """Give the row of the draft that a place in the definition belongs to."""
        fitting = [one for one in self.rows if where == one or where.startswith((f"{one}.", f"{one}["))]
        return self.rows[max(fitting, key=len)][0] if fitting else ROOT


def words_of(exc: LanguageInvalid) -> str:
    """Give what is wrong without the place, which the page shows by where it says it."""
    where = str(exc.details.get("where", ""))
    told = exc.message.removeprefix(f"{where}: ")
    name = where.rpartition(".")[2].partition("[")[0].replace("_", " ")
    if told == "wants a text of 1 to 256 characters.":
        told = "is empty: choose one."
    if told.startswith("wants a name, or a list"):
        return f"Say which {name or 'event'}: its name as it is sent. Commas stand between several, * is any."
    if told.startswith(("wants ", "is ", "compares ")) and name and name != "definition":
        return f"“{_SAID.get(name, name)}” {told}"
    return told[:1].upper() + told[1:]


_SAID = {"older than": "ago", "equals": "is"}


def _twice(row: Draft) -> str:
    """Say which test stands twice in one place, where one of the two would be lost."""
    waiting: list[Any] = [row]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
            ops = [test["op"] for test in one.get("tests", ())]
            if len(set(ops)) < len(ops):
                return "The same comparison stands here twice: make two conditions of them."
        elif isinstance(one, list):
            waiting += one
    return ""


def _plain_events(row: Draft) -> dict[str, Any]:
    names = read_names(row["names"])
    told: Any = names[0] if len(names) == 1 else names
    plain: dict[str, Any] = {row["what"]: told}
    if row["where"]["rows"]:
        plain["where"] = _plain_filters(row["where"])
    return plain


def _plain_filters(draft: Draft) -> Any:
    rows = draft["rows"]
    if len(rows) == 1 and not draft["not"] and draft["joined"] == "all":
        return _plain_filter(rows[0])
    return _plain_filter(draft)


def _plain_filter(row: Draft) -> Any:
    if row["kind"] == "group":
        plain: Any = {row["joined"]: [_plain_filter(one) for one in row["rows"]]}
    elif row["kind"] == "nested":
        plain = {"property": read_path(row["path"]), row["quantifier"]: _plain_filters(row["where"])}
    else:
        plain = {"property": read_path(row["path"]), **_plain_tests(row["tests"])}
    return {"not": plain} if row["not"] else plain


def _plain_tests(tests: Sequence[Draft]) -> dict[str, Any]:
    return {one["op"]: _plain_wanted(one) for one in tests}


def _plain_wanted(test: Draft) -> Any:
    op, value = test["op"], test["value"]
    if op in ("is_set", "is_missing"):
        return True
    if op in SPANS:
        return f"{value.strip()}{test['unit']}" if value.strip() else None
    if op == "between":
        return [_number(value), _number(test["high"])]
    if op in ("greater", "at_least", "less", "at_most"):
        return _number(value)
    if op in _TEXTS:
        return _unquoted(value.strip()) or value.strip() or None
    if op in ("one_of", "none_of", "all_of"):
        return read_list(value)
    if op in ("before", "after"):
        return value.strip() or None
    return read_scalar(value)


def _plain_window(draft: Draft) -> dict[str, Any]:
    when, span = draft["when"], _span_text(draft["span"])
    if when == "ever":
        return {}
    if when == "within":
        return {"within": span}
    if when == "between":
        return {"within": span, "older_than": _span_text(draft["older"])}
    if when == "older":
        return {"older_than": _span_text(draft["older"])}
    if when == "absolute":
        told = {name: draft[name].strip() for name in ("from", "until")}
        return {name: one for name, one in told.items() if one} or {"from": None}
    if when == "calendar":
        numbers = {name: _number(draft[name]) for name in ("back", "length")}
        return {"calendar": {"unit": draft["unit"], **numbers, "zone": draft["zone"].strip()}}
    if when == "since_last":
        return {"since_last": _plain_events(draft["since"]), "within": span}
    return {"session": span}


def _plain_value(row: Draft, tests: Mapping[str, Any]) -> dict[str, Any]:
    if row["kind"] == "trait":
        return {"trait": read_path(row["path"]), **tests}
    if row["kind"] == "feature":
        return {"feature": row["name"].strip(), **tests}
    plain = {**_plain_events(row), **_plain_window(row["window"])}
    if row["made"] == "count":
        return plain if tests == {"at_least": 1} else {**plain, "count": dict(tests) or True}
    return {**plain, row["made"]: {"of": read_path(row["of"]), **tests}}


def _plain_condition(row: Draft) -> dict[str, Any]:
    return _plain_value(row, _plain_tests(row["tests"]))


def _plain_sequence(row: Draft) -> dict[str, Any]:
    inner: dict[str, Any] = {"steps": [], "within": _span_text(row["within"])}
    for step in row["steps"]:
        plain = _plain_events(step)
        gap = _span_text(step["gap"])
        if gap is not None:
            plain["within"] = gap
        if step["has_without"]:
            plain["without"] = _plain_events(step["without"])
        inner["steps"].append(plain)
    total = _span_text(row["total"])
    if total is not None:
        inner["total"] = total
    same = [read_path(_unquoted(one.strip()) or one) for one in _split(row["same"]) if one.strip()]
    if same:
        inner["same"] = same
    if row["has_unless"]:
        inner["unless"] = {**_plain_events(row["unless"]), "within": _span_text(row["unless_within"])}
    return {"sequence": inner}


def _plain_of_spans(word: str, *spans: str) -> Callable[[Draft], dict[str, Any]]:
    return lambda row: {word: {**_plain_events(row), **{one: _span_text(row[one]) for one in spans}}}


def _plain_regularly(row: Draft) -> dict[str, Any]:
    rest = {"every": _span_text(row["every"]), **{one: _number(row[one]) for one in ("at_least", "of")}}
    return {"regularly": {**_plain_events(row), **rest}}


def _plain_rank(rank: Mapping[str, Any]) -> dict[str, Any]:
    how, n = rank["how"], rank["n"].strip()
    many: Any = int(n) if n.isascii() and n.isdigit() else n or None
    plain: dict[str, Any] = {"every": _span_text(rank["every"])}
    if how == "drawn":
        salt = rank["salt"].strip()
        return {"to": many, **plain, **({"salt": salt} if salt else {})}
    return {"by": _plain_value(rank["by"], {}), how: many, **plain}


def _plain_in_group(row: Draft) -> dict[str, Any]:
    roles, known = read_names(row["role"]), row["known"]
    plain: dict[str, Any] = {"kind": row["of"].strip() or "*"}
    if roles:
        plain["role"] = roles[0] if len(roles) == 1 else roles
    if known["tests"] or known["path"].strip():
        plain |= {"trait": read_path(known["path"]), **_plain_tests(known["tests"])}
    if row["sizes"]["tests"]:
        plain["members"] = _plain_tests(row["sizes"]["tests"])
    if row["member"]["rows"]:
        plain["member"] = None  # its rows stand at places of their own
        if row["counts"]["tests"]:
            plain["count"] = _plain_tests(row["counts"]["tests"])
        if row["others"]:
            plain["others_only"] = True
    return {"group": plain}


_PLAIN_OF: dict[str, Callable[[Draft], Any]] = {
    "event": _plain_condition,
    "trait": _plain_condition,
    "feature": _plain_condition,
    "first_time": lambda row: {"first_time": {**_plain_events(row), **_plain_window(row["window"])}},
    "stopped": _plain_of_spans("stopped", "quiet", "active"),
    "restarted": _plain_of_spans("restarted", "within", "quiet"),
    "regularly": _plain_regularly,
    "sequence": _plain_sequence,
    "audience": lambda row: {"audience": row["name"].strip()},
    "permitted": lambda row: {"permitted": row["name"].strip()},
    "sample": lambda row: {
        "sample": {"salt": row["salt"].strip(), "from": _number(row["from"]), "until": _number(row["until"])}
    },
    "in_group": _plain_in_group,
    "everybody": lambda _row: "everybody",
}


# -- fields of a form


def fields_of(draft: Draft) -> dict[str, str]:
    """Give every text of a draft under its place."""
    found: dict[str, str] = {}

    def walk(told: Any, place: str) -> None:
        if isinstance(told, dict):
            for name, one in told.items():
                walk(one, f"{place}.{name}")
        elif isinstance(told, list):
            for i, one in enumerate(told):
                walk(one, f"{place}.{i}")
        else:
            found[place] = told

    walk(draft, ROOT)
    return found


def read_fields(fields: Mapping[str, str]) -> dict[str, Any]:
    """Put texts together again by their places; what is no place of a draft is left out."""
    whole: dict[str, Any] = {}
    for place, text in list(fields.items())[:_MOST_FIELDS]:
        first, *parts = place.split(".")
        if first != ROOT or not parts or len(parts) > _DEEPEST or not isinstance(text, str):
            continue
        at = whole
        for part in parts[:-1]:
            below = at.setdefault(part, {})
            if not isinstance(below, dict):
                break
            at = below
        else:
            at[parts[-1]] = text
    told = _with_lists(whole)
    return told if isinstance(told, dict) else {}


def _with_lists(told: Any) -> Any:
    if not isinstance(told, dict):
        return told
    if told and all(name.isascii() and name.isdigit() and len(name) < 6 for name in told):
        return [_with_lists(told[name]) for name in sorted(told, key=int)]
    return {name: _with_lists(one) for name, one in told.items()}


# -- what somebody does to a row


def act_on(draft: Draft, act: str) -> Draft:
    """Do one thing that a button says, `remove d.rows.1`; what fits nowhere changes nothing."""
    word, _, place = act.partition(" ")
    parts = place.split(".")[1:]
    do = _ACTS.get(word)
    if do is None or not parts:
        return draft
    above = _at(draft, parts[:-1])
    if word.startswith("add"):
        here = above.get(parts[-1]) if isinstance(above, dict) else None
        if isinstance(here, list):
            here.append(_NEW[word]())
    elif isinstance(above, list) and parts[-1].isdigit() and int(parts[-1]) < len(above):
        do(above, int(parts[-1]))
    return draft


def _at(draft: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        if isinstance(draft, list):
            draft = draft[int(part)] if part.isdigit() and int(part) < len(draft) else None
        elif isinstance(draft, dict):
            draft = draft.get(part)
        else:
            return None
    return draft


def _move(by: int) -> Callable[[list[Any], int], None]:
    def move(rows: list[Any], i: int) -> None:
        if 0 <= i + by < len(rows):
            rows[i], rows[i + by] = rows[i + by], rows[i]

    return move


def _wrap(rows: list[Any], i: int) -> None:
    rows[i] = {"kind": "group", "not": "", "joined": "any", "rows": [rows[i]]}


def _unwrap(rows: list[Any], i: int) -> None:
    inner = rows[i].get("rows")
    if isinstance(inner, list):
        rows[i : i + 1] = inner


def _copy(rows: list[Any], i: int) -> None:
    rows.insert(i + 1, json.loads(json.dumps(rows[i])))


def _remove(rows: list[Any], i: int) -> None:
    del rows[i]


def _nothing(_rows: list[Any], _i: int) -> None:
    """Leave everything as it is: what is added is added below."""


_NEW: dict[str, Callable[[], Draft]] = {
    "add-row": lambda: {"kind": "event", "tests": [{"op": "at_least", "value": "1"}]},
    "add-group": lambda: {
        "kind": "group",
        "joined": "any",
        "rows": [{"kind": "event", "tests": [{"op": "at_least", "value": "1"}]}],
    },
    "add-filter": lambda: {"kind": "property"},
    "add-filters": lambda: {"kind": "group", "joined": "any", "rows": [{"kind": "property"}]},
    "add-nested": lambda: {"kind": "nested"},
    "add-test": lambda: {"op": "at_least"},
    "add-step": dict,
}
_ACTS: dict[str, Callable[[list[Any], int], None]] = {
    **dict.fromkeys(_NEW, _nothing),
    "remove": _remove,
    "up": _move(-1),
    "down": _move(1),
    "wrap": _wrap,
    "unwrap": _unwrap,
    "copy": _copy,
}
