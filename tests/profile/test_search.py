"""Search: names in any script, parts of addresses, numbers written in any way; nobody who was not asked for."""

from collections.abc import Iterator

import pytest

from tillit.workspace import Workspace, create_workspace

PEOPLE = {
    "u-1": {"name": "Zoë Ångström", "email": "zoe.berg+x@shop.example.org", "phone": "+49 170 1234567"},
    "u-2": {"name": "山田太郎", "email": "yt@example.jp"},
    "u-3": {"name": "สมชาย ใจดี"},
    "u-4": {"name": "محمد الأحمد"},
    "u-5": {"name": "Anna-Lena O’Hara", "phone": "0170 7654321"},
    "Mixed-6": {"name": "अनुष्का शर्मा"},
    "u-7": {"name": "דוד בן־גוריון", "company": "100 % Wool_Co"},
    "u-8": {"firstName": "김민수"},
    "u-9": {"name": "Łukasz Żak"},
    "u-10": {"name": "Anna Berg"},
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("search") / "shop"
    create_workspace(folder)
    with Workspace(folder) as ws:
        for user_id, traits in PEOPLE.items():
            ws.identify(user_id=user_id, traits=traits)
        ws.track(user_id="u-1", event="Order Completed", properties={"order_id": "#A-1042"})
        ws.track(user_id="u-2", event="Refund", properties={"orderNumber": 77881234, "order_id": None})
        ws.track(anonymous_id="device-99", event="Viewed", properties={"order_id": {"no": "text"}})
        # Bo uses an address that is Zoë's: the link is refused, and the address is not his.
        ws.identify(user_id="bo", traits={"name": "Bo", "email": "zoe.berg+x@shop.example.org"})
        ws.flush()
        yield ws


def found(ws: Workspace, text: str) -> list[str]:
    return [next(one["value"] for one in document["identifiers"]) for document in ws.profiles.search(text, limit=10)]


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("zoe", "u-1"), ("ANG", "u-1"), ("ångström zoë", "u-1"), ("berg+x", "u-1"), ("x@shop", "u-1"),
        ("@shop.example", "u-1"), ("shop.example.org", "u-1"), ("zoe.berg+x@shop.example.org", "u-1"),
        ("0170 123 45 67", "u-1"), ("+49 (170) 123-4567", "u-1"), ("0049 170 1234567", "u-1"), ("+49170", "u-1"),
        ("A-1042", "u-1"), ("#a-10", "u-1"), ("7788", "u-2"), ("太郎", "u-2"), ("田太", "u-2"), ("ใจ", "u-3"),
        ("ชาย", "u-3"), ("الاحمد", "u-4"), ("محمد", "u-4"), ("ohara", "u-5"), ("o'hara anna", "u-5"),
        ("anna-lena", "u-5"), ("+49 170 7654321", "u-5"), ("शर्मा", "Mixed-6"), ("mixed-6", "Mixed-6"),
        ("דוד", "u-7"), ("גוריון", "u-7"), ("wool", "u-7"), ("민수", "u-8"), ("김민", "u-8"), ("lukasz zak", "u-9"),
        ("U-3", "u-3"), ("user_id:u-3", "u-3"), ("device-9", "device-99"), ("anna u-10", "u-10"),
    ],
)  # fmt: skip
def test_one_person_is_found(shop: Workspace, text: str, who: str) -> None:
    assert found(shop, text)[0] == who


@pytest.mark.parametrize(
    "text", ["%", "_", "z_e", "z%e", "*", "' OR 1=1 --", '"', "\\", "zoe yamada", "ngström", "\0", ""]
)
def test_nobody_is_found(shop: Workspace, text: str) -> None:
    assert found(shop, text) == []


def test_every_word_counts_and_whole_words_come_first(shop: Workspace) -> None:
    assert found(shop, "anna") == ["u-10", "u-5"]  # both whole words: whoever was active last
    assert found(shop, "anna berg") == ["u-10"]
    assert found(shop, "u-1")[0] == "u-1"  # a whole id comes before those that begin so


def test_a_refused_address_does_not_find_who_tried_it(shop: Workspace) -> None:
    assert found(shop, "zoe.berg") == ["u-1"]


def test_order_numbers_are_of_whoever_ordered_and_a_rebuild_finds_the_same(shop: Workspace) -> None:
    assert found(shop, "1042") == []
    assert shop.folding.check() == []
