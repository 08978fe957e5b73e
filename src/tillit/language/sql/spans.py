"""Spans: between which instants a part of a definition looks at events.

In:    a window, the instant of the question.
Out:   two bounds, in UTC epoch microseconds.
Never: what happened: where a window begins for one person is a mark (`marks`).
"""

from typing import NamedTuple

from tillit.clock import DAY
from tillit.language.instants import LONGEST, calendar_span
from tillit.language.nodes import Absolute, Calendar, Ever, Rolling, Session, SinceLast, Window

FAR = 1 << 62  # later than any instant
_SESSION_REACHES = DAY


class Span(NamedTuple):
    """Instants after one (None: from the beginning) and up to another."""

    after: int | None
    through: int

    def joined(self, other: "Span | None") -> "Span":
        """Give the least span that holds both."""
        if other is None:
            return self
        after = None if self.after is None or other.after is None else min(self.after, other.after)
        return Span(after, max(self.through, other.through))


def span_of(window: Window, at: int) -> Span:
    """Say which events a window may hold; of some only what lies after a mark counts."""
    match window:
        case Ever():
            return Span(None, at)
        case Absolute(from_at, until_at):
            return Span(None if from_at is None else from_at - 1, at if until_at is None else min(at, until_at - 1))
        case Rolling(within, older):
            return Span(None if within >= LONGEST else at - within, at - older)
        case Calendar():
            begins, ends = calendar_span(window, at)
            return Span(begins - 1, min(at, ends - 1))
        case SinceLast(_, within):
            return Span(at - within, at)
        case Session():
            return Span(at - _SESSION_REACHES, at)
    raise AssertionError(f"no such window: {window!r}")
