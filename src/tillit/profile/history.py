"""What a trait was before: read from the person's own events when somebody asks.

In:    rows of one person, newest first; a trait's name; a scope.
Out:   its earlier values with when and from where.
Never: kept anywhere. The log holds it; a profile holds what counts now.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from tillit.clock import rfc3339
from tillit.profile.acts import CORRECT, is_act
from tillit.profile.document import event_id
from tillit.records import TRUST_NAMES, LogRow, Scope


class Earlier(NamedTuple):
    """One value that a trait was said to have. Grain: one per change of value or source, newest first."""

    value: Any
    at: str  # RFC 3339 UTC
    source: str
    trust: str
    event_id: str
    operator: str  # empty: a source said it
    reason: str


class _Said(msgspec.Struct, gc=False):
    type: str = ""
    traits: Any = None
    operator: Any = None
    reason: Any = None


_decode = msgspec.json.Decoder(_Said).decode


def read_earlier(rows: Sequence[LogRow], name: str, scope: Scope, *, epoch: int, most: int = 50) -> list[Earlier]:
    """Give what was said of a trait, newest first; of equal values in a row, from one source, the oldest."""
    if not scope.allows(f"traits.{name}"):
        return []
    found: list[Earlier] = []
    for row in rows:
        # Most events say nothing of traits: they are not worth decoding.
        if row.body is None or b'"traits"' not in row.body:
            continue
        try:
            said = _decode(row.body)
        except msgspec.MsgspecError:
            continue
        own = is_act(said.type, row.trust)
        if not (said.type == "identify" or (own and said.type == CORRECT)) or not isinstance(said.traits, dict):
            continue
        if name not in said.traits:
            continue
        one = Earlier(
            said.traits[name],
            rfc3339(row.event_at),
            row.source,
            TRUST_NAMES.get(row.trust, ""),
            event_id(row.position, epoch),
            str(said.operator or "") if own else "",
            str(said.reason or "") if own else "",
        )
        if found and not own and (found[-1].value, found[-1].source, found[-1].operator) == (one.value, one.source, ""):
            found[-1] = one
        elif len(found) < most:
            found.append(one)
        else:
            break
    return found
