"""An audience at a destination: members come there as they enter and go as they leave, under the audience's purpose."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deliver.shop import Shop
from tests.still_clock import Clock
from tillit.clock import DAY
from tillit.deliver import DefinitionInvalid

AUDIENCE = """
audience: buyers
purpose: newsletter
definition: {event: Order Completed, within: 30d}
"""
TABLE = {
    "destination": "crm-table",
    "kind": "table",
    "purpose": "newsletter",
    "recipient": "crm",
    "send": "people",
    "audience": "buyers",
    "fields": {"mail": "identifiers.email"},
}


@pytest.fixture
def shop(tmp_path: Path, clock: Clock) -> Iterator[Shop]:
    with Shop(tmp_path / "shop", now=clock.now) as shop:
        yield shop


def there(file: Path) -> set[str]:
    if not file.exists():
        return set()
    with sqlite3.connect(file) as table:
        return {mail for (mail,) in table.execute("SELECT mail FROM people")}


def test_members_come_to_a_table_and_go_as_they_enter_and_leave(shop: Shop, clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "crm.db"
    file.touch()
    shop.people(range(4))
    shop.buy(0)
    shop.ws.audiences.apply(AUDIENCE, reason="", operator="kim")
    shop.apply({**TABLE, "to": {"url": str(file), "table": "people"}})
    seen = []
    shop.run()
    seen.append(there(file))
    shop.buy(1)
    shop.buy(2)
    shop.run()
    seen.append(there(file))
    shop.say(1, "withdrawn")
    shop.run()
    seen.append(there(file))
    clock.go_on(31 * DAY)
    shop.run()
    seen.append(there(file))

    mails = [f"u{number}@example.org" for number in range(4)]
    assert seen == [{mails[0]}, set(mails[:3]), {mails[0], mails[2]}, set()]


def test_of_an_audience_that_ranks_people_come_and_go_at_ticks(shop: Shop, clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "crm.db"
    file.touch()
    shop.people(range(3))
    shop.buy(0)
    definition = "{top: {by: {event: Order Completed, within: 30d, count: true}, highest: 1}}"
    best = f"audience: buyers\npurpose: newsletter\ndefinition: {definition}\n"
    shop.ws.audiences.apply(best, reason="", operator="kim")
    shop.apply({**TABLE, "to": {"url": str(file), "table": "people"}})
    seen = []
    for _ in range(2):
        shop.run()
        seen.append(there(file))
        shop.buy(1)
        shop.buy(1)
    clock.go_on(DAY)
    shop.run()
    seen.append(there(file))

    assert seen == [{"u0@example.org"}, {"u0@example.org"}, {"u1@example.org"}]


def test_an_audience_goes_to_no_destination_of_another_purpose(shop: Shop) -> None:
    shop.ws.audiences.apply(AUDIENCE, reason="", operator="kim")
    with pytest.raises(DefinitionInvalid, match="is for the purpose 'newsletter'"):
        shop.apply({**TABLE, "purpose": "service", "to": {"url": "/people.db", "table": "people"}})
    with pytest.raises(DefinitionInvalid, match="no audience 'nobody' in force"):
        shop.apply({**TABLE, "audience": "nobody", "to": {"url": "/people.db", "table": "people"}})
