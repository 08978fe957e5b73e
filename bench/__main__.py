"""`python -m bench [NAME …]`: measure, print a line each, and with no name write docs/reference/benchmarks.md."""

import os
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench.budgets import BUDGETS
from bench.figure import Figure

_PAGE = Path("docs/reference/benchmarks.md")
_RATES = ("events/s", "entries/s", "mails/s")
_RUNS = 3


def main(names: list[str]) -> int:
    """Measure the named budgets, or all."""
    unknown = sorted(set(names) - set(BUDGETS))
    if unknown:
        print(f"Unknown benchmark {', '.join(unknown)}. There are: {', '.join(BUDGETS)}.", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in names or list(BUDGETS):
        print(f"… {name}", file=sys.stderr, flush=True)
        for figure in _measured(BUDGETS[name]):
            print(figure.line(), flush=True)
            figures.append(figure)
    if not names:
        _PAGE.write_text(_page(figures), encoding="utf-8")
    return 0


def _measured(measure: Callable[[], list[Figure]]) -> list[Figure]:
    """Measure once; a rate three times, of which the best run counts: on a shared machine the others tell of it."""
    runs = [measure()]
    if runs[0][0].unit not in _RATES:
        return runs[0]
    runs += [measure() for _ in range(_RUNS - 1)]
    best = max(runs, key=lambda figures: figures[0].value)
    others = ", ".join(f"{figures[0].value:,.0f}" for figures in runs)
    note = f"best of {_RUNS} runs: {others}"
    return [best[0]._replace(note=f"{note}; {best[0].note}" if best[0].note else note), *best[1:]]


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
