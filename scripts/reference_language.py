"""Write down the language of audiences and features, from the code that reads it, with an example for every word.

In:    the reader's own words, what the nodes say of themselves, the sentences; the examples below.
Out:   `docs/reference/audience-language.md` as text.
Never: an example that is not read, read aloud and answered by `tests/language/test_reference_examples.py`.
"""

import json
from typing import Any, NamedTuple

import yaml

from tillit.clock import DAY
from tillit.language import nodes, reading
from tillit.language.groups import MOST_MEMBERS
from tillit.language.instants import LONGEST
from tillit.language.reading import read_condition, read_value
from tillit.language.sentences import MADE, PREDICATES, sentence

NOW = "2026-03-01T12:00:00Z"  # a Sunday

# What happened to three people: when, what, its properties.
HISTORIES: dict[str, list[tuple[str, str, str, dict[str, Any]]]] = {
    "ana": [
        ("2025-11-20T10:00:00Z", "event", "Order Completed", {"total": 80, "currency": "EUR", "cart_id": "c0"}),
        ("2026-02-20T18:30:00Z", "event", "Cart Viewed", {"cart_id": "c1"}),
        (
            "2026-02-20T18:50:00Z",
            "event",
            "Order Completed",
            {
                "total": 120,
                "currency": "EUR",
                "cart_id": "c1",
                "shipping": {"country": "SE"},
                "items": [{"sku": "tea", "price": 20}, {"sku": "pot", "price": 100}],
            },
        ),
        ("2026-03-01T11:40:00Z", "page", "Sale", {}),
        (
            "2026-03-01T11:50:00Z",
            "event",
            "Order Completed",
            {"total": 30.5, "currency": "SEK", "cart_id": "c2", "items": [{"sku": "tea", "price": 30.5}]},
        ),
    ],
    "bo": [
        ("2026-01-15T08:00:00Z", "event", "Order Completed", {"total": 45, "currency": "EUR", "gift.note": "Hej"}),
        ("2026-02-27T20:00:00Z", "event", "Cart Viewed", {"cart_id": "c9"}),
        ("2026-02-28T23:30:00Z", "event", "Cart Viewed", {"cart_id": "c9"}),
        ("2026-02-28T23:40:00Z", "screen", "Basket", {}),
    ],
    "cem": [("2025-06-01T12:00:00Z", "event", "Order Completed", {"currency": "EUR"})],
}
TRAITS: dict[str, dict[str, Any]] = {
    "ana": {
        "plan": "pro",
        "age": 34,
        "birthday": "2026-03-05",
        "signed_up": "2025-11-20",
        "tags": ["tea", "gifts"],
        "address": {"city": "Lund"},
    },
    "bo": {"plan": "free", "age": 17, "signed_up": "2026-02-25T10:00:00Z", "tags": ["tea"]},
    "cem": {},
}
FEATURES: dict[str, dict[str, Any]] = {"ana": {"lifetime value": 230.5}, "bo": {"lifetime value": 45}, "cem": {}}
AUDIENCES: dict[str, list[str]] = {"ana": ["loyal"], "bo": [], "cem": []}
PURPOSES: dict[str, list[str]] = {"ana": ["newsletter"], "bo": ["newsletter"], "cem": []}


# The groups of each: role, and what is known of the group.
GROUPS: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "ana": [("household:h1", "guardian", {})],
    "bo": [("household:h1", "none", {})],
    "cem": [("account:acme", "admin", {"plan": "pro"})],
}


class Example(NamedTuple):
    """A definition and what it gives for each person: yes or no, or a value."""

    text: str
    gives: dict[str, Any]
    python: str = ""


def _yes(*names: str) -> dict[str, Any]:
    return {name: name in names for name in HISTORIES}


_CONDITIONS: dict[str, tuple[str, list[Example]]] = {
    "everybody": ("", [Example("everybody", _yes("ana", "bo", "cem"), "everybody")]),
    "all": (
        "AllOf",
        [
            Example(
                "all:\n  - event: Order Completed\n    within: 90d\n  - trait: plan\n    equals: free",
                _yes("bo"),
                'event("Order Completed").within("90d") & (trait("plan") == "free")',
            )
        ],
    ),
    "any": (
        "AnyOf",
        [
            Example(
                "any:\n  - page: Sale\n  - screen: Basket",
                _yes("ana", "bo"),
                'page("Sale") | screen("Basket")',
            )
        ],
    ),
    "not": (
        "Not",
        [
            Example(
                "not:\n  event: Order Completed\n  within: 90d", _yes("cem"), '~event("Order Completed").within("90d")'
            )
        ],
    ),
    "event": (
        "Compare",
        [
            Example(
                "event: Order Completed\nwithin: 90d\ncount: {at_least: 2}",
                _yes("ana"),
                'event("Order Completed").within("90d").count() >= 2',
            ),
            Example("event: [Cart Viewed, Cart Cleared]", _yes("ana", "bo"), 'event("Cart Viewed", "Cart Cleared")'),
            Example("event: '*'\nwithin: 24h", _yes("ana", "bo"), 'event().within("24h")'),
        ],
    ),
    "page": ("Compare", [Example("page: Sale\nwithin: 1d", _yes("ana"), 'page("Sale").within("1d")')]),
    "screen": ("Compare", [Example("screen: '*'", _yes("bo"), "screen()")]),
    "trait": (
        "TraitValue",
        [
            Example("trait: plan\nequals: pro", _yes("ana"), 'trait("plan") == "pro"'),
            Example("trait: address.city\nequals: Lund", _yes("ana"), 'trait("address.city") == "Lund"'),
        ],
    ),
    "feature": (
        "FeatureValue",
        [Example("feature: lifetime value\nat_least: 100", _yes("ana"), 'feature("lifetime value") >= 100')],
    ),
    "first_time": (
        "FirstTime",
        [
            Example(
                "first_time:\n  event: Order Completed\n  within: 60d",
                _yes("bo"),
                'first_time(event("Order Completed").within("60d"))',
            )
        ],
    ),
    "stopped": (
        "",
        [
            Example(
                "stopped:\n  event: Order Completed\n  quiet: 30d\n  active: 90d",
                _yes("bo"),
                'stopped(event("Order Completed"), quiet="30d", active="90d")',
            )
        ],
    ),
    "restarted": (
        "Restarted",
        [
            Example(
                "restarted:\n  event: Order Completed\n  within: 30d\n  quiet: 60d",
                _yes("ana"),
                'restarted(event("Order Completed"), within="30d", quiet="60d")',
            )
        ],
    ),
    "regularly": (
        "Regularly",
        [
            Example(
                "regularly:\n  event: '*'\n  every: 7d\n  at_least: 2\n  of: 4",
                _yes("ana"),
                'regularly(event(), every="7d", at_least=2, of=4)',
            )
        ],
    ),
    "sequence": (
        "Sequence",
        [
            Example(
                "sequence:\n"
                "  steps:\n"
                "    - event: Cart Viewed\n"
                "    - event: Order Completed\n"
                "      within: 1h\n"
                "      without: {event: Cart Cleared}\n"
                "  within: 30d\n"
                "  total: 2h\n"
                "  same: cart_id",
                _yes("ana"),
                'sequence(\n    event("Cart Viewed"),\n'
                '    event("Order Completed").within("1h").without(event("Cart Cleared")),\n'
                '    within="30d",\n    total="2h",\n    same="cart_id",\n)',
            ),
            Example(
                "sequence:\n"
                "  steps:\n"
                "    - event: Cart Viewed\n"
                "  within: 7d\n"
                "  unless:\n"
                "    event: Order Completed\n"
                "    within: 12h",
                _yes("bo"),
                'sequence(event("Cart Viewed"), within="7d", unless=event("Order Completed").within("12h"))',
            ),
        ],
    ),
    "audience": ("InAudience", [Example("audience: loyal", _yes("ana"), 'audience("loyal")')]),
    "permitted": ("Permitted", [Example("permitted: newsletter", _yes("ana", "bo"), 'permitted("newsletter")')]),
    "sample": (
        "Sample",
        [
            Example("sample: {salt: spring, share: 50%}", _yes("ana"), 'sample("spring", "50%")'),
            Example(
                "sample: {salt: spring, from: 0.5, until: 1.0}",
                _yes("bo", "cem"),
                'sample("spring", from_=0.5, until=1.0)',
            ),
        ],
    ),
}

_ORDERS: dict[str, tuple[str, list[Example]]] = {
    "top": (
        (
            "Those with the `highest` or the `lowest` of a value: so many people, or a part of those who have a "
            "place, the last one whole. `of` says who is ranked, else everybody. Whoever has no number there has no "
            "place; who stands equal is told apart by profile id."
        ),
        [
            Example(
                "top:\n  by: {event: Order Completed, sum: total}\n  highest: 1",
                _yes("ana"),
                'top(event("Order Completed").sum("total"), highest=1)',
            ),
            Example(
                "top:\n  of: {event: Order Completed}\n  by: {event: Order Completed, last: total}\n  lowest: 50%\n"
                "  every: 1w",
                _yes("ana"),
                'top(event("Order Completed").last("total"), lowest="50%", of=event("Order Completed"), every="1w")',
            ),
        ],
    ),
    "limit": (
        (
            "No more than so many, or than a part: drawn by `salt`, the same people each time as long as they are "
            "there to be drawn."
        ),
        [
            Example(
                "limit:\n  of: {event: Order Completed}\n  to: 1\n  salt: spring",
                _yes("ana"),
                'limit(event("Order Completed"), to=1, salt="spring")',
            )
        ],
    ),
}

_ORDERS_TOLD = """\
Two words take the first of many people.
They stand at the root of an audience alone, and no other definition can name such an audience.
They are judged for everybody at ticks: at the whole multiples (UTC) of `every`, a day when it is not said and a \
minute at least, and when the definition comes or changes.
Between two ticks nobody enters or leaves, but for whom is forgotten; two people who become one keep one place.
The audience shows for which instant its members were chosen.
"""

_LEFT_OUT = """\
Beside `definition` the file of an audience may say who is left out all the same.

| word | what |
|---|---|
| `after: [vip, lapsing]` | whoever is in one of these audiences is not in this one: a chain of them is a \
waterfall in which nobody is twice. They are for one purpose |
| `holdout: 5%` | a part of everybody is left alone, drawn once by the audience's name; `holdout: {share: 5%, \
salt: spring}` draws by another word, the same people for each audience that says it |

Both hold at every instant, with nothing to wait for.
Of an audience that ranks, those before it are not ranked, and whoever is held out keeps their place, so that \
the others do not move up.
"""


_CONDITIONS["group"] = (
    "",
    [
        Example("group: household", _yes("ana", "bo"), 'group("household")'),
        Example("group:\n  kind: household\n  role: guardian", _yes("ana"), 'group("household", role="guardian")'),
        Example(
            "group:\n  kind: account\n  role: [admin, owner]\n  trait: plan\n  equals: pro",
            _yes("cem"),
            'group("account", role=["admin", "owner"]).trait("plan") == "pro"',
        ),
        Example("group:\n  members: {at_least: 2}", _yes("ana", "bo"), "group().members() >= 2"),
        Example(
            "group:\n  kind: household\n  member:\n    event: Order Completed\n    within: 30d\n  others_only: true",
            _yes("bo"),
            'group("household").other(event("Order Completed").within("30d"))',
        ),
        Example(
            "group:\n  kind: household\n  member: {trait: tags, equals: tea}\n  count: {at_least: 2}",
            _yes("ana", "bo"),
            'group("household").member(trait("tags") == "tea").count() >= 2',
        ),
    ],
)

_WINDOWS: dict[str, tuple[str, list[Example]]] = {
    "none": (
        "Ever",
        [Example("event: Order Completed\ncount: 1", _yes("bo", "cem"), 'event("Order Completed").count() == 1')],
    ),
    "within": (
        "Rolling",
        [Example("event: Order Completed\nwithin: 30d", _yes("ana"), 'event("Order Completed").within("30d")')],
    ),
    "older_than": (
        "Rolling",
        [
            Example(
                "event: Order Completed\nwithin: 90d\nolder_than: 30d",
                _yes("bo"),
                'event("Order Completed").within("90d", older_than="30d")',
            ),
            Example(
                "event: Order Completed\nolder_than: 100d",
                _yes("ana", "cem"),
                'event("Order Completed").older_than("100d")',
            ),
        ],
    ),
    "from, until": (
        "Absolute",
        [
            Example(
                "event: Order Completed\nfrom: '2026-01-01'\nuntil: '2026-02-01T09:30:00Z'",
                _yes("bo"),
                'event("Order Completed").between("2026-01-01", "2026-02-01T09:30:00Z")',
            )
        ],
    ),
    "calendar": (
        "Calendar",
        [
            Example(
                "event: Cart Viewed\ncalendar: {unit: month, zone: Europe/Stockholm}",
                _yes("bo"),
                'event("Cart Viewed").during("month", zone="Europe/Stockholm")',
            ),
            Example(
                "event: Order Completed\ncalendar: {unit: month, back: 2, length: 2}",
                _yes("ana", "bo"),
                'event("Order Completed").during("month", back=2, length=2)',
            ),
        ],
    ),
    "since_last": (
        "SinceLast",
        [
            Example(
                "event: Cart Viewed\nsince_last: {event: Order Completed}\nwithin: 90d",
                _yes("bo"),
                'event("Cart Viewed").since_last(event("Order Completed"), within="90d")',
            )
        ],
    ),
    "session": (
        "Session",
        [Example("event: Order Completed\nsession: 30m", _yes("ana"), 'event("Order Completed").session("30m")')],
    ),
}

_O = "event: Order Completed\n"
_AGGREGATES: dict[str, Example] = {
    "count": Example(f"{_O}count: true", {"ana": 3, "bo": 1, "cem": 1}, 'event("Order Completed").count()'),
    "sum": Example(f"{_O}sum: total", {"ana": 230.5, "bo": 45, "cem": 0}, 'event("Order Completed").sum("total")'),
    "average": Example(
        f"{_O}within: 30d\naverage: total",
        {"ana": 75.25, "bo": None, "cem": None},
        'event("Order Completed").within("30d").average("total")',
    ),
    "minimum": Example(
        f"{_O}minimum: total", {"ana": 30.5, "bo": 45, "cem": None}, 'event("Order Completed").minimum("total")'
    ),
    "maximum": Example(
        f"{_O}maximum: total", {"ana": 120, "bo": 45, "cem": None}, 'event("Order Completed").maximum("total")'
    ),
    "distinct": Example(
        f"{_O}distinct: currency", {"ana": 2, "bo": 1, "cem": 1}, 'event("Order Completed").distinct("currency")'
    ),
    "first": Example(
        f"{_O}within: 30d\nfirst: currency",
        {"ana": "EUR", "bo": None, "cem": None},
        'event("Order Completed").first("currency", within="30d")',
    ),
    "last": Example(
        f"{_O}last: currency", {"ana": "SEK", "bo": "EUR", "cem": "EUR"}, 'event("Order Completed").last("currency")'
    ),
    "most_frequent": Example(
        f"{_O}most_frequent: currency",
        {"ana": "EUR", "bo": "EUR", "cem": "EUR"},
        'event("Order Completed").most_frequent("currency")',
    ),
}

_TESTS: dict[str, Example] = {
    "equals": Example("trait: age\nequals: 17", _yes("bo")),
    "not_equals": Example("trait: plan\nnot_equals: pro", _yes("bo", "cem"), 'trait("plan") != "pro"'),
    "greater": Example("trait: age\ngreater: 17", _yes("ana"), 'trait("age") > 17'),
    "at_least": Example("trait: age\nat_least: 17", _yes("ana", "bo"), 'trait("age") >= 17'),
    "less": Example("trait: age\nless: 34", _yes("bo"), 'trait("age") < 34'),
    "at_most": Example("trait: age\nat_most: 34", _yes("ana", "bo"), 'trait("age") <= 34'),
    "between": Example("trait: age\nbetween: [18, 34]", _yes("ana"), 'trait("age").passes(between=[18, 34])'),
    "one_of": Example(
        "trait: plan\none_of: [free, trial]", _yes("bo"), 'trait("plan").passes(one_of=["free", "trial"])'
    ),
    "none_of": Example("trait: plan\nnone_of: [free, trial]", _yes("ana", "cem")),
    "all_of": Example("trait: tags\nall_of: [tea, gifts]", _yes("ana")),
    "contains": Example("trait: plan\ncontains: r", _yes("ana", "bo")),
    "not_contains": Example("trait: plan\nnot_contains: ro", _yes("bo", "cem")),
    "starts_with": Example("trait: plan\nstarts_with: p", _yes("ana")),
    "ends_with": Example("trait: plan\nends_with: ee", _yes("bo")),
    "matches": Example("trait: plan\nmatches: ^(pro|plus)$", _yes("ana")),
    "before": Example("trait: signed_up\nbefore: '2026-01-01'", _yes("ana")),
    "after": Example("trait: signed_up\nafter: '2026-01-01'", _yes("bo")),
    "within_last": Example("trait: signed_up\nwithin_last: 7d", _yes("bo")),
    "more_than_ago": Example("trait: signed_up\nmore_than_ago: 90d", _yes("ana")),
    "within_next": Example("trait: birthday\nwithin_next: 7d", _yes("ana")),
    "is_set": Example("trait: plan\nis_set: true", _yes("ana", "bo"), 'trait("plan").passes(is_set=True)'),
    "is_missing": Example("trait: plan\nis_missing: true", _yes("cem")),
}

_CLAUSES: list[tuple[str, Example]] = [
    (
        "Several properties stand beside each other: all of them are to be so.",
        Example(
            f"{_O}where:\n  total: {{at_least: 45}}\n  currency: EUR",
            _yes("ana", "bo"),
            'event("Order Completed").where(total__gte=45, currency="EUR")',
        ),
    ),
    (
        "A dot goes into a property; a list of values means one of them.",
        Example(
            f"{_O}where:\n  shipping.country: [SE, FI]",
            _yes("ana"),
            'event("Order Completed").where(prop("shipping.country").passes(one_of=["SE", "FI"]))',
        ),
    ),
    (
        "`property` names one whose name has a dot in it, or is `all`, `any`, `not` or `property`.",
        Example(
            f"{_O}where:\n  property: [gift.note]\n  is_set: true",
            _yes("bo"),
            'event("Order Completed").where(prop(["gift.note"]).passes(is_set=True))',
        ),
    ),
    (
        "`all`, `any` and `not` join.",
        Example(
            f"{_O}where:\n  any:\n    - total: {{greater: 100}}\n"
            "    - all: [{currency: EUR}, {not: {total: {is_set: true}}}]",
            _yes("ana", "cem"),
            'event("Order Completed").where(\n'
            '    (prop("total") > 100) | ((prop("currency") == "EUR") & ~prop("total").passes(is_set=True))\n)',
        ),
    ),
    (
        "`some`: at least one element of a list is so, all of it in the same element.",
        Example(
            f"{_O}where:\n  items:\n    some: {{sku: tea, price: {{greater: 25}}}}",
            _yes("ana"),
            'event("Order Completed").where(prop("items").some(sku="tea", price__gt=25))',
        ),
    ),
    (
        "`every`: there are elements, and all are so.",
        Example(
            f"{_O}within: 1d\nwhere:\n  items:\n    every: {{sku: tea}}",
            _yes("ana"),
            'event("Order Completed").within("1d").where(prop("items").every(sku="tea"))',
        ),
    ),
    (
        "`none`: no element is so; a property that is no list has none.",
        Example(
            f"{_O}within: 60d\nwhere:\n  items:\n    none: {{sku: tea}}",
            _yes("bo"),
            'event("Order Completed").within("60d").where(prop("items").none(sku="tea"))',
        ),
    ),
]

# What is refused beyond: a word for it, the most that is read, and how to write so much of it.
LIMITS: list[tuple[str, int, str]] = [
    ("parts of a definition", reading.MOST_NODES, "parts"),
    ("conditions in one another", reading._DEEPEST, "depth"),
    ("names of one event, page or screen", reading._MOST_NAMES, "names"),
    ("steps of a sequence", reading._MOST_STEPS, "steps"),
    ("properties that steps agree on", 3, "same"),
    ("values of `one_of`, `none_of` or `all_of`", 1_000, "values"),
    ("characters of a text that is compared with", reading._LONGEST_TEXT, "text"),
    ("names in a path", 8, "path"),
    ("stretches of `regularly`", 400, "stretches"),
    ("units back, and units long, of `calendar`", 4_000, "units"),
    ("days of a span of time", LONGEST // DAY, "days"),
    ("hours of a pause within a visit", 24, "pause"),
]

_HEAD = f"""\
# The language of audiences and features

Made from the code by `make docs`; do not edit.

A definition says who is in an audience, or what the value of a feature is.
It is data, in YAML or JSON, or written in Python; nothing in it is run.
It is answered as events arrive and as a query over all history, with one meaning.
Every example on this page is read, read aloud and answered for the people below by the tests.

An event counts from the instant at which it happened; one that is dated in the future has not happened yet.
Of events at one instant the order of the log decides.
A span of time is a whole number and `s`, `m`, `h`, `d`, `w` or `y` (365 days): `30m`, `36h`, `90d`.
An instant is `2026-03-01` (its first moment, UTC) or `2026-03-01T09:30:00Z`; in YAML it stands in quotes.
So does a text that YAML takes for something else: without quotes `NO` and `on` are false and true.

## The people of the examples

It is {NOW}, a Sunday.

| who | when | what | properties |
|---|---|---|---|
"""

_AFTER_HISTORY = """
| who | traits | features | audiences | permitted |
|---|---|---|---|---|
"""

_AFTER_TRAITS = """
| who | role | group and what is known of it |
|---|---|---|
"""

_MISSING = """\
A value is missing when nobody said it, or said null.
A list passes a test when one of its elements does; an object passes `is_set` alone.
A number in quotes is a text, and a text is no number.
The three that compare with now are for traits, features, and the first, last and most frequent value of events.
"""

_KINDS = (
    ("two numbers, both count", ("between",)),
    ("a number", tuple(sorted(reading._NUMERIC))),
    ("a text", tuple(sorted(reading._TEXTUAL - {"matches"}))),
    ("a pattern (RE2)", ("matches",)),
    ("a list", tuple(sorted(reading._LISTS))),
    ("a span", tuple(sorted(reading._SPANS))),
    ("an instant", ("before", "after")),
    ("true or false", ("is_set", "is_missing")),
    ("a text, a number, true or false", ("equals", "not_equals")),
)


def language_page() -> str:
    """Give the reference page of the language, in Markdown."""
    lines = [_HEAD.rstrip("\n")]
    lines += [
        f"| {name} | {at} | {kind} {what} | {json.dumps(properties)} |"
        for name, history in HISTORIES.items()
        for at, kind, what, properties in history
    ]
    lines.append(_AFTER_HISTORY.rstrip("\n"))
    lines += [
        f"| {name} | {json.dumps(TRAITS[name])} | {json.dumps(FEATURES[name])} | {json.dumps(AUDIENCES[name])} "
        f"| {json.dumps(PURPOSES[name])} |"
        for name in HISTORIES
    ]
    lines.append(_AFTER_TRAITS.rstrip("\n"))
    lines += [
        f"| {name} | {role} | {key} {json.dumps(known)} |"
        for name, groups in GROUPS.items()
        for key, role, known in groups
    ]
    lines += ["", "## Conditions", ""]
    for word, (node, examples) in _CONDITIONS.items():
        lines += [f"### `{word}`", "", _CONDITION_TOLD.get(word) or _told(node), ""]
        lines += [line for example in examples for line in _shown(example, is_value=False)]
    lines += ["## Orders", "", *_ORDERS_TOLD.splitlines(), ""]
    for word, (said, examples) in _ORDERS.items():
        lines += [f"### `{word}`", "", said, ""]
        lines += [line for example in examples for line in _shown(example, is_value=False)]
    lines += ["## Windows", "", "When events count. One of them stands beside `event`, `page` or `screen`.", ""]
    for word, (node, examples) in _WINDOWS.items():
        lines += [f"### {'no window' if word == 'none' else _coded(word)}", "", _told(node), ""]
        lines += [line for example in examples for line in _shown(example, is_value=False)]
    lines += ["## What is made of events", "", *_aggregates()]
    lines += [
        "## Tests",
        "",
        _MISSING,
        "| test | compares with | read aloud | of a missing value |",
        "|---|---|---|---|",
    ]
    for op, of_missing in nodes.OF_MISSING.items():
        kind = next(kind for kind, ops in _KINDS if op in ops)
        lines.append(
            f"| `{op}` | {kind} | {PREDICATES[op].format('…')} | {'holds' if of_missing else 'does not hold'} |"
        )
    lines += [""]
    for op, example in _TESTS.items():
        lines += [f"### `{op}`", "", *_shown(example, is_value=False)]
    lines += ["## Properties of events", "", "`where` says what the properties of an event are to be.", ""]
    for told, example in _CLAUSES:
        lines += [told, "", *_shown(example, is_value=False)]
    lines += ["## Who is left out", "", *_LEFT_OUT.splitlines(), ""]
    lines += [
        "## Limits",
        "",
        "More is refused, with the place where it stands.",
        "",
        "| what | at most |",
        "|---|---|",
    ]
    lines += [f"| {what} | {most:,} |" for what, most, _ in LIMITS]
    return "\n".join(lines) + "\n"


_CONDITION_TOLD = {
    "everybody": "Holds for everyone.",
    "event": "Such events happened: at least once, or as often as `count` says, or what is made of them passes tests.",
    "page": "The same of pages that were viewed.",
    "screen": "The same of screens.",
    "trait": "A trait, as the profile shows it, passes every one of some tests. A dot goes into it.",
    "feature": "The value of a feature that is defined elsewhere passes every one of some tests.",
    "group": (
        "Belongs now to a group of which all of this is so. `kind`: household, account, or what you call groups; `*` "
        "or nothing: any. `role`: theirs in it, one or a list. `trait` and tests: of the group itself. `members`: how "
        "many it has, they among them. `member`: a condition, and `count`: for how many of its members it holds (at "
        "least one), the person among them unless `others_only`; it cannot ask about groups in turn. Members, and what "
        "was said of a group, count when the audience's purpose may use whoever it is. Of a group the first "
        f"{MOST_MEMBERS:,} identifiers of whom something was said of it are looked at; whoever comes later belongs to "
        "it, and neither counts as a member nor finds any."
    ),
    "stopped": "Such events happened in the span `active`, and none in the span `quiet` after it, up to now.",
}


def _told(node: str) -> str:
    """Give what a node says of itself."""
    told = (getattr(nodes, node).__doc__ or "").split("\n\n")
    return " ".join(" ".join(part.split()) for part in told)


def _coded(words: str) -> str:
    return ", ".join(f"`{word}`" for word in words.split(", "))


def _aggregates() -> list[str]:
    lines = [
        "Each is compared with tests (`sum: {of: total, greater: 100}`) or is the value of a feature (`sum: total`).",
        "Without one of them events are counted.",
        "Numbers are added in whole millionths; what is no number is left out of sums, averages, minimum and maximum.",
        "Where there is nothing to make it of, a sum or a count is 0 and everything else is missing.",
        "",
    ]
    for kind, example in _AGGREGATES.items():
        lines += [f"### `{kind}`", "", f"Gives {MADE[kind].format('a property')} the events.", ""]
        lines += _shown(example, is_value=True)
    return lines


def _shown(example: Example, *, is_value: bool) -> list[str]:
    plain = yaml.safe_load(example.text)
    said = sentence(read_value(plain) if is_value else read_condition(plain))
    gives = " · ".join(f"{name}: {_given(one)}" for name, one in example.gives.items())
    python = ["```python", *example.python.splitlines(), "```", ""] if example.python else []
    return ["```yaml", *example.text.splitlines(), "```", "", *python, f"> {said}", "", gives, ""]


def _given(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "missing" if value is None else json.dumps(value)
