"""The lake for others: who agreed is in it, and nobody else; a withdrawal and an erasure reach it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.consent.conftest import PURPOSES, Shop
from tillit.errors import InputError
from tillit.store.lake import Lake
from tillit.workspace import Workspace

SHARED = PURPOSES.replace("    title: Newsletter\n", "    title: Newsletter\n    share: true\n")
ANA, BO = "ana.lind@example.org", "bo.berg@example.org"


@pytest.fixture
def sharing(ws: Workspace, clock: object) -> Shop:
    ws.consent.apply(SHARED, operator="maria", reason="the agency reads our lake")
    shop = Shop(ws, clock)  # type: ignore[arg-type]
    for who, mail in (("ana", ANA), ("bo", BO)):
        shop.say(type="identify", userId=who, traits={"email": mail, "firstName": who.title(), "phone": "+4670123"})
        shop.say(event="Order Completed", userId=who, properties={"note": f"for {who}"})
    shop.chooses({"userId": "ana"}, newsletter=True)
    return shop


def share(shop: Shop) -> dict[str, object]:
    shop.ws.folding.write_lake()
    return shop.ws.shares.share("newsletter")._asdict()


def bodies(shop: Shop) -> str:
    with Lake.open(shop.ws.shares.path("newsletter"), read_only=True) as lake:
        return "\n".join(str(row) for row in lake.query("SELECT * FROM events ORDER BY position"))


def files_hold(folder: Path, word: str) -> bool:
    return any(word.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_who_agreed_is_in_the_table_as_far_as_the_purpose_reaches_and_nobody_else(sharing: Shop) -> None:
    done = share(sharing)

    told = bodies(sharing)
    assert "Ana" in told
    assert "for ana" in told
    assert "+4670123" not in told  # a trait that the purpose does not name
    assert ANA not in told  # traits.email is not named either: identifiers.email is
    assert "Bo" not in told
    assert "for bo" not in told
    assert done["n_rows"] == 3
    assert done["n_people"] == 1


def test_a_round_is_in_the_ledger_once_for_each_person(sharing: Shop) -> None:
    share(sharing)
    again = share(sharing)

    ana = sharing.read("user_id:ana", "service")["id"]
    found = [one.entry for one in sharing.ws.ledger.read([ana]).entries]
    assert [(one.recipient, one.purpose) for one in found] == [("mailer", "newsletter")]  # type: ignore[union-attr]
    assert "traits.firstName" in found[0].field_names  # type: ignore[union-attr]
    assert again["n_added"] == again["n_removed"] == again["n_people"] == 0


def test_a_withdrawal_takes_rows_and_bytes_out_and_a_yes_brings_them_in(sharing: Shop) -> None:
    share(sharing)

    sharing.chooses({"userId": "bo"}, newsletter=True)
    sharing.chooses({"userId": "ana"}, newsletter=False)
    share(sharing)

    told = bodies(sharing)
    assert "for bo" in told
    assert "for ana" not in told
    with Lake.open(sharing.ws.shares.path("newsletter"), read_only=True) as lake:
        positions = [p for (p,) in lake.query("SELECT position FROM events ORDER BY position")]
    assert len(positions) == len(set(positions)) == 3


def test_an_erasure_reaches_what_was_shared(sharing: Shop) -> None:
    share(sharing)

    sharing.ws.erasure.erase("user_id:ana")

    assert "Ana" not in bodies(sharing)
    assert not files_hold(sharing.ws.shares.path("newsletter"), "for ana")
    assert share(sharing)["n_rows"] == 0


def test_a_purpose_that_shares_no_more_has_no_table(sharing: Shop) -> None:
    share(sharing)

    sharing.ws.consent.apply(PURPOSES, operator="maria", reason="the agency went")
    sharing.ws.shares.share_all()

    assert not sharing.ws.shares.path("newsletter").exists()
    with pytest.raises(InputError, match="shares nothing"):
        sharing.ws.shares.share("newsletter")
