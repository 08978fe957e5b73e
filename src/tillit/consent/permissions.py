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
from itertools import groupby
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
    number: int  # by which the table knows it
    is_open: bool  # to strangers


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
    """Leave for many: a condition for SQL on the column that holds the root of a person's identifiers."""

    sql: str
    params: tuple[int, ...]


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 2 or 1


def terms_of(declared: Declared, adult_age: int) -> int:
    """Give what permissions are judged under, as a number above 0."""
    return _number(f"{declared.hash} {adult_age}")


def lanes_of(declared: Declared) -> list[Lane]:
    """Give the ways in which people are asked for."""
    return [
        _lane(declared, name, channel, jurisdiction)
        for name, purpose in declared.purposes.items()
        for channel in ("", *purpose.channels)
        for jurisdiction in ("", *purpose.jurisdictions)
    ]


def _lane(declared: Declared, purpose: str, channel: str, jurisdiction: str) -> Lane:
    lane = Lane(purpose, channel, jurisdiction, _number(f"{purpose}\n{channel}\n{jurisdiction}"), is_open=False)
    return lane._replace(is_open=_permits(declared, lane, _STRANGER, 0))


def _lane_of(declared: Declared, scope: Scope) -> Lane | None:
    """Give the lane of a scope; None when it is nobody's. Raises ChannelUndeclared."""
    purpose = declared.purposes.get(scope.purpose)
    if purpose is None or (scope.recipient and scope.recipient not in purpose.recipients):
        return None
    if scope.channel and scope.channel not in purpose.channels:
        if purpose.channels:
            return None
        raise ChannelUndeclared(scope)
    jurisdiction = scope.jurisdiction if scope.jurisdiction in purpose.jurisdictions else ""
    return _lane(declared, scope.purpose, scope.channel, jurisdiction)


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
    said = [one for told in subject_at(0).statements.values() for one in told if one.gives]
    ends = {one.valid_until for one in said if one.valid_until is not None}
    for span in {one.valid_us for one in declared.purposes.values() if one.valid_us is not None}:
        ends.update(one.said_at + span for one in said)
    instants = [0, *sorted(at for at in {*turns, *ends} if 0 < at < EVER)]
    subjects = [subject_at(at) for at in instants]
    found = []
    for lane in lanes:
        is_otherwise = [
            _permits(declared, lane, one, at) != lane.is_open for one, at in zip(subjects, instants, strict=True)
        ]
        for differs, run in groupby(range(len(instants)), is_otherwise.__getitem__):
            if differs:
                places = list(run)
                until = instants[places[-1] + 1] if places[-1] + 1 < len(instants) else EVER
                found.append((lane.number, instants[places[0]], until))
    return found


# -- the table


def mark_due(tx: Writing, ids: Iterable[int]) -> None:
    """Say that whoever holds these identifiers is to be judged again."""
    tx.executemany(
        "INSERT INTO permission_ground (identifier_id, terms) VALUES (?, ?) "
        "ON CONFLICT (identifier_id) DO UPDATE SET terms = excluded.terms",
        [(i, _DUE) for i in sorted(set(ids))],
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
        "INSERT INTO permission (lane, root_id, from_at, until_at) VALUES (?, ?, ?, ?)",
        sorted((lane, root_id, from_at, until) for root_id, told in judged.items() for lane, from_at, until in told),
    )
    tx.executemany(
        "INSERT INTO permission_ground (identifier_id, terms) VALUES (?, ?) "
        "ON CONFLICT (identifier_id) DO UPDATE SET terms = excluded.terms",
        [(i, terms) for i in sorted({*ids, *judged})],
    )
    tx.executemany(
        "DELETE FROM permission_ground WHERE identifier_id = ? "
        "AND NOT EXISTS (SELECT 1 FROM identifier WHERE identifier_id = ?)",
        [(i, i) for i in sorted(ids)],
    )


# -- many


def permit_many(
    declared: Declared,
    scope: Scope,
    column: str,
    *,
    due: Collection[int] = (),
    judged: Judged | None = None,
) -> Many:
    """Give leave for many people: a condition on the column that holds the root of a person's identifiers.

    `due` are roots of which the table may not tell, `judged` what those among them who are somebody's root are now.
    Raises: ChannelUndeclared.
    """
    lane = _lane_of(declared, scope)
    if lane is None:
        return Many("1 = 0", ())
    where, params = _in_lane(lane, scope.at)
    sql = f"{'NOT ' if lane.is_open else ''}EXISTS (SELECT 1 FROM permission WHERE {where} AND root_id = {column})"
    if not due:
        return Many(sql, params)
    left_out = sorted(due)
    taken_in = sorted(root for root, told in (judged or {}).items() if _differs(told, lane, scope.at) != lane.is_open)
    marks = ", ".join("?" * len(left_out))
    sql = f"({column} NOT IN ({marks}) AND {sql})"
    if taken_in:
        sql = f"({sql} OR {column} IN ({', '.join('?' * len(taken_in))}))"
    return Many(sql, (*left_out, *params, *taken_in))


def count_otherwise(
    reading: Reading,
    declared: Declared,
    scope: Scope,
    *,
    due: Collection[int],
    judged: Judged,
) -> tuple[bool, int] | None:
    """Say whether strangers are permitted, and count who is judged otherwise; None: the scope is nobody's.

    Raises: ChannelUndeclared.
    """
    lane = _lane_of(declared, scope)
    if lane is None:
        return None
    where, params = _in_lane(lane, scope.at)
    n = int(reading.read(f"SELECT count(*) FROM permission WHERE {where}", params)[0][0])
    n -= len(reading.read_in(f"SELECT root_id FROM permission WHERE {where} AND root_id IN {{in}}", [*due], params))
    n += sum(_differs(told, lane, scope.at) for told in judged.values())
    return lane.is_open, n


def _in_lane(lane: Lane, at: int) -> tuple[str, tuple[int, ...]]:
    return "lane = ? AND from_at <= ? AND until_at > ?", (lane.number, at, at)


def _differs(told: Sequence[Stretch], lane: Lane, at: int) -> bool:
    return any(number == lane.number and from_at <= at < until for number, from_at, until in told)
