"""Requests of customers over the API, from filing to the answer."""

from __future__ import annotations

from tests.api.asking import Asker
from tests.api.conftest import KeyRing
from tillit.workspace import Workspace


def test_a_request_is_filed_proved_and_done(ask: Asker, keys: KeyRing, ws: Workspace) -> None:
    ws.identify(user_id="ana", traits={"firstName": "Ana"})
    ws.flush()
    filed = ask.post(
        "/api/requests", {"identifier": "user_id:ana", "kind": "restriction", "evidence": "ticket-1"}, keys.all
    )
    assert filed.status == 201, filed.json()
    path = f"/api/requests/{filed.json()['request_id']}"
    proof = {"level": 2, "via": "session", "evidence": "ticket-1"}

    proved = ask.post(f"{path}/verify", proof, keys.all)
    done = ask.post(f"{path}/run", {}, keys.all)
    listed = ask.get("/api/requests", keys.all)

    assert [filed.status, proved.status, done.status, listed.status] == [201, 200, 200, 200]
    assert done.json()["state"] == "complete"
    assert [one["state"] for one in listed.json()["requests"]] == ["complete"]
    assert ws.consent.decide("user_id:ana", "service")["reason"] == "restricted"
    assert ask.get("/api/requests", keys.reader).status == 403
    assert ask.post(f"{path}/burn", {}, keys.all).status == 400
