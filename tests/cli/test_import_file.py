"""`tillit import` ends with what changed, and changes nothing the second time."""

import json
from pathlib import Path

import pytest

import tillit
from tests.collect.files.importing import ORDERS
from tillit.cli.import_file import import_command
from tillit.errors import InputError

KEYED = ORDERS + "key: receipt\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    with tillit.open(tmp_path / "shop"):
        return tmp_path / "shop"


def bring(shop: Path, rows: str, mapping: str, capsys: pytest.CaptureFixture[str], *, json: bool = False) -> str:
    file, mapping_file = shop.parent / "orders.csv", shop.parent / "orders.yaml"
    file.write_text("receipt,customer,at,total\n" + rows, encoding="utf-8")
    mapping_file.write_text(mapping, encoding="utf-8")

    assert import_command(shop, file, mapping_file, suggest=False, json=json) == 0

    return capsys.readouterr().out.splitlines()[-1]


def test_the_last_line_says_what_changed(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "r1,ana,2026-03-01,1\nr2,bo,never,2\n"

    assert bring(shop, rows, ORDERS, capsys).startswith("+1 events from orders.csv, 1 rejected (see rejects/")
    assert bring(shop, rows, ORDERS, capsys).startswith(
        "nothing new: 1 rows were already here, 1 rejected (see rejects/"
    )


def test_a_later_export_brings_only_what_is_new(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bring(shop, "r1,ana,2026-03-01,1\n", ORDERS, capsys)

    told = bring(shop, "r2,bo,2026-03-02,2\nr1,ana,2026-03-01,1\n", ORDERS, capsys)

    assert told == "+1 events from orders.csv, 0 rejected, 1 were already here"
    with tillit.open(shop) as ws:
        assert ws.profiles.get("user_id:ana")["counts"] == {"Order Completed": 1}


def test_other_values_under_a_known_key_are_told_and_not_taken(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bring(shop, "r1,ana,2026-03-01,1\n", KEYED, capsys)

    told = bring(shop, "r1,ana,2026-03-01,999\n", KEYED, capsys)

    assert told == "nothing new from orders.csv, 0 rejected, 1 not taken: other values under a key that is known"


def test_rows_of_nobody_are_told(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = bring(shop, "r1,undefined,2026-03-01,1\n", ORDERS, capsys)

    assert told == "nothing new from orders.csv, 0 rejected, 1 set aside: no usable identifier"


def test_customers_without_a_time_or_an_id_are_imported_once_by_their_email(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = "name: people\nformat: csv\ntype: identify\nemail: customer\ntraits: {total: total}\n"
    rows = "r1,ana@example.org,,gold\n"

    assert bring(shop, rows, people, capsys) == "+1 events from orders.csv, 0 rejected"
    assert bring(shop, rows, people, capsys) == "nothing new: 1 rows were already here"
    with tillit.open(shop) as ws:
        assert ws.profiles.get("email:ana@example.org")["traits"]["total"]["value"] == "gold"


def test_programs_get_the_same_as_json(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(bring(shop, "r1,ana,2026-03-01,1\nr2,bo,never,2\n", ORDERS, capsys, json=True))

    assert (told["rows"], told["new"], told["known"], told["rejected"]) == (2, 1, 0, 1)
    assert told["reasons"] == {"collect.row-bad-time": 1}
    assert (shop / told["rejects"]).is_file()


def test_without_a_mapping_the_way_to_one_is_told(shop: Path) -> None:
    file = shop.parent / "orders.csv"
    file.write_text("customer\nana\n", encoding="utf-8")

    with pytest.raises(InputError, match="--suggest"):
        import_command(shop, file, None, suggest=False, json=False)


def test_a_draft_goes_to_stdout_and_imports(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = shop.parent / "orders.csv"
    file.write_text("receipt,customer,sold_at,total\nr1,ana,2026-03-01,1\nr2,bo,2026-03-02,2\n", encoding="utf-8")
    assert import_command(shop, file, None, suggest=True, json=False) == 0
    draft = shop.parent / "draft.yaml"
    draft.write_text(capsys.readouterr().out, encoding="utf-8")

    import_command(shop, file, draft, suggest=False, json=False)

    assert capsys.readouterr().out == "+2 events from orders.csv, 0 rejected\n"


def test_nothing_of_a_marked_person_is_printed(shop: Path, capfd: pytest.CaptureFixture[str]) -> None:
    marked = "marked-person@example.org"
    file, mapping = shop.parent / "orders.csv", shop.parent / "orders.yaml"
    file.write_text(f"{marked},never,1\n{marked},2026-03-01,{marked}\n{marked}\n", encoding="utf-8")
    mapping.write_text(ORDERS, encoding="utf-8")

    with pytest.raises(InputError) as caught:  # the header is a person's row
        import_command(shop, file, mapping, suggest=False, json=False)
    mapping.write_text(ORDERS + "header: false\ncolumns: [customer, at, total]\n", encoding="utf-8")
    import_command(shop, file, mapping, suggest=False, json=False)

    said = capfd.readouterr()
    assert "3 rejected" in said.out
    assert marked not in said.out + said.err + caught.value.message
