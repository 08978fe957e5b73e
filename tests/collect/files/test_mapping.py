"""A mapping is checked in full before a row is read, and says all its faults at once."""

from typing import Any

import pytest

from tests.collect.files.importing import ORDERS, Shop
from tillit.collect.files import BadMapping, read_mapping


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("user_id:", "userid:"), "Did you mean 'user_id'"),
        (("type: number", "typ: number"), "Did you mean 'type'"),
        (("type: number", "type: nummer"), "Did you mean 'number'"),
        (("format: csv", "format: xlsx"), "one of csv, jsonl, parquet"),
        (("format: csv", "format: jsonl\nheader: true"), "`header` is for csv"),
        (("user_id: customer", ""), "No column says whose row it is"),
        (("event: Order Completed", ""), "A track needs `event`"),
        (("type: track", "type: identify"), "has `traits`, not `properties`"),
        (("zone: Europe/Stockholm", "zone: Europe/Uppsala"), "time zone's name"),
        (("format: iso", "format: yyyy-mm-dd"), "or a pattern such as"),
        (("type: number", "type: money"), "code of three letters"),
        (("type: number", "type: money, currency: SEK"), "Call it `total_minor`"),
        (("name: orders", "name: orders\nname: again"), "stands twice"),
        (("name: orders", "name: [orders"), "line"),
        (("name: orders", "delimiter: ;;"), "one character or one of"),
        (("format: csv", "format: csv\nheader: false"), "needs `columns`"),
        (("format: csv", "format: csv\nheader: false\ncolumns: [customer, at]"), "Column 'total' is not in `columns`"),
        (("{column: total, type: number}", "{value: 1, type: number}"), "`value` stands alone"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_fault_is_named(change: tuple[str, str], told: str) -> None:
    assert change[0] in ORDERS

    with pytest.raises(BadMapping, match=told.replace("`", ".")):
        read_mapping(ORDERS.replace(*change))


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(BadMapping) as caught:
        read_mapping("name: 1\nformat: x\ntype: y\nbogus: z\n")

    assert len(caught.value.details["faults"]) == 5  # type: ignore[arg-type]


def test_yaml_that_would_run_code_is_refused() -> None:
    with pytest.raises(BadMapping):
        read_mapping(ORDERS + "missing: !!python/object/apply:os.getcwd []\n")


@pytest.mark.parametrize(
    ("rule", "cell", "wanted"),
    [
        ("type: text", "007", "007"),
        ("type: integer", " 007 ", 7),
        ("type: integer", "1.5", None),
        ("type: integer", "9223372036854775808", None),
        ("type: number", "1e3", 1000.0),
        ("type: number", "1,5", None),
        ("type: number", "NaN", None),
        ("type: number", "1e999", None),
        ("type: boolean", "Ja", True),
        ("type: boolean", "maybe", None),
        ("type: money, currency: SEK", "11.77", 1177),
        ("type: money, currency: JPY", "1177", 1177),
        ("type: money, currency: KWD", "1.177", 1177),
        ("type: money, currency: SEK", "1.005", None),
        ("type: date, format: '%d.%m.%Y'", "24.12.2025", "2025-12-24"),
        ("type: time, format: epoch_ms", "1500", "1970-01-01T00:00:01.500Z"),
        ("type: time, zone: Europe/Stockholm", "2026-07-01T00:00:00", "2026-06-30T22:00:00Z"),
        ("type: time, format: '%d/%m/%Y'", "31/02/2026", None),
    ],
)
def test_a_value_is_cast_exactly_or_rejected(shop: Shop, rule: str, cell: str, wanted: Any) -> None:
    path = shop.write("orders.csv", f'customer,at,total\nana,2026-03-01,"{cell}"\n')

    done = shop.bring(
        path, ORDERS.replace("total: {column: total, type: number}", f"x_minor: {{column: total, {rule}}}")
    )

    assert [body["properties"]["x_minor"] for body in done.bodies] == ([wanted] if wanted is not None else [])
    assert bool(done.rejects) == (wanted is None)


def test_texts_that_mean_no_value_leave_nothing_behind(shop: Shop) -> None:
    path = shop.write("orders.csv", "customer,at,total\nana,2026-03-01,NULL\n")

    done = shop.bring(path, ORDERS + 'missing: ["", "NULL"]\n')

    assert [body["properties"] for body in done.bodies] == [{}]


def test_handles_stand_where_the_fold_looks_for_them(shop: Shop) -> None:
    path = shop.write("people.csv", "mail,tel,card,city\nana@example.org,+46701234567,c-1,Lund\n")
    handles = "email: mail\nphone: tel\nexternal_ids: {card: card}\n"
    about = "name: people\nformat: csv\ntype: identify\ntraits: {city: city}\n" + handles
    did = "name: visits\nformat: csv\ntype: page\nevent: Home\n" + handles

    (identify,) = shop.bring(path, about).bodies
    (page,) = shop.bring(path, did).bodies

    assert identify["traits"] == {"email": "ana@example.org", "phone": "+46701234567", "city": "Lund"}
    assert page["context"]["traits"] == {"email": "ana@example.org", "phone": "+46701234567"}
    assert [(one["type"], one["id"]) for one in page["context"]["externalIds"]] == [("card", "c-1")]
    assert page["name"] == "Home"


def test_a_group_row_says_who_belongs_where(shop: Shop) -> None:
    path = shop.write("members.csv", "customer,firm,plan\nana,acme,gold\nbo,,gold\n")
    mapping = "name: firms\nformat: csv\ntype: group\nuser_id: customer\ngroup_id: firm\ntraits: {plan: plan}\n"

    done = shop.bring(path, mapping)

    assert [(body["groupId"], body["traits"]) for body in done.bodies] == [("acme", {"plan": "gold"})]
    assert [r["code"] for r in done.rejects[:-1]] == ["collect.row-no-group"]
