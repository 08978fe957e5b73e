"""Seen: the events that any part of a definition looks at, read once, with what each part asks of them.

In:    what parts ask for: events of a matcher in a span, something of their properties.
Out:   the relation `seen`, and how a part finds its own events in it.
Never: an event that no part looks at; a property looked into where type, name and time do not fit.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tillit.language.dialects import Dialect, among, both, column, either, summed_number, text, truth, whole
from tillit.language.nodes import Matcher, Path
from tillit.language.sql.passing import clause_holds, paths_in
from tillit.language.sql.spans import FAR, Span
from tillit.language.tapes import LONGEST_VALUE

if TYPE_CHECKING:  # an outside package of half a second, loaded at its seam by those who ask about many
    from sqlglot.expressions import Expr as Expression

TYPES = ("track", "page", "screen")


class Seen:
    """The relation `seen` while it is put together: written once all that is asked of it is known."""

    def __init__(self, say: Dialect) -> None:
        """Look at nothing yet."""
        self.say = say
        self._matchers: dict[Matcher, str] = {}  # -> column
        self._spans: dict[Matcher, Span] = {}  # which of its events are looked at
        self._paths: dict[Path, set[Matcher]] = {}  # properties, with those whose events they are read of
        self._kept: dict[tuple[str, Path], str] = {}  # (how, which) -> column

    def look(self, matcher: Matcher, span: Span) -> None:
        """Ask for the events of a matcher in a span."""
        if matcher not in self._matchers:
            self._matchers[matcher] = f"m{len(self._matchers)}"
            for path in paths_in(matcher.where):
                self._paths.setdefault(path, set()).add(matcher)
        self._spans[matcher] = span.joined(self._spans.get(matcher))

    def keep(self, how: str, path: Path, matcher: Matcher) -> str:
        """Ask for something of the properties of a matcher's events; give its column.

        `how`: n for its number, w for what it is projected to, k for what it is told apart by.
        """
        self._paths.setdefault(path, set()).add(matcher)
        return self._kept.setdefault((how, path), f"{how}{len(self._kept)}")

    def _whole_span(self) -> Span:
        spans = list(self._spans.values())
        found = spans[0]
        for one in spans[1:]:
            found = found.joined(one)
        return found

    def taken(self, matcher: Matcher, span: Span) -> "Expression":
        """Say whether a row is an event of a matcher in a span. Asked when all that is looked at is known."""
        parts = [] if len(self._matchers) == 1 else [column(self._matchers[matcher], "s")]
        return both([*parts, *self._bounds(span, self._whole_span(), "s")])

    def _bounds(self, span: Span, known: Span, of: str) -> "list[Expression]":
        parts = []
        if span.after is not None and span.after != known.after:
            parts.append(self.say.sql(":at > :after", at=column("at", of), after=whole(span.after)))
        if span.through != known.through:
            parts.append(self.say.sql(":at <= :through", at=column("at", of), through=whole(span.through)))
        return parts

    def relations(self) -> "list[tuple[str, Expression]]":
        """Write the relation, if anything is looked at."""
        return [("seen", self._seen())] if self._matchers else []

    def _seen(self) -> "Expression":
        say, span = self.say, self._whole_span()
        matchers = list(self._matchers)
        everything = _coarse(matchers, "e")
        where = both([*self._bounds(span, Span(None, FAR), "e"), everything])
        values = {}
        for i, (path, readers) in enumerate(self._paths.items()):
            value = say.get(say.document(column("properties", "e")), path)
            coarse = _coarse([one for one in matchers if one in readers], "e")
            if coarse != everything:
                value = say.sql("CASE WHEN :c THEN :v END", c=coarse, v=value)
            values[path] = (f"v{i}", value)
        read = say.sql(
            "SELECT e.person, e.at, e.position, e.type, e.name"
            + "".join(f", :{name} AS {name}" for name, _ in values.values())
            + " FROM events AS e WHERE :where",
            where=where,
            **dict(values.values()),
        )

        def get(path: Path) -> "Expression":
            return column(values[path][0], "e")

        kept = {name: _derived(say, how, get(path)) for (how, path), name in self._kept.items()}
        passing = truth(True)
        if len(matchers) == 1:
            if matchers[0].where is not None:
                passing = clause_holds(say, matchers[0].where, get, 0)
        else:
            for matcher, name in self._matchers.items():
                alike = _coarse([matcher], "e")
                fitting = self._bounds(self._spans[matcher], span, "e") + ([] if alike == everything else [alike])
                clause = truth(True) if matcher.where is None else clause_holds(say, matcher.where, get, 0)
                # Properties are looked into only where type, name and time fit.
                kept[name] = say.sql("CASE WHEN :c THEN :w ELSE FALSE END", c=both(fitting), w=clause)
        return say.sql(
            "SELECT e.person, e.at, e.position"
            + "".join(f", :{name} AS {name}" for name in kept)
            + " FROM _read AS e WHERE :passing",
            read=read,
            passing=passing,
            **kept,
        )


def _derived(say: Dialect, how: str, value: "Expression") -> "Expression":
    """Give what is kept of a property: its number, what it is projected to, or by what it is told apart."""
    if how == "n":
        return summed_number(say, value)

    def is_kept(one: "Expression") -> "Expression":
        return say.sql(
            "CASE WHEN :text THEN LENGTH(:t) <= :most ELSE COALESCE(:number OR :truth, FALSE) END",
            text=say.is_kind(one, "text"),
            t=say.text(one),
            most=whole(LONGEST_VALUE),
            number=say.is_kind(one, "number"),
            truth=say.is_kind(one, "truth"),
        )

    if how == "k":
        return say.sql("CASE WHEN :kept THEN :k END", kept=is_kept(value), k=key_of(say, value))
    return say.sql(
        "CASE WHEN :listed THEN :some WHEN :kept THEN :v END",
        listed=say.is_kind(value, "list"),
        some=say.scalars(value, is_kept),
        kept=is_kept(value),
        v=say.scalar(value),
    )


def key_of(say: Dialect, value: "Expression") -> "Expression":
    """Write a scalar so that equal ones are equal, and no kind is taken for another."""
    number = say.number(value)
    return say.sql(
        "CASE WHEN :is THEN CAST(CASE WHEN :n = 0 THEN 0 ELSE :n END AS TEXT) ELSE :v END",
        **{"is": say.is_kind(value, "number")},
        n=number,
        v=say.as_text(value),
    )


def _coarse(matchers: Sequence[Matcher], of: str) -> "Expression":
    """Say whether an event is of a type and name that some matchers take."""
    wanted: dict[str, set[str] | None] = {}
    for matcher in matchers:
        for kind in TYPES if matcher.type == "*" else (matcher.type,):
            names = wanted.setdefault(kind, set())
            wanted[kind] = None if names is None or not matcher.names else names | set(matcher.names)
    parts = []
    whole_kinds = [kind for kind, names in wanted.items() if names is None]
    if whole_kinds:
        parts.append(among(column("type", of), [text(one) for one in whole_kinds]))
    for kind, names in wanted.items():
        if names is not None:
            named = among(column("name", of), [text(one) for one in sorted(names)])
            parts.append(both([among(column("type", of), [text(kind)]), named]))
    return either(parts)
