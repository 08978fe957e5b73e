"""Every format and encoding reads the same; a row that cannot be read costs itself only."""

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.collect.files.importing import ORDERS, Shop
from tillit.collect.files import BadFile

ROWS = [
    ("Åsa-1", "2026-03-01T10:00:00", "12.5"),
    ("Bo-2", "2026-07-01T10:00:00", "0"),
    ("Cem-3", "2026-03-02T00:00:00", "7"),
]
TEXT = "customer,at,total\n" + "".join(",".join(row) + "\n" for row in ROWS)
WANTED = [
    ("Åsa-1", "2026-03-01T09:00:00.000Z", 12.5),
    ("Bo-2", "2026-07-01T08:00:00.000Z", 0),  # Stockholm is two hours ahead in summer
    ("Cem-3", "2026-03-01T23:00:00.000Z", 7),
]


def said(bodies: list[dict[str, Any]]) -> list[tuple[str, str, float]]:
    return [(body["userId"], body["timestamp"], body["properties"]["total"]) for body in bodies]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("is_zipped", [False, True], ids=["plain", "gzip"])
def test_a_csv_reads_alike_in_every_encoding(shop: Shop, encoding: str, is_zipped: bool) -> None:
    content = TEXT.encode(encoding)
    path = shop.write("orders.csv", gzip.compress(content) if is_zipped else content)

    done = shop.bring(path, ORDERS + f"encoding: {encoding}\n")

    assert said(done.bodies) == WANTED


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "pipe"])
def test_the_delimiter_is_found(shop: Shop, delimiter: str) -> None:
    path = shop.write("orders.csv", TEXT.replace(",", delimiter))

    assert said(shop.bring(path).bodies) == WANTED


def test_columns_parted_by_spaces_need_no_header(shop: Shop) -> None:
    path = shop.write("orders.txt", "".join(f" {a}   {b}  {c}\r\n" for a, b, c in ROWS))
    mapping = ORDERS + "delimiter: whitespace\nheader: false\ncolumns: [customer, at, total]\n"

    assert said(shop.bring(path, mapping).bodies) == WANTED


def test_jsonl_reads_numbers_and_nested_columns(shop: Shop) -> None:
    lines = [json.dumps({"who": {"id": a}, "at": b, "total": float(c)}) for a, b, c in ROWS]
    path = shop.write("orders.jsonl", "\n".join(lines) + "\n\n")
    mapping = ORDERS.replace("format: csv", "format: jsonl").replace("user_id: customer", "user_id: who.id")

    assert said(shop.bring(path, mapping).bodies) == WANTED


@pytest.mark.parametrize("name", ["orders.parquet", "orders [all]*.parquet"], ids=["plain name", "name like a pattern"])
def test_parquet_reads_its_own_types(shop: Shop, name: str) -> None:
    path = shop.folder / name
    with duckdb.connect() as engine:
        engine.execute('CREATE TABLE orders (customer VARCHAR, "at" TIMESTAMP, total DECIMAL(9, 2))')
        engine.executemany("INSERT INTO orders VALUES (?, ?, ?)", ROWS)
        engine.table("orders").write_parquet(str(path))
    mapping = ORDERS.replace("format: csv", "format: parquet")

    assert said(shop.bring(path, mapping).bodies) == WANTED


def test_parquet_times_with_a_zone_and_exact_ids_survive(shop: Shop) -> None:
    path = shop.folder / "orders.parquet"
    with duckdb.connect() as engine:
        engine.execute(
            "CREATE TABLE orders AS SELECT 9007199254740993::BIGINT AS customer, "
            "make_timestamptz(1772359200000000) AS \"at\", 'NaN'::DOUBLE AS total"
        )
        engine.table("orders").write_parquet(str(path))

    done = shop.bring(path, ORDERS.replace("format: csv", "format: parquet"))

    assert [(body["userId"], body["timestamp"], body["properties"]) for body in done.bodies] == [
        ("9007199254740993", "2026-03-01T10:00:00.000Z", {})
    ]


def test_bad_rows_are_kept_with_row_number_line_and_reason(shop: Shop) -> None:
    text = (
        "customer,at,total\n"
        "ana,2026-03-01,1\n"
        "bo,2026-03-01\n"  # a field short
        '"cem","2026-03-01",\n'  # no total is no fault
        "\n"
        "dee,yesterday,1\n"
        "eli,2026-03-01,one\n"
        ",2026-03-01,1\n"
        "fay,2199-01-01,1\n"  # the door: from the future
    )
    path = shop.write("orders.csv", text)

    done = shop.bring(path)

    assert [body["userId"] for body in done.bodies] == ["ana", "cem"]
    *records, last = done.rejects
    assert [(r["row"], r["line"], r["code"]) for r in records[:4]] == [
        (2, 3, "collect.row-width"),
        (4, 6, "collect.row-bad-time"),
        (5, 7, "collect.row-bad-value"),
        (6, 8, "collect.row-nobody"),
    ]
    assert (records[4]["row"], records[4]["line"], records[4]["raw"]) == (7, 9, "fay,2199-01-01,1")
    assert last["summary"]["n_rows"] == 7
    assert last["summary"]["n_taken"] == 2
    assert last["summary"]["n_rejected"] == 5


def test_no_reason_repeats_a_value_of_the_row(shop: Shop) -> None:
    marked = "Zanzibar-Marker"
    path = shop.write("orders.csv", f"customer,at,total\nana,{marked},1\nana,2026-03-01,{marked}\n{marked}\n")

    done = shop.bring(path)

    assert len(done.rejects) == 3 + 1
    assert not any(marked in record.get("reason", "") for record in done.rejects)


def test_a_quote_that_never_closes_costs_its_own_row_only(shop: Shop) -> None:
    path = shop.write("orders.csv", 'customer,at,total\nana,2026-03-01,1\n"bo,2026-03-01,2\ncem,2026-03-01,3\n')

    done = shop.bring(path)

    assert [body["userId"] for body in done.bodies] == ["ana", "cem"]
    assert [(record["row"], record["line"]) for record in done.rejects[:-1]] == [(2, 3)]


def test_a_quoted_field_may_hold_lines(shop: Shop) -> None:
    path = shop.write("orders.csv", 'customer,at,total\n"a\nna",2026-03-01,1\nbo,never,2\n')

    done = shop.bring(path)

    assert [body["userId"] for body in done.bodies] == ["a\nna"]
    assert [(record["row"], record["line"]) for record in done.rejects[:-1]] == [(2, 4)]


def test_bytes_that_are_no_text_cost_their_row_only(shop: Shop) -> None:
    path = shop.write("orders.csv", b"customer,at,total\nana,2026-03-01,1\n\xff\xfebo,2026-03-01,1\ncem,2026-03-01,1\n")

    done = shop.bring(path)

    assert [body["userId"] for body in done.bodies] == ["ana", "cem"]
    assert [(r["row"], r["code"]) for r in done.rejects[:-1]] == [(2, "collect.row-encoding")]


def test_a_line_without_end_does_not_fill_the_memory(shop: Shop) -> None:
    path = shop.write(
        "orders.jsonl", b'{"customer":"' + b"x" * 3_000_000 + b'"}\n{"customer":"ana","at":"2026-03-01"}\n'
    )

    done = shop.bring(path, ORDERS.replace("format: csv", "format: jsonl"))

    assert [body["userId"] for body in done.bodies] == ["ana"]
    assert [(r["row"], r["code"]) for r in done.rejects[:-1]] == [(1, "collect.row-too-long")]
    assert len(done.rejects[0]["raw"]) < 100_000


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        "NaN",
        '{"customer":"a","customer":"b"}',
        '{"total":1e999}',
        "[" * 100_000,
        '{"total":' + "9" * 5_000 + "}",
    ],
    ids=["cut", "a list", "no number", "a key twice", "infinite", "deep", "5,000 digits"],
)
def test_a_line_that_readers_could_disagree_on_is_rejected(shop: Shop, line: str) -> None:
    path = shop.write("orders.jsonl", line + "\n")

    done = shop.bring(path, ORDERS.replace("format: csv", "format: jsonl"))

    assert done.rows == []
    assert [r["code"] for r in done.rejects[:-1]] == ["collect.row-not-json"]


def test_a_rounded_id_is_rejected(shop: Shop) -> None:
    path = shop.write("orders.jsonl", '{"customer":9007199254740993,"at":"2026-03-01"}\n')

    done = shop.bring(path, ORDERS.replace("format: csv", "format: jsonl"))

    assert [r["code"] for r in done.rejects[:-1]] == ["collect.row-rounded-id"]


@pytest.mark.parametrize(
    ("content", "mapping", "told"),
    [
        (b"", ORDERS, "empty"),
        (b"Customer,at,total\n", ORDERS, "Did you mean 'Customer'"),
        (TEXT.encode("utf-16"), ORDERS, "encoding: utf-16"),
        (TEXT.encode(), ORDERS + "encoding: utf-16\n", "utf-16"),
        (b"customer,customer,at,total\n", ORDERS, "two columns"),
        (b"customer,at", ORDERS.replace("format: csv", "format: parquet"), "not a Parquet"),
        (b"PAR1 and no more", ORDERS.replace("format: csv", "format: parquet"), "damaged"),
        (gzip.compress(TEXT.encode() * 9_000)[:-50], ORDERS, "ends early"),
    ],
    ids=["empty", "column", "is utf-16", "no utf-16", "twice", "no parquet", "half a parquet", "half a gzip"],
)
def test_a_file_that_cannot_be_read_says_why(shop: Shop, content: bytes, mapping: str, told: str) -> None:
    path = shop.write("orders.csv", content)

    with pytest.raises(BadFile, match=told):
        shop.bring(path, mapping)


def test_a_missing_file_says_so(shop: Shop, tmp_path: Path) -> None:
    from tillit.collect.files.mapping import read_mapping
    from tillit.collect.files.readers import open_rows

    with pytest.raises(BadFile, match="cannot be opened"):
        open_rows(tmp_path / "nowhere.csv", read_mapping(ORDERS))
