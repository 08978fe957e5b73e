"""Shared identifiers: an address, a card, a telephone that several people have at once, and who has it.

In:    a membership, or the identifier.
Out:   what a person shares by the rules, with the evidence; whose it is besides.
Never: somebody made one with somebody else; what so many have that it says nothing of them.
"""

from collections.abc import Collection

from tillit.identity.evidence import LINK, NAMED, LinkEvidence, Named
from tillit.identity.members import identifier_of
from tillit.identity.namespaces import DEVICE_RANK, SHARED_RANK
from tillit.identity.rules import DEVICE_KINDS
from tillit.records import Membership
from tillit.store import Reading

# Of whom more have it, it is an office or a block of flats, and no household (taste).
MOST_SHARING = 12
_OF_LINK = ", ".join(f"l.{column}" for column in LINK.split(", "))
_OF_IDENTIFIER = ", ".join(f"i.{column}" for column in NAMED.split(", "))


def find_shared(
    reading: Reading, membership: Membership, *, known: Collection[int] | None = None
) -> list[LinkEvidence]:
    """Give what a person shares with others, or might, by the rules: of each the first best-trusted evidence.

    `known`: only by events at these positions.
    """
    own = [m.identifier_id for m in membership.identifiers if m.rank < DEVICE_RANK]
    rows = reading.read_in(
        f"SELECT {_OF_LINK}, {_OF_IDENTIFIER} "
        "FROM link l JOIN identifier i ON i.identifier_id = l.weak_id "
        f"WHERE i.rank >= {SHARED_RANK} AND l.verdict = 'noted' AND l.violation = '' AND l.strong_id IN {{in}}",
        own,
    )
    n = LINK.count(",") + 1
    named = {m.identifier_id: Named(m.identifier_id, m.namespace, m.value, 0, m.rank) for m in membership.identifiers}
    best: dict[int, LinkEvidence] = {}
    for row in sorted(rows, key=lambda row: (-row[2], row[3])):
        link = LinkEvidence(named[row[0]], Named(*row[n:]), *row[2:n]) if row[0] in named else None
        # A kiosk is no home.
        if link is not None and link.other.namespace not in DEVICE_KINDS and (known is None or link.position in known):
            best.setdefault(row[1], link)
    return [link for i, link in sorted(best.items()) if not _is_of_many(reading, i)]


def find_shared_identifier(reading: Reading, shared_id: str) -> Named | None:
    """Give the shared identifier that is meant by an id of ours; None when there is none, or too many have it."""
    identifier_id = identifier_of(shared_id)
    if identifier_id is None:
        return None
    rows = reading.read(
        f"SELECT {NAMED} FROM identifier WHERE identifier_id = ? AND rank >= {SHARED_RANK}", (identifier_id,)
    )
    named = Named(*rows[0]) if rows else None
    return None if named is None or named.namespace in DEVICE_KINDS or _is_of_many(reading, identifier_id) else named


def list_sharing(reading: Reading, identifier_id: int) -> list[int]:
    """Give the founding identifiers of the people who have a shared identifier."""
    rows = reading.read(
        "SELECT DISTINCT i.root_id FROM link l JOIN identifier i ON i.identifier_id = l.strong_id "
        f"WHERE l.weak_id = ? AND l.verdict = 'noted' AND l.violation = '' AND i.rank < {DEVICE_RANK} "
        "ORDER BY i.root_id LIMIT ?",
        (identifier_id, MOST_SHARING),
    )
    return [root for (root,) in rows]


def _is_of_many(reading: Reading, identifier_id: int) -> bool:
    rows = reading.read(
        "SELECT count(*) FROM (SELECT DISTINCT i.root_id FROM link l "
        "JOIN identifier i ON i.identifier_id = l.strong_id "
        f"WHERE l.weak_id = ? AND i.rank < {DEVICE_RANK} LIMIT ?) AS listed",
        (identifier_id, MOST_SHARING + 1),
    )
    return int(rows[0][0]) > MOST_SHARING
