"""`tillit plan|apply` of destinations and templates, `tillit destination|message|suppression`, as a colleague types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.in_process import Done, run
from tests.deliver.receiver import Receiver, Request, reply, telling
from tests.deliver.shop_that_sends import CRM, HELLO, MESSENGER, carry, make_shop, receiving
from tests.looks import looks
from tillit.workspace import Workspace


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiving(telling(lambda one: reply(422) if b"Bo," in one.body else reply(200))) as one:
        yield one


@pytest.fixture
def shop(workspace_dir: Path, there: Receiver) -> Path:
    make_shop(workspace_dir).close()
    for folder, name, text in (
        ("destinations", "crm", CRM),
        ("destinations", "messenger", MESSENGER),
        ("templates", "hello", HELLO),
    ):
        (workspace_dir / folder).mkdir(exist_ok=True)
        told = text.format(url=there.url) if folder == "destinations" else text
        (workspace_dir / folder / f"{name}.yaml").write_text(told, encoding="utf-8")
    return workspace_dir


def typed(shop: Path, *words: str, code: int = 0, typed: str = "") -> Done:
    done = run(*words, "--workspace", str(shop), typed=typed)
    assert done.returncode == code, done
    return done


def told(shop: Path, *words: str) -> Any:
    return json.loads(typed(shop, *words, "--json").stdout)


def sent(shop: Path) -> None:
    with Workspace(shop) as ws:
        carry(ws)


@pytest.fixture
def applied(shop: Path) -> Path:
    typed(shop, "apply", "--yes", "--reason", "we begin to send")
    return shop


def test_a_plan_says_what_would_leave_for_whom_and_changes_nothing(shop: Path, there: Receiver) -> None:
    planned = told(shop, "plan")
    printed = typed(shop, "plan").stdout

    crm, messenger = planned["destinations"]
    (hello,) = planned["templates"]
    assert (crm["people"], crm["withheld"]) == (1, {"Nobody said yes, and silence is no consent.": 1})
    assert [one["payload"] for one in crm["cases"]] == [{"first_name": "Ana", "mail": "ana@example.org"}, None]
    assert messenger["check"]["is_well"], messenger
    assert hello["asks_for"] == ["order"]
    assert {one["payload"]["text"] for one in hello["cases"]} == {
        "Hello Ana, order [order] is on its way.",
        "Hello Bo, order [order] is on its way.",
    }
    assert "traits.firstName as first_name" in printed
    assert b"Ana" not in b"".join(one.body for one in there.requests)
    assert told(shop, "destination", "list") == {"destinations": []}
    with Workspace(shop) as ws:
        assert {(one.route, one.purpose) for one in looks(ws)} == {
            ("tillit plan", "newsletter"),
            ("tillit plan", "service"),
        }


def test_what_is_in_force_is_left_alone_and_a_change_can_be_taken_back(applied: Path) -> None:
    again = typed(applied, "apply", "--yes")
    file = applied / "destinations" / "crm.yaml"
    file.write_text(file.read_text().replace("mail: identifiers.email", "mail_address: identifiers.email"))
    diff = told(applied, "plan", str(file), "--offline")
    changed = typed(applied, "apply", str(file), "--yes", "--reason", "their new name")
    undone = typed(applied, "apply", str(file), "--undo", "--yes")

    assert again.stdout == ""
    assert [line[0] for line in diff["diff"] if line[0] in "+-"] == ["-", "+", "-", "+"]
    assert (diff["is_new"], diff["check"]) == (False, None)
    assert "To go back" in changed.stdout
    assert "To go back" in undone.stdout
    with Workspace(applied) as ws:
        history = ws.deliveries.history("destination", "crm")
        actions = [(one.action, one.target) for one in ws.audit.actions()]
    assert [one.reason for one in history] == ["", "their new name", "we begin to send"]
    assert history[0].text == history[2].text != history[1].text
    assert actions[-3:] == [
        ("template.apply", "hello"),
        ("destination.apply", "messenger"),
        ("destination.apply", "crm"),
    ]


def test_a_template_that_was_applied_once_has_nothing_to_go_back_to(applied: Path) -> None:
    done = typed(applied, "apply", str(applied / "templates"), "--undo", "--yes", code=2)

    assert "nothing was before" in done.stderr


def test_a_message_is_shown_first_and_sent_when_that_is_said(applied: Path, there: Receiver) -> None:
    words = ("message", "send", "hello", "user_id:ana", "--purpose", "service", "--data", "order=4711")
    tried = typed(applied, *words).stdout
    asked = [typed(applied, *words, "--yes", "--key", "o-1").stdout.strip() for _ in range(2)]
    sent(applied)
    listed = told(applied, "message", "list", "--who", "user_id:ana")["messages"]
    shown = typed(applied, "message", "show", asked[0]).stdout

    assert "Hello Ana, order 4711 is on its way." in tried
    assert "Nothing was sent" in tried
    assert asked[0] == asked[1]
    assert [(one["id"], one["state"]) for one in listed] == [(asked[0], "delivered")]
    assert "try 1" in shown
    assert [b"order 4711" in one.body for one in there.requests].count(True) == 1


def test_what_would_not_leave_says_why(applied: Path) -> None:
    refused = typed(applied, "destination", "dry-run", "crm", "user_id:bo").stdout
    leaves = told(applied, "destination", "dry-run", "crm", "user_id:ana")

    assert "silence is no consent" in refused
    assert leaves["payload"] == {"first_name": "Ana", "mail": "ana@example.org"}


def test_what_was_refused_is_listed_with_its_reason_and_tried_again(applied: Path) -> None:
    words = ("message", "send", "hello", "user_id:bo", "--purpose", "service", "--data", "order=1", "--yes")
    message_id = typed(applied, *words).stdout.strip()
    sent(applied)
    shown = typed(applied, "destination", "show", "messenger").stdout
    would = typed(applied, "destination", "replay", "messenger", "--id", message_id).stdout
    done = typed(applied, "destination", "replay", "messenger", "--code", "http.422", "--yes").stdout
    waiting = told(applied, "message", "list", "--state", "waiting")["messages"]

    assert "http.422: It answered 422." in shown
    assert "Would let 1" in would
    assert "1 deliveries go once more" in done
    assert [one["id"] for one in waiting] == [message_id]


def test_a_destination_is_checked_paused_and_resumed(applied: Path, there: Receiver) -> None:
    checked = told(applied, "destination", "check", "messenger")
    typed(applied, "destination", "pause", "messenger")
    doctor = typed(applied, "doctor", code=1).stdout
    typed(applied, "destination", "resume", "messenger")
    (crm, messenger) = told(applied, "destination", "list")["destinations"]

    assert checked["is_well"]
    assert "messenger is paused (operator)" in doctor
    assert (crm["state"], messenger["state"]) == ("well", "well")
    assert "nobody knows" in typed(applied, "doctor").stdout


def test_a_secret_comes_on_standard_input_and_is_never_shown(applied: Path) -> None:
    kept = typed(applied, "destination", "secret", "set", "hook", "--host", "hooks.example:443", typed="s3cret\n")
    listed = typed(applied, "destination", "secret", "list", "--json").stdout
    with Workspace(applied) as ws:
        assert ws.outside.secrets.get("hook", "hooks.example:443").reveal() == "s3cret"
    typed(applied, "destination", "secret", "remove", "hook")

    assert [one["name"] for one in json.loads(listed)["secrets"]] == ["hook"]
    assert "s3cret" not in kept.stdout + kept.stderr + listed
    assert told(applied, "destination", "secret", "list") == {"secrets": []}


def test_somebody_comes_onto_the_suppression_list_and_off_it(applied: Path) -> None:
    words = ("suppression", "add", "address:ana@example.org", "--reason", "operator", "--words", "She called.")
    number = told(applied, *words)["suppression_id"]
    listed = told(applied, "suppression", "list")["suppressions"]
    typed(applied, "suppression", "remove", str(number), "--words", "She called again.")

    assert [(one["about"], one["words"]) for one in listed] == [("address", "She called.")]
    assert told(applied, "suppression", "list") == {"suppressions": []}
    lifted = told(applied, "suppression", "list", "--lifted")["suppressions"]
    assert [one["lifted_words"] for one in lifted] == ["She called again."]


def test_messages_that_may_have_left_twice_are_named(applied: Path) -> None:
    answers: list[Request] = []

    async def die_once(request: Request, writer: Any) -> None:
        answers.append(request)
        if len(answers) > 1:
            writer.write(reply(200))
            await writer.drain()
        else:
            writer.close()

    with receiving(die_once) as there:
        file = applied / "destinations" / "messenger.yaml"
        file.write_text(MESSENGER.format(url=there.url))
        typed(applied, "apply", str(file), "--yes", "--offline")
        words = ("message", "send", "hello", "user_id:ana", "--purpose", "service", "--data", "order=1", "--yes")
        message_id = typed(applied, *words).stdout.strip()
        sent(applied)
        typed(applied, "destination", "pause", "crm")
    listed = told(applied, "message", "list", "--state", "unknown")["messages"]

    assert [(one["id"], one["maybe_duplicate"]) for one in listed] == [(message_id, True)]
