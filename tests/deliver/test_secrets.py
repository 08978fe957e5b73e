"""A destination's secret goes to the place it was set for, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deliver.receiver import AT, always, destination, outgoing, receiver, reply, wire
from tillit.deliver.secrets import SecretElsewhere, SecretInvalid, SecretKept, SecretMissing, Secrets
from tillit.workspace.folder import create_workspace, open_registry

HOST = "hooks.example.org:443"


@pytest.fixture
def secrets(workspace_dir: Path) -> Iterator[Secrets]:
    with contextlib.closing(open_registry(create_workspace(workspace_dir))) as registry:
        yield Secrets(registry, lambda: AT)


def test_a_secret_is_given_for_its_own_host(secrets: Secrets) -> None:
    secrets.set("token", "Hooks.Example.ORG:443", "s3cret", "op_1")

    assert secrets.get("token", HOST).reveal() == "s3cret"
    assert secrets.get("token", HOST.upper()).reveal() == "s3cret"
    assert secrets.list() == [SecretKept("token", HOST, AT, "op_1")]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:443",
        "hooks.example.org:8443",
        "hooks.example.org",
        "hooks.example.org.evil.example:443",
        "evil-hooks.example.org:443",
        "",
    ],
)
def test_a_secret_is_not_given_for_another_host_or_port(secrets: Secrets, host: str) -> None:
    secrets.set("token", HOST, "s3cret", "op_1")

    with pytest.raises(SecretElsewhere) as caught:
        secrets.get("token", host)

    assert HOST in caught.value.message
    assert "s3cret" not in str(caught.value.as_document())


def test_a_destination_whose_host_was_edited_is_not_opened_with_the_old_secret(secrets: Secrets) -> None:
    async def scenario() -> None:
        async with receiver(always(reply(200))) as mine, receiver(always(reply(200))) as thief:
            secrets.set("token", f"127.0.0.1:{mine.port}", "s3cret", "op_1")
            headers = {"Authorization": {"secret": "token"}}
            async with wire(destination({"url": mine.url, "headers": headers}), secret=secrets.get) as open_wire:
                await open_wire.send([outgoing()])
            for signed in ({"headers": headers}, {"secret": "token"}):
                with pytest.raises(SecretElsewhere):
                    async with wire(destination({"url": thief.url, **signed}), secret=secrets.get):
                        pass

            assert mine.requests[0].headers["authorization"] == "s3cret"
            assert thief.n_connections == 0

    asyncio.run(scenario())


def test_a_secret_does_not_show_itself(secrets: Secrets) -> None:
    secrets.set("token", HOST, "s3cret", "op_1")
    secret = secrets.get("token", HOST)

    assert "s3cret" not in f"{secret} {secret!r} {[secret]} {secrets.list()} {secrets!r}"


def test_a_secret_that_is_set_again_is_another(secrets: Secrets) -> None:
    secrets.set("token", HOST, "old", "op_1")
    secrets.set("token", "new.example:443", "new", "op_2")

    assert secrets.get("token", "new.example:443").reveal() == "new"
    with pytest.raises(SecretElsewhere):
        secrets.get("token", HOST)
    assert secrets.list() == [SecretKept("token", "new.example:443", AT, "op_2")]


def test_a_secret_that_was_removed_is_gone(secrets: Secrets, workspace_dir: Path) -> None:
    secrets.set("token", HOST, "s3cret-that-is-gone", "op_1")

    secrets.remove("token")

    assert secrets.list() == []
    for forgotten in (lambda: secrets.get("token", HOST), lambda: secrets.remove("token")):
        with pytest.raises(SecretMissing, match="token"):
            forgotten()


@pytest.mark.parametrize(
    ("name", "host", "secret"),
    [
        ("Token", HOST, "x"),
        ("", HOST, "x"),
        ("token", "hooks.example.org", "x"),
        ("token", "https://hooks.example.org", "x"),
        ("token", "", "x"),
        ("token", HOST, ""),
        ("token", HOST, "x\0y"),
        ("token", HOST, "x" * 16_385),
    ],
)
def test_what_cannot_be_kept_is_refused_without_being_shown(
    secrets: Secrets, name: str, host: str, secret: str
) -> None:
    with pytest.raises(SecretInvalid) as caught:
        secrets.set(name, host, secret, "op_1")

    assert len(secret) < 3 or secret not in caught.value.message
    assert secrets.list() == []
