"""Proof: what an identity token makes of an event, and that a token counts once.

In:    the `proof` that the door wrote in a token's place.
Out:   whether this event is the token's first in the log; rows of token_use.
Never: a token or a signature: the door has judged those, and kept neither. A second proof because the first was
       forgotten: its husk keeps that the token was used, while another event that used it is there.

A token names the same people wherever it is used again; it proves so only once.
"""

from collections.abc import Sequence
from typing import Any

from tillit.identity.namespaces import DEVICE_RANK, Event
from tillit.identity.rules import DEFAULT_RULES
from tillit.store import Reading, Writing

# What a link rests on when a token proves it.
PROOF_RULE = "identity token"
# And when a code does that was sent to the address: then it stands where a token names its key.
CODE_RULE, CODE = "code sent there", "code"


def read_provable(text: str) -> tuple[str, str] | None:
    """Read the `namespace:value` that a token may prove: a device proves nobody.

    The door judges what the token says and not the rules of the day: under these the fold may still leave it.

    >>> read_provable("email: Ana@Example.org"), read_provable("anonymous_id:d1"), read_provable("ana")
    (('email', 'ana@example.org'), None, None)
    """
    found = DEFAULT_RULES.parse(text)
    return found.key if found is not None and found.rank < DEVICE_RANK else None


def rule_of(event: Event) -> str:
    """Say what a link rests on that an event's proof makes."""
    told = event.proof
    return CODE_RULE if isinstance(told, dict) and told.get("kid") == CODE else PROOF_RULE


def note_use(tx: Writing, event: Event, position: int) -> bool:
    """Note that an applied event used its token; say whether it is the first in the log to do so.

    Uses stay noted when people are folded anew, so that it is the same event each time.
    """
    token_hash = _token_hash(event.proof)
    if token_hash is None:
        return False
    tx.execute(
        "INSERT INTO token_use (position, token_hash) VALUES (?, ?) ON CONFLICT (position) DO NOTHING",
        (position, token_hash),
    )
    return find_earlier_use(tx, event, position) is None


def find_earlier_use(reading: Reading, event: Event, position: int) -> int | None:
    """Give the place in the log where an event's token was used first, if that is another place."""
    token_hash = _token_hash(event.proof)
    if token_hash is None:
        return None
    rows = reading.read(
        "SELECT min(position) FROM token_use WHERE token_hash = ? AND position < ?", (token_hash, position)
    )
    return int(rows[0][0]) if rows[0][0] is not None else None


def find_uses(reading: Reading, positions: Sequence[int]) -> dict[bytes, list[int]]:
    """Give all uses of the tokens that some events used: the hash of each, and places in the log."""
    hashes = {told for (told,) in reading.read_in("SELECT token_hash FROM token_use WHERE position IN {in}", positions)}
    sql = "SELECT position FROM token_use WHERE token_hash = ?"
    return {told: [p for (p,) in reading.read(sql, (told,))] for told in sorted(hashes)}


def forget_uses(tx: Writing, positions: Sequence[int]) -> None:
    """Let go of what events noted that are forgotten: their husks note it again where a later event uses the token."""
    tx.executemany("DELETE FROM token_use WHERE position = ?", [(p,) for p in positions])


def _token_hash(told: Any) -> bytes | None:
    try:
        return bytes.fromhex(told["jti"])
    except (TypeError, KeyError, ValueError):
        return None
