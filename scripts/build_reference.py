"""Write the reference pages that are made from the code.

In:    the source of the package, read and not run (settings are asked for themselves).
Out:   `errors.md`, `settings.md`, `http-api.md`, `cli.md`, `workspace-tables.md` and `audience-language.md` in
       `docs/reference/`.
Never: words of its own about a code: what it means stands beside it in the source.
"""

import ast
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scripts.reference_cli import cli_page
from scripts.reference_language import language_page
from scripts.reference_tables import tables_page
from tillit import settings
from tillit.api import api_reference_page
from tillit.workspace import Workspace, create_workspace

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "tillit"
REFERENCE = ROOT / "docs" / "reference"

CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\.[a-z0-9]+(-[a-z0-9]+)*")
# A string of a room's name, a dot and a word is an error code, unless it is a file.
FILE_ENDINGS = (
    "css",
    "csv",
    "db",
    "html",
    "js",
    "json",
    "jsonl",
    "lock",
    "pid",
    "py",
    "sql",
    "svg",
    "toml",
    "txt",
    "yaml",
)


class ErrorCode(NamedTuple):
    """One place in the source that gives a code its meaning."""

    code: str
    family: str  # the error class, or "" for a fate that is no exception
    meaning: str
    file: str
    line: int


class ErrorClass(NamedTuple):
    """A class of the tree, as its source states it."""

    name: str
    bases: tuple[str, ...]
    values: dict[str, object]  # code, status, exit_code, retryable, where stated
    meaning: str
    file: str
    line: int


class Module(NamedTuple):
    """One source file."""

    file: str
    tree: ast.Module
    lines: list[str]


def read_modules(source: Path = SOURCE) -> list[Module]:
    """Parse every file of the package."""
    modules = []
    for path in sorted(source.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        modules.append(Module(path.relative_to(source.parent).as_posix(), ast.parse(text), text.splitlines()))
    return modules


def error_classes(modules: list[Module]) -> dict[str, ErrorClass]:
    """Find TillitError and everything below it, by name."""
    every = {
        node.name: ErrorClass(
            name=node.name,
            bases=tuple(name for base in node.bases if (name := _name_of(base))),
            values=_class_values(node),
            meaning=_first_line(node),
            file=module.file,
            line=node.lineno,
        )
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"TillitError"} & every.keys()
    while grown := {one.name for one in every.values() if found & set(one.bases)} - found:
        found |= grown
    return {name: every[name] for name in sorted(found)}


def error_codes(modules: list[Module]) -> list[ErrorCode]:
    """List every place where a code gets its meaning, by code."""
    classes = error_classes(modules)
    constants = {name: value for module in modules for name, value, _ in _constants(module)}
    found = [
        ErrorCode(str(one.values["code"]), one.name, one.meaning, one.file, one.line)
        for one in classes.values()
        if "code" in one.values
    ]
    rooms = _rooms(modules) | {"input", "privacy"}  # codes may be named after a room that comes later
    known_settings = {row.full_name for row in settings.iter_rows()}
    for module in modules:
        if module.file.endswith("tillit/settings.py"):
            continue
        taken = {line for one in found if one.file == module.file for line in _class_lines(module, one.family)}
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                found += _codes_of_call(module, node, classes, constants)
        in_calls = {(one.code, one.file) for one in found}
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and CODE.fullmatch(node.value)
                and node.value.partition(".")[0] in rooms
                and not node.value.endswith(tuple(f".{ending}" for ending in FILE_ENDINGS))
                and node.value not in known_settings
                and (node.value, module.file) not in in_calls
                and node.lineno not in taken
            ):
                found.append(ErrorCode(node.value, "", _comment_of(module, node.lineno), module.file, node.lineno))
    return sorted(set(found))


def errors_page(modules: list[Module]) -> str:
    """Give the reference page of all error codes, in Markdown."""
    classes = error_classes(modules)
    by_code: dict[str, list[ErrorCode]] = {}
    for one in error_codes(modules):
        by_code.setdefault(one.code, []).append(one)
    lines = [
        "# Errors",
        "",
        "Made from the code by `make docs`; do not edit.",
        "",
        'Every door answers with one shape: `{"error": {"code", "message", "details"}}`.',
        "A code is stable; the message is for a person and may be reworded.",
        "Status is HTTP's, exit is the command line's.",
        "Where they are empty, the code is the fate of one event or row: it is recorded, and the rest goes on.",
        "`…` stands for a fact of the case.",
    ]
    for room in sorted({code.partition(".")[0] for code in by_code}):
        lines += ["", f"## {room}", "", "| code | status | exit | try again | what it means |", "|---|---|---|---|---|"]
        for code, places in sorted(by_code.items()):
            if code.partition(".")[0] == room:
                family = next((one.family for one in places if one.family), "")
                status, exit_code, retryable = (
                    (
                        _inherited(classes, family, "status"),
                        _inherited(classes, family, "exit_code"),
                        "yes" if _inherited(classes, family, "retryable") else "no",
                    )
                    if family
                    else ("", "", "")
                )
                meanings = dict.fromkeys(one.meaning.replace("|", "\\|") for one in places if one.meaning)
                lines.append(f"| `{code}` | {status} | {exit_code} | {retryable} | {' '.join(meanings)} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    """Give each page that is made from the code, with its text."""
    return {
        REFERENCE / "errors.md": errors_page(read_modules()),
        REFERENCE / "settings.md": settings.reference_page(),
        REFERENCE / "http-api.md": http_api_page(),
        REFERENCE / "cli.md": cli_page(),
        REFERENCE / "workspace-tables.md": tables_page(),
        REFERENCE / "audience-language.md": language_page(),
    }


def http_api_page() -> str:
    """Give the reference page of the HTTP API, in Markdown. Routes belong to a workspace, so an empty one is made."""
    with tempfile.TemporaryDirectory() as folder:
        create_workspace(Path(folder) / "workspace")
        with Workspace(Path(folder) / "workspace") as workspace:
            return api_reference_page(workspace)


def _codes_of_call(
    module: Module, call: ast.Call, classes: dict[str, ErrorClass], constants: dict[str, str]
) -> Iterator[ErrorCode]:
    for keyword in call.keywords:
        if keyword.arg != "code":
            continue
        code = _text_of(keyword.value) or constants.get(_name_of(keyword.value) or "", "")
        if CODE.fullmatch(code):
            called = _name_of(call.func) or ""
            yield ErrorCode(code, called if called in classes else "", _message_of(call), module.file, call.lineno)
    first = _text_of(call.args[0]) if call.args else ""
    called = _name_of(call.func) or ""
    if first.endswith(tuple(f".{ending}" for ending in FILE_ENDINGS)):
        return
    if CODE.fullmatch(first) and (message := _message_of(call, skip=1)) and " " in message:
        yield ErrorCode(first, called if called in classes else "", message, module.file, call.lineno)


def _message_of(call: ast.Call, *, skip: int = 0) -> str:
    """Give the first sentence-like text among a call's arguments."""
    for node in [*call.args[skip:], *(keyword.value for keyword in call.keywords if keyword.arg != "code")]:
        if (text := _text_of(node)) and " " in text:
            return " ".join(text.split())
    return ""


def _text_of(node: ast.expr) -> str:
    """Give a literal's text, with … where a fact goes in; empty when it is no literal."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text_of(node.left) + _text_of(node.right)
    return ""


def _name_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else None


def _class_values(node: ast.ClassDef) -> dict[str, object]:
    values: dict[str, object] = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            target, value = statement.targets[0].id, statement.value
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            target, value = statement.target.id, statement.value
        else:
            continue
        if target in {"code", "status", "exit_code", "retryable"} and isinstance(value, ast.Constant):
            values[target] = value.value
    return values


def _class_lines(module: Module, name: str) -> set[int]:
    return {
        line
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and node.name == name
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def _inherited(classes: dict[str, ErrorClass], name: str, value: str) -> object:
    one = classes[name]
    if value in one.values:
        return one.values[value]
    return next((_inherited(classes, base, value) for base in one.bases if base in classes), "")


def _constants(module: Module) -> Iterator[tuple[str, str, int]]:
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and (text := _text_of(node.value)):
            yield node.targets[0].id, text, node.lineno


def _comment_of(module: Module, line: int) -> str:
    """Give the comment on a line, or the one that stands alone above it."""
    _, mark, comment = module.lines[line - 1].partition("  # ")
    if mark:
        return comment.strip()
    above = module.lines[line - 2].strip() if line > 1 else ""
    return above.removeprefix("# ") if above.startswith("# ") else ""


def _rooms(modules: list[Module]) -> set[str]:
    return {module.file.split("/")[1].removesuffix(".py") for module in modules}


def _first_line(node: ast.ClassDef) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]


def main() -> None:
    """Write the pages and say which changed."""
    for path, text in pages().items():
        is_same = path.exists() and path.read_text(encoding="utf-8") == text
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)}  {'unchanged' if is_same else 'written'}")


if __name__ == "__main__":
    main()
