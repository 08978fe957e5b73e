"""What the fixed cases of each operator hold: `python -m tests.language.table`.

In:    `tests/language_cases.py`; `costs.json`, what each operator's cases cost.
Out:   a row for each operator; with `--write`, the costs. Then how many answers in a workspace were turned by time,
       late events, joins, cuts, withdrawals and erasures (`tests/audience/quarter.py`).
Never: an answer that is not checked: each is held against the third reading.

Costs are counted, not timed: `looks`, how often the evaluator must be asked again within six days of all cases, and
`bytes`, what is kept of their people. They may fall, and rise only by someone's hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.audience.quarter import KINDS, live_through
from tests.audience_model import HOUR, is_member
from tests.language.asking import (
    Answers,
    Batch,
    Definitions,
    Kept,
    differences,
    expect,
    in_batches,
    record,
    short_horizons,
    walk,
    written,
)
from tests.language_cases import OPERATORS, Case, as_written, fixed_cases
from tillit.language import live

N_CASES = 80
# Where what matters is rare, there are more.
MORE_CASES = {
    "most_frequent": 240,
    "window.calendar": 160,
    "window.since_last": 240,
    "window.session": 160,
    "first_time": 160,
    "restarted": 160,
    "sequence.total": 160,
    "sample": 160,
    "group.member": 160,
}
LATE = 6 * HOUR
COSTS = Path(__file__).with_name("costs.json")


class Fixed(NamedTuple):
    """A fixed case, the batches in which its rows come, and what the third reading says."""

    case: Case
    batches: list[Batch]
    expected: Answers


class Row(NamedTuple):
    """What an operator's cases hold."""

    operator: str
    pairs: int
    n_in: int
    expiries: int  # leaves with time alone
    arrivals: int  # comes in with time alone
    late: int  # another answer, had a late event not come
    joined: int  # another answer, for a part of the strands: a join brings it, a cut takes it back
    looks: int
    bytes: int
    faults: tuple[str, ...]

    @property
    def share_in(self) -> float:
        return self.n_in / self.pairs


@lru_cache(maxsize=100)
def fixed(operator: str) -> list[Fixed]:
    """Give an operator's fixed cases."""
    return [
        Fixed(case, in_batches(case, chance), expect(case, chance, most=12))
        for case, chance in fixed_cases(operator, MORE_CASES.get(operator, N_CASES))
    ]


def judge(operator: str) -> Row:
    """Ask all of an operator's cases, and count."""
    pairs = n_in = expiries = arrivals = late = joined = looks = size = 0
    faults: list[str] = []
    for case, batches, expected in fixed(operator):
        person = case.person
        definitions = Definitions(case.definition, person)
        documents = record(definitions, batches)
        heard = walk(case, documents, definitions)
        faults += [f"{as_written(case)}\n{one}" for one in differences(expected, heard)]
        pairs += len(expected)
        n_in += sum(answer for _, answer in expected)
        turned = [before for (_, before), (_, after) in pairwise(heard.looks) if before != after]
        expiries += sum(turned)
        arrivals += len(turned) - sum(turned)
        looks += len(heard.looks)
        size += sum(len(one) for kept in written(documents).values() for one in kept.values())
        whole = expected[0][1]
        for event in person.events:
            if event.at <= event.logged_at - LATE:
                rest = person._replace(events=tuple(one for one in person.events if one != event))
                late += is_member(case.definition, rest, case.asked_at) != whole
        for strand in documents:
            part = Kept(definitions, person, {strand: documents[strand]})
            alone = live.compile_condition(definitions.node)(part, case.asked_at)[0]
            own = tuple(one for other, one in zip(case.strands, person.events, strict=True) if other == strand)
            if alone != is_member(case.definition, person._replace(events=own), case.asked_at):
                faults.append(f"{as_written(case)}\nstrand {strand} of {case.strands} alone is answered {alone}")
            joined += alone != whole
    return Row(operator, pairs, n_in, expiries, arrivals, late, joined, looks, size, tuple(faults))


def ask(operator: str, n: int | None = None) -> tuple[list[str], dict[str, int]]:
    """Ask an operator's cases, and give what was wrong and what they cost."""
    faults: list[str] = []
    looks = size = 0
    for case, batches, expected in fixed(operator)[:n]:
        definitions = Definitions(case.definition, case.person)
        documents = record(definitions, batches)
        heard = walk(case, documents, definitions)
        faults += [f"{as_written(case)}\n{one}" for one in differences(expected, heard)]
        looks += len(heard.looks)
        size += sum(len(one) for kept in written(documents).values() for one in kept.values())
        if faults:
            break
    return faults, {"looks": looks, "bytes": size}


def is_caught(operator: str, cost: Mapping[str, int]) -> bool:
    """Say whether an operator's cases tell a mutant from the real thing: a wrong answer, a late look, a cost."""
    try:
        faults, costs = ask(operator)
    except Exception:  # noqa: BLE001  # whatever a mutant raises
        return True
    return bool(faults) or any(costs[name] > cost[name] for name in cost)


def read_costs() -> dict[str, dict[str, int]]:
    """Read what each operator's cases cost."""
    told: dict[str, dict[str, int]] = json.loads(COSTS.read_text(encoding="utf-8"))
    return told


def lines(rows: list[Row]) -> list[str]:
    """Write the table."""
    names = ("pairs", "in", "out", "leave", "enter", "late", "join", "looks", "bytes")
    head = f"{'operator':24}" + "".join(
        f"{name:>{width}}" for name, width in zip(names, (7, 6, 6, 7, 7, 6, 6, 7, 8), strict=True)
    )
    return [
        head,
        *(
            f"{row.operator:24}{row.pairs:7}{row.share_in:6.0%}{1 - row.share_in:6.0%}{row.expiries:7}{row.arrivals:7}"
            f"{row.late:6}{row.joined:6}{row.looks:7}{row.bytes:8}"
            for row in rows
        ),
    ]


def lines_of_quarter(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Write how often each kind of act turned an answer in a workspace."""
    names = ("pairs", "in", *KINDS)
    head = f"{'operator':24}" + "".join(f"{name:>11}" for name in names)
    return [head, *(f"{name:24}" + "".join(f"{told[one]:11}" for one in names) for name, told in counts.items())]


def main() -> int:
    """Print the tables; say 1 where an answer was wrong."""
    with short_horizons():
        rows = [judge(operator) for operator in OPERATORS]
    if "--write" in sys.argv:
        told = {row.operator: {"looks": row.looks, "bytes": row.bytes} for row in rows}
        body = ",\n".join(f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in told.items())
        COSTS.write_text(f"{{\n{body}\n}}\n", encoding="utf-8")
    print("\n".join(lines(rows)))
    faults = [fault for row in rows for fault in row.faults]
    print("\n\n".join(faults))
    with TemporaryDirectory() as folder:
        print("\n".join(lines_of_quarter(live_through(Path(folder) / "town"))))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
