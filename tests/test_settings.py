"""Settings are read once, checked exactly, and say where they came from."""

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tillit.settings import BadSetting, Settings, UnknownSetting, UnreadableSettings, explain, iter_rows, sample_file


def test_without_a_file_the_defaults_hold(workspace_dir: Path) -> None:
    loaded = Settings.load(workspace_dir, environ={})

    assert loaded == Settings()
    assert loaded.collect.max_event_bytes == 32 * 1024  # Segment's limit
    assert loaded.serve.host == "127.0.0.1"


def test_the_command_line_beats_the_environment_beats_the_file(workspace_dir: Path) -> None:
    write(workspace_dir, "[collect]\nmax_keys = 10\nmax_depth = 10\nmax_id_bytes = 100\n")
    environ = {"TILLIT_COLLECT__MAX_KEYS": "20", "TILLIT_COLLECT__MAX_DEPTH": "20"}

    loaded = Settings.load(workspace_dir, environ=environ, given={"collect.max_keys": 30}).collect

    assert (loaded.max_keys, loaded.max_depth, loaded.max_id_bytes) == (30, 20, 100)


def test_every_value_of_the_sample_file_is_its_default() -> None:
    uncommented = re.sub(r"^# (\w+ = )", r"\1", sample_file(), flags=re.MULTILINE)

    document = tomllib.loads(uncommented)

    assert flat(document) == {row.full_name: row.default for row in iter_rows() if row.is_in_file}


def flat(document: dict[str, Any], above: str = "") -> dict[str, object]:
    """Give every setting of a file by its full name; a list as the tuple that settings hold."""
    known = {row.full_name for row in iter_rows()}
    found: dict[str, object] = {}
    for name, value in document.items():
        if isinstance(value, dict) and above + name not in known:
            found |= flat(value, f"{above}{name}.")
        else:
            found[above + name] = tuple(value) if isinstance(value, list) else value
    return found


def test_the_sample_file_as_it_is_changes_nothing(workspace_dir: Path) -> None:
    write(workspace_dir, sample_file())

    assert Settings.load(workspace_dir, environ={}) == Settings()


def test_every_setting_has_help_since_and_bounds() -> None:
    lacking = [
        row.full_name
        for row in iter_rows()
        if not row.help.endswith(".") or not row.since or (row.type is int and None in (row.least, row.most))
    ]

    assert lacking == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[serve]\n\n[collect]\n# ours\nmax_keys = "three"\n',
            'Setting collect.max_keys is "three"; it must be a whole number from 1 to 100000 (tillit.toml line 5).',
        ),
        (
            "[collect]\nmax_keys = true\n",
            "Setting collect.max_keys is true; it must be a whole number from 1 to 100000 (tillit.toml line 2).",
        ),
        (
            "[collect]\nquarantine_days = 31\n",
            "Setting collect.quarantine_days is 31; it must be a whole number from 1 to 30 (tillit.toml line 2).",
        ),
        (
            '[collect]\nip = "hide"\n',
            'Setting collect.ip is "hide"; it must be "truncate" or "keep" or "drop" (tillit.toml line 2).',
        ),
        (
            "collect = 3\n",
            "Setting collect is 3; it must be a table of settings (tillit.toml line 1).",
        ),
        (
            '[log]\nsynchronous = "OFF"\n',
            'Setting log.synchronous is "OFF"; it must be "FULL" or "EXTRA" (tillit.toml line 2).',
        ),
    ],
    ids=["a text for a number", "true is no number", "too much", "not on offer", "no table", "unsafe durability"],
)
def test_a_wrong_value_is_named_with_its_line(workspace_dir: Path, text: str, message: str) -> None:
    write(workspace_dir, text)

    with pytest.raises(BadSetting) as caught:
        Settings.load(workspace_dir, environ={})

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[collect]\nmax_kys = 3\n",
            "There is no setting 'collect.max_kys' (tillit.toml line 2). Did you mean 'collect.max_keys'?",
        ),
        ("[colect]\n", "There is no setting 'colect' (tillit.toml line 1). Did you mean 'collect'?"),
    ],
    ids=["a name", "a room"],
)
def test_an_unknown_name_is_an_error_with_the_nearest(workspace_dir: Path, text: str, message: str) -> None:
    write(workspace_dir, text)

    with pytest.raises(UnknownSetting) as caught:
        Settings.load(workspace_dir, environ={})

    assert str(caught.value) == message


def test_an_unknown_name_in_the_environment_is_an_error() -> None:
    with pytest.raises(UnknownSetting, match=r"TILLIT_COLLECT__KEYS.*Did you mean 'collect.max_keys'"):
        Settings.load(environ={"TILLIT_COLLECT__KEYS": "1"})


def test_a_variable_that_is_no_setting_is_left_alone() -> None:
    assert Settings.load(environ={"TILLIT_HOME": "x", "PATH": "y__z"}) == Settings()


def test_a_file_that_is_no_toml_names_the_place(workspace_dir: Path) -> None:
    write(workspace_dir, "[collect\n")

    with pytest.raises(UnreadableSettings, match=r"tillit\.toml cannot be read: .*line 1"):
        Settings.load(workspace_dir, environ={})


def test_a_day_is_read_written_either_way(workspace_dir: Path) -> None:
    write(workspace_dir, "[collect]\noldest_event_on = 1970-01-02\n")
    as_day = Settings.load(workspace_dir, environ={}).collect
    as_text = Settings.load(environ={"TILLIT_COLLECT__OLDEST_EVENT_ON": "1970-01-02"}).collect

    assert as_day.oldest_event_on == as_text.oldest_event_on == date(1970, 1, 2)
    assert as_day.oldest_event_at == 24 * 60 * 60 * 1_000_000


def test_explaining_a_setting_shows_every_place_and_the_winner(workspace_dir: Path) -> None:
    write(workspace_dir, "[collect]\nmax_keys = 10\n")

    told = explain("collect.max_keys", workspace_dir, environ={"TILLIT_COLLECT__MAX_KEYS": "20"})

    assert told.value == "20"
    assert [tuple(one) for one in told.looked] == [
        ("command line", None, False),
        ("environment TILLIT_COLLECT__MAX_KEYS", '"20"', True),
        ("tillit.toml line 2", "10", False),
        ("default", "512", False),
    ]


def test_explaining_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(UnknownSetting, match=r"Did you mean 'serve.port'"):
        explain("serve.prt", environ={})


@pytest.mark.parametrize("url", ["postgresql://ana:s3cr3t@db/tillit", "mysql://ana:s3cr3t@db/tillit"])
def test_a_secret_is_never_shown(workspace_dir: Path, url: str) -> None:
    write(workspace_dir, f'[state]\nurl = "{url}"\n')
    shown = []

    try:
        shown.append(repr(Settings.load(workspace_dir, environ={})))
        shown.append(repr(explain("state.url", workspace_dir, environ={})))
    except BadSetting as fault:
        shown += [str(fault), repr(fault), repr(fault.as_document()), repr(fault.__cause__)]

    assert shown
    assert "s3cr3t" not in "".join(shown)


def write(folder: Path, text: str) -> None:
    (folder / "tillit.toml").write_text(text, encoding="utf-8")
