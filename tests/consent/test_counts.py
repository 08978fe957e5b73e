"""How many may be used: counted from what everybody said, at once, and never from before somebody said no."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.api.asking import Asker
from tests.consent.conftest import PURPOSES, Shop
from tillit.api import create_api
from tillit.cli.commands import app as commands
from tillit.consent import Choice
from tillit.errors import BusyError
from tillit.workspace import Workspace

YES = {"purposes": {"newsletter": True}}
DAY = 86_400_000_000


def counted(shop: Shop, purpose: str, **how: str) -> tuple[int, int]:
    found = shop.ws.permissions.count(shop.ws.scope(purpose, **how))
    return found.permitted, found.people


def judged(shop: Shop) -> None:
    """Nobody is left to be judged."""
    while shop.ws.folding.engine().judge():
        pass


def live(shop: Shop, n: int) -> None:
    """So many people; every second said yes to letters."""
    for number in range(n):
        who = {"userId": f"u{number}"}
        if number % 2:
            shop.say(event="Consent Updated", properties=YES, **who)
        else:
            shop.say(**who)


def test_a_count_follows_every_word_at_once(shop: Shop) -> None:
    live(shop, 4)
    shop.say(anonymousId="tablet")
    assert counted(shop, "newsletter") == (2, 5)
    assert counted(shop, "analytics") == (5, 5)

    shop.ws.consent.set("user_id:u1", [Choice("newsletter", "withdrawn"), Choice("analytics", "objected")])
    assert counted(shop, "newsletter") == (1, 5)
    assert counted(shop, "analytics") == (4, 5)

    shop.ws.consent.set("user_id:u2", [Choice("*", "restricted")])
    assert counted(shop, "service") == (4, 5)

    # Two of whom one said yes become one person.
    shop.say(type="alias", userId="u3", previousId="u0")
    assert counted(shop, "newsletter") == (0, 4)


def test_a_yes_for_one_channel_counts_for_that_channel(shop: Shop) -> None:
    shop.say(userId="ana")
    shop.ws.consent.set("user_id:ana", [Choice("newsletter", "given", ("email",))], evidence="form-1")

    assert counted(shop, "newsletter", channel="email") == (1, 1)
    assert counted(shop, "newsletter", channel="sms") == (0, 1)
    assert counted(shop, "newsletter", channel="post") == (0, 1)
    assert counted(shop, "newsletter", recipient="nobody") == (0, 1)
    assert counted(shop, "profiling") == (0, 1)
    assert counted(shop, "profiling", jurisdiction="US-CA") == (1, 1)


def test_a_count_knows_when_a_yes_ends_without_anybody_saying_so(shop: Shop) -> None:
    live(shop, 2)
    assert counted(shop, "newsletter") == (1, 2)

    shop.clock.at += 731 * DAY
    assert counted(shop, "newsletter") == (0, 2)


def test_other_purposes_are_counted_only_when_everybody_was_judged_under_them(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(shop, 6)
    assert counted(shop, "newsletter") == (3, 6)
    shop.ws.consent.apply(PURPOSES.replace("basis: consent", "basis: legitimate_interest"), operator="kim", reason="")
    monkeypatch.setattr("tillit.workspace.permissions._MOST_DUE", 1)

    with pytest.raises(BusyError, match="still being judged"):
        shop.ws.permissions.count(shop.ws.scope("newsletter"), timeout_s=-1)
    assert counted(shop, "newsletter") == (6, 6)


def test_whoever_folds_judges_for_all_who_ask(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    live(shop, 4)
    monkeypatch.setattr("tillit.workspace.permissions._MOST_DUE", 0)
    engine, stop = shop.ws.folding.engine(), threading.Event()
    folding = threading.Thread(target=engine.run, args=(stop,), kwargs={"poll_s": 0.005})
    folding.start()
    try:
        with Workspace(shop.ws.paths.root, now=lambda: shop.clock.at) as other:
            assert other.permissions.count(other.scope("newsletter"), timeout_s=30).permitted == 2
    finally:
        stop.set()
        folding.join()


def test_nothing_is_kept_of_whoever_was_erased(shop: Shop) -> None:
    live(shop, 2)
    judged(shop)
    assert counted(shop, "newsletter") == (1, 2)
    assert shop.ws.state.read("SELECT * FROM permission")

    shop.ws.erasure.erase("user_id:u1")

    assert counted(shop, "newsletter") == (0, 1)
    judged(shop)
    assert shop.ws.state.read("SELECT * FROM permission") == []
    assert shop.ws.state.read("SELECT * FROM permission_ground") == []


def test_the_api_and_the_command_line_tell_the_same(shop: Shop) -> None:
    live(shop, 4)
    key, _ = shop.ws.keys.create("api", "agency", scopes=["profiles:read"], purposes=["newsletter"])
    expected = {"purpose": "newsletter", "people": 4, "permitted": 2, "withheld": 2}
    api = create_api(shop.ws)
    ask = Asker(api)
    try:
        answer = ask.get("/api/profiles/count?channel=email", key)
        assert (answer.status, answer.json()) == (200, expected)
        assert ask.get("/api/profiles/count?purpose=ads", key).status == 403
    finally:
        ask.close()
        api.close()
    shop.ws.folding.release()
    folder: Path = shop.ws.paths.root
    done = CliRunner().invoke(
        commands, ["profile", "count", "--purpose", "newsletter", "--json", "--workspace", str(folder)]
    )
    assert json.loads(done.output) == expected
