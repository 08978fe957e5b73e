"""Identity rules as people read them: in words, as a table, as what changed; and where a text of them is wrong.

In:    rules, texts of rules, the document of a plan.
Out:   views: sentences, rows, lines.
Never: a rule of its own; a value of anybody but what the rules themselves name.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from tillit.console.ties import Step, step_of
from tillit.identity import Rules, RulesInvalid, read_rules, write_rules

_PER = {"ever": "", "hourly": " in an hour", "daily": " in a day", "weekly": " in a week", "monthly": " in 30 days",
        "annually": " in a year"}  # fmt: skip
_SPELLING = {
    "plain": "as it came",
    "lower": "capitals do not count",
    "digits": "digits only",
    "email": "as an e-mail address",
    "phone": "as a telephone number",
    "address": "as a postal address",
}
_STRENGTH = {
    "strong": "joins people",
    "weak": "joins no two known people",
    "device": "held for a time",
    "shared": "never joins",
}
_MOST_VALUES = 12
_AROUND = 2  # lines shown on each side of a wrong one
_LINE = re.compile(r"\(line (\d+), column \d+\)")


class KindRow(NamedTuple):
    """One row of the table: kinds of identifier with the same rules."""

    kinds: list[str]
    strength: str
    does: str
    rank: int
    limit: str
    spelling: str
    more: list[str]  # pattern, blocked values, alphabets


class Wrong(NamedTuple):
    """What is wrong with a text of rules, and the lines around it."""

    message: str
    line: int  # from 1; 0: nowhere in particular
    lines: list[tuple[int, str]]


class CaseView(NamedTuple):
    """One sampled case of a plan."""

    kind: str
    n_before: int
    n_after: int
    people: list[dict[str, Any]]
    identifiers: list[tuple[str, str]]
    evidence: list[Step]


def kind_rows(rules: Rules) -> list[KindRow]:
    """Give the kinds of identifier, strongest first; kinds with the same rules stand in one row."""
    told = rules.definition
    rows: dict[str, KindRow] = {}
    for name, kind in [*told.namespaces.items(), ("any other kind", told.others)]:
        row = KindRow(
            [name],
            kind.strength,
            _STRENGTH[kind.strength],
            kind.rank,
            _limit(str(kind.limit)),
            _SPELLING[kind.normalise],
            [
                *([f"must look like {kind.pattern}"] if kind.pattern else []),
                *([f"blocked: {_listed(kind.block.values)}"] if kind.block.values else []),
                *([f"blocked like {_listed(kind.block.patterns)}"] if kind.block.patterns else []),
                *(["one alphabet in a word"] if kind.alphabets == "one" else []),
            ],
        )
        known = rows.setdefault(repr(row[1:]), row)
        if known is not row:
            known.kinds.append(name)
    order = {"strong": 0, "weak": 1, "device": 2, "shared": 3}
    return sorted(rows.values(), key=lambda row: (order[row.strength], row.rank))


def in_words(rules: Rules) -> list[str]:
    """Say what the rules mean, in a few sentences."""
    told, automatic = rules.definition.person, rules.automatic
    rows = kind_rows(rules)
    people = [name for row in rows if row.strength in {"strong", "weak"} for name in row.kinds]
    devices = [name for row in rows if row.strength == "device" for name in row.kinds]
    words = [
        f"Of several identifiers in one event the strongest says whose it is. Strongest first: {', '.join(people)}."
    ]
    if devices:
        words.append(
            f"A device ({devices[0]}{' and the like' if len(devices) > 1 else ''}) belongs to one person after "
            "another, and joins nobody."
        )
    if rules.identifiers is not None:
        words.append(f"One person has at most {_limit(rules.identifiers.text)} identifiers.")
    if rules.growth is not None:
        n, _, window = rules.growth.text.partition(" ")
        words.append(f"A link that would give them more than {n} new ones{_PER[window]} waits for a colleague.")
    words.append(
        "Two birth dates are two people until a colleague says otherwise."
        if told.birth_dates == "one"
        else "Birth dates keep nobody apart."
    )
    many = [
        *([f"{automatic.people:,} people say it of themselves"] if automatic.people else []),
        *([f"{automatic.devices:,} devices say it"] if automatic.devices else []),
        *([f"as a device {automatic.holders:,} people hold it"] if automatic.holders else []),
    ]
    if many:
        only = f"; of {_and(automatic.except_for)} only an alarm is raised" if automatic.except_for else ""
        words.append(f"A value is blocked by itself when more than {', or '.join(many)}{only}.")
    return words


def changed_lines(before: str, after: str) -> list[tuple[str, str]]:
    """Give the lines that differ between two texts of rules, each written out whole: (come, gone or same, text)."""
    old, new = (write_rules(read_rules(text)).splitlines() for text in (before, after))
    marks = {"+": "come", "-": "gone"}
    return [
        (marks.get(line[0], "same"), line[1:])
        for line in difflib.unified_diff(old, new, lineterm="", n=1)
        if not line.startswith(("---", "+++", "@@"))
    ]


def what_is_wrong(text: str, fault: RulesInvalid) -> Wrong:
    """Say where in a text the fault lies, as far as that can be told."""
    found = _LINE.search(fault.message)
    line = int(found[1]) if found is not None else _wrong_line(text)
    lines = text.splitlines()
    near = range(max(line - _AROUND, 1), min(line + _AROUND, len(lines)) + 1) if line else range(0)
    return Wrong(fault.message, min(line, len(lines)), [(n, lines[n - 1]) for n in near])


def _wrong_line(text: str) -> int:
    """Find the line of the smallest part that is wrong by itself."""
    try:
        whole = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return 0
    path: list[str] = []
    line = 0
    # A part, in it a kind of identifier, in that one of its settings.
    for _ in range(3):
        if not isinstance(node, yaml.MappingNode) or not isinstance(whole, dict):
            return line
        for key_node, value_node in node.value:
            inner = whole.get(key_node.value)
            if _is_wrong([*path, key_node.value], inner):
                line = int(key_node.start_mark.line) + 1
                path.append(key_node.value)
                node, whole = value_node, inner
                break
        else:
            return line
    return line


def _is_wrong(path: Sequence[str], value: object) -> bool:
    for name in reversed(path):
        value = {name: value}
    try:
        read_rules(yaml.safe_dump(value))
    except (RulesInvalid, yaml.YAMLError, RecursionError):
        return True
    return False


def case_view(told: Mapping[str, Any]) -> CaseView:
    """Give one case of a plan's document."""
    return CaseView(
        told["kind"],
        told["people_before"],
        told["people_after"],
        told["of"],
        [part(one) for one in told["identifiers"]],
        [step_of(one) for one in told["evidence"]],
    )


def part(written: str) -> tuple[str, str]:
    """Part an identifier from its namespace."""
    kind, _, value = written.partition(":")
    return kind, value


def _limit(text: str) -> str:
    if text == "none":
        return "any number"
    n, _, window = text.partition(" ")
    return f"{n}{_PER[window or 'ever']}"


def _listed(values: Sequence[str]) -> str:
    more = len(values) - _MOST_VALUES
    return ", ".join(values[:_MOST_VALUES]) + (f" and {more:,} more" if more > 0 else "")


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"
