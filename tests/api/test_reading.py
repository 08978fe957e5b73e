"""What a program reads: the same documents as from Python, for a purpose, noted in the journal."""

from urllib.parse import quote

from tests.api.asking import Asker
from tests.api.conftest import KeyRing
from tests.looks import looks
from tests.still_clock import Clock
from tillit.clock import SECOND, rfc3339
from tillit.workspace import Workspace

# Values as customers and shops have them.
ODD = [
    "a/b",
    "a/events",
    "a%2Fb",
    "100%",
    "?x=1&y=2#z",
    "a b",
    "a+b",
    "ünï/ço∂é",
    "👩‍👩‍👧 family",
    "..",
    "a/../b",
    "lookup",
    "search",
    "x:y:z",
    "semi;colon",
    '"quoted"',
    "a\\b",
]


def test_a_profile_is_the_document_that_python_gives(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    answer = ask.get("/api/profiles/email:ana%40example.org", keys.reader)

    assert answer.status == 200
    assert answer.json() == people.profiles.get("email:ana@example.org")


def test_every_road_to_a_person_gives_the_same_document(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    by_address = ask.get("/api/profiles/user_id:42", keys.reader).json()

    by_id = ask.get(f"/api/profiles/{by_address['id']}", keys.reader).json()
    by_body = ask.post("/api/profiles/lookup", {"identifier": "user_id:42"}, keys.reader).json()
    by_parts = ask.post("/api/profiles/lookup", {"namespace": "user_id", "value": "42"}, keys.reader).json()

    assert by_id == by_body == by_parts == by_address


def test_a_profile_as_of_an_instant(ask: Asker, ws: Workspace, clock: Clock, keys: KeyRing) -> None:
    ws.identify(user_id="eva", traits={"plan": "free"})
    ws.flush()
    then = rfc3339(clock.at)
    clock.go_on(3_600 * SECOND)
    ws.identify(user_id="eva", traits={"plan": "plus"})
    ws.flush()
    told = ask.get(f"/api/profiles/user_id:eva?as_of={then}", keys.reader)

    assert told.status == 200
    assert told.json()["traits"]["plan"]["value"] == "free"
    assert ask.get("/api/profiles/user_id:eva?as_of=yesterday", keys.reader).status == 400
    assert ask.get(f"/api/profiles/user_id:nobody?as_of={then}", keys.reader).status == 404
    assert ask.get(f"/api/profiles/user_id:eva?as_of={then}", keys.scopeless).status == 403


def test_a_group_tells_its_members_page_by_page(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    for who in ("42", "7"):
        people.group(user_id=who, group_id="h1", traits={"kind": "household", "name": "Ek", "role": "guardian"})
    people.flush()
    first = ask.get("/api/groups/household:h1?limit=1", keys.reader)
    second = ask.get(f"/api/groups/household:h1?limit=1&after={first.json()['next']}", keys.reader).json()

    assert first.status == 200
    assert (first.json()["name"], second["next"]) == ("Ek", None)
    assert {one["profile_id"] for page in (first.json(), second) for one in page["members"]} == {
        people.profiles.get(f"user_id:{who}")["id"] for who in ("42", "7")
    }
    assert ask.get("/api/groups/household:h2", keys.reader).status == 404
    assert ask.get("/api/groups/h1", keys.reader).status == 404
    assert ask.get("/api/groups/household:h1?after=x", keys.reader).status == 400
    assert ask.get("/api/groups/household:h1", keys.scopeless).status == 403


def test_any_value_can_stand_in_an_address(ask: Asker, ws: Workspace, keys: KeyRing) -> None:
    for value in ODD:
        ws.track(user_id=value, event=f"Seen {value}")
    ws.flush()

    for value in ODD:
        found = ask.get(f"/api/profiles/{quote(f'user_id:{value}', safe='')}", keys.reader)
        events = ask.get(f"/api/profiles/{quote(f'user_id:{value}', safe='')}/events", keys.reader)
        looked_up = ask.post("/api/profiles/lookup", {"identifier": f"user_id:{value}"}, keys.reader)

        assert (value, found.status) == (value, 200)
        assert found.json()["identifiers"][0]["value"] == value
        assert looked_up.json() == found.json()
        assert [one["name"] for one in events.json()["events"]] == [f"Seen {value}"]


def test_a_slash_may_stand_as_it_is(ask: Asker, ws: Workspace, keys: KeyRing) -> None:
    ws.track(user_id="shop/12/x", event="Seen")
    ws.flush()

    assert ask.get("/api/profiles/user_id:shop/12/x", keys.reader).status == 200
    assert len(ask.get("/api/profiles/user_id:shop/12/x/events", keys.reader).json()["events"]) == 1


# Case 44: who is unknown, what cannot be an identifier, ids of nobody: nothing tells them apart.
NOBODY = [
    *("user_id:nobody", "email:nobody@example.org", "email:not-an-address", "phone:12", "nonsense:1", "p0000000000zz0"),
    *("pzzzzzzzzzzzzz", "nobody", ":", "user_id:", ":42", "user_id:%00", "%FF%FE", "user_id:null", "Robert'); DROP"),
]


def test_nobody_is_the_same_nobody_however_asked(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    known_to_be_nobody = ask.get("/api/profiles/user_id:nobody", keys.reader)
    assert known_to_be_nobody.code == "profile.unknown"

    answers = {
        (who, one.status, one.body)
        for who in NOBODY
        for one in (
            ask.get(f"/api/profiles/{quote(who, safe=':%')}", keys.reader),
            ask.get(f"/api/profiles/{quote(who, safe=':%')}/events", keys.reader),
            ask.post("/api/profiles/lookup", {"identifier": who}, keys.reader),
            ask.post("/api/profiles/lookup/events", {"identifier": who}, keys.reader),
        )
    }

    assert answers == {(who, 404, known_to_be_nobody.body) for who in NOBODY}


def test_a_timeline_is_read_page_by_page_newest_first(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    told: list[str] = []
    before = ""
    while True:
        page = ask.get(f"/api/profiles/user_id:42/events?limit=3{before}", keys.reader).json()
        told += [one["message_id"] for one in page["events"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"

    assert told == ["m4", "m3", "m2", "m1"]


def test_a_timeline_by_body_is_the_one_by_address(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    by_address = ask.get("/api/profiles/user_id:42/events?limit=2", keys.reader).json()

    by_body = ask.post("/api/profiles/lookup/events", {"identifier": "user_id:42", "limit": 2}, keys.reader).json()

    assert by_body == by_address
    assert by_body["events"][0] == {
        "event_id": "e1-4",
        "message_id": "m4",
        "type": "track",
        "name": "Order Completed",
        "event_at": "2026-03-01T08:03:00Z",
        "received_at": "2026-03-01T09:00:00Z",
        "source": "python",
        "properties": {"total": 20},
    }


def test_people_are_found_by_beginnings(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    for text in ("ana", "Ana", "ana@exa", "42", "dev-1"):
        by_address = ask.get(f"/api/profiles?q={quote(text)}", keys.reader)
        by_body = ask.post("/api/profiles/search", {"q": text}, keys.reader)

        assert by_address.status == 200
        assert by_body.json() == by_address.json()
        assert by_body.json()["profiles"][0] == people.profiles.get("user_id:42")


def test_a_search_for_nobody_finds_nobody(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    for text in ("zzz", "%", "\u0000", "' OR 1=1 --", "   "):
        assert ask.post("/api/profiles/search", {"q": text}, keys.reader).json() == {"profiles": []}


def test_events_come_in_log_order_page_by_page(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    first = ask.get("/api/events?limit=4", keys.reader).json()
    second = ask.get(f"/api/events?limit=4&after={first['next']}", keys.reader).json()
    third = ask.get(f"/api/events?after={second['next']}", keys.reader).json()

    assert [one["message_id"] for one in first["events"] + second["events"]] == ["m1", "m2", "m3", "m4", "m5", "m6"]
    assert third == {"events": [], "next": second["next"]}


def test_events_can_be_filtered(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    def told(query: str) -> list[str]:
        return [one["message_id"] for one in ask.get(f"/api/events?{query}", keys.reader).json()["events"]]

    assert told("type=page") == ["m1", "m6"]
    assert told("name=Order%20Completed") == ["m3", "m4", "m5"]
    assert told("source=elsewhere") == []
    assert told("source=python&type=identify") == ["m2"]


def test_an_event_is_told_once_and_only_when_it_is_applied(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    people.track(user_id="7", event="Order Completed", properties={"total": 5}, message_id="m5")
    people.flush()
    people.track(user_id="7", event="Not folded yet", message_id="m7")

    told = [one["message_id"] for one in ask.get("/api/events", keys.reader).json()["events"]]

    assert told == ["m1", "m2", "m3", "m4", "m5", "m6"]


def test_a_forgotten_event_is_told_nowhere(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    people.forget([5])

    told = ask.get("/api/events", keys.reader)

    assert [one["message_id"] for one in told.json()["events"]] == ["m1", "m2", "m3", "m4", "m6"]
    assert ask.get("/api/profiles/user_id:7", keys.reader).status == 404


# -- purposes and the journal


def test_every_read_is_noted_with_template_purpose_and_id_and_without_a_value(
    ask: Asker, people: Workspace, keys: KeyRing
) -> None:
    one = people.profiles.get("user_id:42")["id"]
    ask.get("/api/profiles/email:ana%40example.org", keys.reader)
    ask.get("/api/profiles/user_id:42/events?purpose=analytics", keys.reader)
    ask.post("/api/profiles/lookup", {"identifier": "user_id:42", "purpose": "analytics"}, keys.reader)
    ask.post("/api/profiles/lookup/events", {"identifier": "user_id:42"}, keys.analyst)
    ask.get("/api/profiles?q=Ana", keys.reader)
    ask.post("/api/profiles/search", {"q": "Ana"}, keys.reader)
    ask.get("/api/events", keys.reader)

    noted = [n for n in reversed(looks(people)) if n.subject_ref == one]

    assert [(n.route, n.purpose, n.n_profiles) for n in noted] == [
        ("GET /api/profiles/{who}", "service", 1),
        ("GET /api/profiles/{who}/events", "analytics", 1),
        ("POST /api/profiles/lookup", "analytics", 1),
        ("POST /api/profiles/lookup/events", "analytics", 1),
        ("GET /api/profiles", "service", 1),
        ("POST /api/profiles/search", "service", 1),
        ("GET /api/events", "service", 3),
    ]
    assert {n.actor_id[:2] for n in noted} == {"k_"}
    assert "ana" not in repr(noted).lower().replace("analytics", "")


def test_an_unknown_purpose_is_refused(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    for target in ("/api/profiles/user_id:42", "/api/profiles/user_id:42/events", "/api/events"):
        answer = ask.get(f"{target}?purpose=profiling", keys.reader)

        assert (answer.status, answer.code) == (400, "consent.unknown-purpose")
    assert looks(people) == []


def test_a_misspelt_parameter_is_refused_rather_than_ignored(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    answer = ask.get("/api/profiles/user_id:42?purpos=analytics", keys.reader)

    assert (answer.status, answer.code) == (400, "api.unknown-parameter")


# -- sources


def test_sources_say_how_busy_they_are(ask: Asker, people: Workspace, keys: KeyRing, clock: Clock) -> None:
    ask.get("/api/sources", keys.all)
    clock.go_on(2 * 3600 * SECOND)
    people.append([{"type": "track", "userId": "7", "event": "Late"}], source="shop")

    told = ask.get("/api/sources", keys.all).json()
    by_name = {one["source"]: one for one in told["sources"]}

    assert by_name["python"] == {
        "source": "python",
        "n_keys": 0,
        "n_living_keys": 0,
        "last_received_at": "2026-03-01T09:00:00Z",
        "n_last_hour": 0,
        "n_last_day": 6,
    }
    assert by_name["shop"]["n_last_hour"] == by_name["shop"]["n_last_day"] == 1
    assert by_name["old"]["n_living_keys"] == 0
    assert told["counted_from"] == "2026-03-01T09:00:00Z"
