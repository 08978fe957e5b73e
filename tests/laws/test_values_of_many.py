"""Values of many: a test address, a tablet at the till stand for nobody; a faithful customer does not."""

from collections.abc import Sequence
from typing import Any

from tests.laws.test_forgetting import Shop, marked, new_shop
from tests.laws.test_identity_acts import act
from tests.strategies import place, row
from tillit.flow.refold import find_closure
from tillit.identity import find_membership
from tillit.identity.namespaces import Handle
from tillit.records import LogRow

DAY_S = 86_400
ADDRESS = ("email", "test@shop.example")


def visit(position: int, address: str, device: str, *, at: int, **more: Any) -> LogRow:
    body = {"type": "identify", "messageId": "m", "anonymousId": device, "traits": {"email": address}, **more}
    return row(position, body, at=at)


def decided(shop: Shop) -> list[tuple[str, str, str]]:
    return shop.state.read(
        "SELECT a.kind, i.namespace, i.value FROM identity_act a JOIN identifier i ON i.identifier_id = a.one_id "
        "ORDER BY a.position"
    )


def holds(shop: Shop, key: tuple[str, str], device: str) -> bool:
    membership = find_membership(shop.state, Handle(0, *key))
    assert membership is not None
    return device in [one.value for one in membership.identifiers]


def took(rows: Sequence[LogRow]) -> list[tuple[str, str, str]]:
    with new_shop() as shop:
        shop.take(place(rows))
        assert shop.differences() == []
        return decided(shop)


def test_an_address_that_many_devices_say_within_a_month_is_blocked_once_and_holds_none_of_them() -> None:
    rows = [visit(i, ADDRESS[1], f"browser-{i}", at=i) for i in range(300)]
    with new_shop() as shop:
        shop.take(place(rows))
        found = decided(shop)
        assert not holds(shop, ADDRESS, "browser-0")
        shop.restart()
        shop.take([visit(1_000 + i, ADDRESS[1], f"other-{i}", at=400 + i) for i in range(300)])

        assert found == decided(shop) == [("block", *ADDRESS)]
        assert shop.differences() == []


def test_a_customer_whose_browser_forgets_its_cookies_each_week_stays_one_person() -> None:
    rows = [visit(i, "ana@example.org", f"browser-{i}", at=i * 4 * DAY_S) for i in range(300)]

    assert took(rows) == []


def test_a_telephone_whose_cookies_come_and_go_is_one_persons() -> None:
    advertising = {"externalIds": [{"type": "ios.idfa", "id": "phone-1"}]}
    rows = [visit(i, "ana@example.org", f"cookie-{i}", at=i * DAY_S, context=advertising, traits={}) for i in range(60)]

    assert took(rows) == []


def test_a_login_that_many_devices_use_raises_one_alarm_and_is_not_blocked() -> None:
    rows = [visit(i, "showroom@shop.example", f"till-{i}", at=i, userId="showroom") for i in range(450)]

    assert took(rows) == [("alarm", "user_id", "showroom")]


def test_what_a_colleague_freed_is_not_blocked_again() -> None:
    rows = [visit(i, ADDRESS[1], f"browser-{i}", at=i) for i in range(300)]
    free = act(1_000, "free", ADDRESS, ADDRESS)
    more = [visit(2_000 + i, ADDRESS[1], f"more-{i}", at=400 + i) for i in range(300)]
    with new_shop() as shop:
        shop.take(place(rows))
        shop.take([free])
        shop.take(more)

        assert decided(shop) == [("block", *ADDRESS), ("free", *ADDRESS)]
        assert holds(shop, ADDRESS, "browser-0")


def test_forgetting_one_who_said_a_value_of_many_leads_to_nobody_else_who_did() -> None:
    rows = [
        visit(2 * i, ADDRESS[1], f"browser-{i}", at=i, userId=f"user-{i}", messageId=f"m-{i}") for i in range(1, 60)
    ]
    with new_shop() as shop:
        shop.take(marked(place(rows))[0])
        assert decided(shop) == [("block", *ADDRESS)]
        ids = [i for (i,) in shop.state.read("SELECT identifier_id FROM identifier WHERE value = ?", ("user-1",))]
        closure = find_closure(shop.state, ids)
        shop.forget([1])

        assert len(closure) == 2  # the user id and the browser
        assert shop.differences() == []
        assert shop.find(['user-1"', 'browser-1"']) == []
        shop.forget(list(range(2, 61)))  # the others, and the block
        assert shop.differences() == []
        assert shop.find([ADDRESS[1]]) == []
