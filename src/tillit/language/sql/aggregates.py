"""Aggregates: what a person's events come to in a window: how many, how much, which.

In:    values of events that a definition asks for.
Out:   the relation `told`, a column for each; relations of their own for what goes by different values.
Never: the same aggregate twice.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tillit.language.dialects import both, column, micros
from tillit.language.nodes import EventValue, Matcher, Path, Window
from tillit.language.sql.marks import Marks
from tillit.language.sql.passing import Told
from tillit.language.sql.seen import Seen, key_of
from tillit.language.sql.spans import span_of

if TYPE_CHECKING:  # an outside package of half a second, loaded at its seam by those who ask about many
    from sqlglot.expressions import Expr as Expression

Making = Callable[[], "Expression"]


class Aggregates:
    """What is asked of events while a question is put together: written once all that is looked at is known."""

    def __init__(self, at: int, seen: Seen, marks: Marks) -> None:
        """Ask nothing yet."""
        self.at = at
        self.say = seen.say
        self.seen = seen
        self._marks = marks
        self._sums: dict[tuple[object, ...], tuple[str, Making]] = {}  # -> column of `told`
        self._summed_marks: set[Window] = set()  # those that `told` looks at
        self._apart: dict[tuple[object, ...], tuple[str, Making]] = {}  # -> relation of its own
        self._joined: list[str] = []  # those of them that everybody is joined to

    # -- what other parts ask for as well

    def sum(
        self, template: str, matcher: Matcher, window: Window, *, n: Making | None = None, key: Path = ()
    ) -> "Expression":
        """Ask for an aggregate of the events that count: `:n` of each, where `:c`."""

        def making() -> "Expression":
            parts = {} if n is None else {"n": n()}
            return self.say.sql(template, c=self._marks.counts(matcher, window), **parts)

        return self.summed((template, matcher, window, key), window, making)

    def summed(self, key: tuple[object, ...], window: Window, making: Making) -> "Expression":
        """Ask for a column of `told`, once for each key."""
        if window in self._marks:
            self._summed_marks.add(window)
        name, _ = self._sums.setdefault(key, (f"a{len(self._sums)}", making))
        return column(name, "t")

    def relation(self, key: tuple[object, ...], making: Making) -> str:
        """Ask for a relation of its own, once for each key; give its name."""
        return self._apart.setdefault(key, (f"r{len(self._apart)}", making))[0]

    def is_in(self, relation: str) -> "Expression":
        """Say whether somebody stands in a relation."""
        return self.say.sql(f"p.person IN (SELECT person FROM {relation})")

    # -- values

    def value(self, node: EventValue) -> Told:
        """Give a value of events."""
        matcher, window, (kind, path) = node
        self.seen.look(matcher, span_of(window, self.at))
        self._marks.ask(window)
        say = self.say
        if kind == "count":
            counted = self.sum("COUNT(*) FILTER (WHERE :c)", matcher, window)
            return Told(is_number=True, sql=say.sql("CAST(COALESCE(:n, 0) AS DOUBLE PRECISION)", n=counted))
        if kind in ("sum", "average", "minimum", "maximum"):
            return Told(is_number=True, sql=self._of_numbers(kind, matcher, window, path))
        kept = self.seen.keep("w", path, matcher)
        if kind in ("first", "last"):
            found = self.summed(
                (kind, matcher, window, path),
                window,
                lambda: say.extreme(
                    kind,
                    column(kept, "s"),
                    both([self._marks.counts(matcher, window), say.sql(":w IS NOT NULL", w=column(kept, "s"))]),
                ),
            )
            return Told(is_number=False, sql=found)
        relation = self.relation((kind, matcher, window, path), lambda: self._elements(kind, matcher, window, kept))
        if relation not in self._joined:
            self._joined.append(relation)
        if kind == "distinct":
            counted = column("n", relation)
            return Told(is_number=True, sql=say.sql("CAST(COALESCE(:n, 0) AS DOUBLE PRECISION)", n=counted))
        return Told(is_number=False, sql=say.document(column("e", relation)))

    def _of_numbers(self, kind: str, matcher: Matcher, window: Window, path: Path) -> "Expression":
        say, kept = self.say, self.seen.keep("n", path, matcher)

        def summed(template: str) -> "Expression":
            return self.sum(template, matcher, window, n=lambda: column(kept, "s"), key=path)

        if kind in ("minimum", "maximum"):
            return summed(f"{kind[:3].upper()}(:n) FILTER (WHERE :c)")
        total = self.sum(
            "SUM(:n) FILTER (WHERE :c)", matcher, window, n=lambda: micros(say, column(kept, "s")), key=path
        )
        real_total = say.sql(":s / 1000000", s=say.as_real(total))
        if kind == "sum":
            return say.sql("COALESCE(:s, 0)", s=real_total)
        n_numbers = summed("COUNT(:n) FILTER (WHERE :c)")
        return say.sql("CASE WHEN :n > 0 THEN :s / :n END", s=real_total, n=n_numbers)

    def _elements(self, kind: str, matcher: Matcher, window: Window, kept: str) -> "Expression":
        """Write what is asked of the different values: how many there are, or the most frequent one."""
        say = self.say
        each = say.sql(
            f"SELECT s.person, s.at, s.position, :e AS e FROM {self._marks.source([window])} "
            "WHERE :c AND :w IS NOT NULL",
            e=say.elements(column(kept, "s")),
            c=self._marks.counts(matcher, window),
            w=column(kept, "s"),
        )
        keyed = say.sql(
            "SELECT u.person, u.at, u.position, :e AS e, :k AS k FROM _each AS u",
            e=say.as_text(column("e", "u")),
            k=key_of(say, column("e", "u")),
            each=each,
        )
        if kind == "distinct":
            return say.sql("SELECT u.person, COUNT(DISTINCT u.k) AS n FROM _keyed AS u GROUP BY u.person", keyed=keyed)
        # One row for each event and each different value in it; then how often each came.
        once = say.sql(
            "SELECT u.person, u.at, u.position, u.k, MIN(u.e) AS e, COUNT(*) OVER (PARTITION BY u.person, u.k) AS n "
            "FROM _keyed AS u GROUP BY u.person, u.at, u.position, u.k",
            keyed=keyed,
        )
        e = say.document(column("e", "u"))
        ranked = say.sql(
            "SELECT u.person, u.e, ROW_NUMBER() OVER (PARTITION BY u.person ORDER BY u.n DESC, u.at DESC, "
            "u.position DESC, :kind DESC, :number DESC, :word DESC) AS place FROM _once AS u",
            once=once,
            kind=say.sql(
                "CASE WHEN :text THEN 2 WHEN :number THEN 1 ELSE 0 END",
                text=say.is_kind(e, "text"),
                number=say.is_kind(e, "number"),
            ),
            number=say.sql(
                "CASE WHEN :is THEN :n WHEN :yes THEN 1 ELSE 0 END",
                **{"is": say.is_kind(e, "number")},
                n=say.number(e),
                yes=say.truth_of(e, wanted=True),
            ),
            word=say.sql("CASE WHEN :is THEN :t ELSE '' END", **{"is": say.is_kind(e, "text")}, t=say.text(e)),
        )
        return say.sql("SELECT u.person, u.e FROM _ranked AS u WHERE u.place = 1", ranked=ranked)

    # -- written

    def joins(self) -> list[tuple[str, str]]:
        """Name the relations that everybody is joined to, and what each is called there."""
        return [("told", "t")] * bool(self._sums) + [(one, one) for one in self._joined]

    def relations(self) -> "list[tuple[str, Expression]]":
        """Write them; they read `seen` and the marks."""
        found: list[tuple[str, Expression]] = []
        if self._sums:
            columns = {name: making() for name, making in self._sums.values()}
            source = self._marks.source(self._marks.in_order(self._summed_marks))
            listed = ", ".join(f":{name} AS {name}" for name in columns)
            query = self.say.sql(f"SELECT s.person, {listed} FROM {source} GROUP BY s.person", **columns)
            found.append(("told", query))
        return found + [(name, making()) for name, making in self._apart.values()]
