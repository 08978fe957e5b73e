"""Marks: where a window begins that begins at another instant for each person.

In:    windows since a last event, and of the latest visit.
Out:   a relation for each, with one instant a person; whether an event counts in a window.
Never: a mark for a window whose bounds are the same for everybody.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tillit.language.dialects import Dialect, both, column, whole
from tillit.language.nodes import Matcher, Session, SinceLast, Window
from tillit.language.sql.seen import Seen
from tillit.language.sql.spans import span_of

if TYPE_CHECKING:  # an outside package of half a second, loaded at its seam by those who ask about many
    from sqlglot.expressions import Expr as Expression

_ANYTHING = Matcher("*", ())


class Marks:
    """The marks of a question while it is put together."""

    def __init__(self, at: int, say: Dialect, seen: Seen) -> None:
        """Know none yet."""
        self.at = at
        self.say = say
        self._seen = seen
        self._marks: dict[Window, str] = {}  # -> relation: from when on events count

    def __contains__(self, window: object) -> bool:
        """Say whether a window has a mark."""
        return window in self._marks

    def ask(self, window: Window) -> None:
        """Ask for what a window needs to know of each person."""
        if isinstance(window, SinceLast):
            self._seen.look(window.matcher, span_of(window, self.at))
        elif isinstance(window, Session):
            self._seen.look(_ANYTHING, span_of(window, self.at))
        else:
            return
        self._marks.setdefault(window, f"mark{len(self._marks)}")

    def counts(self, matcher: Matcher, window: Window) -> "Expression":
        """Say whether a row of `seen`, joined to the window's mark, counts."""
        taken = self._seen.taken(matcher, span_of(window, self.at))
        if window not in self._marks:
            return taken
        since = column("since", self._marks[window])
        if isinstance(window, SinceLast):
            # Without a mark all of the span counts, and every mark lies in it.
            begun = self.say.sql(
                ":at > COALESCE(:since, :w)", at=column("at", "s"), since=since, w=whole(self.at - window.within)
            )
        else:
            begun = self.say.sql("COALESCE(:at >= :since, FALSE)", at=column("at", "s"), since=since)
        return both([taken, begun])

    def in_order(self, windows: Iterable[Window]) -> list[Window]:
        """Give windows with a mark in the order of their relations' names."""
        return sorted(windows, key=lambda one: self._marks[one])

    def source(self, windows: Sequence[Window]) -> str:
        """Name `seen` with the marks of some windows beside it."""
        marks = [self._marks[one] for one in windows if one in self._marks]
        return "seen AS s" + "".join(f" LEFT JOIN {mark} ON {mark}.person = s.person" for mark in marks)

    def relations(self) -> "list[tuple[str, Expression]]":
        """Write them; they read `seen`."""
        return [(name, self._mark_query(window)) for window, name in self._marks.items()]

    def _mark_query(self, window: Window) -> "Expression":
        span = span_of(window, self.at)
        if isinstance(window, SinceLast):
            return self.say.sql(
                "SELECT s.person, MAX(s.at) AS since FROM seen AS s WHERE :taken GROUP BY s.person",
                taken=self._seen.taken(window.matcher, span),
            )
        assert isinstance(window, Session)
        return self.say.sql(
            "SELECT v.person, MAX(CASE WHEN v.before IS NULL OR v.at - v.before > :gap THEN v.at END) AS since FROM ("
            "SELECT s.person, s.at, LAG(s.at) OVER (PARTITION BY s.person ORDER BY s.at) AS before "
            "FROM seen AS s WHERE :taken) AS v GROUP BY v.person HAVING MAX(v.at) >= :now - :gap",
            gap=whole(window.gap),
            now=whole(self.at),
            taken=self._seen.taken(_ANYTHING, span),
        )
