"""Passing: tests of a value and clauses about properties, as SQL.

In:    a test or a clause; the value, or what reads a property, as SQL.
Out:   whether it passes: true or false, never NULL.
Never: a look at where the value comes from.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tillit.language.dialects import Dialect, among, both, either, instant_of, negated, real, text, truth, whole
from tillit.language.nodes import (
    OPPOSITE,
    AllClauses,
    AnyClause,
    Clause,
    Nested,
    NotClause,
    Path,
    PropertyTest,
    Test,
)

if TYPE_CHECKING:  # an outside package of half a second, loaded at its seam by those who ask about many
    from sqlglot.expressions import Expr as Expression

_MOMENT = frozenset({"before", "after", "within_last", "more_than_ago", "within_next"})
_NUMERIC = frozenset({"greater", "at_least", "less", "at_most", "between"})
_TEXTUAL = frozenset({"contains", "starts_with", "ends_with", "matches"})
_COMPARED = {"greater": ">", "at_least": ">=", "less": "<", "at_most": "<="}


class Told(NamedTuple):
    """A value as SQL: a double, or JSON; NULL when missing."""

    is_number: bool
    sql: "Expression"


def sure(say: Dialect, found: "Expression") -> "Expression":
    """Say no where nothing is known."""
    return say.sql("COALESCE(:found, FALSE)", found=found)


def passes(say: Dialect, test: Test, told: Told, at: int) -> "Expression":
    """Say whether a value passes a test at an instant."""
    turned = OPPOSITE.get(test.op)
    op = turned or test.op
    if told.is_number:
        found = (
            say.sql(":x IS NOT NULL", x=told.sql)
            if op == "is_set"
            else sure(say, _number_passes(say, op, test.value, told.sql))
        )
    else:
        found = json_passes(say, op, test.value, told.sql, at, 0)
    return negated(found) if turned else found


def json_passes(say: Dialect, op: str, wanted: object, value: "Expression", at: int, depth: int) -> "Expression":
    """Say whether a JSON value passes a test that is no other one turned round. `depth`: of lists it stands in."""
    if op == "is_set":
        return say.is_set(value)

    def one(element: "Expression") -> "Expression":
        return _scalar_passes(say, op, wanted, element, at)

    if op == "all_of":
        assert isinstance(wanted, tuple)
        listed = both([say.any_element(value, _is(say, each), depth) for each in wanted])
    else:
        listed = say.any_element(value, one, depth)
    if op in _NUMERIC:
        # In this order a number, which it mostly is, is looked at once.
        return say.sql(
            "COALESCE(:alone, CASE WHEN :listed THEN :some ELSE FALSE END)",
            listed=say.is_kind(value, "list"),
            some=listed,
            alone=_number_passes(say, op, wanted, say.number(value)),
        )
    return say.sql(
        "CASE WHEN :listed THEN :some ELSE COALESCE(:alone, FALSE) END",
        listed=say.is_kind(value, "list"),
        some=listed,
        alone=one(value),
    )


def _if_kind(say: Dialect, value: "Expression", kind: str, then: "Expression") -> "Expression":
    return say.sql("CASE WHEN :right THEN :then ELSE FALSE END", right=say.is_kind(value, kind), then=then)


def _scalar_passes(say: Dialect, op: str, wanted: object, value: "Expression", at: int) -> "Expression":
    if op == "equals":
        return _is_one_of(say, (wanted,), value)
    if op == "one_of":
        assert isinstance(wanted, tuple)
        return _is_one_of(say, wanted, value)
    if op == "all_of":
        assert isinstance(wanted, tuple)
        return _is_one_of(say, wanted, value) if len(wanted) == 1 else truth(False)
    if op in _NUMERIC:
        return sure(say, _number_passes(say, op, wanted, say.number(value)))
    if op in _TEXTUAL:
        assert isinstance(wanted, str)
        return _if_kind(say, value, "text", say.find_text(op, say.text(value), wanted))
    if op in _MOMENT:
        then = instant_of(say, say.text(value))
        return _if_kind(say, value, "text", sure(say, _moment_passes(say, op, wanted, then, at)))
    return truth(False)


def _is(say: Dialect, wanted: object) -> "Callable[[Expression], Expression]":
    return lambda element: _is_one_of(say, (wanted,), element)


def _is_one_of(say: Dialect, wanted: Sequence[object], value: "Expression") -> "Expression":
    parts = [say.truth_of(value, one) for one in wanted if type(one) is bool]
    texts = [one for one in wanted if type(one) is str]
    if len(texts) == 1:
        parts.append(say.equals_text(value, texts[0]))
    elif texts:
        parts.append(_if_kind(say, value, "text", among(say.text(value), [text(one) for one in texts])))
    numbers = [one for one in wanted if type(one) is float]
    if numbers:
        found = among(say.number(value), [real(one) for one in numbers])
        parts.append(sure(say, found))
    return either(parts)


def _number_passes(say: Dialect, op: str, wanted: object, number: "Expression") -> "Expression":
    if op in _COMPARED:
        assert isinstance(wanted, float | int)
        return say.sql(f":n {_COMPARED[op]} :w", n=number, w=real(wanted))
    if op == "between":
        assert isinstance(wanted, tuple)
        return say.sql(":n BETWEEN :low AND :high", n=number, low=real(wanted[0]), high=real(wanted[1]))
    told = wanted if isinstance(wanted, tuple) else (wanted,)
    if op not in ("equals", "one_of") and not (op == "all_of" and len(told) == 1):
        return truth(False)
    numbers = [real(one) for one in told if type(one) is float]
    return among(number, numbers) if numbers else truth(False)


def _moment_passes(say: Dialect, op: str, wanted: object, then: "Expression", at: int) -> "Expression":
    assert isinstance(wanted, int)
    if op == "before":
        return say.sql(":then < :w", then=then, w=whole(wanted))
    if op == "after":
        return say.sql(":then > :w", then=then, w=whole(wanted))
    if op == "more_than_ago":
        return say.sql(":then <= :w", then=then, w=whole(at - wanted))
    low, high = (at - wanted, at) if op == "within_last" else (at, at + wanted)
    return say.sql(":then BETWEEN :low AND :high", then=then, low=whole(low + 1), high=whole(high))


# -- properties


def clause_holds(say: Dialect, clause: Clause, get: "Callable[[Path], Expression]", depth: int) -> "Expression":
    """Say whether a clause holds of what `get` reads of. `depth`: of lists it stands in."""
    match clause:
        case PropertyTest(path, tests):
            value = get(path)
            parts = []
            for test in tests:
                turned = OPPOSITE.get(test.op)
                found = json_passes(say, turned or test.op, test.value, value, 0, depth)
                parts.append(negated(found) if turned else found)
            return both(parts)
        case AllClauses(parts_of):
            return both([clause_holds(say, one, get, depth) for one in parts_of])
        case AnyClause(parts_of):
            return either([clause_holds(say, one, get, depth) for one in parts_of])
        case NotClause(inner):
            return negated(clause_holds(say, inner, get, depth))
        case Nested():
            return _nested(say, clause, get(clause.path), depth)
    raise AssertionError(f"no such clause: {clause!r}")


def _nested(say: Dialect, clause: Nested, value: "Expression", depth: int) -> "Expression":
    def told(element: "Expression") -> "Expression":
        def get(path: Path) -> "Expression":
            return say.get(element, path)

        return _if_kind(say, element, "object", clause_holds(say, clause.clause, get, depth + 1))

    is_every = clause.quantifier == "every"
    find = say.every_element if is_every else say.any_element
    found = _if_kind(say, value, "list", find(value, told, depth))
    return negated(found) if clause.quantifier == "none" else found


def paths_in(clause: Clause | None) -> set[Path]:
    """Give the properties that a clause reads of an event."""
    match clause:
        case PropertyTest(path, _) | Nested(path, _, _):
            return {path}
        case AllClauses(parts) | AnyClause(parts):
            return {path for part in parts for path in paths_in(part)}
        case NotClause(inner):
            return paths_in(inner)
    return set()
