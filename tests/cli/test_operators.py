"""`tillit operators`: staff from the command line, passwords never as arguments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.in_process import run
from tests.running import tillit

PASSWORD = "a kettle sings at dawn"


@pytest.fixture
def shop(workspace_dir: Path) -> Path:
    run("init", str(workspace_dir))
    return workspace_dir


def process(*words: str, typed: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tillit", *words]
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60, check=False)


def test_operators_are_made_changed_and_listed(shop: Path) -> None:
    where = ("--workspace", str(shop))
    made = process(
        "operators", "create", "Ana@shop.example", "--role", "admin", "--password", *where, typed=PASSWORD + "\n"
    )
    tillit("operators", "create", "bo", "--name", "Bo Ek", "--role", "editor", *where)
    tillit("operators", "role", "BO", "reader", *where)
    tillit("operators", "disable", "bo", *where)
    changed = process("operators", "password", "ana@shop.example", *where, typed="three spoons under rain\n")

    listed = json.loads(tillit("operators", "list", *where, "--json"))["operators"]
    table = tillit("operators", "list", *where)

    assert (made.returncode, changed.returncode) == (0, 0), made.stderr + changed.stderr
    assert [(one["login"], one["name"], one["role"], one["has_password"]) for one in listed] == [
        ("ana@shop.example", "Ana@shop.example", "admin", True),
        ("bo", "Bo Ek", "reader", False),
    ]
    assert listed[1]["disabled_at"] is not None
    assert "bo" in table
    assert PASSWORD not in made.stdout + made.stderr + table


def test_what_cannot_be_is_said_with_its_exit_code(shop: Path) -> None:
    where = ("--workspace", str(shop))
    run("operators", "create", "ana", "--role", "admin", *where)

    outcomes = {
        name: run("operators", *words, *where, typed=typed)
        for name, words, typed in (
            ("weak", ("create", "bo", "--password"), "123456789012\n"),
            ("taken", ("create", "ANA"), ""),
            ("unknown", ("disable", "eve"), ""),
            ("last", ("disable", "ana"), ""),
            ("no role", ("role", "ana", "owner"), ""),
        )
    }

    assert {name: done.returncode for name, done in outcomes.items()} == {
        "weak": 2,
        "taken": 2,
        "unknown": 2,
        "last": 4,
        "no role": 2,
    }
    assert "123456789012" not in outcomes["weak"].stderr
    assert "the only admin" in outcomes["last"].stderr


def test_a_link_is_made_for_whom_it_names(shop: Path) -> None:
    where = ("--workspace", str(shop))
    run("operators", "create", "ana", "--role", "admin", *where)

    link = run("console", "link", "--as", "ANA", *where)
    unknown = run("console", "link", "--as", "eve", *where)

    assert "/console/enter?token=" in link.stdout
    assert unknown.returncode == 2
    assert "no such operator" in unknown.stderr
