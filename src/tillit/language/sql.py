"""SQL: a definition as one question about everybody, for DuckDB and PostgreSQL.

In:    a condition or a value, an instant; the audiences and features that it names.
Out:   one SELECT over the relations below, with the answer of the live evaluator for each person.
Never: an engine's own notion of time: every bound is a whole number of microseconds that was worked out here.

Relations, which whoever runs it provides; times are UTC epoch microseconds, JSON is text or the engine's own:
  people(person BIGINT, profile_id TEXT)           everybody, one row each
  events(person BIGINT, at BIGINT, position BIGINT, type TEXT, name TEXT, properties JSON)
  traits(person BIGINT, name TEXT, value JSON)     as the profile shows them, one row for each person and name
  permitted(person BIGINT, purpose TEXT)
  group_places(person BIGINT, group_key TEXT, kind TEXT, role TEXT, is_near BOOLEAN)
                                                   who belongs to which group at the instant; near: see `groups`
  group_traits(group_key TEXT, name TEXT, value JSON)  as people said them whom the purpose may use

Shape of an answer. `seen` reads the events that any part of the definition looks at, once, with what each part asks of
them; `told` adds them up, one row for each person. What looks at the order of events (a sequence, a visit, different
values) has a relation of its own that reads `seen`. Everybody is joined to these.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tillit.clock import DAY
from tillit.errors import InputError
from tillit.language.dialects import (
    Dialect,
    both,
    column,
    dialect_of,
    either,
    instant_of,
    micros,
    negated,
    real,
    summed_number,
    text,
    truth,
    whole,
)
from tillit.language.inlining import NESTED
from tillit.language.instants import LONGEST, calendar_span
from tillit.language.nodes import (
    MOST_NUMBER,
    OPPOSITE,
    Absolute,
    AllClauses,
    AllOf,
    AnyClause,
    AnyOf,
    Calendar,
    Clause,
    Compare,
    Condition,
    EventValue,
    Ever,
    Everybody,
    FeatureValue,
    FirstTime,
    InAudience,
    InGroup,
    Matcher,
    Nested,
    Not,
    NotClause,
    Path,
    Permitted,
    PropertyTest,
    Ranked,
    Regularly,
    Restarted,
    Rolling,
    Sample,
    Session,
    SinceLast,
    Test,
    TraitValue,
    Value,
    Window,
)
from tillit.language.nodes import Sequence as Steps
from tillit.language.tapes import LONGEST_VALUE

if TYPE_CHECKING:  # an outside package of half a second, loaded at its seam by those who ask about many
    from sqlglot.expressions import Expr as Expression

TYPES = ("track", "page", "screen")
_SESSION_REACHES = DAY
_ANYTHING = Matcher("*", ())
_DRAWN = 1 << 32
_FAR = 1 << 62  # later than any instant
_COLLATED = {"duckdb": "", "postgres": ' COLLATE "C"'}
_DIVIDED = {"duckdb": "//", "postgres": "/"}  # whole numbers
_MOMENT = frozenset({"before", "after", "within_last", "more_than_ago", "within_next"})
_NUMERIC = frozenset({"greater", "at_least", "less", "at_most", "between"})
_TEXTUAL = frozenset({"contains", "starts_with", "ends_with", "matches"})
_COMPARED = {"greater": ">", "at_least": ">=", "less": "<", "at_most": "<="}


class UnknownName(InputError):
    """A definition names an audience or a feature that is not there, or is part of itself."""

    code = "language.unknown-name"

    def __init__(self, kind: str, name: str, why: str) -> None:
        """Say which, and why it cannot be asked."""
        super().__init__(f"The {kind} {name[:64]!r} {why}.", name=name)


def members_sql(
    node: Condition,
    at: int,
    *,
    audiences: Mapping[str, Condition],
    features: Mapping[str, Value],
    dialect: str = "duckdb",
) -> str:
    """Write the question for whom a condition holds.

    Shape:  one column `person`, each person once, in no order.
    Units:  at is UTC epoch microseconds.
    Raises: NotInSql; UnknownName.
    """
    asking = _Asking(at, audiences, features, dialect_of(dialect))
    if isinstance(node, Ranked):
        return asking.first(node)
    return asking.write(holds=asking.condition(node), value=None)


def places_sql(
    node: Ranked,
    at: int,
    *,
    audiences: Mapping[str, Condition],
    features: Mapping[str, Value],
    dialect: str = "duckdb",
) -> str:
    """Write the question for everybody's place in an order.

    Shape:  columns `person`, `score` (what they are ranked by), `place` (from 1), `n` (people who have a place) and
            `kept` (as many of them as are taken); one row for each person who has a place, in no order.
    Units:  at is UTC epoch microseconds.
    Raises: NotInSql; UnknownName.
    """
    return _Asking(at, audiences, features, dialect_of(dialect)).places(node)


def values_sql(
    node: Value,
    at: int,
    *,
    audiences: Mapping[str, Condition],
    features: Mapping[str, Value],
    dialect: str = "duckdb",
) -> str:
    """Write the question for the value that each person has.

    Shape:  columns `person` and `value` (JSON as text, or NULL), one row for each person, in no order.
    Units:  at is UTC epoch microseconds.
    Raises: NotInSql; UnknownName.
    """
    asking = _Asking(at, audiences, features, dialect_of(dialect))
    return asking.write(holds=None, value=asking.value(node))


class _Told(NamedTuple):
    """A value as SQL: a double, or JSON; NULL when missing."""

    is_number: bool
    sql: "Expression"


class _Span(NamedTuple):
    """Instants after one (None: from the beginning) and up to another."""

    after: int | None
    through: int

    def joined(self, other: "_Span | None") -> "_Span":
        """Give the least span that holds both."""
        if other is None:
            return self
        after = None if self.after is None or other.after is None else min(self.after, other.after)
        return _Span(after, max(self.through, other.through))


_Making = Callable[[], "Expression"]
_T = TypeVar("_T")


class _Asking:
    """One question while it is put together.

    Parts register what they need of `seen` and `told` as they are met, and are written once all of it is known.
    """

    def __init__(
        self, at: int, audiences: Mapping[str, Condition], features: Mapping[str, Value], say: Dialect
    ) -> None:
        self.at = at
        self.say = say
        self._audiences = audiences
        self._features = features
        self._within: list[tuple[str, str]] = []  # what is being written, outermost first
        self._matchers: dict[Matcher, str] = {}  # -> column of `seen`
        self._spans: dict[Matcher, _Span] = {}  # which of its events are looked at
        self._paths: dict[Path, set[Matcher]] = {}  # properties, with those whose events they are read of
        self._kept: dict[tuple[str, Path], str] = {}  # (how, which) -> column of `seen`
        self._marks: dict[Window, str] = {}  # -> relation: from when on events count
        self._sums: dict[tuple[object, ...], tuple[str, _Making]] = {}  # -> column of `told`
        self._summed_marks: set[Window] = set()  # those that `told` looks at
        self._apart: dict[tuple[object, ...], tuple[str, _Making]] = {}  # -> relation of its own
        self._joined: list[str] = []  # those of them that everybody is joined to
        self._traits: dict[tuple[object, ...], tuple[str, _Making]] = {}  # -> column of `known`
        self._trait_paths: dict[Path, str] = {}
        self._groups: list[tuple[str, Expression]] = []  # relations about members: what holds of each, for whom
        self._is_of_member = False

    # -- conditions: true or false of a row of everybody, never NULL

    def condition(self, node: Condition) -> "Expression":
        """Say whether a condition holds."""
        match node:
            case Everybody():
                return truth(True)
            case AllOf(parts):
                return both([self.condition(one) for one in parts])
            case AnyOf(parts):
                return either([self.condition(one) for one in parts])
            case Not(inner):
                return negated(self.condition(inner))
            case InAudience(name):
                return self._inside("audience", name, self._audiences, self.condition)
            case Permitted(purpose):
                return self.say.sql("p.person IN (SELECT person FROM permitted WHERE purpose = :w)", w=text(purpose))
            case Sample():
                return self._sample(node)
            case InGroup():
                return self._group(node)
            case Compare(TraitValue() as value, tests):
                return both([self._trait_passes(test, value.path) for test in tests])
            case Compare(value, tests):
                told = self.value(value)
                return both([self._passes(test, told) for test in tests])
            case FirstTime():
                return self._first_time(node)
            case Restarted():
                return self._restarted(node)
            case Regularly():
                return self._regularly(node)
            case Steps():
                return self._sequence(node)
        raise AssertionError(f"no such condition: {node!r}")

    def _inside(self, kind: str, name: str, known: Mapping[str, _T], write: "Callable[[_T], _W]") -> "_W":
        if (kind, name) in self._within:
            raise UnknownName(kind, name, "is part of itself")
        if name not in known:
            raise UnknownName(kind, name, "is not defined")
        self._within.append((kind, name))
        said = write(known[name])
        self._within.pop()
        return said

    def _sample(self, node: Sample) -> "Expression":
        # The first eight digits as text: in their order they are the numbers from 0 to 2^32.
        drawn = self.say.sql(
            "SUBSTRING(MD5(:salt || p.profile_id), 1, 8)" + _COLLATED[self.say.name], salt=text(f"{node.salt}:")
        )
        low, high = (ceil(share * _DRAWN) for share in (node.from_share, node.until_share))
        parts = []
        if low > 0:
            parts.append(self.say.sql(":d >= :w", d=drawn, w=text(f"{low:08x}")) if low < _DRAWN else truth(False))
        if high < _DRAWN:
            parts.append(self.say.sql(":d < :w", d=drawn, w=text(f"{high:08x}")) if high > 0 else truth(False))
        return both(parts)

    # -- orders: the first of everybody

    def first(self, node: Ranked) -> str:
        """Write the question for the first of an order."""
        kept = str(node.most) if node.most else f"(SELECT {self._part('COUNT(*)', node.millionths)} FROM ranked)"
        sql = (
            f"WITH ranked AS ({self._scored(node)}) SELECT p.person FROM (SELECT person, profile_id FROM ranked "
            f"ORDER BY {self._order(node)} LIMIT {kept}) AS p"
        )
        if node.held is None:
            return sql
        return f"{sql} WHERE {negated(self._sample(node.held)).sql(dialect=self.say.name)}"

    def places(self, node: Ranked) -> str:
        """Write the question for everybody's place."""
        kept = f"LEAST({node.most}, n)" if node.most else self._part("n", node.millionths)
        return (
            f"SELECT person, score, place, n, {kept} AS kept FROM (SELECT person, score, "
            f"ROW_NUMBER() OVER (ORDER BY {self._order(node)}) AS place, COUNT(*) OVER () AS n "
            f"FROM ({self._scored(node)}) AS ranked) AS placed"
        )

    def _part(self, n: str, millionths: int) -> str:
        # How many a part of them is: the last one is whole.
        return f"({n} * {millionths} + 999999) {_DIVIDED[self.say.name]} 1000000"

    def _order(self, node: Ranked) -> str:
        return f"score{' DESC' if node.is_highest else ''}, profile_id{_COLLATED[self.say.name]}"

    def _scored(self, node: Ranked) -> str:
        holds = self.condition(node.of)
        if node.by is None:
            # Eight digits: in their order they are the numbers from 0 to 2^32.
            drawn = self.say.sql(
                "SUBSTRING(MD5(:salt || p.profile_id), 1, 8)" + _COLLATED[self.say.name], salt=text(f"{node.salt}:")
            )
            return self.write(holds=holds, value=None, score=drawn)
        told = self.value(node.by)
        number = told.sql if told.is_number else self.say.number(told.sql)
        scored = self.write(holds=holds, value=None, score=number)
        return f"SELECT person, profile_id, score FROM ({scored}) AS scored WHERE ABS(score) < {MOST_NUMBER!r}"

    # -- groups

    def _group(self, node: InGroup) -> "Expression":
        if self._is_of_member:
            raise UnknownName("audience", "", NESTED)
        say, parts, beside = self.say, [], ""
        if node.kind:
            parts.append(say.sql("g.kind = :kind", kind=text(node.kind)))
        if node.roles:
            parts.append(say.sql("COALESCE(:named, FALSE)", named=_in(column("role", "g"), [*map(text, node.roles)])))
        if node.trait:
            beside += " LEFT JOIN group_traits AS x ON x.group_key = g.group_key AND x.name = :name"
            value = say.get(say.document(column("value", "x")), node.trait[1:])
            parts += [self._passes(test, _Told(is_number=False, sql=value)) for test in node.tests]
        if node.sizes or node.member is not None:
            parts.append(say.sql("g.is_near"))
        for name, tests, has_own in self._member_counts(node):
            beside += f" LEFT JOIN n_{name} ON n_{name}.group_key = g.group_key"
            n = say.sql(f"COALESCE(n_{name}.n, 0)")
            if not has_own:
                beside += f" LEFT JOIN {name} AS o_{name} ON o_{name}.person = g.person"
                n = say.sql(f":n - CASE WHEN o_{name}.person IS NULL THEN 0 ELSE 1 END", n=n)
            n = say.sql("CAST(:n AS DOUBLE PRECISION)", n=n)
            parts += [self._passes(test, _Told(is_number=True, sql=n)) for test in tests]
        return say.sql(
            f"p.person IN (SELECT g.person FROM group_places AS g{beside} WHERE :fits)",
            fits=both(parts),
            **({"name": text(node.trait[0])} if node.trait else {}),
        )

    def _member_counts(self, node: InGroup) -> "list[tuple[str, tuple[Test, ...], bool]]":
        """Ask for relations of the people who count, and how many of them each group has; give their names."""
        found = []
        may = [self.condition(Permitted(node.purpose))] if node.purpose else []
        if node.sizes:
            found.append((self._who_counts(both(may)), node.sizes, True))
        if node.member is not None:
            self._is_of_member = True
            holds = self.condition(node.member)
            self._is_of_member = False
            found.append((self._who_counts(both([holds, *may])), node.counts, not node.others_only))
        return found

    def _who_counts(self, holds: "Expression") -> str:
        name = f"g{len(self._groups)}"
        self._groups.append((name, holds))
        return name

    def _group_relations(self, beside: str) -> "list[tuple[str, Expression]]":
        relations = []
        for name, holds in self._groups:
            relations.append(
                (name, self.say.sql(f"SELECT p.person FROM people AS p{beside} WHERE :holds", holds=holds))
            )
            counted = (
                f"SELECT g.group_key, COUNT(*) AS n FROM group_places AS g JOIN {name} AS o ON o.person = g.person"
            )
            relations.append((f"n_{name}", self.say.sql(f"{counted} WHERE g.is_near GROUP BY g.group_key")))
        return relations

    def _is_in(self, relation: str) -> "Expression":
        return self.say.sql(f"p.person IN (SELECT person FROM {relation})")

    # -- tests

    def _passes(self, test: Test, told: _Told) -> "Expression":
        turned = OPPOSITE.get(test.op)
        op = turned or test.op
        if told.is_number:
            found = (
                self.say.sql(":x IS NOT NULL", x=told.sql)
                if op == "is_set"
                else self._sure(self._number_passes(op, test.value, told.sql))
            )
        else:
            found = self._json_passes(op, test.value, told.sql, self.at, 0)
        return negated(found) if turned else found

    def _sure(self, found: "Expression") -> "Expression":
        return self.say.sql("COALESCE(:found, FALSE)", found=found)

    def _json_passes(self, op: str, wanted: object, value: "Expression", at: int, depth: int) -> "Expression":
        """Say whether a JSON value passes a test that is no other one turned round."""
        if op == "is_set":
            return self.say.is_set(value)

        def one(element: "Expression") -> "Expression":
            return self._scalar_passes(op, wanted, element, at)

        if op == "all_of":
            assert isinstance(wanted, tuple)
            listed = both([self.say.any_element(value, _is(self, each), depth) for each in wanted])
        else:
            listed = self.say.any_element(value, one, depth)
        if op in _NUMERIC:
            # In this order a number, which it mostly is, is looked at once.
            return self.say.sql(
                "COALESCE(:alone, CASE WHEN :listed THEN :some ELSE FALSE END)",
                listed=self.say.is_kind(value, "list"),
                some=listed,
                alone=self._number_passes(op, wanted, self.say.number(value)),
            )
        return self.say.sql(
            "CASE WHEN :listed THEN :some ELSE COALESCE(:alone, FALSE) END",
            listed=self.say.is_kind(value, "list"),
            some=listed,
            alone=one(value),
        )

    def _if_kind(self, value: "Expression", kind: str, then: "Expression") -> "Expression":
        return self.say.sql(
            "CASE WHEN :right THEN :then ELSE FALSE END", right=self.say.is_kind(value, kind), then=then
        )

    def _scalar_passes(self, op: str, wanted: object, value: "Expression", at: int) -> "Expression":
        if op == "equals":
            return self._is_one_of((wanted,), value)
        if op == "one_of":
            assert isinstance(wanted, tuple)
            return self._is_one_of(wanted, value)
        if op == "all_of":
            assert isinstance(wanted, tuple)
            return self._is_one_of(wanted, value) if len(wanted) == 1 else truth(False)
        if op in _NUMERIC:
            return self._sure(self._number_passes(op, wanted, self.say.number(value)))
        if op in _TEXTUAL:
            assert isinstance(wanted, str)
            return self._if_kind(value, "text", self.say.find_text(op, self.say.text(value), wanted))
        if op in _MOMENT:
            then = instant_of(self.say, self.say.text(value))
            return self._if_kind(value, "text", self._sure(self._moment_passes(op, wanted, then, at)))
        return truth(False)

    def _is_one_of(self, wanted: Sequence[object], value: "Expression") -> "Expression":
        parts = [self.say.truth_of(value, one) for one in wanted if type(one) is bool]
        texts = [one for one in wanted if type(one) is str]
        if len(texts) == 1:
            parts.append(self.say.equals_text(value, texts[0]))
        elif texts:
            parts.append(self._if_kind(value, "text", _in(self.say.text(value), [text(one) for one in texts])))
        numbers = [one for one in wanted if type(one) is float]
        if numbers:
            found = _in(self.say.number(value), [real(one) for one in numbers])
            parts.append(self._sure(found))
        return either(parts)

    def _number_passes(self, op: str, wanted: object, number: "Expression") -> "Expression":
        if op in _COMPARED:
            assert isinstance(wanted, float | int)
            return self.say.sql(f":n {_COMPARED[op]} :w", n=number, w=real(wanted))
        if op == "between":
            assert isinstance(wanted, tuple)
            return self.say.sql(":n BETWEEN :low AND :high", n=number, low=real(wanted[0]), high=real(wanted[1]))
        told = wanted if isinstance(wanted, tuple) else (wanted,)
        if op not in ("equals", "one_of") and not (op == "all_of" and len(told) == 1):
            return truth(False)
        numbers = [real(one) for one in told if type(one) is float]
        return _in(number, numbers) if numbers else truth(False)

    def _moment_passes(self, op: str, wanted: object, then: "Expression", at: int) -> "Expression":
        assert isinstance(wanted, int)
        if op == "before":
            return self.say.sql(":then < :w", then=then, w=whole(wanted))
        if op == "after":
            return self.say.sql(":then > :w", then=then, w=whole(wanted))
        if op == "more_than_ago":
            return self.say.sql(":then <= :w", then=then, w=whole(at - wanted))
        low, high = (at - wanted, at) if op == "within_last" else (at, at + wanted)
        return self.say.sql(":then BETWEEN :low AND :high", then=then, low=whole(low + 1), high=whole(high))

    # -- properties

    def _clause(self, clause: Clause, get: "Callable[[Path], Expression]", depth: int) -> "Expression":
        """Say whether a clause holds of what `get` reads of."""
        match clause:
            case PropertyTest(path, tests):
                value = get(path)
                parts = []
                for test in tests:
                    turned = OPPOSITE.get(test.op)
                    found = self._json_passes(turned or test.op, test.value, value, 0, depth)
                    parts.append(negated(found) if turned else found)
                return both(parts)
            case AllClauses(parts_of):
                return both([self._clause(one, get, depth) for one in parts_of])
            case AnyClause(parts_of):
                return either([self._clause(one, get, depth) for one in parts_of])
            case NotClause(inner):
                return negated(self._clause(inner, get, depth))
            case Nested():
                return self._nested(clause, get(clause.path), depth)
        raise AssertionError(f"no such clause: {clause!r}")

    def _nested(self, clause: Nested, value: "Expression", depth: int) -> "Expression":
        def told(element: "Expression") -> "Expression":
            def get(path: Path) -> "Expression":
                return self.say.get(element, path)

            return self._if_kind(element, "object", self._clause(clause.clause, get, depth + 1))

        is_every = clause.quantifier == "every"
        find = self.say.every_element if is_every else self.say.any_element
        found = self._if_kind(value, "list", find(value, told, depth))
        return negated(found) if clause.quantifier == "none" else found

    # -- events

    def _look(self, matcher: Matcher, span: _Span) -> None:
        """Ask for the events of a matcher in a span."""
        if matcher not in self._matchers:
            self._matchers[matcher] = f"m{len(self._matchers)}"
            for path in _paths_in(matcher.where):
                self._paths.setdefault(path, set()).add(matcher)
        self._spans[matcher] = span.joined(self._spans.get(matcher))

    def _keep(self, how: str, path: Path, matcher: Matcher) -> str:
        """Ask for something of the properties of a matcher's events; give its column."""
        self._paths.setdefault(path, set()).add(matcher)
        return self._kept.setdefault((how, path), f"{how}{len(self._kept)}")

    def _whole_span(self) -> _Span:
        spans = list(self._spans.values())
        found = spans[0]
        for one in spans[1:]:
            found = found.joined(one)
        return found

    def _taken(self, matcher: Matcher, span: _Span, *, of: str = "s") -> "Expression":
        """Say whether a row of `seen` is an event of a matcher in a span."""
        parts = [] if len(self._matchers) == 1 else [column(self._matchers[matcher], of)]
        return both([*parts, *self._bounds(span, self._whole_span(), of)])

    def _bounds(self, span: _Span, known: _Span, of: str) -> "list[Expression]":
        parts = []
        if span.after is not None and span.after != known.after:
            parts.append(self.say.sql(":at > :after", at=column("at", of), after=whole(span.after)))
        if span.through != known.through:
            parts.append(self.say.sql(":at <= :through", at=column("at", of), through=whole(span.through)))
        return parts

    def _span(self, window: Window) -> _Span:
        """Say which events a window may hold; of some only what lies after a mark counts."""
        at = self.at
        match window:
            case Ever():
                return _Span(None, at)
            case Absolute(from_at, until_at):
                return _Span(
                    None if from_at is None else from_at - 1, at if until_at is None else min(at, until_at - 1)
                )
            case Rolling(within, older):
                return _Span(None if within >= LONGEST else at - within, at - older)
            case Calendar():
                begins, ends = calendar_span(window, at)
                return _Span(begins - 1, min(at, ends - 1))
            case SinceLast(_, within):
                return _Span(at - within, at)
            case Session():
                return _Span(at - _SESSION_REACHES, at)
        raise AssertionError(f"no such window: {window!r}")

    def _mark(self, window: Window) -> None:
        """Ask for what a window needs to know of each person."""
        if isinstance(window, SinceLast):
            self._look(window.matcher, self._span(window))
        elif isinstance(window, Session):
            self._look(_ANYTHING, self._span(window))
        else:
            return
        self._marks.setdefault(window, f"mark{len(self._marks)}")

    def _counts(self, matcher: Matcher, window: Window) -> "Expression":
        """Say whether a row of `seen`, joined to the window's mark, counts."""
        taken = self._taken(matcher, self._span(window))
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

    def _mark_query(self, window: Window) -> "Expression":
        span = self._span(window)
        if isinstance(window, SinceLast):
            return self.say.sql(
                "SELECT s.person, MAX(s.at) AS since FROM seen AS s WHERE :taken GROUP BY s.person",
                taken=self._taken(window.matcher, span),
            )
        assert isinstance(window, Session)
        return self.say.sql(
            "SELECT v.person, MAX(CASE WHEN v.before IS NULL OR v.at - v.before > :gap THEN v.at END) AS since FROM ("
            "SELECT s.person, s.at, LAG(s.at) OVER (PARTITION BY s.person ORDER BY s.at) AS before "
            "FROM seen AS s WHERE :taken) AS v GROUP BY v.person HAVING MAX(v.at) >= :now - :gap",
            gap=whole(window.gap),
            now=whole(self.at),
            taken=self._taken(_ANYTHING, span),
        )

    def _source(self, windows: Sequence[Window]) -> str:
        """Name `seen` with the marks of some windows beside it."""
        marks = [self._marks[one] for one in windows if one in self._marks]
        return "seen AS s" + "".join(f" LEFT JOIN {mark} ON {mark}.person = s.person" for mark in marks)

    # -- values

    def value(self, node: Value) -> _Told:
        """Give a value of a row of everybody."""
        match node:
            case FeatureValue(name):
                return self._inside("feature", name, self._features, self.value)
            case TraitValue(path):
                told = self._known("value", path, lambda v: self.say.sql("MAX(:v)", v=self.say.as_text(v)))
                return _Told(is_number=False, sql=self.say.document(told))
        return self._event_value(node)

    def _event_value(self, node: EventValue) -> _Told:
        matcher, window, (kind, path) = node
        self._look(matcher, self._span(window))
        self._mark(window)
        say = self.say
        if kind == "count":
            counted = self._sum("COUNT(*) FILTER (WHERE :c)", matcher, window)
            return _Told(is_number=True, sql=say.sql("CAST(COALESCE(:n, 0) AS DOUBLE PRECISION)", n=counted))
        if kind in ("sum", "average", "minimum", "maximum"):
            return _Told(is_number=True, sql=self._of_numbers(kind, matcher, window, path))
        kept = self._keep("w", path, matcher)
        if kind in ("first", "last"):
            found = self._summed(
                (kind, matcher, window, path),
                window,
                lambda: say.extreme(
                    kind,
                    column(kept, "s"),
                    both([self._counts(matcher, window), say.sql(":w IS NOT NULL", w=column(kept, "s"))]),
                ),
            )
            return _Told(is_number=False, sql=found)
        relation = self._relation((kind, matcher, window, path), lambda: self._elements(kind, matcher, window, kept))
        if relation not in self._joined:
            self._joined.append(relation)
        if kind == "distinct":
            counted = column("n", relation)
            return _Told(is_number=True, sql=say.sql("CAST(COALESCE(:n, 0) AS DOUBLE PRECISION)", n=counted))
        return _Told(is_number=False, sql=say.document(column("e", relation)))

    def _of_numbers(self, kind: str, matcher: Matcher, window: Window, path: Path) -> "Expression":
        say, kept = self.say, self._keep("n", path, matcher)

        def summed(template: str) -> "Expression":
            return self._sum(template, matcher, window, n=lambda: column(kept, "s"), key=path)

        if kind in ("minimum", "maximum"):
            return summed(f"{kind[:3].upper()}(:n) FILTER (WHERE :c)")
        total = self._sum(
            "SUM(:n) FILTER (WHERE :c)", matcher, window, n=lambda: micros(say, column(kept, "s")), key=path
        )
        real_total = say.sql(":s / 1000000", s=say.as_real(total))
        if kind == "sum":
            return say.sql("COALESCE(:s, 0)", s=real_total)
        n_numbers = summed("COUNT(:n) FILTER (WHERE :c)")
        return say.sql("CASE WHEN :n > 0 THEN :s / :n END", s=real_total, n=n_numbers)

    def _sum(
        self, template: str, matcher: Matcher, window: Window, *, n: _Making | None = None, key: Path = ()
    ) -> "Expression":
        """Ask for an aggregate of the events that count: `:n` of each, where `:c`."""

        def making() -> "Expression":
            parts = {} if n is None else {"n": n()}
            return self.say.sql(template, c=self._counts(matcher, window), **parts)

        return self._summed((template, matcher, window, key), window, making)

    def _summed(self, key: tuple[object, ...], window: Window, making: _Making) -> "Expression":
        if window in self._marks:
            self._summed_marks.add(window)
        name, _ = self._sums.setdefault(key, (f"a{len(self._sums)}", making))
        return column(name, "t")

    def _relation(self, key: tuple[object, ...], making: _Making) -> str:
        return self._apart.setdefault(key, (f"r{len(self._apart)}", making))[0]

    def _elements(self, kind: str, matcher: Matcher, window: Window, kept: str) -> "Expression":
        """Write what is asked of the different values: how many there are, or the most frequent one."""
        say = self.say
        each = say.sql(
            f"SELECT s.person, s.at, s.position, :e AS e FROM {self._source([window])} WHERE :c AND :w IS NOT NULL",
            e=say.elements(column(kept, "s")),
            c=self._counts(matcher, window),
            w=column(kept, "s"),
        )
        keyed = say.sql(
            "SELECT u.person, u.at, u.position, :e AS e, :k AS k FROM _each AS u",
            e=say.as_text(column("e", "u")),
            k=_key(say, column("e", "u")),
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

    # -- traits

    def _known(self, key: object, path: Path, write: "Callable[[Expression], Expression]") -> "Expression":
        """Ask for an aggregate over the one row of a trait."""
        name = self._trait_paths.setdefault(path, f"v{len(self._trait_paths)}")
        value = self.say.sql("CASE WHEN k.name = :name THEN :v END", name=text(path[0]), v=column(name, "k"))
        told, _ = self._traits.setdefault((key, path), (f"c{len(self._traits)}", lambda: write(value)))
        return column(told, "k")

    def _trait_passes(self, test: Test, path: Path) -> "Expression":
        turned = OPPOSITE.get(test.op)
        op = turned or test.op

        def write(value: "Expression") -> "Expression":
            return self.say.sql("BOOL_OR(:passes)", passes=self._json_passes(op, test.value, value, self.at, 0))

        found = self._sure(self._known((op, repr(test.value)), path, write))
        return negated(found) if turned else found

    # -- habits

    def _first_time(self, node: FirstTime) -> "Expression":
        window, at = node.window, self.at
        span = _Span(None, at)
        self._look(node.matcher, span)
        first = self._sum("MIN(s.at) FILTER (WHERE :c)", node.matcher, Ever())
        if isinstance(window, Rolling):
            low, high = at - window.within + 1, at - window.older_than
        elif isinstance(window, Calendar):
            begins, ends = calendar_span(window, at)
            low, high = begins, ends - 1
        else:
            low = -_FAR if window.from_at is None else window.from_at
            high = _FAR if window.until_at is None else window.until_at - 1
        return self._sure(self.say.sql(":first BETWEEN :low AND :high", first=first, low=whole(low), high=whole(high)))

    def _restarted(self, node: Restarted) -> "Expression":
        span = _Span(None, self.at)
        self._look(node.matcher, span)
        return self._is_in(
            self._relation(
                tuple(node),
                lambda: self.say.sql(
                    "SELECT v.person FROM (SELECT s.person, s.at, LAG(s.at) OVER (PARTITION BY s.person ORDER BY s.at) "
                    "AS before FROM seen AS s WHERE :taken) AS v WHERE v.at > :after AND v.at - v.before >= :quiet",
                    taken=self._taken(node.matcher, span),
                    after=whole(self.at - node.within),
                    quiet=whole(node.quiet),
                ),
            )
        )

    def _regularly(self, node: Regularly) -> "Expression":
        window = Rolling(node.every * node.of)
        span = _Span(self.at - window.within, self.at)
        self._look(node.matcher, span)
        n_stretches = self._summed(
            ("regularly", node.matcher, node.every, node.of),
            window,
            lambda: self.say.sql(
                f"COUNT(DISTINCT (:now - s.at) {_DIVIDED[self.say.name]} :every) FILTER (WHERE :taken)",
                now=whole(self.at),
                every=whole(node.every),
                taken=self._taken(node.matcher, span),
            ),
        )
        return self.say.sql("COALESCE(:n, 0) >= :least", n=n_stretches, least=whole(node.at_least))

    def _sequence(self, node: Steps) -> "Expression":
        span = _Span(self.at - node.within, self.at)
        for step in node.steps:
            self._look(step.matcher, span)
            if step.without is not None:
                self._look(step.without, span)
        if node.unless is not None:
            self._look(node.unless, span)
        keys = [self._keep("k", path, step.matcher) for step in node.steps for path in node.same]
        return self._is_in(self._relation(tuple(node), lambda: self._steps(node, span, sorted(set(keys)))))

    def _steps(self, node: Steps, span: _Span, keys: Sequence[str]) -> "Expression":
        """Write who went a way through all steps.

        Each row is an event in its place; `b` says when the latest way through the steps so far that ends there began.
        The latest way to an event goes by the latest end of a way before it: those that end later began no earlier.
        """
        say = self.say
        step_flags = [self._taken(step.matcher, span) for step in node.steps]
        apart_flags = [None if step.without is None else self._taken(step.without, span) for step in node.steps]
        unless_flag = None if node.unless is None else self._taken(node.unless, span)
        flags = {f"f{i}": flag for i, flag in enumerate(step_flags)}
        flags |= {f"g{i}": flag for i, flag in enumerate(apart_flags) if flag is not None}
        if unless_flag is not None:
            flags["u"] = unless_flag
        has_keys = both([say.sql(":k IS NOT NULL", k=column(key, "s")) for key in keys])
        flags = {
            name: say.sql("(:flag AND :keys)", flag=flag, keys=has_keys) if keys and name[0] == "f" else flag
            for name, flag in flags.items()
        }
        listed = "".join(f", :{name} AS {name}" for name in flags) + "".join(f", s.{key}" for key in keys)
        query = say.sql(
            "SELECT s.person, s.at, ROW_NUMBER() OVER (PARTITION BY s.person ORDER BY s.at, s.position) AS n"
            f"{listed} FROM seen AS s WHERE :any",
            any=either(list(flags.values())),
            **flags,
        )
        query = say.sql("SELECT w.*, CASE WHEN w.f0 THEN w.at END AS b FROM _rows AS w", rows=query)
        alike = "".join(f", w.{key}" for key in keys)
        before = f"OVER (PARTITION BY w.person{alike} ORDER BY w.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        passed = "OVER (PARTITION BY w.person ORDER BY w.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        kept = ", ".join(["w.person", "w.at", "w.n", *(f"w.{name}" for name in flags), *(f"w.{key}" for key in keys)])
        for i, step in enumerate(node.steps[1:], 1):
            apart = f", MAX(CASE WHEN w.g{i} THEN w.n END) {passed} AS apart" if step.without is not None else ""
            query = say.sql(
                f"SELECT {kept}, MAX(w.b) {before} AS begun, MAX(CASE WHEN w.b IS NOT NULL THEN w.at END) {before} "
                f"AS left_at, MAX(CASE WHEN w.b IS NOT NULL THEN w.n END) {before} AS left_n{apart} FROM _rows AS w",
                rows=query,
            )
            may = [say.sql(f"w.f{i}")]
            if step.gap is not None:
                may.append(say.sql("w.at - w.left_at <= :gap", gap=whole(step.gap)))
            if step.without is not None:
                may.append(say.sql("w.apart IS NULL OR w.apart <= w.left_n"))
            if node.total is not None:
                may.append(say.sql("w.at - w.begun <= :total", total=whole(node.total)))
            query = say.sql(
                f"SELECT {kept}, CASE WHEN :may THEN w.begun END AS b FROM _rows AS w", rows=query, may=_all(say, may)
            )
        if node.unless is None:
            return say.sql("SELECT DISTINCT w.person FROM _rows AS w WHERE w.b IS NOT NULL", rows=query)
        following = "OVER (PARTITION BY w.person ORDER BY w.n ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)"
        query = say.sql(
            f"SELECT w.person, w.at, w.b, MIN(CASE WHEN w.u THEN w.at END) {following} AS denied FROM _rows AS w",
            rows=query,
        )
        return say.sql(
            "SELECT DISTINCT w.person FROM _rows AS w WHERE w.b IS NOT NULL AND w.at <= :over "
            "AND (w.denied IS NULL OR w.denied - w.at > :wait)",
            rows=query,
            over=whole(self.at - node.unless_within),
            wait=whole(node.unless_within),
        )

    # -- the whole

    def write(self, *, holds: "Expression | None", value: _Told | None, score: "Expression | None" = None) -> str:
        """Write the question: whom it holds of, with what they are ranked by, or the value of each."""
        from sqlglot import exp

        say = self.say
        relations: list[tuple[str, Expression]] = []
        # In this order each reads only those before it.
        told = {name: making() for name, making in self._sums.values()}
        apart = {name: making() for name, making in self._apart.values()}
        known = {name: making() for name, making in self._traits.values()}
        if self._matchers:
            relations.append(("seen", self._seen()))
        relations += [(name, self._mark_query(window)) for window, name in self._marks.items()]
        if told:
            marks = sorted(self._summed_marks, key=lambda one: self._marks[one])
            listed = ", ".join(f":{name} AS {name}" for name in told)
            relations.append(
                ("told", say.sql(f"SELECT s.person, {listed} FROM {self._source(marks)} GROUP BY s.person", **told))
            )
        relations += apart.items()
        if known:
            relations.append(("known", self._known_query(known)))
        joins = [("told", "t")] * bool(told) + [(one, one) for one in self._joined] + [("known", "k")] * bool(known)
        beside = "".join(f" LEFT JOIN {name} AS {alias} ON {alias}.person = p.person" for name, alias in joins)
        relations += self._group_relations(beside)
        if value is None:
            assert holds is not None
            if score is None:
                query = say.sql(f"SELECT p.person FROM people AS p{beside} WHERE :holds", holds=holds)
            else:
                query = say.sql(
                    f"SELECT p.person, p.profile_id, :score AS score FROM people AS p{beside} WHERE :holds",
                    holds=holds,
                    score=score,
                )
        else:
            query = say.sql(f"SELECT p.person, :value AS value FROM people AS p{beside}", value=self._written(value))
        assert isinstance(query, exp.Select)
        for name, part in relations:
            query = query.with_(name, as_=part, copy=False)
        return query.sql(dialect=say.name)

    def _written(self, value: _Told) -> "Expression":
        if value.is_number:
            return self.say.sql("CAST(:v AS TEXT)", v=value.sql)
        return self.say.sql("NULLIF(:v, 'null')", v=self.say.as_text(value.sql))

    def _known_query(self, columns: "Mapping[str, Expression]") -> "Expression":
        listed = ", ".join(f":{name} AS {name}" for name in columns)
        names = sorted({path[0] for path in self._trait_paths})
        values = {
            name: self.say.get(self.say.document(column("value", "r")), path[1:])
            for path, name in self._trait_paths.items()
        }
        rows = self.say.sql(
            f"SELECT r.person, r.name, {', '.join(f':{name} AS {name}' for name in values)} FROM traits AS r "
            "WHERE :named",
            named=_in(column("name", "r"), [text(name) for name in names]),
            **values,
        )
        return self.say.sql(f"SELECT k.person, {listed} FROM _rows AS k GROUP BY k.person", rows=rows, **columns)

    def _seen(self) -> "Expression":
        """Write the events that are looked at, each with what is asked of it."""
        say, span = self.say, self._whole_span()
        matchers = list(self._matchers)
        everything = self._coarse(matchers, "e")
        where = both([*self._bounds(span, _Span(None, _FAR), "e"), everything])
        values = {}
        for i, (path, readers) in enumerate(self._paths.items()):
            value = say.get(say.document(column("properties", "e")), path)
            coarse = self._coarse([one for one in matchers if one in readers], "e")
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

        kept = {name: self._derived(how, get(path)) for (how, path), name in self._kept.items()}
        passing = truth(True)
        if len(matchers) == 1:
            if matchers[0].where is not None:
                passing = self._clause(matchers[0].where, get, 0)
        else:
            for matcher, name in self._matchers.items():
                alike = self._coarse([matcher], "e")
                fitting = self._bounds(self._spans[matcher], span, "e") + ([] if alike == everything else [alike])
                clause = truth(True) if matcher.where is None else self._clause(matcher.where, get, 0)
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

    def _derived(self, how: str, value: "Expression") -> "Expression":
        """Give what is kept of a property: its number, what it is projected to, or by what it is told apart."""
        say = self.say
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
            return say.sql("CASE WHEN :kept THEN :k END", kept=is_kept(value), k=_key(say, value))
        return say.sql(
            "CASE WHEN :listed THEN :some WHEN :kept THEN :v END",
            listed=say.is_kind(value, "list"),
            some=say.scalars(value, is_kept),
            kept=is_kept(value),
            v=say.scalar(value),
        )

    def _coarse(self, matchers: Sequence[Matcher], of: str) -> "Expression":
        """Say whether an event is of a type and name that some matchers take."""
        wanted: dict[str, set[str] | None] = {}
        for matcher in matchers:
            for kind in TYPES if matcher.type == "*" else (matcher.type,):
                names = wanted.setdefault(kind, set())
                wanted[kind] = None if names is None or not matcher.names else names | set(matcher.names)
        parts = []
        whole_kinds = [kind for kind, names in wanted.items() if names is None]
        if whole_kinds:
            parts.append(_in(column("type", of), [text(one) for one in whole_kinds]))
        for kind, names in wanted.items():
            if names is not None:
                named = _in(column("name", of), [text(one) for one in sorted(names)])
                parts.append(both([_in(column("type", of), [text(kind)]), named]))
        return either(parts)


_W = TypeVar("_W")


def _is(asking: _Asking, wanted: object) -> "Callable[[Expression], Expression]":
    return lambda element: asking._is_one_of((wanted,), element)


def _in(value: "Expression", wanted: "Sequence[Expression]") -> "Expression":
    from sqlglot import exp

    value = value.copy() if value.parent is not None else value
    return exp.EQ(this=value, expression=wanted[0]) if len(wanted) == 1 else exp.In(this=value, expressions=[*wanted])


def _all(say: Dialect, parts: "Sequence[Expression]") -> "Expression":
    return both([say.sql("(:part)", part=part) for part in parts])


def _key(say: Dialect, value: "Expression") -> "Expression":
    """Write a scalar so that equal ones are equal, and no kind is taken for another."""
    number = say.number(value)
    return say.sql(
        "CASE WHEN :is THEN CAST(CASE WHEN :n = 0 THEN 0 ELSE :n END AS TEXT) ELSE :v END",
        **{"is": say.is_kind(value, "number")},
        n=number,
        v=say.as_text(value),
    )


def _paths_in(clause: Clause | None) -> set[Path]:
    match clause:
        case PropertyTest(path, _) | Nested(path, _, _):
            return {path}
        case AllClauses(parts) | AnyClause(parts):
            return {path for part in parts for path in _paths_in(part)}
        case NotClause(inner):
            return _paths_in(inner)
    return set()
