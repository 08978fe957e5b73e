"""Who belongs to which group at an instant, from what was said.

In:    statements of one person; rows of group_member and group_trait.
Out:   the groups a person belongs to; the strands that speak of a group; a group's own traits.
Never: a person made of a group: groups join nobody.

Of all that was said of a person and a group the best trusted counts, of that the latest. When it says that they belong,
what was said with the same trust before it, back to the last time they left, says since when and in which role.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from tillit.groups.said import NO_END, Statement
from tillit.groups.writer import Key
from tillit.store import Reading

# Of one strand, the newest in the log. Taste: a page that says it at every load, for a year.
_MOST_STATEMENTS = 1_000
_MOST_TRAITS = 200
_MOST_SAYING = 50  # of one trait, looked through for one who may be heard
_COLUMNS = "group_key, identifier_id, part, position, event_at, trust, source, is_member, role, since_at, until_at"

_decode = msgspec.msgpack.Decoder().decode


class GroupPlace(NamedTuple):
    """A person's place in a group. Grain: one per group they belong to."""

    group_key: str
    role: str | None
    since_at: int  # UTC epoch microseconds: as it was said, else the event that said first that they belong
    until_at: int | None
    trust: int
    source: str
    position: int  # of the event that counts


class GroupTrait(NamedTuple):
    """One trait of a group."""

    name: str
    value: Any
    trust: int
    event_at: int
    position: int
    source: str


def judge_places(statements: Iterable[Statement], at: int) -> list[GroupPlace]:
    """Say to which groups a person belongs at an instant, in the order of their names.

    >>> said = Statement("household:h1", 64, 0, 1, 5, 2, "till", 1, "guardian", None, None)
    >>> [(one.role, one.since_at) for one in judge_places([said, said._replace(position=2, event_at=9)], at=10)]
    [('guardian', 5)]
    >>> judge_places([said, said._replace(position=2, event_at=9, is_member=0)], at=10)
    []
    """
    by_group: dict[str, list[Statement]] = {}
    for one in statements:
        by_group.setdefault(one.group_key, []).append(one)
    return [place for _, said in sorted(by_group.items()) if (place := _place(said, at)) is not None]


def _place(said: list[Statement], at: int) -> GroupPlace | None:
    said.sort(key=lambda one: (one.trust, one.event_at, one.position), reverse=True)
    counts = said[0]
    run: list[Statement] = []
    for one in said:
        if one.trust != counts.trust or not one.is_member:
            break
        run.append(one)
    if not run:
        return None
    role = next((one.role for one in run if one.role is not None), None)
    since = next((one.since_at for one in run if one.since_at is not None), None)
    until = next((one.until_at for one in run if one.until_at is not None), NO_END)
    if until <= at or (since is not None and since > at):
        return None
    return GroupPlace(
        group_key=counts.group_key,
        role=role or None,
        since_at=since if since is not None else run[-1].event_at,
        until_at=until if until < NO_END else None,
        trust=counts.trust,
        source=counts.source,
        position=counts.position,
    )


def load_statements(reading: Reading, keys: Sequence[Key]) -> list[Statement]:
    """Read what was said of the groups of whoever these strands are."""
    told = set(keys)
    ids = sorted({identifier_id for identifier_id, _ in keys})
    found = reading.read_in("SELECT DISTINCT identifier_id, part FROM group_member WHERE identifier_id IN {in}", ids)
    return [
        Statement(*row)
        for key in sorted({(row[0], row[1]) for row in found} & told)
        for row in reading.read(
            f"SELECT {_COLUMNS} FROM group_member WHERE identifier_id = ? AND part = ? "
            f"ORDER BY position DESC LIMIT {_MOST_STATEMENTS}",
            key,
        )
    ]


def list_anchors(reading: Reading, group_key: str, *, after: int, limit: int) -> list[int]:
    """Give the identifiers of whom something was said of a group, in the order of their ids, beyond one of them."""
    rows = reading.read(
        "SELECT DISTINCT identifier_id FROM group_member WHERE group_key = ? AND identifier_id > ? "
        "ORDER BY identifier_id LIMIT ?",
        (group_key, after, limit),
    )
    return [identifier_id for (identifier_id,) in rows]


def list_sayings(reading: Reading, group_key: str, name: str) -> list[tuple[Key, Any]]:
    """Give what strands said of one trait of a group, the best first, at most 50: (strand, value)."""
    rows = reading.read(
        "SELECT identifier_id, part, value FROM group_trait WHERE group_key = ? AND name = ? "
        "ORDER BY trust DESC, event_at DESC, position DESC LIMIT ?",
        (group_key, name, _MOST_SAYING),
    )
    return [((identifier_id, part), _decode(value)) for identifier_id, part, value in rows]


def list_large(reading: Reading, than: int) -> list[str]:
    """Give the groups of which something was said of more identifiers than so many."""
    rows = reading.read(
        "SELECT group_key FROM group_member GROUP BY group_key HAVING count(DISTINCT identifier_id) > ?", (than,)
    )
    return [group_key for (group_key,) in rows]


def iter_statements(reading: Reading) -> Iterator[Sequence[Statement]]:
    """Give what was said of everybody's groups, strand by strand, of each as much as is read of one person."""
    for _, said in groupby(_all_statements(reading), key=itemgetter(1, 2)):
        yield deque(said, maxlen=_MOST_STATEMENTS)


def _all_statements(reading: Reading) -> Iterator[Statement]:
    after: tuple[int, ...] = (-1, -1, -1)
    while rows := reading.read(
        f"SELECT {_COLUMNS} FROM group_member WHERE (identifier_id, part, position) > (?, ?, ?) "
        "ORDER BY identifier_id, part, position LIMIT 20000",
        after,
    ):
        yield from map(Statement._make, rows)
        after = tuple(rows[-1][1:4])


def iter_sayings(reading: Reading, name: str) -> Iterator[tuple[str, list[tuple[Key, Any]]]]:
    """Give what strands said of one trait, group by group, as `list_sayings` does."""
    after = ""
    while rows := reading.read(
        "SELECT DISTINCT group_key FROM group_trait WHERE group_key > ? AND name = ? ORDER BY group_key LIMIT 1000",
        (after, name),
    ):
        for (group_key,) in rows:
            yield group_key, list_sayings(reading, group_key, name)
        after = rows[-1][0]


def list_traits(reading: Reading, group_key: str, may_hear: Callable[[int], bool] = lambda _: True) -> list[GroupTrait]:
    """Give a group's own traits: of each the best trusted, of those the latest; at most 200, in the order of names."""
    found: list[GroupTrait] = []
    after = ""
    for _ in range(_MOST_TRAITS):
        # One step through the index for each name, however many events said it.
        (name,) = reading.read(
            "SELECT min(name) FROM group_trait WHERE group_key = ? AND name > ?", (group_key, after)
        )[0]
        if name is None:
            break
        after = name
        trait = find_trait(reading, group_key, name, may_hear)
        if trait is not None:
            found.append(trait)
    return found


def find_trait(
    reading: Reading, group_key: str, name: str, may_hear: Callable[[int], bool] = lambda _: True
) -> GroupTrait | None:
    """Give one trait of a group; None when nobody said it or it was taken back.

    It is one that somebody said who may be heard, asked for by the number of their identifier; of the best 50.
    """
    rows = reading.read(
        "SELECT name, value, trust, event_at, position, source, identifier_id FROM group_trait "
        "WHERE group_key = ? AND name = ? ORDER BY trust DESC, event_at DESC, position DESC LIMIT ?",
        (group_key, name, _MOST_SAYING),
    )
    heard = next((row for row in rows if may_hear(row[-1])), None)
    if heard is None:
        return None
    said, value, *rest = heard[:-1]
    decoded = _decode(value)
    return GroupTrait(said, decoded, *rest) if decoded is not None else None
