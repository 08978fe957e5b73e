"""Members: which identifiers, strands and instants make up one person, as of now.

In:    an identifier.
Out:   a `Membership`, and the person's events in time order.
Never: values of traits; this room knows handles, not what is said about people.
"""

from collections.abc import Iterator, Sequence
from heapq import merge
from typing import NamedTuple

from tillit.identity.namespaces import DEVICE_RANK, Handle
from tillit.records import MemberIdentifier, Membership
from tillit.store import Reading

_COLUMNS = "identifier_id, namespace, value, root_id, rank"
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to misread
_FOREVER = 1 << 62
# The oldest so many, of devices and of others each: a sender that makes up a device or an e-mail for every event must
# not make its person unreadable. Taste: nobody has more.
MAX_IDENTIFIERS = 2_000
_MOST_NAMESPACES = 40  # that a search looks into: beyond, a sender makes them up


def profile_id(identifier_id: int) -> str:
    """Write the id of the profile that was founded by this identifier.

    >>> profile_id(64), identifier_of(profile_id(64))
    ('p0000000000020', 64)
    """
    digits = []
    rest = identifier_id
    for _ in range(13):
        rest, digit = divmod(rest, 32)
        digits.append(ALPHABET[digit])
    return "p" + "".join(reversed(digits))


def identifier_of(profile: str) -> int | None:
    """Read a profile id; None when it is not one."""
    if len(profile) != 14 or profile[0] != "p" or any(c not in ALPHABET for c in profile[1:]):
        return None
    value = 0
    for c in profile[1:]:
        value = value * 32 + ALPHABET.index(c)
    return value if value < _FOREVER else None


class _Row(NamedTuple):
    identifier_id: int
    namespace: str
    value: str
    root_id: int
    rank: int


def find_profile_id(reading: Reading, who: Handle | str) -> str | None:
    """Give the id of the person who holds an identifier (a device: of the device alone), or whose old id this is."""
    if isinstance(who, str):
        rows = reading.read("SELECT root_id FROM identifier WHERE identifier_id = ?", (identifier_of(who),))
    else:
        rows = reading.read("SELECT root_id FROM identifier WHERE namespace = ? AND value = ?", who.key)
    return profile_id(rows[0][0]) if rows else None


def find_membership(reading: Reading, who: Handle | str) -> Membership | None:
    """Find the person who holds an identifier now, or whose profile id (old or new) this is; None when unknown."""
    if isinstance(who, str):
        identifier_id = identifier_of(who)
        if identifier_id is None:
            return None
        return _find(reading, "s.identifier_id = ?", (identifier_id,))
    return _find(reading, "s.namespace = ? AND s.value = ?", who.key)


def _find(reading: Reading, start: str, asked: Sequence[object]) -> Membership | None:
    # A device is its own root: what is found is then the device alone.
    rows = reading.read(
        f"SELECT m.identifier_id, m.namespace, m.value, m.root_id, m.rank FROM identifier s "
        f"JOIN identifier m ON m.root_id = s.root_id WHERE {start} ORDER BY m.identifier_id LIMIT {MAX_IDENTIFIERS}",
        asked,
    )
    if not rows:
        return None
    people = [_Row(*row) for row in rows]
    if people[0].rank < DEVICE_RANK:
        return _membership(reading, people)
    device = people[0]
    held = reading.read(
        "SELECT holder_id FROM tenure WHERE identifier_id = ? ORDER BY from_at DESC, from_position DESC LIMIT 1",
        (device.identifier_id,),
    )
    if held:
        return _find(reading, "s.identifier_id = ?", held[0])
    own = MemberIdentifier(device.identifier_id, device.namespace, device.value, device.rank, ((0, 0, _FOREVER),))
    return Membership(profile_id(device.identifier_id), (own,))


def _membership(reading: Reading, people: list[_Row]) -> Membership:
    root_id = people[0].root_id
    if len(people) == MAX_IDENTIFIERS and all(p.identifier_id != root_id for p in people):
        root = reading.read(f"SELECT {_COLUMNS} FROM identifier WHERE identifier_id = ?", (root_id,))
        people += [_Row(*r) for r in root]
    ids = [p.identifier_id for p in people]
    members = [MemberIdentifier(p.identifier_id, p.namespace, p.value, p.rank, ((0, 0, _FOREVER),)) for p in people]
    members.sort(key=lambda m: (m.rank, m.identifier_id))
    return Membership(profile_id(root_id), (*members, *_devices(reading, ids)))


def _devices(reading: Reading, holder_ids: Sequence[int]) -> Iterator[MemberIdentifier]:
    holders = set(holder_ids)
    told: dict[int, list[tuple[int, int]]] = {}
    names: dict[int, tuple[str, str, int]] = {}
    # A device whose holders are asked for in two parts is told of twice.
    for device_id, from_at, _, holder_id, name, value, rank in sorted(
        set(
            reading.read_in(
                "SELECT i.identifier_id, t.from_at, t.from_position, t.holder_id, i.namespace, i.value, i.rank "
                "FROM tenure t JOIN identifier i ON i.identifier_id = t.identifier_id WHERE t.identifier_id IN "
                "(SELECT DISTINCT identifier_id FROM tenure WHERE holder_id IN {in} "
                f"ORDER BY identifier_id LIMIT {MAX_IDENTIFIERS})",
                holder_ids,
            )
        )
    ):
        if device_id not in told:
            if len(told) == MAX_IDENTIFIERS:
                break
            names[device_id] = name, value, rank
        told.setdefault(device_id, []).append((from_at, holder_id))
    for device_id, tenures in told.items():
        spans = []
        for i, (from_at, holder_id) in enumerate(tenures):
            until = tenures[i + 1][0] if i + 1 < len(tenures) else _FOREVER
            # Two claims at one instant leave the earlier in the log no time at all.
            if holder_id in holders and (i == 0 or from_at < until):
                # The first tenure reaches back before its first claim: part 0.
                spans.append((0, -_FOREVER, until) if i == 0 else (from_at, from_at, until))
        yield MemberIdentifier(device_id, *names[device_id], tuple(spans))


def iter_events(
    reading: Reading, membership: Membership, *, before: tuple[int, int] | None, limit: int
) -> list[tuple[int, int]]:
    """Give a person's newest events before a place in time.

    Shape: (event_at, position), newest first, at most `limit`.
    """
    place = before if before is not None else (_FOREVER, 0)
    streams = []
    for member in membership.identifiers:
        for _, from_at, until in member.spans:
            low = from_at if from_at > 0 else -_FOREVER
            top = min(place[0], until - 1) if until < _FOREVER else place[0]
            streams.append(
                reading.read(
                    "SELECT event_at, position FROM event_index "
                    "WHERE anchor_id = ? AND event_at >= ? AND event_at <= ? "
                    "AND (event_at < ? OR position < ?) ORDER BY event_at DESC, position DESC LIMIT ?",
                    (member.identifier_id, low, top, place[0], place[1], limit),
                )
            )
    newest = merge(*streams, reverse=True)
    return [row for _, row in zip(range(limit), newest, strict=False)]


def search_identifiers(reading: Reading, text: str, *, limit: int) -> list[int]:
    """Give ids of identifiers that begin with a text, in any namespace; whole ones first, then the strongest."""
    text = text.strip()
    if not text or "\0" in text:
        return []  # no identifier holds one
    whole: list[int] = []
    begun: list[int] = []
    # Ids are told apart by case, people often do not: what was typed, and how ids are mostly written.
    written = list(dict.fromkeys((text, text.lower(), text.upper())))
    for name in _namespaces(reading):
        for beginning in written:
            rows = reading.read(
                "SELECT identifier_id, value FROM identifier WHERE namespace = ? AND value >= ? AND value < ? "
                "ORDER BY value LIMIT ?",
                (name, beginning, beginning + "\U0010ffff", limit),
            )
            whole += [i for i, value in rows if value == beginning]
            begun += [i for i, value in rows if value != beginning]
    return list(dict.fromkeys(whole + begun))[:limit]


def _namespaces(reading: Reading) -> list[str]:
    """Give the namespaces in use, strongest first: each is found with one step through the index."""
    found: list[tuple[int, str]] = []
    after = ""
    while len(found) < _MOST_NAMESPACES:
        rows = reading.read(
            "SELECT namespace, rank FROM identifier WHERE namespace > ? ORDER BY namespace, value LIMIT 1", (after,)
        )
        if not rows:
            break
        after, rank = rows[0]
        found.append((rank, after))
    return [name for _, name in sorted(found)]
