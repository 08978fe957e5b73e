"""Mutants: the evaluators with one small fault each, drawn from what an operator runs through.

In:    the source of the modules that answer, live and in SQL; an operator.
Out:   mutants, and a way to live with one for a while.
Never: a file written. The code of one function is swapped in this process, and swapped back.
"""

from __future__ import annotations

import ast
import copy
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from random import Random
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple

from tests.language_cases import OPERATORS
from tillit.flow import audiences
from tillit.language import dialects, groups, instants, live, ranks, tapes, values
from tillit.language.sql import (
    aggregates,
    belonging,
    habits,
    marks,
    named,
    orders,
    passing,
    question,
    samples,
    seen,
    sequences,
    spans,
    traits,
)

LIVE = (instants, values, tapes, live, groups)
SQL = (
    *(named, passing, spans, seen, marks, aggregates, habits, sequences, traits, belonging, samples, orders, question),
    dialects,
)
# Orders are of everybody at once: `tests/language/test_rank_mutants.py` draws faults of theirs.
MODULES: dict[str, ModuleType] = {module.__file__ or "": module for module in (*LIVE, *SQL, audiences, ranks)}
SQL_FILES = {module.__file__ for module in SQL}
# Classes of which methods are spoiled, and those methods where not all of them are.
_PARTS = ("_Asking", "Named", "Seen", "Marks", "Aggregates", "Traits", "Belonging", "Span", "DuckDb")
CLASSES: dict[str, set[str]] = {**{name: set() for name in _PARTS}, "Permissions": {"__call__"}}
# A search that might not end (it has tests of its own), reading and writing what people see, and what only says what
# hangs on what.
LEFT_OUT = {"_first_instant", "read_span", "write_span", "is_zone", "inputs_of", "why_no_pattern", "_spelled"}
# Pieces of SQL are put together by these, whatever they say; the other questions; and what is left out of a question
# because it would be true of all that is read.
LEFT_OUT |= {"_parsed", "fill", "call", "text", "whole", "truth", "column", "members_sql", "values_sql", "_written"}
LEFT_OUT |= {"dialect_of", "both", "either", "negated", "_coarse", "joined", "_whole_span"}

COMPARISONS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
SUMS: dict[type, type] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult}
SWAPPED = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "bisect_left": "bisect_right",
    "bisect_right": "bisect_left",
    "ceil": "floor",
    "floor": "ceil",
    "sorted": "list",
}
# In a piece of SQL: what may stand there instead. It must still be SQL.
SAID: tuple[tuple[str, str], ...] = (
    (">=", ">"),
    ("<=", "<"),
    (" > ", " >= "),
    (" < ", " <= "),
    (" = ", " <> "),
    (" <> ", " = "),
    ("MIN(", "MAX("),
    ("MAX(", "MIN("),
    ("ARG_MIN", "ARG_MAX"),
    ("ARG_MAX", "ARG_MIN"),
    ("LAG(", "LEAD("),
    (" IS NOT NULL", " IS NULL"),
    (" IN (", " NOT IN ("),
    (" OR ", " AND "),
    ("DISTINCT ", ""),
    (" DESC", " ASC"),
    ("FALSE", "TRUE"),
    (" + ", " - "),
    (" - ", " + "),
    ("1 PRECEDING", "CURRENT ROW"),
    ("1 FOLLOWING", "CURRENT ROW"),
    (", 0)", ", 1)"),
    ("0.5", "0.4"),
)
_IS_SQL = re.compile(r"\b[A-Z]{2,}\b|:[a-z]|^ ?[<>=]+$")


class Site(NamedTuple):
    """One place in one function, and one fault to make there."""

    file: str
    function: str  # its name; of a lambda in a table, the table and the key
    line: int
    number: int  # of the node, as walked
    fault: int  # which of its faults
    told: str

    @property
    def evaluator(self) -> str:
        return f"{Path(self.file).stem}.{self.function}"

    @property
    def title(self) -> str:
        return f"{self.evaluator}: {self.told}"


def _faults(node: ast.AST, parents: list[ast.AST]) -> list[Callable[[Any], Any]]:
    """List the ways to spoil a node: each changes it, or gives what stands in its place."""
    found: list[Callable[[Any], Any]] = []

    def setting(name: str, value: Any) -> Callable[[Any], Any]:
        def change(one: Any) -> Any:
            setattr(one, name, value)
            return one

        return change

    # A loop that might not end is left with what ends it: only when it goes on, and on what, is spoiled there.
    in_while = any(isinstance(one, ast.While) for one in parents)
    if in_while and not isinstance(node, ast.Compare | ast.BoolOp):
        return []
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        found += [setting("ops", [other()]) for other in COMPARISONS[type(node.ops[0])]]
    elif isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            ops = list(node.ops)
            ops[place] = COMPARISONS[type(op)][0]()
            found.append(setting("ops", ops))
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in SUMS:
        found.append(setting("op", SUMS[type(node.op)]()))
    elif isinstance(node, ast.Constant) and type(node.value) is str:
        if _IS_SQL.search(node.value) and not isinstance(parents[-1], ast.Expr | ast.Raise):
            found += [setting("value", one) for one in _said_otherwise(node.value)]
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        found += [setting("value", node.value + 1), setting("value", node.value - 1)]
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        found.append(setting("value", not node.value))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SWAPPED:
        found.append(setting("func", ast.Name(SWAPPED[node.func.id], ast.Load())))
    elif isinstance(node, ast.BoolOp):
        found.append(setting("op", ast.And() if isinstance(node.op, ast.Or) else ast.Or()))
        if len(node.values) == 2:
            found += [lambda one: one.values[0], lambda one: one.values[1]]
    elif isinstance(node, ast.UnaryOp):
        found.append(lambda one: one.operand)
    elif isinstance(node, ast.If | ast.IfExp):
        found += [setting("test", ast.Constant(False)), setting("test", ast.Constant(True))]
    elif isinstance(node, ast.Continue | ast.Break):
        found.append(lambda _one: ast.Pass())
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        found.append(lambda _one: ast.Pass())
    return found


def _said_otherwise(piece: str) -> list[str]:
    """Give a piece of SQL with one word or sign changed, each place on its own."""
    found = []
    for word, other in SAID:
        for place in re.finditer(re.escape(word), piece):
            found.append(piece[: place.start()] + other + piece[place.end() :])
    for place in re.finditer(r" AND ", piece):
        if "BETWEEN" not in piece[: place.start()].rpartition(" AND ")[2]:
            found.append(piece[: place.start()] + " OR " + piece[place.end() :])
    return found


def _functions(file: str) -> Iterator[tuple[str, ast.AST]]:
    """List what may be spoiled in a module: functions, lambdas in tables, methods of some classes."""
    for node in ast.parse(Path(file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name not in LEFT_OUT:
            if file in SQL_FILES:
                node.has_calls = True  # type: ignore[attr-defined]  # what is asked stands there
            if Path(file).stem != "audiences":
                yield node.name, node
        elif isinstance(node, ast.ClassDef) and node.name in CLASSES:
            for one in node.body:
                if not isinstance(one, ast.FunctionDef) or one.name in LEFT_OUT or one.name == "__init__":
                    continue
                if not CLASSES[node.name] or one.name in CLASSES[node.name]:
                    one.has_calls = True  # type: ignore[attr-defined]
                    yield f"{node.name}.{one.name}", one
        elif isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict) and isinstance(node.target, ast.Name):
            for key, each in zip(node.value.keys, node.value.values, strict=True):
                if isinstance(each, ast.Lambda) and isinstance(key, ast.Constant):
                    yield f"{node.target.id}.{key.value!s}", each


def _walk(node: ast.AST, parents: list[ast.AST]) -> Iterator[tuple[ast.AST, list[ast.AST]]]:
    """Walk code that runs: no annotations, decorators or docstrings."""
    yield node, parents
    left = {"annotation", "returns", "decorator_list", "args", "ctx", "type_params"}
    if isinstance(node, ast.Call) and hasattr((*parents, node)[0], "has_calls"):
        left.remove("args")
    for name, told in ast.iter_fields(node):
        if name not in left:
            for one in told if isinstance(told, list) else [told]:
                if isinstance(one, ast.AST) and not isinstance(one, ast.Assert):
                    yield from _walk(one, [*parents, node])


def _statement(node: ast.AST, parents: list[ast.AST]) -> ast.stmt | ast.match_case | None:
    """Give the statement in which a node stands."""
    return next((one for one in (node, *reversed(parents)) if isinstance(one, ast.stmt | ast.match_case)), None)


def _told(node: ast.AST, parents: list[ast.AST]) -> str:
    """Write the statement in which a node stands, or the head of it."""
    statement = _statement(node, parents)
    if statement is None:
        return ast.unparse(parents[0] if parents else node)
    if isinstance(statement, ast.match_case):
        return f"case {ast.unparse(statement.pattern)} if {statement.guard and ast.unparse(statement.guard)}"
    if isinstance(statement, ast.If | ast.While):
        return f"if {ast.unparse(statement.test)}"
    if isinstance(statement, ast.For):
        return f"for {ast.unparse(statement.target)} in {ast.unparse(statement.iter)}"
    return ast.unparse(statement)


@lru_cache(maxsize=1)
def all_sites() -> list[Site]:
    """List every fault that could be made."""
    found = []
    for file in MODULES:
        for function, tree in _functions(file):
            for number, (node, parents) in enumerate(_walk(tree, [])):
                for fault, _ in enumerate(_faults(node, parents)):
                    before = _told(node, parents)
                    told = f"{before}  ->  {_spoil(tree, number, fault)[1]}"
                    # In SQL a statement is asked for, elsewhere a line.
                    of: Any = _statement(node, parents) if file in SQL_FILES else node
                    of = of.pattern if isinstance(of, ast.match_case) else of
                    found.append(Site(file, function, getattr(of, "lineno", 0), number, fault, told))
    return found


def _spoil(tree: ast.AST, number: int, fault: int) -> tuple[ast.AST, str]:
    """Give the tree with one fault, and the statement as it stands there."""
    spoiled = copy.deepcopy(tree)
    node, parents = next(one for place, one in enumerate(_walk(spoiled, [])) if place == number)
    other = _faults(node, parents)[fault](node)
    if other is not node:
        for name, told in ast.iter_fields(parents[-1]):
            if told is node:
                setattr(parents[-1], name, other)
            elif isinstance(told, list):
                setattr(parents[-1], name, [other if one is node else one for one in told])
    return ast.fix_missing_locations(spoiled), _told(other, parents)


@contextmanager
def living_with(site: Site) -> Iterator[None]:
    """Put a fault into the running code for a while."""
    spoiled, _ = _spoil(dict(_functions(site.file))[site.function], site.number, site.fault)
    function = _running(site.file, site.function)
    whole = function.__code__
    forget()
    function.__code__ = _compiled(spoiled, site.file)
    try:
        yield
    finally:
        function.__code__ = whole
        forget()


def _compiled(tree: ast.AST, file: str) -> CodeType:
    body: list[ast.stmt] = [tree if isinstance(tree, ast.stmt) else ast.Expr(tree)]  # type: ignore[arg-type]
    module = ast.fix_missing_locations(ast.Module(body, []))
    return next(one for one in compile(module, file, "exec").co_consts if isinstance(one, CodeType))


def _running(file: str, function: str) -> Any:
    table, _, key = function.partition(".")
    named: Any = getattr(MODULES[file], table)
    if isinstance(named, type):
        return vars(named)[key]
    return named[key] if key else getattr(named, "__wrapped__", named)


class _Telling(ast.NodeTransformer):
    """Lets each statement of a function say that it was come to."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            told = getattr(node, name, None)
            if isinstance(told, list):
                setattr(node, name, [each for one in told for each in (_say(one.lineno), one)])
        if isinstance(node, ast.match_case):
            node.body.insert(0, _say(node.pattern.lineno))
        return node


def _say(line: int) -> ast.stmt:
    return ast.parse(f"{_COME_TO}.add({line})").body[0]


_COME_TO = "_come_to"


@lru_cache(maxsize=1)
def _telling() -> list[tuple[Any, CodeType]]:
    """Give each function of the modules of SQL, and its code with statements that say so."""
    return [
        (_running(file, name), _compiled(_Telling().visit(copy.deepcopy(tree)), file))
        for file in (module.__file__ or "" for module in SQL)
        for name, tree in _functions(file)
    ]


def statements_run(run: Callable[[], object]) -> set[tuple[str, int]]:
    """List the statements of the modules of SQL that something runs through.

    They say so themselves: to be told of each line would take minutes, for all that happens between them.
    """
    found: dict[str, set[int]] = {}
    whole = [(function, function.__code__) for function, _ in _telling()]
    for module in SQL:
        found[module.__file__ or ""] = vars(module)[_COME_TO] = set()
    for function, code in _telling():
        function.__code__ = code
    try:
        run()
    finally:
        for function, code in whole:
            function.__code__ = code
        for module in SQL:
            del vars(module)[_COME_TO]
    return {(file, line) for file, lines in found.items() for line in lines}


def forget() -> None:
    """Empty what the modules remember of earlier answers; pieces of SQL that were read are what they are."""
    for module in LIVE:
        for one in vars(module).values():
            if hasattr(one, "cache_clear"):
                one.cache_clear()


def lines_run(run: Callable[[], object]) -> set[tuple[str, int]]:
    """List the lines of the modules that something runs through."""
    found: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        file = frame.f_code.co_filename
        if file not in MODULES:
            return None
        if event == "line":
            found.add((file, frame.f_lineno))
        return trace

    forget()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return found


_COUNTING = (
    "live._compare_count",
    "live._count_rolling",
    "live._count_test",
    "live._nth",
    "live._bounds",
)
_MADE_OF = (
    "live._event_value",
    "live._total",
    "tapes.add_value",
    "tapes._add_up",
    "tapes.add_base",
    "tapes.project",
    "tapes._scalar",
)
_PASSING = ("values.passes", "values._passes", "values._scalar_passes", "values.at_path")
_ELEMENTS = ("tapes.count_value", "tapes.value_key", "tapes.add_base")
_STEPS = ("live._sequence", "live._go_on", "live._agreed", "live._has_all", "live.step_tape")
_KEPT = (
    "tapes.add_entries",
    "tapes.entry_of",
    "live.main_tape",
    "live.has_base",
    "live._reach",
    "tapes.horizon_of",
    "live.plain_tape",
)
# What answers an operator; of several that fit the longest name counts. `audience` passes on what others say: of an
# audience it is what its own definition runs through. In SQL it is whatever line an operator runs through.
EVALUATORS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("property.", "trait."), (*_PASSING, "values._is", "values._number_passes", "values._text_passes")),
    **{
        f"{what}.{word}": (*_PASSING[:3], "values._text_passes", "values.changes_at", "values._turns")
        for what in ("property", "trait")
        for word in ("before", "after", "within_last", "more_than_ago", "within_next")
    },
    **dict.fromkeys(("elements.", "where."), ("values.holds", "values.at_path")),
    "events": ("tapes.matches", *_COUNTING),
    "count": _COUNTING,
    "sum": ("live._MADE.sum", "values.micros_of", *_MADE_OF),
    "average": ("live._average", "values.micros_of", *_MADE_OF),
    "minimum": ("live._MADE.minimum", *_MADE_OF),
    "maximum": ("live._MADE.maximum", *_MADE_OF),
    "first": ("live._MADE.first", *_MADE_OF),
    "last": ("live._MADE.last", *_MADE_OF),
    "distinct": ("live._MADE.distinct", *_ELEMENTS),
    "most_frequent": ("live._most_frequent", "live._frequency", *_ELEMENTS),
    "window.": (*_KEPT, "live._bounds", "live._span_finder"),
    "window.calendar": (
        "live._calendar",
        "instants.calendar_span",
        "instants.next_turn",
        "instants._day",
        "instants._span",
        "instants._begin",
        "instants._shift",
        "instants._micros",
    ),
    "window.since_last": ("live._since_last", "live._marker_tape"),
    "window.session": ("live._session",),
    "first_time": ("live._first_time", "live._first_tape", "tapes._add_up"),
    "stopped": (*_COUNTING, "live._all_of", "live.every"),
    "restarted": ("live._restarted", "live._restart_tape"),
    "regularly": ("live._regularly", "live.regular_tape"),
    "sequence.": _STEPS,
    "sequence.unless": ("live._unless", "live._sequence", "live.apart_tape"),
    "audience": (*_COUNTING, "live._all_of", "live.every", "live._any_of", "live.some"),
    "feature": ("live._compare", "live._event_value", "values.changes_at", "values._turns"),
    "sample": ("live._sample", "live.draw"),
    "permitted": ("audiences.Permissions.__call__",),
    "group.": ("groups.compile_group", "groups.is_meant", "groups._fits", "groups._is_number"),
    **dict.fromkeys(("group.member", "group.other"), ("groups.count_members", "groups.compile_group", "groups._fits")),
    "group.members": ("groups._fits", "groups._is_number", "groups.compile_group"),
    "all": ("live._all_of", "live.every", "live._not", "live.turned"),
    "any": ("live._any_of", "live.some", "live._not", "live.turned"),
    "not": ("live._not", "live.turned", *_COUNTING),
}


def evaluators_of(operator: str) -> tuple[str, ...]:
    """Name the functions that answer an operator."""
    return EVALUATORS[max((name for name in EVALUATORS if operator.startswith(name)), key=len)]


def kin_of(operator: str, site: Site, lines: Mapping[str, set[tuple[str, int]]]) -> list[str]:
    """Name the other operators that the place answers as well: what one passes by, another may be about."""
    if site.file in SQL_FILES:
        return [other for other in OPERATORS if other != operator and (site.file, site.line) in lines[other]]
    return [other for other in OPERATORS if other != operator and site.evaluator in evaluators_of(other)]


def choose(
    operator: str,
    lines: set[tuple[str, int]],
    often: Mapping[tuple[str, int], int],
    n: int,
    *,
    is_equal: Callable[[str, Site], bool],
) -> list[Site]:
    """Choose mutants of an operator, half of them in SQL: of lines that few others run through first.

    The same ones each time, and none that is equal; where one evaluator has too few, the other has more.
    """
    own = evaluators_of(operator)
    run = [site for site in all_sites() if (site.file, site.line) in lines]
    Random(operator).shuffle(run)
    run.sort(key=lambda site: often[site.file, site.line])
    in_sql = (site for site in run if site.file in SQL_FILES and not is_equal(operator, site))
    in_live = (
        site for site in run if site.file not in SQL_FILES and site.evaluator in own and not is_equal(operator, site)
    )
    found = [*islice(in_sql, n), *islice(in_live, n)]
    n_sql = sum(site.file in SQL_FILES for site in found)
    n_live = min(len(found) - n_sql, max(n - n // 2, n - n_sql))
    return found[n_sql:][:n_live] + found[:n_sql][: n - n_live]
