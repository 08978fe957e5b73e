"""Every example of the reference page is read, read aloud, written in Python, and answered as the page says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from scripts.reference_language import LIMITS, NOW
from tests.language.small_world import Happening, SmallGroup, SmallPerson
from tillit.clock import instant
from tillit.language import nodes, reading
from tillit.language import python as define
from tillit.language.live import compile_condition, compile_value
from tillit.language.nodes import OF_MISSING, Condition, Value
from tillit.language.ranks import members_of
from tillit.language.reading import LanguageInvalid, read_condition, read_value
from tillit.language.sentences import sentence
from tillit.language.values import NEVER, passes
from tillit.language.why import explain
from tillit.language.writing import to_plain

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "audience-language.md"
BLOCK = re.compile(
    r"^```yaml\n(?P<text>.*?)^```\n\n(?:^```python\n(?P<python>.*?)^```\n\n)?"
    r"^> (?P<said>[^\n]*)\n\n(?P<gives>\w+: [^\n]*)$",
    re.MULTILINE | re.DOTALL,
)
AT = instant(NOW) or 0


class Shown(NamedTuple):
    """An example as the page shows it."""

    text: str
    python: str
    said: str
    gives: dict[str, str]


def rows(section: str, n: int) -> Iterator[list[str]]:
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == n and cells[0] not in ("who", "---"):
            yield cells


@cache
def people() -> dict[str, SmallPerson]:
    """Read the people of the examples from the page."""
    section = PAGE.read_text(encoding="utf-8").partition("## The people of the examples")[2].partition("## ")[0]
    found: dict[str, SmallPerson] = {}
    for name, traits, features, audiences, purposes in rows(section, 5):
        found[name] = SmallPerson(
            profile_id=name,
            strands=[[]],
            traits=json.loads(traits),
            features=json.loads(features),
            memberships=dict.fromkeys(json.loads(audiences), NEVER),
            purposes=dict.fromkeys(json.loads(purposes), NEVER),
        )
        found[name].logged_at = AT
    for name, at, what, properties in rows(section, 4):
        kind, _, called = what.partition(" ")
        told = Happening(instant(at) or 0, "track" if kind == "event" else kind, called, json.loads(properties))
        found[name].strands[0].append(told)
    for name, role, what in rows(section, 3):
        key, _, known = what.partition(" ")
        found[name].groups[key] = SmallGroup(None if role == "none" else role, json.loads(known), [])
    for one in found.values():
        for key, group in one.groups.items():
            group.members.extend(other for other in found.values() if key in other.groups)
    return found


def shown() -> list[Shown]:
    return [
        Shown(
            one["text"],
            one["python"] or "",
            one["said"],
            dict(part.split(": ", 1) for part in one["gives"].split(" · ")),
        )
        for one in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))
    ]


def read(text: str) -> Condition | Value:
    plain = yaml.safe_load(text)
    made = next((plain[kind] for kind in nodes.AGGREGATES if kind in plain), None) if isinstance(plain, dict) else None
    return read_value(plain) if made is True or isinstance(made, str) else read_condition(plain)


EXAMPLES = shown()


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.said for example in EXAMPLES])
def test_an_example_says_and_gives_what_the_page_says(example: Shown) -> None:
    node = read(example.text)
    given = {}
    for name, person in people().items():
        person.with_tapes(node)
        if isinstance(node, nodes.Ranked):
            for other in people().values():
                other.with_tapes(node)
            given[name] = "yes" if name in members_of(node, people().values(), AT) else "no"
        elif isinstance(node, nodes.EventValue | nodes.TraitValue | nodes.FeatureValue):
            value = compile_value(node)(person, AT)[0]
            given[name] = "missing" if value is None else json.dumps(value).removesuffix(".0")
        else:
            holds = compile_condition(node)(person, AT)[0]
            given[name] = "yes" if holds else "no"
            assert explain(node, person, AT).holds is holds

    assert sentence(node) == example.said
    assert given == example.gives
    if not isinstance(node, nodes.Everybody | nodes.EventValue):
        assert set(given.values()) == {"yes", "no"}, "an example tells somebody from somebody"
    assert read(yaml.safe_dump(to_plain(node), sort_keys=False)) == node


@pytest.mark.parametrize("example", [one for one in EXAMPLES if one.python], ids=lambda one: one.said)
def test_python_says_the_same(example: Shown) -> None:
    words = {name: getattr(define, name) for name in vars(define) if not name.startswith("_")}

    written = eval(example.python, words)

    assert written.node == read(example.text)


def test_there_is_an_example_for_every_word() -> None:
    used = {word for example in EXAMPLES for word in words_of(yaml.safe_load(example.text))}
    known = {
        *reading._Reader()._conditions(),
        *reading._ORDERS,
        *("by", "highest", "lowest", "to"),
        *OF_MISSING,
        *nodes.AGGREGATES,
        *reading._WINDOWS,
        *reading._CLAUSES,
        *("where", "quiet", "active", "every", "of", "steps", "without", "total", "same", "unless"),
        *reading._GROUP,
        *("unit", "back", "length", "zone", "salt", "share"),
    }

    assert sorted(known - used) == []


def words_of(plain: Any) -> Iterator[str]:
    if isinstance(plain, dict):
        for word, one in plain.items():
            yield word
            yield from words_of(one)
    elif isinstance(plain, list):
        for one in plain:
            yield from words_of(one)


def test_the_table_of_tests_says_what_is_true_of_a_missing_value() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("\n## Tests\n")[2].partition("\n### ")[0]
    told = {cells[0].strip("`"): cells[3] == "holds" for cells in rows(section, 4) if cells[0].startswith("`")}
    wanted: dict[str, Any] = {"one_of": ("a",), "none_of": ("a",), "all_of": ("a",), "between": (1.0, 2.0)}

    found = {op: passes(nodes.Test(op, wanted.get(op, 1)), None, AT) for op in OF_MISSING}

    assert told == found == OF_MISSING


def definition_of(what: str, n: int) -> Any:
    """Write a definition with so much of something."""
    if what == "parts":
        # The list, and two for each condition in it: itself and which events.
        return {
            "all": [{"event": "A"}] * ((n - 1) // 2) + ["everybody"] * (1 - n % 2) + [{"audience": "b"}] * ((n - 1) % 2)
        }
    if what == "depth":
        told: Any = {"audience": "a"}
        for _ in range(n - 1):
            told = {"not": told}
        return told
    return {
        "names": {"event": [str(i) for i in range(n)]},
        "steps": {"sequence": {"steps": [{"event": "A"}] * n, "within": "1d"}},
        "same": {"sequence": {"steps": [{"event": "A"}] * 2, "within": "1d", "same": [str(i) for i in range(n)]}},
        "values": {"trait": "a", "one_of": list(range(n))},
        "text": {"trait": "a", "equals": "x" * n},
        "path": {"trait": ".".join("a" * n), "is_set": True},
        "stretches": {"regularly": {"event": "A", "every": "1s", "at_least": 1, "of": n}},
        "units": {"event": "A", "calendar": {"unit": "day", "back": n, "length": n}},
        "days": {"event": "A", "within": f"{n}d"},
        "pause": {"event": "A", "session": f"{n}h"},
    }[what]


@pytest.mark.parametrize(("told", "most", "what"), LIMITS, ids=[what for _, _, what in LIMITS])
def test_so_much_is_read_and_no_more(told: str, most: int, what: str) -> None:
    assert f"| {told} | {most:,} |" in PAGE.read_text(encoding="utf-8")
    read_condition(definition_of(what, most))

    with pytest.raises(LanguageInvalid):
        read_condition(definition_of(what, most + 1))
