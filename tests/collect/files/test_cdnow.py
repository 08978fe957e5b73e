"""CDNOW through the whole product: one command, exact totals, and a second time nothing."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

import tillit
from tillit.records import KIND_EVENT

DATA = Path(__file__).parents[2] / "data" / "cdnow"
FILE, MAPPING = DATA / "CDNOW_master.txt", DATA / "mapping.yaml"
N_CUSTOMERS, N_PURCHASES = 23_570, 69_659


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Import CDNOW three times: as it is, again, and with its rows turned round."""
    folder = tmp_path_factory.mktemp("cdnow")
    workspace = folder / "shop"
    with tillit.open(workspace):
        pass
    header, *lines = FILE.read_text(encoding="ascii").splitlines()
    turned = folder / "turned.txt"
    turned.write_text("\n".join([header, *reversed(lines)]) + "\n", encoding="ascii")
    return workspace, [last_line_of_import(workspace, file) for file in (FILE, FILE, turned)]


def last_line_of_import(workspace: Path, file: Path) -> str:
    command = [
        sys.executable,
        "-m",
        "tillit",
        "import",
        str(file),
        "--workspace",
        str(workspace),
        "--mapping",
        str(MAPPING),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_one_command_brings_every_purchase_and_a_second_changes_nothing(imported: tuple[Path, list[str]]) -> None:
    _, told = imported

    assert told == [
        "+69,659 events from CDNOW_master.txt, 0 rejected",
        "nothing new: 69,659 rows were already here",
        "nothing new: 69,659 rows were already here",
    ]


@pytest.mark.slow
def test_totals_per_customer_are_those_of_the_file(imported: tuple[Path, list[str]]) -> None:
    workspace, _ = imported
    wanted: dict[str, list[Decimal]] = defaultdict(list)
    for line in FILE.read_text(encoding="ascii").splitlines()[1:]:
        customer, _, _, dollars = line.split()
        wanted[customer].append(Decimal(dollars))

    with tillit.open(workspace) as ws:
        # Counts come from every profile; money from the events that the fold applied.
        n_by_customer = {}
        for customer in wanted:
            profile = ws.profiles.get(f"user_id:{customer}")
            n_by_customer[customer] = profile["counts"]["Order Completed"]
        again = {position for (position,) in ws.state.read("SELECT position FROM fate")}
        money: dict[str, int] = defaultdict(int)
        after = 0
        while rows := ws.log.read(after, 10_000):
            after = rows[-1].position
            for row in rows:
                if row.kind == KIND_EVENT and row.position not in again:
                    body = json.loads(row.body or b"{}")
                    money[body["userId"]] += body["properties"]["revenue_minor"]

    assert len(wanted) == N_CUSTOMERS
    assert n_by_customer == {customer: len(paid) for customer, paid in wanted.items()}
    assert money == {customer: int(sum(paid) * 100) for customer, paid in wanted.items()}
    assert sum(n_by_customer.values()) == N_PURCHASES


@pytest.mark.slow
def test_a_timeline_holds_every_purchase_at_its_day(imported: tuple[Path, list[str]]) -> None:
    workspace, _ = imported
    lines = [line.split() for line in FILE.read_text(encoding="ascii").splitlines()[1:]]
    ((customer, _),) = Counter(line[0] for line in lines).most_common(1)
    bought = sorted(
        (f"{day[:4]}-{day[4:6]}-{day[6:]}", float(dollars)) for who, day, _, dollars in lines if who == customer
    )

    with tillit.open(workspace) as ws:
        found = ws.profiles.events(f"user_id:{customer}", ws.scope(), limit=1_000)
    assert found is not None
    events, _ = found

    assert sorted((event["event_at"][:10], event["properties"]["revenue"]) for event in events) == bought
