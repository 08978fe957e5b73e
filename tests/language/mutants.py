"""Mutants: the evaluators with one small fault each, drawn from what an operator runs through.

In:    the source of the four modules that answer; an operator.
Out:   mutants, and a way to live with one for a while.
Never: a file written. The code of one function is swapped in this process, and swapped back.
"""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from random import Random
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple

from tests.language_cases import OPERATORS
from tillit.language import instants, live, tapes, values

MODULES: dict[str, ModuleType] = {module.__file__ or "": module for module in (instants, values, tapes, live)}
# A search that might not end (it has tests of its own), reading and writing what people see, and what only says what
# hangs on what.
LEFT_OUT = {"_first_instant", "read_span", "write_span", "is_zone", "inputs_of", "why_no_pattern", "_spelled"}

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


def _functions(file: str) -> Iterator[tuple[str, ast.AST]]:
    """List what may be spoiled in a module: functions, and lambdas in tables."""
    for node in ast.parse(Path(file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name not in LEFT_OUT:
            yield node.name, node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict) and isinstance(node.target, ast.Name):
            for key, one in zip(node.value.keys, node.value.values, strict=True):
                if isinstance(one, ast.Lambda) and isinstance(key, ast.Constant):
                    yield f"{node.target.id}.{key.value!s}", one


def _walk(node: ast.AST, parents: list[ast.AST]) -> Iterator[tuple[ast.AST, list[ast.AST]]]:
    """Walk code that runs: no annotations, decorators or docstrings."""
    yield node, parents
    for name, told in ast.iter_fields(node):
        if name not in {"annotation", "returns", "decorator_list", "args", "ctx", "type_params"}:
            for one in told if isinstance(told, list) else [told]:
                if isinstance(one, ast.AST) and not isinstance(one, ast.Assert):
                    yield from _walk(one, [*parents, node])


def _told(node: ast.AST, parents: list[ast.AST]) -> str:
    """Write the statement in which a node stands, or the head of it."""
    statement = next((one for one in (node, *reversed(parents)) if isinstance(one, ast.stmt | ast.match_case)), None)
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
                    found.append(Site(file, function, getattr(node, "lineno", 0), number, fault, told))
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
    tree = dict(_functions(site.file))[site.function]
    spoiled, _ = _spoil(tree, site.number, site.fault)
    body: list[ast.stmt] = [spoiled if isinstance(spoiled, ast.stmt) else ast.Expr(spoiled)]  # type: ignore[arg-type]
    module = ast.fix_missing_locations(ast.Module(body, []))
    code = next(one for one in compile(module, site.file, "exec").co_consts if isinstance(one, CodeType))
    table, _, key = site.function.partition(".")
    named: Any = getattr(MODULES[site.file], table)
    function = named[key] if key else getattr(named, "__wrapped__", named)
    whole = function.__code__
    forget()
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = whole
        forget()


def forget() -> None:
    """Empty what the modules remember of earlier answers."""
    for module in MODULES.values():
        for one in vars(module).values():
            if hasattr(one, "cache_clear"):
                one.cache_clear()


def lines_run(run: Callable[[], object]) -> set[tuple[str, int]]:
    """List the lines of the four modules that something runs through."""
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
# What answers an operator; of several that fit the longest name counts. `permitted` and `audience` pass on what others
# say: of an audience it is what its own definition runs through.
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
    "permitted": (),
    "all": ("live._all_of", "live.every", "live._not", "live.turned"),
    "any": ("live._any_of", "live.some", "live._not", "live.turned"),
    "not": ("live._not", "live.turned", *_COUNTING),
}


def evaluators_of(operator: str) -> tuple[str, ...]:
    """Name the functions that answer an operator."""
    return EVALUATORS[max((name for name in EVALUATORS if operator.startswith(name)), key=len)]


def kin_of(operator: str, site: Site) -> list[str]:
    """Name the other operators that the function answers as well: what one passes by, another may be about."""
    return [other for other in OPERATORS if other != operator and site.evaluator in evaluators_of(other)]


def choose(operator: str, lines: set[tuple[str, int]], often: Mapping[tuple[str, int], int], n: int) -> list[Site]:
    """Choose mutants of an operator: of lines that few others run through first. The same ones each time."""
    own = evaluators_of(operator)
    sites = [site for site in all_sites() if site.evaluator in own and (site.file, site.line) in lines]
    Random(operator).shuffle(sites)
    return sorted(sites, key=lambda site: often[site.file, site.line])[:n]
