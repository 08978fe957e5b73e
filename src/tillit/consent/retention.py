"""Retention: how long an event is kept, from the purposes that may still need it.

In:    the policy; rows of the log.
Out:   the term of each event: how long, and for which purposes. None for what is kept as a proof.
Never: a look at who the person is; an end for an act of consent, or for what takes something back.

A purpose may need an event while its source may collect for it and what the event carries does not refuse it, on any
ground that the purpose has anywhere. The longest of their times counts. An event that no purpose may use has none.
"""

from typing import Any, NamedTuple

import msgspec

from tillit.consent.gate import leaves_to
from tillit.consent.policy import Declared, Purpose
from tillit.consent.statements import says_consent
from tillit.records import (
    IDENTITY_ACT_TYPES,
    KIND_EVENT,
    LISTED_BASES,
    TRUST_OPERATOR,
    Carried,
    LogRow,
    carried_by,
)

# Colleagues' acts that say who is who, or take a word back: without them what they ended would hold again.
_PROOFS = IDENTITY_ACT_TYPES | {"retract", "group_leave"}


class Term(NamedTuple):
    """How long an event is kept, and what for."""

    span_us: int | None  # microseconds since the log took it; None: no end
    purposes: tuple[str, ...]  # that may use it; none: it is kept for nothing
    carries: bool  # it brings an answer of a consent manager or a browser


class _Context(msgspec.Struct, gc=False):
    consent: Carried | None = None
    consentManagement: Any = None
    gpc: Any = None


class _Event(msgspec.Struct, gc=False):
    type: Any = ""
    event: Any = None
    context: _Context | None = None


_decode = msgspec.json.Decoder(_Event).decode


class Terms:
    """The terms of events under one policy."""

    def __init__(self, declared: Declared) -> None:
        """Read what is declared."""
        self.policy = declared.hash
        self._purposes = declared.purposes
        self._sources = declared.policy.sources
        self._known: dict[tuple[str, str, bool], Term] = {}
        told = {one.retention_us for one in self._purposes.values()} - {None}
        # One that needs everything without end, whatever events carry: then nothing is ever due.
        is_endless = any(not one.retention and not _bases(one) <= LISTED_BASES for one in self._purposes.values())
        self.spans: tuple[int, ...] = ()
        if told and not (is_endless and not self._sources):
            self.spans = tuple(sorted({0, *(one for one in told if one is not None)}))

    def find(self, row: LogRow) -> Term | None:
        """Say how long an event is kept; None: it is no event, or it is kept as a proof."""
        if row.kind != KIND_EVENT:
            return None
        try:
            event = _decode(row.body or b"{}")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._term(row.source, "", False)  # it lies in quarantine
        if says_consent(event, row.trust) or (row.trust == TRUST_OPERATOR and event.type in _PROOFS):
            return None
        return self._term(
            row.source, carried_by(event.context), event.context is not None and event.context.gpc is True
        )

    def _term(self, source: str, carried: str, refuses_sale: bool) -> Term:
        key = source, carried, refuses_sale
        known = self._known.get(key)
        if known is None:
            purposes = tuple(
                name
                for name in self._sources.get(source, self._purposes)
                if _may_need(self._purposes[name], carried, refuses_sale)
            )
            spans = [self._purposes[name].retention_us for name in purposes]
            ends = [span for span in spans if span is not None]
            longest = max(ends, default=0) if len(ends) == len(spans) else None
            known = self._known[key] = Term(longest, purposes, bool(carried) or refuses_sale)
        return known


def _may_need(purpose: Purpose, carried: str, refuses_sale: bool) -> bool:
    return any(leaves_to(purpose, basis, carried, refuses_sale=refuses_sale) for basis in _bases(purpose))


def _bases(purpose: Purpose) -> frozenset[str]:
    return frozenset({purpose.basis, *(one.basis or purpose.basis for one in purpose.jurisdictions.values())})
