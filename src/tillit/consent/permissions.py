"""Permissions: what a question about many people is joined to, so that nobody is asked for who may not be.

In:    the policy; what decisions about one person hang on, at any instant.
Out:   rows of permission: the stretches of time in which somebody is to be judged otherwise than a stranger; SQL.
Never: a second way to decide: each stretch is what `decide` says in it. An answer from before somebody said more: who
       is to be judged again is left out of the table's answer.

A stranger is somebody of whom nothing is known. What a purpose may do with a stranger's data holds for nearly
everybody, so that only the others have rows. Time is in the rows (a consent that ends, a child that grows up), so that
nothing has to be looked at again when a moment passes.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from tillit.consent.decide import Subject, decide, subject_of
from tillit.consent.policy import Declared
from tillit.errors import InputError
from tillit.records import Scope
from tillit.store import Reading, Writing

EVER = 1 << 62
_STRANGER = subject_of("", (), selves=(), devices=frozenset(), is_known=False)
_DUE = 0

Stretch = tuple[int, int, int]  # lane, from_at, until_at
Judged = dict[int, list[Stretch]]  # by the root of a person's identifiers


class Lane(NamedTuple):
    """One way in which people are asked for."""

    purpose: str
    channel: str
    jurisdiction: str
    number: int = -1  # by which the table knows it, under these purposes
    is_open: bool = False  # to strangers


class ChannelUndeclared(InputError):
    """Many people were asked for by a channel that the purpose does not name."""

    code = "consent.channel-undeclared"

    def __init__(self, scope: Scope) -> None:
        """Say which."""
        super().__init__(
            f"The purpose {scope.purpose!r} names no channels, so that permissions are not kept by channel. Declare "
            "`channels` for it, or ask without a channel.",
            purpose=scope.purpose,
        )


class Many(NamedTuple):
    """Leave for many, for SQL."""

    is_open: bool  # strangers are permitted
    otherwise: str  # a query: the roots of whoever is judged otherwise than a stranger
    params: tuple[int, ...]  # of it

    def condition(self, column: str) -> str:
        """Give the condition on a column that holds roots: who is permitted. Its parameters are `params`."""
        return f"{column} {'NOT ' if self.is_open else ''}IN ({self.otherwise})"


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 2 or 1


def terms_of(declared: Declared, adult_age: int) -> int:
    """Give what permissions are judged under, as a number above 0."""
    return _number(f"{declared.hash} {adult_age}")


def lanes_of(declared: Declared) -> list[Lane]:
    """Give the ways in which people are asked for."""
    lanes = [
        Lane(name, channel, jurisdiction)
        for name, purpose in declared.purposes.items()
        for channel in ("", *purpose.channels)
        for jurisdiction in ("", *purpose.jurisdictions)
    ]
    return [
        one._replace(number=number, is_open=_permits(declared, one, _STRANGER, 0)) for number, one in enumerate(lanes)
    ]


def _lane_of(declared: Declared, scope: Scope) -> Lane | None:
    """Give the lane of a scope; None when it is nobody's. Raises ChannelUndeclared."""
    purpose = declared.purposes.get(scope.purpose)
    if purpose is None or (scope.recipient and scope.recipient not in purpose.recipients):
        return None
    if scope.channel and scope.channel not in purpose.channels:
        if purpose.channels:
            return None
        raise ChannelUndeclared(scope)
    asked = (scope.purpose, scope.channel, scope.jurisdiction if scope.jurisdiction in purpose.jurisdictions else "")
    return next(one for one in lanes_of(declared) if one[:3] == asked)


def _permits(declared: Declared, lane: Lane, subject: Subject, at: int) -> bool:
    return decide(
        declared, subject, lane.purpose, at=at, channel=lane.channel, jurisdiction=lane.jurisdiction
    ).is_permitted


# -- one person


def stretches(
    declared: Declared, lanes: Sequence[Lane], subject_at: Callable[[int], Subject], *, turns: Collection[int]
) -> list[Stretch]:
    """Give the stretches in which somebody is judged otherwise than a stranger.

    `turns`: instants at which facts about them change. Units: UTC epoch microseconds.
    """
    told = [one for some in subject_at(0).statements.values() for one in some]
    said = [one for one in told if one.gives]
    ends = {*turns, *(one.valid_until for one in said if one.valid_until is not None)}
    # Where nobody spoke of channels, they are all judged alike.
    by_channel = any(one.channels for one in told)
    subjects: dict[int, Subject] = {}
    judged: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    found = []
    for lane in lanes:
        way = lane.purpose, lane.channel if by_channel else "", lane.jurisdiction
        if way not in judged:
            span = declared.purposes[lane.purpose].valid_us
            mine = ends if span is None else {*ends, *(one.said_at + span for one in said)}
            instants = [0, *sorted(at for at in mine if 0 < at < EVER)]
            for at in instants:
                if at not in subjects:
                    subjects[at] = subject_at(at)
            judged[way] = _otherwise(declared, lane, [(at, subjects[at]) for at in instants])
        found += [(lane.number, from_at, until) for from_at, until in judged[way]]
    return found


def _otherwise(declared: Declared, lane: Lane, subjects: Sequence[tuple[int, Subject]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    begun: int | None = None
    for at, subject in subjects:
        differs = _permits(declared, lane, subject, at) != lane.is_open
        if differs and begun is None:
            begun = at
        elif not differs and begun is not None:
            found.append((begun, at))
            begun = None
    return found if begun is None else [*found, (begun, EVER)]


# -- the table


def mark_due(tx: Writing, ids: Iterable[int]) -> None:
    """Say that whoever holds these identifiers is to be judged again."""
    _keep_grounds(tx, ids, _DUE)


def _keep_grounds(tx: Writing, ids: Iterable[int], terms: int) -> None:
    tx.executemany(
        "INSERT INTO permission_ground (identifier_id, terms) VALUES (?, ?) "
        "ON CONFLICT (identifier_id) DO UPDATE SET terms = excluded.terms",
        [(i, terms) for i in sorted(set(ids))],
    )


def mark_joined(tx: Writing, ids: Iterable[int]) -> None:
    """Say that these identifiers came to others, or went: whoever held them or holds them is to be judged again.

    Where nothing was ever said at any of theirs nothing is to be judged.
    """
    told = [(i,) for i in sorted(set(ids))]
    tx.executemany(f"UPDATE permission_ground SET terms = {_DUE} WHERE identifier_id = ?", told)
    tx.executemany(
        f"UPDATE permission_ground SET terms = {_DUE} WHERE identifier_id = "
        "(SELECT root_id FROM identifier WHERE identifier_id = ?)",
        told,
    )


def mark_all(tx: Writing, grounds: Iterable[int]) -> None:
    """Say that everybody is to be judged again, also whoever holds these identifiers."""
    tx.execute(f"UPDATE permission_ground SET terms = {_DUE}")
    mark_due(tx, grounds)


def load_grounds(reading: Reading) -> list[int]:
    """Give every identifier at which something was said that permissions hang on."""
    return [i for (i,) in reading.read("SELECT identifier_id FROM permission_ground")]


def find_due(reading: Reading, terms: int, *, most: int) -> list[int]:
    """Give identifiers whose holders are to be judged again, at most so many."""
    found: list[int] = []
    for sign in ("<", ">"):
        found += [
            i
            for (i,) in reading.read(
                f"SELECT identifier_id FROM permission_ground WHERE terms {sign} ? LIMIT ?", (terms, most - len(found))
            )
        ]
    return found


def count_due(reading: Reading, terms: int) -> int:
    """Count the identifiers whose holders are to be judged again."""
    return int(
        reading.read("SELECT count(*) FROM permission_ground WHERE terms < ? OR terms > ?", (terms, terms))[0][0]
    )


def keep_judged(tx: Writing, ids: Collection[int], judged: Judged, *, terms: int) -> None:
    """Put in what people were judged to be: of these identifiers nothing else stays. `judged`: root -> stretches."""
    tx.executemany("DELETE FROM permission WHERE root_id = ?", [(i,) for i in sorted({*ids, *judged})])
    tx.executemany(
        "INSERT INTO permission (lane, from_at, until_at, root_id) VALUES (?, ?, ?, ?)",
        sorted((lane, from_at, until, root_id) for root_id, told in judged.items() for lane, from_at, until in told),
    )
    _keep_grounds(tx, {*ids, *judged}, terms)
    tx.executemany(
        "DELETE FROM permission_ground WHERE identifier_id = ? "
        "AND NOT EXISTS (SELECT 1 FROM identifier WHERE identifier_id = ?)",
        [(i, i) for i in sorted(ids)],
    )


# -- many


def permit_many(declared: Declared, scope: Scope, *, due: Collection[int] = (), judged: Judged | None = None) -> Many:
    """Give leave for many people, by the roots of their identifiers.

    `due` are identifiers whose rows may not be gone by, `judged` what their holders are judged to be now.
    Raises: ChannelUndeclared.
    """
    lane = _lane_of(declared, scope)
    if lane is None:
        return Many(is_open=False, otherwise="SELECT root_id FROM permission WHERE 1 = 0", params=())
    told = judged or {}
    left_out = sorted({*due, *told})
    taken_in = sorted(root for root, some in told.items() if _differs(some, lane, scope.at))
    but = f" AND root_id NOT IN ({', '.join('?' * len(left_out))})" if left_out else ""
    # Nearly every stretch begins with the person: of these the index alone tells which hold.
    where = f"lane = {lane.number:d} AND from_at"
    sql = (
        f"SELECT root_id FROM permission WHERE {where} = 0 AND until_at > ?{but} "
        f"UNION ALL SELECT root_id FROM permission WHERE {where} > 0 AND from_at <= ? AND until_at > ?{but}"
    )
    if taken_in:
        sql += f" UNION ALL VALUES {', '.join(['(?)'] * len(taken_in))}"
    return Many(lane.is_open, sql, (scope.at, *left_out, scope.at, scope.at, *left_out, *taken_in))


def _differs(told: Sequence[Stretch], lane: Lane, at: int) -> bool:
    return any(number == lane.number and from_at <= at < until for number, from_at, until in told)
