"""Conditions about households and accounts in the builder: each part is reached by a button and read as a sentence."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.desk_in_process import DeskInProcess
from tillit.language.nodes import InGroup
from tillit.language.reading import read_condition
from tillit.records import read_yaml


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DeskInProcess]:
    made = DeskInProcess(tmp_path / "shop")
    made.become("editor")
    yield made
    made.ws.close()


def fields_in(page: str) -> dict[str, str]:
    """Give what a browser would send of the rows."""
    found = {}
    for one in re.finditer(r'<input\b[^>]*\bname="(d\.[^"]+)"[^>]*>', page):
        value = re.search(r'\bvalue="([^"]*)"', one[0])
        found[one[1]] = html.unescape(value[1]) if value else ""
    for one in re.finditer(r'<select\b[^>]*\bname="(d\.[^"]+)"[^>]*>(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected>', one[2]) or re.search(
            r'<option value="([^"]*)"', one[2]
        )
        found[one[1]] = html.unescape(chosen[1]) if chosen else ""
    return found


def test_every_part_of_a_group_is_built_by_buttons_and_read_aloud(desk: DeskInProcess) -> None:
    head = {"kind": "audience", "name": "near", "title": "Near", "purpose": "service", "view": "rows"}

    def press(fields: dict[str, str], act: str) -> dict[str, str]:
        page = desk.post("/console/audiences/build", {**head, **fields, "act": act}).body.decode()
        assert "Internal" not in page
        return fields_in(page)

    fields = press({}, "add-row d.rows")
    fields = press(fields | {"d.rows.0.kind": "in_group"}, "rows")
    fields = press(fields | {"d.rows.0.of": "account", "d.rows.0.role": "admin"}, "add-test d.rows.0.known.tests")
    fields |= {"d.rows.0.known.path": "plan", "d.rows.0.known.tests.0.op": "equals"}
    fields = press(fields | {"d.rows.0.known.tests.0.value": "pro"}, "add-test d.rows.0.sizes.tests")
    fields = press(fields | {"d.rows.0.sizes.tests.0.value": "3"}, "add-row d.rows.0.member.rows")
    fields = press(fields | {"d.rows.0.member.rows.0.names": "Order Completed"}, "add-test d.rows.0.counts.tests")
    fields["d.rows.0.counts.tests.0.value"] = "2"
    page = desk.post("/console/audiences/build", {**head, **fields, "act": "look"}).body.decode()

    said = 'Admin in an account whose plan is "pro" with at least 3 members where at least 2 others fit:'
    assert said in html.unescape(page)
    assert "Order Completed happened" in page
    text = re.search(r"<textarea[^>]*>(.*?)</textarea>", desk.post(
        "/console/audiences/build", {**head, **fields, "act": "text"}).body.decode(), re.DOTALL)  # fmt: skip
    assert text is not None
    node = read_condition(read_yaml(html.unescape(text[1]))["definition"])
    assert isinstance(node, InGroup)
    assert (node.kind, node.roles, node.trait, node.others_only) == ("account", ("admin",), ("plan",), True)

    fields = press(fields, "remove d.rows.0.member.rows.0")
    assert not any("member.rows" in name for name in fields)
