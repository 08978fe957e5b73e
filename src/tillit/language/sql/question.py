"""Question: a whole definition as one statement about everybody.

In:    a condition, a value or an order; an instant; the audiences and features that it names.
Out:   one SELECT.
Never: how one kind of part is written: it asks each, and joins everybody to what they ask for.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tillit.language.dialects import Dialect, both, dialect_of, either, negated, text, truth
from tillit.language.nodes import (
    MOST_NUMBER,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Everybody,
    FeatureValue,
    FirstTime,
    InAudience,
    InGroup,
    Not,
    Permitted,
    Ranked,
    Regularly,
    Restarted,
    Sample,
    TraitValue,
    Value,
)
from tillit.language.nodes import Sequence as Steps
from tillit.language.sql.aggregates import Aggregates
from tillit.language.sql.belonging import Belonging
from tillit.language.sql.habits import first_time, regularly, restarted
from tillit.language.sql.marks import Marks
from tillit.language.sql.named import Named
from tillit.language.sql.orders import first, places
from tillit.language.sql.passing import Told, passes
from tillit.language.sql.samples import drawn, sample
from tillit.language.sql.seen import Seen
from tillit.language.sql.sequences import sequence
from tillit.language.sql.traits import Traits

if TYPE_CHECKING:  # an outside package of half a second, loaded at its seam by those who ask about many
    from sqlglot.expressions import Expr as Expression


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
        return first(asking.say, node, asking.scored(node))
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
    asking = _Asking(at, audiences, features, dialect_of(dialect))
    return places(asking.say, node, asking.scored(node))


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


class _Asking:
    """One question while it is put together.

    Parts register what they need of each relation as they are met, and are written once all of it is known.
    """

    def __init__(
        self, at: int, audiences: Mapping[str, Condition], features: Mapping[str, Value], say: Dialect
    ) -> None:
        self.at = at
        self.say = say
        self._named = Named(audiences, features)
        self._seen = Seen(say)
        self._marks = Marks(at, say, self._seen)
        self._aggregates = Aggregates(at, self._seen, self._marks)
        self._traits = Traits(at, say)
        self._groups = Belonging(at, say, self.condition)

    def condition(self, node: Condition) -> "Expression":
        """Say whether a condition holds: true or false of a row of everybody, never NULL."""
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
                return self._named.audience(name, self.condition)
            case Permitted(purpose):
                return self.say.sql("p.person IN (SELECT person FROM permitted WHERE purpose = :w)", w=text(purpose))
            case Sample():
                return sample(self.say, node)
            case InGroup():
                return self._groups.holds(node)
            case Compare(TraitValue() as value, tests):
                return both([self._traits.passes(test, value.path) for test in tests])
            case Compare(value, tests):
                told = self.value(value)
                return both([passes(self.say, test, told, self.at) for test in tests])
            case FirstTime():
                return first_time(self._aggregates, node)
            case Restarted():
                return restarted(self._aggregates, node)
            case Regularly():
                return regularly(self._aggregates, node)
            case Steps():
                return sequence(self._aggregates, node)
        raise AssertionError(f"no such condition: {node!r}")

    def value(self, node: Value) -> Told:
        """Give a value of a row of everybody."""
        match node:
            case FeatureValue(name):
                return self._named.feature(name, self.value)
            case TraitValue(path):
                return self._traits.value(path)
        return self._aggregates.value(node)

    def scored(self, node: Ranked) -> str:
        """Write the question for what each person of an order is ranked by."""
        holds = self.condition(node.of)
        if node.by is None:
            return self.write(holds=holds, value=None, score=drawn(self.say, node.salt))
        told = self.value(node.by)
        number = told.sql if told.is_number else self.say.number(told.sql)
        scored = self.write(holds=holds, value=None, score=number)
        return f"SELECT person, profile_id, score FROM ({scored}) AS scored WHERE ABS(score) < {MOST_NUMBER!r}"

    def write(self, *, holds: "Expression | None", value: Told | None, score: "Expression | None" = None) -> str:
        """Write the question: whom it holds of, with what they are ranked by, or the value of each."""
        from sqlglot import exp

        say = self.say
        joins = [*self._aggregates.joins(), *self._traits.joins()]
        beside = "".join(f" LEFT JOIN {name} AS {alias} ON {alias}.person = p.person" for name, alias in joins)
        # In this order each reads only those before it.
        relations = [
            *self._seen.relations(),
            *self._marks.relations(),
            *self._aggregates.relations(),
            *self._traits.relations(),
            *self._groups.relations(beside),
        ]
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

    def _written(self, value: Told) -> "Expression":
        if value.is_number:
            return self.say.sql("CAST(:v AS TEXT)", v=value.sql)
        return self.say.sql("NULLIF(:v, 'null')", v=self.say.as_text(value.sql))
