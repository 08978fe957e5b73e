"""What a definition may not say: what its purpose does not reach or keep, what is not there, and itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.still_clock import Clock
from tillit.audience import AUDIENCE, AudienceInvalid
from tillit.workspace import Workspace, create_workspace

PURPOSES = """
purposes:
  service: {title: Service, basis: contract, fields: all}
  ads: {title: Ads, basis: consent, fields: [traits.plan, events.Order Completed], retention: 90 days}
"""


@pytest.fixture
def ws(tmp_path: Path, clock: Clock) -> Iterator[Workspace]:
    create_workspace(tmp_path / "shop")
    with Workspace(tmp_path / "shop", now=clock.now) as ws:
        ws.consent.apply(PURPOSES, operator="kim", reason="")
        yield ws


def apply(ws: Workspace, name: str, definition: Any, purpose: str = "service", **more: Any) -> None:
    told = {"audience": name, "purpose": purpose, "definition": definition, **more}
    ws.audiences.apply(json.dumps(told), reason="", operator="kim")


BOUGHT = {"event": "Order Completed", "within": "30d"}


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ({"event": "Product Viewed", "within": "1d"}, "does not reach events.Product Viewed"),
        ({"trait": "email", "is_set": True}, "does not reach traits.email"),
        ({"event": "*", "within": "1d"}, "does not reach"),
        ({"event": "Order Completed"}, "further back than the purpose 'ads' keeps events"),
        ({**BOUGHT, "within": "91d"}, "further back than the purpose 'ads' keeps events"),
        ({"first_time": {"event": "Order Completed", "within": "7d"}}, "further back"),
        ({"permitted": "nothing"}, "'nothing', which is not declared"),
    ],
)
def test_a_definition_keeps_to_what_its_purpose_reaches_and_keeps(ws: Workspace, definition: Any, why: str) -> None:
    with pytest.raises(AudienceInvalid, match=why.replace("(", r"\(")):
        apply(ws, "wrong", definition, "ads")
    apply(ws, "right", {"all": [{**BOUGHT, "within": "90d"}, {"trait": "plan", "equals": "pro"}]}, "ads")


def test_an_audience_does_not_hang_on_itself(ws: Workspace) -> None:
    apply(ws, "a", BOUGHT)
    apply(ws, "b", {"audience": "a"})
    apply(ws, "c", {"not": {"audience": "b"}})
    with pytest.raises(AudienceInvalid, match="It hangs on itself: a → c → b → a"):
        apply(ws, "a", {"any": [BOUGHT, {"audience": "c"}]})
    with pytest.raises(AudienceInvalid, match="no audience 'd' in force"):
        apply(ws, "e", {"audience": "d"})


def test_what_others_name_is_not_retired(ws: Workspace) -> None:
    apply(ws, "a", BOUGHT)
    apply(ws, "b", {"audience": "a"})
    with pytest.raises(AudienceInvalid, match="it is named by audience b"):
        apply(ws, "a", BOUGHT, retired=True)
    apply(ws, "b", {"audience": "a"}, retired=True)
    apply(ws, "a", BOUGHT, retired=True)
    assert ws.audiences.definitions().audiences == {}
    assert len(ws.audiences.history(AUDIENCE, "a")) == 2
