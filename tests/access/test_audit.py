"""The audit keeps what operators did, in order, and refuses what may be somebody's value."""

from __future__ import annotations

import apsw
import pytest

from tests.still_clock import START, Clock
from tillit.access import Detail
from tillit.access.audit import BadNote
from tillit.clock import SECOND
from tillit.workspace import Workspace


def test_actions_come_newest_first_in_pages_and_filtered(ws: Workspace, clock: Clock) -> None:
    for n in range(7):
        ws.audit.note(operator_id=f"op_{n % 2}", action="key.create" if n % 3 else "key.revoke", target=f"k_{n}")
        clock.go_on(SECOND)

    first = ws.audit.actions(limit=3)
    rest = ws.audit.actions(before=first[-1].audit_id)

    assert [one.target for one in first + rest] == [f"k_{n}" for n in reversed(range(7))]
    assert [one.target for one in ws.audit.actions(operator_id="op_1", action="key.create")] == ["k_5", "k_1"]
    assert first[0].at == START + 6 * SECOND
    assert ws.audit.list_actions() == ["key.create", "key.revoke"]


def test_details_come_back_as_they_were(ws: Workspace) -> None:
    details: dict[str, Detail] = {"role": "reader", "n_events": 3, "is_dry": False, "reason": None}

    ws.audit.note(operator_id="op_1", action="operator.role", target="op_2", outcome="refused", details=details)

    [one] = ws.audit.actions()
    assert (one.details, one.outcome) == (details, "refused")


@pytest.mark.parametrize(
    "note",
    [
        {"target": "ana@example.org"},
        {"target": "Ana Andersson"},
        {"target": "x" * 81},
        {"details": {"who": "ana@example.org"}},
        {"details": {"text": "words " * 30}},
        {"action": "Key Create"},
        {"action": "key"},
    ],
    ids=str,
)
def test_what_may_be_a_personal_value_is_not_noted(ws: Workspace, note: dict[str, object]) -> None:
    with pytest.raises(BadNote) as refused:
        ws.audit.note(**{"operator_id": "op_1", "action": "key.create", **note})  # type: ignore[arg-type]  # a case each

    assert "ana" not in refused.value.message.lower()
    assert ws.audit.actions() == []


def test_an_action_is_on_disk_when_it_was_noted(ws: Workspace) -> None:
    ws.audit.note(operator_id="op_1", action="key.create", target="k_1")

    reader = apsw.Connection(str(ws.paths.journal), flags=apsw.SQLITE_OPEN_READONLY)

    assert reader.execute("SELECT action, target FROM audit").fetchall() == [("key.create", "k_1")]
    reader.close()
