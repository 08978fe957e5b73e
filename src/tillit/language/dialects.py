"""Dialects: how DuckDB and PostgreSQL say what a definition asks of a JSON value.

In:    expressions of sqlglot; constants of a definition.
Out:   expressions that give the same answer in both engines.
Never: a condition that may be NULL: each is true or false; a function of dates.

A value is JSON as the engine holds it: text in DuckDB, jsonb in PostgreSQL. NULL and JSON's null are both missing.
"""

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from tillit.errors import InputError
from tillit.language.instants import INSTANT
from tillit.language.nodes import Path
from tillit.language.patterns import to_postgres

if TYPE_CHECKING:  # an outside package of half a second, loaded at its seam by those who ask about many
    from sqlglot.expressions import Expr as Expression

_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ .-/#$")
_INSTANT = INSTANT.replace(r"\d", "[0-9]").replace("(", "(?:")
_PLACE = re.compile(r":([a-z]\w*)")
_LARGEST = "9e12"  # as `values` has it
COLLATED = {"duckdb": "", "postgres": ' COLLATE "C"'}  # texts in the order of their bytes
DIVIDED = {"duckdb": "//", "postgres": "/"}  # whole numbers, down to a whole number


class NotInSql(InputError):
    """A definition says something that an engine cannot answer as we do."""

    code = "language.not-in-sql"

    def __init__(self, what: str, dialect: str, instead: str) -> None:
        """Say what, for which engine, and what to do."""
        super().__init__(f"{what} cannot be asked of {dialect}. {instead}", dialect=dialect)


@lru_cache(maxsize=1_024)
def _parsed(template: str, dialect: str) -> "Expression":
    import sqlglot

    # Underscored, so that a part may be named by a word of SQL.
    return sqlglot.parse_one(_PLACE.sub(r":_\1", template), read=dialect)


def fill(dialect: str, template: str, **parts: "Expression") -> "Expression":
    """Read a small piece of SQL and put expressions in the place of its `:names`, queries in that of tables `_name`."""
    from sqlglot import exp

    tree = _parsed(template, dialect).copy()
    for table in list(tree.find_all(exp.Table)):
        part = parts.get(table.name[1:]) if table.name.startswith("_") else None
        if part is not None:
            table.replace(exp.Subquery(this=part, alias=exp.TableAlias(this=exp.to_identifier(table.alias))))
    for place in list(tree.find_all(exp.Placeholder)):
        part = parts[place.name[1:]]
        # A part may stand in several places, and a node of a tree has one parent.
        part = part.copy() if part.parent is not None else part
        if (
            isinstance(part, exp.Binary | exp.Not | exp.Between | exp.In | exp.Neg | exp.Is)
            and place.parent is not None
        ):
            part = exp.Paren(this=part)
        if place is tree:
            return part
        place.replace(part)
    return tree


def call(name: str, *args: "Expression") -> "Expression":
    """Call a function by exactly this name."""
    from sqlglot import exp

    return exp.Anonymous(this=name, expressions=[one.copy() if one.parent is not None else one for one in args])


def text(value: str) -> "Expression":
    """Write a text."""
    from sqlglot import exp

    return exp.Literal.string(value)


def whole(value: int) -> "Expression":
    """Write a whole number."""
    from sqlglot import exp

    number = exp.Literal.number(abs(value))
    return exp.Neg(this=number) if value < 0 else number


def truth(value: bool) -> "Expression":
    """Write a truth."""
    from sqlglot import exp

    return exp.true() if value else exp.false()


def column(name: str, of: str = "") -> "Expression":
    """Name a column."""
    from sqlglot import exp

    return exp.column(exp.to_identifier(name, quoted=True), table=of or None)


def both(parts: "Sequence[Expression]") -> "Expression":
    """All of them."""
    from sqlglot import exp

    kept = [part for part in parts if part != exp.true()]
    if any(part == exp.false() for part in kept):
        return exp.false()
    return exp.and_(*kept) if kept else exp.true()


def either(parts: "Sequence[Expression]") -> "Expression":
    """At least one of them."""
    from sqlglot import exp

    kept = [part for part in parts if part != exp.false()]
    if any(part == exp.true() for part in kept):
        return exp.true()
    return exp.or_(*kept) if kept else exp.false()


def negated(part: "Expression") -> "Expression":
    """Not."""
    from sqlglot import exp

    if part == exp.true():
        return exp.false()
    return exp.true() if part == exp.false() else exp.not_(part)


def among(value: "Expression", wanted: "Sequence[Expression]") -> "Expression":
    """One of some values, of which there is at least one."""
    from sqlglot import exp

    value = value.copy() if value.parent is not None else value
    return exp.EQ(this=value, expression=wanted[0]) if len(wanted) == 1 else exp.In(this=value, expressions=[*wanted])


Body = Callable[["Expression"], "Expression"]
Bodies = Callable[["dict[str, Expression]"], "Expression"]


class Dialect(Protocol):
    """How an engine says it."""

    name: str

    def sql(self, template: str, **parts: "Expression") -> "Expression":
        """Read a piece of its SQL."""
        ...

    def document(self, told: "Expression") -> "Expression":
        """Take a column that holds JSON as text."""
        ...

    def get(self, document: "Expression", path: Path) -> "Expression":
        """Give what lies at a path within objects."""
        ...

    def is_kind(self, value: "Expression", kind: str) -> "Expression":
        """Say whether it is a text, number, truth, list or object; NULL when missing."""
        ...

    def is_set(self, value: "Expression") -> "Expression":
        """Say whether there is a value."""
        ...

    def text(self, value: "Expression") -> "Expression":
        """Give a text without its quotes."""
        ...

    def number(self, value: "Expression") -> "Expression":
        """Give a number as a double; NULL when it is none."""
        ...

    def any_element(self, value: "Expression", body: Body, depth: int) -> "Expression":
        """Say whether an element of a list passes."""
        ...

    def every_element(self, value: "Expression", body: Body, depth: int) -> "Expression":
        """Say whether a list has elements and all of them pass."""
        ...

    def scalars(self, value: "Expression", passes: Body) -> "Expression":
        """Give the list of those of its first hundred elements that pass, its numbers as doubles."""
        ...

    def scalar(self, value: "Expression") -> "Expression":
        """Give a scalar, a number as a double."""
        ...

    def elements(self, value: "Expression") -> "Expression":
        """Give one row for each element of a list, or the value itself."""
        ...

    def truth_of(self, value: "Expression", wanted: bool) -> "Expression":
        """Say whether a JSON value is this truth."""
        ...

    def equals_text(self, value: "Expression", wanted: str) -> "Expression":
        """Say whether a JSON value is this text."""
        ...

    def find_text(self, op: str, told: "Expression", wanted: str) -> "Expression":
        """Say whether a text contains, starts_with, ends_with or matches another."""
        ...

    def extreme(self, which: str, value: "Expression", passing: "Expression") -> "Expression":
        """Aggregate: the value of the first or last event."""
        ...

    def as_real(self, total: "Expression") -> "Expression":
        """Give a sum of whole numbers as the double next to it."""
        ...

    def as_text(self, value: "Expression") -> "Expression":
        """Write a JSON value as text, equal ones equally when they are no numbers."""
        ...

    def bound(self, values: "dict[str, Expression]", body: Bodies) -> "Expression":
        """Say something of values that are worked out once."""
        ...

    def is_written_as(self, told: "Expression", pattern: str) -> "Expression":
        """Say whether a whole text is of a simple pattern."""
        ...


class DuckDb:
    """DuckDB: JSON is text, and the first character says what it is."""

    name = "duckdb"

    def sql(self, template: str, **parts: "Expression") -> "Expression":
        """Read a piece of its SQL."""
        return fill(self.name, template, **parts)

    def document(self, told: "Expression") -> "Expression":
        """Take a column that holds JSON as text."""
        return told

    def get(self, document: "Expression", path: Path) -> "Expression":
        """Give what lies at a path within objects."""
        found = document
        # `"*"` in a path is any name, quotes cannot be written, and a number in a pointer is a place in a list.
        if path and all(set(name) <= _BARE or (name.isprintable() and not set(name) & set('"\\*')) for name in path):
            found = call("json_extract", found, text("$" + "".join(f'."{name}"' for name in path)))
        elif path:
            for name in path:
                found = call("json_extract", found, text("/" + name.replace("~", "~0").replace("/", "~1")))
        else:
            found = call("json_extract", found, text("$"))
        return self.sql("CAST(:v AS VARCHAR)", v=found)

    def is_kind(self, value: "Expression", kind: str) -> "Expression":
        """Say whether it is a text, number, truth, list or object; NULL when missing."""
        if kind == "number":
            return self.sql("LEFT(:v, 1) BETWEEN '-' AND '9'", v=value)
        if kind == "truth":
            return self.sql(":v IN ('true', 'false')", v=value)
        return self.sql(f"STARTS_WITH(:v, '{_BEGINS[kind]}')", v=value)

    def is_set(self, value: "Expression") -> "Expression":
        """Say whether there is a value."""
        return self.sql("(:v IS NOT NULL AND :v <> 'null')", v=value)

    def text(self, value: "Expression") -> "Expression":
        """Give a text without its quotes."""
        return call("json_extract_string", value, text("$"))

    def number(self, value: "Expression") -> "Expression":
        """Give a number as a double; NULL when it is none."""
        # A text is in quotes, and no other JSON value reads as a number.
        return self.sql("TRY_CAST(:v AS DOUBLE)", v=value)

    def _list(self, value: "Expression") -> "Expression":
        return self.sql("CAST(:v AS VARCHAR[])", v=call("json_extract", value, text("$[*]")))

    def _filtered(self, value: "Expression", body: Body, depth: int) -> "Expression":
        from sqlglot import exp

        name = f"e{depth}"
        passing = exp.Lambda(this=body(exp.column(name)), expressions=[exp.to_identifier(name)])
        return call("list_filter", value, passing)

    def any_element(self, value: "Expression", body: Body, depth: int) -> "Expression":
        """Say whether an element of a list passes."""
        return self.sql("LEN(:found) > 0", found=self._filtered(self._list(value), body, depth))

    def every_element(self, value: "Expression", body: Body, depth: int) -> "Expression":
        """Say whether a list has elements and all of them pass."""
        found = self._filtered(self._list(value), body, depth)
        return self.sql("LEN(:found) > 0 AND LEN(:found) = LEN(:all)", found=found, all=self._list(value))

    def scalars(self, value: "Expression", passes: Body) -> "Expression":
        """Give the list of those of its first hundred elements that pass, its numbers as doubles."""
        from sqlglot import exp

        found = self._filtered(self.sql("(:listed)[1:100]", listed=self._list(value)), passes, 0)
        said = exp.Lambda(this=self.scalar(exp.column("e0")), expressions=[exp.to_identifier("e0")])
        return self.sql("'[' || ARRAY_TO_STRING(:found, ',') || ']'", found=call("list_transform", found, said))

    def scalar(self, value: "Expression") -> "Expression":
        """Give a scalar, a number as a double."""
        return self.sql(
            "CASE WHEN :fits THEN CAST(:n AS VARCHAR) ELSE :v END",
            fits=self.is_kind(value, "number"),
            n=self.number(value),
            v=value,
        )

    def elements(self, value: "Expression") -> "Expression":
        """Give one row for each element of a list, or the value itself."""
        return self.sql(
            "UNNEST(CASE WHEN :is_list THEN :all ELSE [:v] END)",
            v=value,
            is_list=self.is_kind(value, "list"),
            all=self._list(value),
        )

    def truth_of(self, value: "Expression", wanted: bool) -> "Expression":
        """Say whether a JSON value is this truth."""
        return self.sql(":v = :w", v=value, w=text("true" if wanted else "false"))

    def equals_text(self, value: "Expression", wanted: str) -> "Expression":
        """Say whether a JSON value is this text."""
        if wanted.isprintable() and '"' not in wanted and "\\" not in wanted:
            # As the engine writes it: no need to take the quotes off.
            return self.sql(":v = :w", v=value, w=text(json.dumps(wanted, ensure_ascii=False)))
        return self.sql(
            "CASE WHEN :is THEN :t = :w ELSE FALSE END",
            **{"is": self.is_kind(value, "text")},
            t=self.text(value),
            w=text(wanted),
        )

    def find_text(self, op: str, told: "Expression", wanted: str) -> "Expression":
        """Say whether a text contains, starts_with, ends_with or matches another."""
        name = {"contains": "contains", "starts_with": "starts_with", "ends_with": "ends_with"}
        if op == "matches":
            return call("regexp_matches", told, text(wanted))
        return call(name[op], told, text(wanted))

    def extreme(self, which: str, value: "Expression", passing: "Expression") -> "Expression":
        """Aggregate: the value of the first or last event."""
        name = "ARG_MIN" if which == "first" else "ARG_MAX"
        return self.sql(f'{name}(:v, ROW("at", "position")) FILTER (WHERE :passing)', v=value, passing=passing)

    def as_real(self, total: "Expression") -> "Expression":
        """Give a sum of whole numbers as the double next to it."""
        # A HUGEINT's own way to a double rounds twice.
        return self.sql(
            "CASE WHEN :s BETWEEN -9000000000000000000 AND 9000000000000000000 THEN CAST(CAST(:s AS BIGINT) AS DOUBLE) "
            "ELSE CAST(CAST(:s AS VARCHAR) AS DOUBLE) END",
            s=total,
        )

    def as_text(self, value: "Expression") -> "Expression":
        """Write a JSON value as text."""
        return self.sql("CAST(:v AS VARCHAR)", v=value)

    def bound(self, values: "dict[str, Expression]", body: Bodies) -> "Expression":
        """Say something of values that are worked out once."""
        from sqlglot import exp

        told = {name: self.sql(f"told[{i}]") for i, name in enumerate(values, 1)}
        said = exp.Lambda(this=body(told), expressions=[exp.to_identifier("told")])
        listed = self.sql("[[" + ", ".join(f":{name}" for name in values) + "]]", **values)
        return self.sql("(:found)[1]", found=call("list_transform", listed, said))

    def is_written_as(self, told: "Expression", pattern: str) -> "Expression":
        """Say whether a whole text is of a simple pattern."""
        return call("regexp_full_match", told, text(pattern))


_BEGINS = {"text": '"', "list": "[", "object": "{"}


class PostgreSql:
    """PostgreSQL: JSON is jsonb."""

    name = "postgres"
    _kinds = {"text": "string", "number": "number", "truth": "boolean", "list": "array", "object": "object"}  # noqa: RUF012

    def sql(self, template: str, **parts: "Expression") -> "Expression":
        """Read a piece of its SQL."""
        return fill(self.name, template, **parts)

    def document(self, told: "Expression") -> "Expression":
        """Take a column that holds JSON as text."""
        return self.sql("CAST(:v AS JSONB)", v=told)

    def get(self, document: "Expression", path: Path) -> "Expression":
        """Give what lies at a path within objects."""
        found = document
        for name in path:
            # The function of `->` with a text: a number in it is no place in a list.
            found = call("jsonb_object_field", found, text(name))
        return found

    def is_kind(self, value: "Expression", kind: str) -> "Expression":
        """Say whether it is a text, number, truth, list or object; NULL when missing."""
        return self.sql(":k = :w", k=call("jsonb_typeof", value), w=text(self._kinds[kind]))

    def is_set(self, value: "Expression") -> "Expression":
        """Say whether there is a value."""
        return self.sql("COALESCE(:k <> 'null', FALSE)", k=call("jsonb_typeof", value))

    def text(self, value: "Expression") -> "Expression":
        """Give a text without its quotes."""
        return self.sql("(:v #>> '{}') COLLATE \"C\"", v=value)

    def number(self, value: "Expression") -> "Expression":
        """Give a number as a double; NULL when it is none."""
        # What is too small for a double is an error there, and nothing here.
        return self.sql(
            "CASE WHEN :fits THEN CASE WHEN ABS(CAST(:t AS NUMERIC)) < CAST('2.5e-324' AS NUMERIC) THEN 0 "
            "ELSE CAST(:t AS DOUBLE PRECISION) END END",
            fits=self.is_kind(value, "number"),
            t=self.sql("(:v #>> '{}')", v=value),
        )

    def any_element(self, value: "Expression", body: Body, depth: int) -> "Expression":
        """Say whether an element of a list passes."""
        return self.sql(
            f"EXISTS(SELECT 1 FROM JSONB_ARRAY_ELEMENTS(:v) AS e{depth}(v) WHERE :passing)",
            v=value,
            passing=body(column("v", f"e{depth}")),
        )

    def every_element(self, value: "Expression", body: Body, depth: int) -> "Expression":
        """Say whether a list has elements and all of them pass."""
        return self.sql(
            f"JSONB_ARRAY_LENGTH(:v) > 0 AND NOT EXISTS(SELECT 1 FROM JSONB_ARRAY_ELEMENTS(:v) AS e{depth}(v) "
            "WHERE NOT (:passing))",
            v=value,
            passing=body(column("v", f"e{depth}")),
        )

    def scalars(self, value: "Expression", passes: Body) -> "Expression":
        """Give the list of those of its first hundred elements that pass, its numbers as doubles."""
        e = column("v", "e0")
        return self.sql(
            "(SELECT COALESCE(JSONB_AGG(:kept ORDER BY e0.i), CAST('[]' AS JSONB)) "
            "FROM JSONB_ARRAY_ELEMENTS(:v) WITH ORDINALITY AS e0(v, i) WHERE e0.i <= 100 AND :passing)",
            v=value,
            passing=passes(e),
            kept=self.scalar(e),
        )

    def scalar(self, value: "Expression") -> "Expression":
        """Give a scalar, a number as a double."""
        return self.sql(
            "CASE WHEN :fits THEN :n ELSE :v END",
            fits=self.is_kind(value, "number"),
            n=call("to_jsonb", self.number(value)),
            v=value,
        )

    def elements(self, value: "Expression") -> "Expression":
        """Give one row for each element of a list, or the value itself."""
        return self.sql(
            "JSONB_ARRAY_ELEMENTS(CASE WHEN :is_list THEN :v ELSE JSONB_BUILD_ARRAY(:v) END)",
            v=value,
            is_list=self.is_kind(value, "list"),
        )

    def truth_of(self, value: "Expression", wanted: bool) -> "Expression":
        """Say whether a JSON value is this truth."""
        return self.sql(f":v = CAST('{'true' if wanted else 'false'}' AS JSONB)", v=value)

    def equals_text(self, value: "Expression", wanted: str) -> "Expression":
        """Say whether a JSON value is this text."""
        return self.sql(":v = :w", v=value, w=call("to_jsonb", self.sql("CAST(:w AS TEXT)", w=text(wanted))))

    def find_text(self, op: str, told: "Expression", wanted: str) -> "Expression":
        """Say whether a text contains, starts_with, ends_with or matches another."""
        if op == "contains":
            return self.sql(":p > 0", p=call("strpos", told, text(wanted)))
        if op == "starts_with":
            return call("starts_with", told, text(wanted))
        if op == "ends_with":
            return self.sql(":r = :w", r=call("right", told, whole(len(wanted))), w=text(wanted))
        pattern = to_postgres(wanted)
        if pattern is None:
            raise NotInSql(
                "A pattern (`matches`) of this kind",
                "PostgreSQL",
                "Write it with letters, groups, [..], \\d, \\w, \\s and repetitions alone, or use contains, "
                "starts_with or ends_with.",
            )
        return self.sql(":t ~ :p", t=told, p=text(pattern))

    def extreme(self, which: str, value: "Expression", passing: "Expression") -> "Expression":
        """Aggregate: the value of the first or last event."""
        order = "" if which == "first" else " DESC"
        return self.sql(
            f'(ARRAY_AGG(:v ORDER BY "at"{order}, "position"{order}) FILTER (WHERE :passing))[1]',
            v=value,
            passing=passing,
        )

    def as_real(self, total: "Expression") -> "Expression":
        """Give a sum of whole numbers as the double next to it."""
        return self.sql("CAST(:s AS DOUBLE PRECISION)", s=total)

    def as_text(self, value: "Expression") -> "Expression":
        """Write a JSON value as text."""
        return self.sql('CAST(:v AS TEXT) COLLATE "C"', v=value)

    def bound(self, values: "dict[str, Expression]", body: Bodies) -> "Expression":
        """Say something of values that are worked out once."""
        listed = ", ".join(f":{name} AS {name}" for name in values)
        said = body({name: column(name, "told") for name in values})
        # OFFSET keeps the planner from putting each value in every place where it is named.
        return self.sql(f"(SELECT :said FROM (SELECT {listed} OFFSET 0) AS told)", said=said, **values)

    def is_written_as(self, told: "Expression", pattern: str) -> "Expression":
        """Say whether a whole text is of a simple pattern."""
        return self.sql(":t ~ :p", t=told, p=text(f"^(?:{pattern})$"))


def dialect_of(name: str) -> Dialect:
    """Give a dialect by its name: duckdb or postgres. Raises NotInSql."""
    if name == "duckdb":
        return DuckDb()
    if name == "postgres":
        return PostgreSql()
    raise NotInSql("A definition", repr(name)[:64], "Ask duckdb or postgres.")


# -- numbers and instants, alike in both


def real(value: float) -> "Expression":
    """Write a double: by its text, so that no engine takes it for a decimal."""
    from sqlglot import exp

    return exp.cast(text(repr(float(value))), "DOUBLE")


def summed_number(say: Dialect, value: "Expression") -> "Expression":
    """Give a JSON value as a double where it is a number that is summed; NULL where it is none."""
    return say.sql(
        "CASE WHEN ABS(:n) < CAST(:most AS DOUBLE PRECISION) THEN :n END", n=say.number(value), most=text(_LARGEST)
    )


def micros(say: Dialect, number: "Expression") -> "Expression":
    """Give a double in whole millionths."""
    return say.sql("CAST(FLOOR(:n * 1000000 + CAST('0.5' AS DOUBLE)) AS BIGINT)", n=number)


def instant_of(say: Dialect, told: "Expression") -> "Expression":
    """Give the instant that a text says, in microseconds; NULL when it says none. `told` is a text."""
    written = say.is_written_as(told, _INSTANT)
    parts = say.bound(_written_parts(say, told), lambda part: _instant(say, part))
    return say.sql("CASE WHEN :written THEN :micro END", written=written, micro=parts)


def _written_parts(say: Dialect, told: "Expression") -> "dict[str, Expression]":
    def number(start: str, length: int) -> "Expression":
        return say.sql(f"CAST(SUBSTRING(:t, {start}, {length}) AS BIGINT)", t=told)

    offset = say.sql(
        "CASE WHEN LENGTH(:t) > 16 AND SUBSTRING(:t, LENGTH(:t) - 5, 1) IN ('+', '-') THEN "
        "CASE WHEN SUBSTRING(:t, LENGTH(:t) - 5, 1) = '-' THEN -1 ELSE 1 END * (60 * :h + :i) ELSE 0 END",
        t=told,
        h=number("LENGTH(:t) - 4", 2),
        i=number("LENGTH(:t) - 1", 2),
    )
    fraction = say.sql(
        "CASE WHEN SUBSTRING(:t, 20, 1) = '.' THEN CAST(SUBSTRING("
        "REGEXP_REPLACE(SUBSTRING(:t, 21, 6), '[^0-9].*$', '') || '000000', 1, 6) AS BIGINT) ELSE 0 END",
        t=told,
    )
    return {
        "y": number("1", 4),
        "m": number("6", 2),
        "d": number("9", 2),
        "h": say.sql("CASE WHEN LENGTH(:t) > 10 THEN :n ELSE 0 END", t=told, n=number("12", 2)),
        "i": say.sql("CASE WHEN LENGTH(:t) > 10 THEN :n ELSE 0 END", t=told, n=number("15", 2)),
        # Behind hours and minutes stand seconds, or the zone at once.
        "s": say.sql("CASE WHEN SUBSTRING(:t, 17, 1) = ':' THEN :n ELSE 0 END", t=told, n=number("18", 2)),
        "f": fraction,
        "off": offset,
    }


def _instant(say: Dialect, part: "dict[str, Expression]") -> "Expression":
    # Days of the civil calendar in whole numbers, in years that begin in March (Hinnant).
    divide = "//" if say.name == "duckdb" else "/"
    year = say.sql(":y - CASE WHEN :m <= 2 THEN 1 ELSE 0 END", **_some(part, "y", "m"))
    last = say.sql(
        "CASE WHEN :m IN (4, 6, 9, 11) THEN 30 WHEN :m <> 2 THEN 31 "
        "WHEN :y % 4 = 0 AND (:y % 100 <> 0 OR :y % 400 = 0) THEN 29 ELSE 28 END",
        **_some(part, "y", "m"),
    )
    days = say.sql(
        f"(365 * :year + :year {divide} 4 - :year {divide} 100 + :year {divide} 400 "
        f"+ (153 * (:m + CASE WHEN :m > 2 THEN -3 ELSE 9 END) + 2) {divide} 5 + :d - 719469)",
        year=year,
        **_some(part, "m", "d"),
    )
    return say.sql(
        "CASE WHEN :y >= 1 AND :m BETWEEN 1 AND 12 AND :d BETWEEN 1 AND :last AND :h < 24 AND :i < 60 AND :s < 60 "
        "AND ABS(:off) < 1440 THEN ((:days * 24 + :h) * 60 + :i - :off) * 60000000 + :s * 1000000 + :f END",
        last=last,
        days=days,
        **_some(part, "y", "m", "d", "h", "i", "s", "off", "f"),
    )


def _some(parts: "dict[str, Expression]", *names: str) -> "dict[str, Expression]":
    return {name: parts[name] for name in names}
