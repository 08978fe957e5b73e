"""`python -m bench [NAME …]`: measure, print a line each, and with no name write docs/reference/benchmarks.md."""

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.budgets import BUDGETS
from bench.figure import Figure

_PAGE = Path("docs/reference/benchmarks.md")


def main(names: list[str]) -> int:
    """Measure the named budgets, or all."""
    unknown = sorted(set(names) - set(BUDGETS))
    if unknown:
        print(f"Unknown benchmark {', '.join(unknown)}. There are: {', '.join(BUDGETS)}.", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in names or list(BUDGETS):
        print(f"… {name}", file=sys.stderr, flush=True)
        for figure in BUDGETS[name]():
            print(figure.line(), flush=True)
            figures.append(figure)
    if not names:
        _PAGE.write_text(_page(figures), encoding="utf-8")
    return 0


def _system() -> str:
    return f"Python {platform.python_version()}, {platform.system()}"


def _page(figures: list[Figure]) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`. The load generator runs on the same machine as the server.",
        f"Measured on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}), {_system()}.",
        "",
        "| What | Measured | Budget | Met | Baseline in the same run | Ratio | Note |",
        "|---|---|---|---|---|---|---|",
        *[figure.row() for figure in figures],
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
