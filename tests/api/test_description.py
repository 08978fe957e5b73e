"""The API describes itself: every route, with its scope and an example, and nothing from elsewhere."""

import re
from typing import Any

import msgspec
import pytest

from scripts.build_reference import REFERENCE
from tests.api.asking import Asker
from tests.api.conftest import KeyRing
from tillit.access import API_SCOPES
from tillit.api import api_reference_page
from tillit.api.app import list_routes
from tillit.api.description import EXAMPLES
from tillit.api.desk import Desk
from tillit.workspace import Workspace


@pytest.fixture
def document(ask: Asker) -> dict[str, Any]:
    answer = ask.get("/api/openapi.json")
    assert answer.status == 200
    told: dict[str, Any] = answer.json()
    return told


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_it_is_openapi_3_1_with_its_bones(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert set(document["info"]) >= {"title", "version", "description"}
    ids = [one["operationId"] for one in operations(document).values()]
    assert len(set(ids)) == len(ids)


def test_every_route_is_described_and_nothing_else(ws: Workspace, document: dict[str, Any]) -> None:
    desk = Desk(ws)
    routes = {
        f"{method} {re.sub(':(str|int)', '', path)}"
        for handler in list_routes(desk)
        for path in handler.paths
        for method in handler.http_methods
    }
    desk.close()

    assert set(operations(document)) == routes == set(EXAMPLES)


def test_every_operation_names_a_known_scope_an_example_and_its_refusals(document: dict[str, Any]) -> None:
    lacking = []
    for place, one in operations(document).items():
        scopes = [scope for way in one["security"] for names in way.values() for scope in names]
        if place not in {"GET /health", "GET /ready"}:
            lacking += [f"{place}  scope"] if not scopes or set(scopes) - set(API_SCOPES) else []
            lacking += [
                f"{place}  {status}" for status in ("400", "401", "403", "429", "503") if status not in one["responses"]
            ]
        for status, answer in one["responses"].items():
            lacking += [f"{place} {status}  example" for c in answer["content"].values() if "example" not in c]
        if one.get("requestBody"):
            lacking += [f"{place}  body" for c in one["requestBody"]["content"].values() if "example" not in c]

    assert lacking == []


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', msgspec.json.encode(document).decode()))

    assert wanted <= set(document["components"]["schemas"])


def test_the_examples_have_the_fields_that_real_answers_have(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    people.group(user_id="42", group_id="h1", traits={"kind": "household"}, timestamp="2026-03-01T08:00:30Z")
    people.flush()
    real = {
        "GET /api/groups/{group}": ask.get("/api/groups/household:h1", keys.all),
        "GET /api/profiles/{who}": ask.get("/api/profiles/user_id:42", keys.all),
        "GET /api/profiles/{who}/events": ask.get("/api/profiles/user_id:42/events?limit=2", keys.all),
        "GET /api/profiles": ask.get("/api/profiles?q=ana", keys.all),
        "GET /api/events": ask.get("/api/events?type=track", keys.all),
        "GET /api/sources": ask.get("/api/sources", keys.all),
        "GET /api/keys": ask.get("/api/keys", keys.all),
        "GET /health": ask.get("/health"),
        "GET /ready": ask.get("/ready"),
    }

    assert {place: shape(EXAMPLES[place][1]) for place in real} == {p: shape(a.json()) for p, a in real.items()}


def test_the_examples_of_decisions_have_the_fields_that_real_answers_have(
    ask: Asker, people: Workspace, keys: KeyRing
) -> None:
    ends = {"a": "user_id:42", "b": "email:ana@example.org"}
    reason = {**ends, "reason": "The till mistook one for the other."}
    people.identify(user_id="7", traits={"email": "ana@example.org"})
    people.flush()
    real = {
        "GET /api/identity/violations": ask.get("/api/identity/violations", keys.all),
        "POST /api/identity/why": ask.post("/api/identity/why", ends, keys.all),
        "POST /api/identity/cut": ask.post("/api/identity/cut", reason, keys.all),
        "POST /api/identity/join": ask.post("/api/identity/join", reason, keys.all),
        "POST /api/identity/pin": ask.post("/api/identity/pin", {**reason, "b": "user_id:7"}, keys.all),
        "GET /api/profiles/{who}/decisions": ask.get("/api/profiles/user_id:42/decisions", keys.all),
    }

    assert {place: shape(EXAMPLES[place][1]) for place in real} == {p: shape(a.json()) for p, a in real.items()}


_BY_NAME = {"audiences", "counts", "properties", "traits", "types"}  # whose keys differ from person to person


def shape(value: Any) -> Any:
    """Give the fields of a document, down to what differs from person to person."""
    if isinstance(value, dict):
        return {name: "…" if name in _BY_NAME and isinstance(one, dict) else shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value and isinstance(value[0], dict) else "list"
    return "…"


def test_real_answers_have_the_described_fields(
    ask: Asker, people: Workspace, keys: KeyRing, document: dict[str, Any]
) -> None:
    profile = ask.get("/api/profiles/user_id:42", keys.all).json()
    schema = document["components"]["schemas"]["ProfileDocument"]

    assert set(profile) == set(schema["properties"]) == set(schema["required"])


def test_the_page_loads_nothing_from_elsewhere(ask: Asker) -> None:
    answer = ask.get("/api/docs")
    text = answer.body.decode()

    assert answer.status == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in text
    assert "javascript:" not in text
    assert re.findall(r"(?:src|href)=\"(?!/api/openapi\.json|#)[^\"]*\"", text) == []
    assert "http://" not in text
    assert "https://" not in text
    assert all(place.partition(" ")[2] in text for place in EXAMPLES)


def test_the_reference_page_is_up_to_date(ws: Workspace) -> None:
    page = (REFERENCE / "http-api.md").read_text(encoding="utf-8")

    assert page == api_reference_page(ws), "docs/reference/http-api.md is out of date. Run `make docs`."
