"""`tillit consent validate`: a consent record's faults, for people and for programs."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from tests.consent.paper import OTHER_SECRET, SECRET, document
from tillit.cli.receipts import validate
from tillit.consent.receipts import KeyUnreadable, public_key, sign

APP = typer.Typer()
APP.command()(validate)


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


class Runner:
    def __init__(self, folder: Path) -> None:
        self.record, self.key = folder / "record.jsonld", folder / "key.txt"
        self.key.write_bytes(base64.urlsafe_b64encode(public_key(SECRET)).rstrip(b"="))

    def __call__(self, record: object, *options: str) -> Result:
        self.record.write_text(json.dumps(record), encoding="utf-8")
        return CliRunner().invoke(APP, [str(self.record), *options])


def test_a_sound_record_is_called_valid(run: Runner) -> None:
    result = run(sign(document(), SECRET), "--key", str(run.key))

    assert result.exit_code == 0
    assert result.stdout == ""
    assert "Valid" in result.stderr


def test_each_fault_is_a_line_with_its_place_and_what_to_do(run: Runner) -> None:
    record = document()
    del record["dpv:hasNotice"]
    record["dpv:hasEntity"][0]["dpv:hasName"] = ""

    result = run(record)

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "$: It does not say which notice the person saw. Write dpv:hasNotice. [record.notice]",
        "$.dpv:hasEntity[0]: A party has no name. Write dpv:hasName. [entity.name]",
    ]
    assert "2 faults." in result.stderr


def test_programs_get_the_faults_as_json(run: Runner) -> None:
    broken, sound = run({**document(), "dpv:hasRight": []}, "--json"), run(document(), "--json")

    assert (broken.exit_code, sound.exit_code) == (1, 0)
    assert json.loads(sound.stdout) == {"valid": True, "faults": []}
    assert [one["rule"] for one in json.loads(broken.stdout)["faults"]] == ["record.right"]


def test_a_record_that_another_key_signed_is_refused(run: Runner) -> None:
    result = run(sign(document(), OTHER_SECRET), "--key", str(run.key))

    assert result.exit_code == 1
    assert "[signature.valid]" in result.stdout


def test_a_file_that_is_no_key_is_named_so(run: Runner) -> None:
    run.key.write_text("not a key", encoding="utf-8")

    assert isinstance(run(document(), "--key", str(run.key)).exception, KeyUnreadable)


def test_a_file_that_is_not_there_is_a_wrong_call(tmp_path: Path) -> None:
    assert CliRunner().invoke(APP, [str(tmp_path / "nothing")]).exit_code == 2
