"""Our own source, read as text: what the house tests judge.

In:    the files under src/tillit.
Out:   modules, the imports between them, the names they define.
Never: runs what it reads.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "tillit"

ROOMS = ("collect", "identity", "consent", "profile", "groups", "access", "ledger", "privacy", "deliver", "audience")
# What may be imported: anything lower. Errors and clock lie below everything.
LEVEL = {
    "errors": 0,
    "clock": 0,
    "records": 1,
    "settings": 1,
    "store": 2,
    "language": 3,
    **dict.fromkeys(ROOMS, 4),
    "flow": 5,
    "workspace": 6,
    **dict.fromkeys(("simulate", "api", "console", "portal"), 7),
    "cli": 8,
    "__main__": 9,
    "__init__": 9,  # the public door
}


class Module(NamedTuple):
    """One source file of the package."""

    path: Path
    name: str  # tillit.collect.once
    part: str  # collect: the room or file right under the package
    tree: ast.Module

    @property
    def file(self) -> str:
        return self.path.relative_to(ROOT).as_posix()


class Edge(NamedTuple):
    """One import of our own code."""

    module: Module
    line: int
    target: str  # the imported module's full name, as far as it is written
    target_part: str
    is_inside_function: bool
    is_for_typing: bool

    def __str__(self) -> str:
        return f"{self.module.file}:{self.line}  {self.module.part} -> {self.target}"


@cache
def list_modules() -> list[Module]:
    modules = []
    for path in sorted(PACKAGE.rglob("*.py")):
        names = path.relative_to(PACKAGE).with_suffix("").parts
        dotted = ".".join(("tillit", *(name for name in names if name != "__init__")))
        modules.append(Module(path, dotted, names[0], ast.parse(path.read_text(encoding="utf-8"))))
    return modules


def iter_imports(module: Module) -> Iterator[Edge]:
    """Find imports of our own package, wherever they stand."""
    inside = _lines_in_functions(module.tree)
    typing_only = {
        line
        for node in ast.walk(module.tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            # `from tillit import collect` names the room in the list
            targets = [f"tillit.{alias.name}" for alias in node.names] if base == "tillit" else [base]
        else:
            continue
        for target in targets:
            if target == "tillit" or target.startswith("tillit."):
                part = [*target.split("."), "__init__"][1]
                if part not in LEVEL and not (PACKAGE / part).exists() and not (PACKAGE / f"{part}.py").exists():
                    part = "__init__"  # a name from the public door
                yield Edge(module, node.lineno, target, part, node.lineno in inside, node.lineno in typing_only)


def called_names(module: Module) -> Iterator[tuple[str, int]]:
    """List what is called, by its last name, with the line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id, node.lineno
            elif isinstance(node.func, ast.Attribute):
                yield node.func.attr, node.lineno


def dotted_uses(module: Module) -> Iterator[tuple[str, int]]:
    """List every `a.b` and `from a import b` as "a.b", with the line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}", node.lineno
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def defined_names(module: Module) -> set[str]:
    """Name what a module makes or imports at its top level."""
    names: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def _lines_in_functions(tree: ast.Module) -> set[int]:
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
