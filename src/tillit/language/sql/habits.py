"""Habits: when somebody first did something, began again, or does it regularly, as SQL.

In:    such a condition; what is asked of events so far.
Out:   whether it holds of somebody.
Never: a read of events: it asks for columns and relations.
"""

from typing import TYPE_CHECKING

from tillit.language.dialects import DIVIDED, whole
from tillit.language.instants import calendar_span
from tillit.language.nodes import Calendar, Ever, FirstTime, Regularly, Restarted, Rolling
from tillit.language.sql.aggregates import Aggregates
from tillit.language.sql.passing import sure
from tillit.language.sql.spans import FAR, Span

if TYPE_CHECKING:  # an outside package of half a second, loaded at its seam by those who ask about many
    from sqlglot.expressions import Expr as Expression


def first_time(asked: Aggregates, node: FirstTime) -> "Expression":
    """Say whether the first event of all lies in a window."""
    window, at = node.window, asked.at
    span = Span(None, at)
    asked.seen.look(node.matcher, span)
    first = asked.sum("MIN(s.at) FILTER (WHERE :c)", node.matcher, Ever())
    if isinstance(window, Rolling):
        low, high = at - window.within + 1, at - window.older_than
    elif isinstance(window, Calendar):
        begins, ends = calendar_span(window, at)
        low, high = begins, ends - 1
    else:
        low = -FAR if window.from_at is None else window.from_at
        high = FAR if window.until_at is None else window.until_at - 1
    found = asked.say.sql(":first BETWEEN :low AND :high", first=first, low=whole(low), high=whole(high))
    return sure(asked.say, found)


def restarted(asked: Aggregates, node: Restarted) -> "Expression":
    """Say whether a long pause has ended."""
    span = Span(None, asked.at)
    asked.seen.look(node.matcher, span)
    return asked.is_in(
        asked.relation(
            tuple(node),
            lambda: asked.say.sql(
                "SELECT v.person FROM (SELECT s.person, s.at, LAG(s.at) OVER (PARTITION BY s.person ORDER BY s.at) "
                "AS before FROM seen AS s WHERE :taken) AS v WHERE v.at > :after AND v.at - v.before >= :quiet",
                taken=asked.seen.taken(node.matcher, span),
                after=whole(asked.at - node.within),
                quiet=whole(node.quiet),
            ),
        )
    )


def regularly(asked: Aggregates, node: Regularly) -> "Expression":
    """Say whether enough of some stretches have an event."""
    window = Rolling(node.every * node.of)
    span = Span(asked.at - window.within, asked.at)
    asked.seen.look(node.matcher, span)
    n_stretches = asked.summed(
        ("regularly", node.matcher, node.every, node.of),
        window,
        lambda: asked.say.sql(
            f"COUNT(DISTINCT (:now - s.at) {DIVIDED[asked.say.name]} :every) FILTER (WHERE :taken)",
            now=whole(asked.at),
            every=whole(node.every),
            taken=asked.seen.taken(node.matcher, span),
        ),
    )
    return asked.say.sql("COALESCE(:n, 0) >= :least", n=n_stretches, least=whole(node.at_least))
