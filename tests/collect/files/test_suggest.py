"""A drafted mapping loads, imports the file it was drafted from, and shows no value of it."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from tests.collect.files.importing import Shop
from tillit.collect.files import BadFile, suggest_mapping

CDNOW = Path(__file__).parents[2] / "data" / "cdnow" / "CDNOW_master.txt"
PEOPLE = (
    "Kund-nr;E-post;Mobil;Ort;Postnr;Nyhetsbrev;Född\r\n"
    "1001;ana@example.org;+46 70 123 45 67;Lund;01234;ja;1980-02-03\r\n"
    "1002;bo@example.org;;Umeå;22100;nej;1991-12-01\r\n"
)
EVENTS = (
    '{"event_id":"e1","user":{"id":"ana","email":"ana@example.org"},"created_at":"2026-03-01T10:00:00Z","price":12.5}\n'
    '{"event_id":"e2","user":{"id":"bo","email":"bo@example.org"},"created_at":"2026-03-02T10:00:00Z","price":7}\n'
)


def draft_of(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(suggest_mapping(path)))


@pytest.mark.parametrize(
    ("name", "content", "n_rows"),
    [
        ("people.csv", PEOPLE.encode("latin-1"), 2),
        ("people16.csv", PEOPLE.encode("utf-16"), 2),
        ("events.jsonl", EVENTS.encode(), 2),
        ("bare.csv", b"7,2026-03-01,1.50\n8,2026-03-02,2.50\n", 2),
        ("odd.csv", b'"a: b","#c","{d}",yes\n1,2,3,4\n', 1),
        ("one.csv", b"email\nana@example.org\n", 1),
    ],
    ids=["latin-1", "utf-16", "jsonl", "no header", "names YAML would misread", "one column"],
)
def test_a_draft_imports_every_row(shop: Shop, name: str, content: bytes, n_rows: int) -> None:
    path = shop.write(name, content)

    done = shop.bring(path, suggest_mapping(path))

    assert done.outcome.n_taken == n_rows, done.rejects


def test_columns_are_known_by_name_and_by_what_they_hold(shop: Shop) -> None:
    draft = draft_of(shop.write("people.csv", PEOPLE.encode("latin-1")))

    assert (draft["type"], draft["encoding"], draft["delimiter"]) == ("identify", "latin-1", "semicolon")
    assert (draft["email"], draft["phone"]) == ("E-post", "Mobil")
    assert draft["traits"]["Postnr"] == "Postnr"  # a code: digits behind a zero would be lost in a number
    assert draft["traits"]["Nyhetsbrev"] == {"column": "Nyhetsbrev", "type": "boolean"}


def test_events_of_jsonl_find_their_key_person_and_time(shop: Shop) -> None:
    draft = draft_of(shop.write("events.jsonl", EVENTS))

    assert (draft["type"], draft["key"], draft["email"], draft["user_id"]) == (
        "track",
        ["event_id"],
        "user.email",
        "user.id",
    )
    assert draft["timestamp"]["column"] == "created_at"


def test_cdnow_is_understood() -> None:
    draft = draft_of(CDNOW)

    assert (draft["delimiter"], draft["header"], draft["user_id"]) == ("whitespace", True, "customer_id")
    assert draft["timestamp"] == {"column": "date", "format": "%Y%m%d", "zone": "UTC"}
    assert draft["event"] == "Order Completed"
    assert "key" not in draft


def test_parquet_is_drafted_too(shop: Shop) -> None:
    path = shop.folder / "orders.parquet"
    with duckdb.connect() as engine:
        engine.execute(
            "CREATE TABLE t AS "
            "SELECT 'c' || i AS customer_id, TIMESTAMP '2026-01-01' AS sold_at, i AS n FROM range(9) r(i)"
        )
        engine.table("t").write_parquet(str(path))

    done = shop.bring(path, suggest_mapping(path))

    assert done.outcome.n_taken == 9
    assert {body["timestamp"] for body in done.bodies} == {"2026-01-01T00:00:00.000Z"}


def test_days_and_months_that_could_be_swapped_are_marked(shop: Shop) -> None:
    text = suggest_mapping(shop.write("a.csv", "customer_id,date\na,01/02/2026\nb,03/04/2026\n"))
    clear = suggest_mapping(
        shop.write("b.csv", "customer_id,date\na,31/02/2026\nb,13/04/2026\n".replace("31/02", "31/03"))
    )

    assert "other way round" in text
    assert "other way round" not in clear


def test_no_value_of_the_file_stands_in_the_draft(shop: Shop) -> None:
    text = suggest_mapping(shop.write("people.csv", PEOPLE.encode("latin-1")))

    assert not [
        value for line in PEOPLE.splitlines()[1:] for value in line.split(";") if len(value) > 3 and value in text
    ]


@pytest.mark.parametrize("content", [b"", b"customer_id,date\n"], ids=["empty", "header only"])
def test_a_file_without_rows_says_so(shop: Shop, content: bytes) -> None:
    with pytest.raises(BadFile):
        suggest_mapping(shop.write("empty.csv", content))
