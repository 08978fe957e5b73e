"""Modules say what comes in, what goes out and what they never do; names say what they are."""

import ast
import re

from tests.house.source_tree import PACKAGE, ROOT, dotted_uses, list_modules

NO_NAMES = {"utils", "util", "common", "core", "base", "misc", "helpers", "helper", "manager", "service"}
NO_ENDINGS = ("Manager", "Service", "Helper", "Handler", "Impl", "Factory")
SLOTS = ("In:", "Out:", "Never:")

CLOCKS = {
    f"{module}.{name}"
    for module, names in {
        "time": ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"),
        "datetime": ("now", "utcnow", "today"),
        "date": ("today",),
        "dt": ("now", "utcnow", "today"),
    }.items()
    for name in names
}
ENVIRONMENT = {"os.environ", "os.getenv", "os.environb", "os.putenv"}
# Who may read the environment besides the settings, and why.
ENVIRONMENT_READERS: dict[str, str] = {}


def test_every_module_says_in_out_and_never() -> None:
    silent = [
        f"{module.file}  lacks {', '.join(missing)}"
        for module in list_modules()
        if (
            missing := [
                slot
                for slot in SLOTS
                if not re.search(rf"^\s*{slot}", ast.get_docstring(module.tree) or "", flags=re.MULTILINE)
            ]
        )
    ]

    assert silent == []


def test_no_file_is_named_after_nothing() -> None:
    folders = ("src", "tests", "bench", "scripts")
    vague = [
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*"))
        if path.stem.lower() in NO_NAMES and "node_modules" not in path.parts and "data" not in path.parts
    ]

    assert vague == []


def test_no_class_is_named_after_nothing() -> None:
    vague = [
        f"{module.file}:{node.lineno}  {node.name}"
        for module in list_modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith(NO_ENDINGS)
    ]

    assert vague == []


def test_every_folder_of_code_has_a_door() -> None:
    doorless = sorted(
        {
            path.parent.relative_to(ROOT).as_posix()
            for path in PACKAGE.rglob("*.py")
            if not (path.parent / "__init__.py").exists()
        }
    )

    assert doorless == []


def test_only_the_clock_reads_the_clock() -> None:
    readers = [
        f"{module.file}:{line}  {use}"
        for module in list_modules()
        if module.part != "clock"
        for use, line in dotted_uses(module)
        if use in CLOCKS
    ]

    assert readers == []


def test_only_settings_read_the_environment() -> None:
    readers = [
        f"{module.file}:{line}  {use}"
        for module in list_modules()
        if module.part != "settings" and module.file not in ENVIRONMENT_READERS
        for use, line in dotted_uses(module)
        if use in ENVIRONMENT
    ]

    assert readers == []
