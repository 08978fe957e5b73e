"""Sequences: who went through some steps in their order, as SQL.

In:    a sequence; what is asked of events so far.
Out:   whether somebody went a way through all of its steps.
Never: a read of events: it asks for a relation of its own that reads `seen`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tillit.language.dialects import Dialect, both, column, either, whole
from tillit.language.nodes import Sequence as Steps
from tillit.language.sql.aggregates import Aggregates
from tillit.language.sql.spans import Span

if TYPE_CHECKING:  # an outside package of half a second, loaded at its seam by those who ask about many
    from sqlglot.expressions import Expr as Expression


def sequence(asked: Aggregates, node: Steps) -> "Expression":
    """Say whether somebody went through all steps."""
    span = Span(asked.at - node.within, asked.at)
    for step in node.steps:
        asked.seen.look(step.matcher, span)
        if step.without is not None:
            asked.seen.look(step.without, span)
    if node.unless is not None:
        asked.seen.look(node.unless, span)
    keys = [asked.seen.keep("k", path, step.matcher) for step in node.steps for path in node.same]
    return asked.is_in(asked.relation(tuple(node), lambda: _steps(asked, node, span, sorted(set(keys)))))


def _steps(asked: Aggregates, node: Steps, span: Span, keys: Sequence[str]) -> "Expression":
    """Write who went a way through all steps.

    Each row is an event in its place; `b` says when the latest way through the steps so far that ends there began.
    The latest way to an event goes by the latest end of a way before it: those that end later began no earlier.
    """
    say, taken = asked.say, asked.seen.taken
    step_flags = [taken(step.matcher, span) for step in node.steps]
    apart_flags = [None if step.without is None else taken(step.without, span) for step in node.steps]
    unless_flag = None if node.unless is None else taken(node.unless, span)
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
        over=whole(asked.at - node.unless_within),
        wait=whole(node.unless_within),
    )


def _all(say: Dialect, parts: "Sequence[Expression]") -> "Expression":
    return both([say.sql("(:part)", part=part) for part in parts])
