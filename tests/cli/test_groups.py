"""`tillit group`: who belongs to a group, and what colleagues say of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.running import tillit
from tillit.workspace import Workspace, create_workspace


@pytest.fixture
def shop(workspace_dir: Path) -> Path:
    create_workspace(workspace_dir)
    with Workspace(workspace_dir) as ws:
        ws.identify(user_id="ana", traits={"name": "Ana Ek"})
        ws.group(user_id="bo", group_id="h1", traits={"kind": "household", "name": "[Ek]", "role": "child"})
        ws.flush()
    return workspace_dir


def shown(shop: Path, group: str) -> Any:
    return json.loads(tillit("group", "show", group, "--workspace", str(shop), "--json"))


def test_a_colleague_puts_somebody_into_a_group_and_takes_them_out(shop: Path) -> None:
    where = ("--workspace", str(shop))
    said = tillit("group", "join", "user_id:ana", "household:h1", "--role", "guardian", "--since", "2024-05-01", *where)
    joined = shown(shop, "household:h1")
    printed = tillit("group", "show", "household:h1", *where)
    tillit("group", "leave", "user_id:ana", "household:h1", "--reason", "moved out", *where)
    with Workspace(shop) as ws:
        ana = ws.profiles.get("user_id:ana")["id"]

    assert "It counts now, as event e1-3" in said
    assert [(one["role"], one["since"], one["trust"]) for one in joined["members"] if one["profile_id"] == ana] == [
        ("guardian", "2024-05-01T00:00:00Z", "operator")
    ]
    assert "[Ek]" in printed
    assert ana not in {one["profile_id"] for one in shown(shop, "household:h1")["members"]}
