import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collect.knocking import NOON
from tillit.clock import SECOND, instant, rfc3339
from tillit.collect.bots import bot_kind
from tillit.collect.door import take
from tillit.collect.limits import Limits
from tillit.collect.stamp import _text_of, hide_token, merged, shown_ip

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
GOOGLE = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def stamped(event: dict[str, Any], *, trust: int = 1, limits: Limits | None = None, **beside: Any) -> dict[str, Any]:
    ip, agent = beside.pop("client_ip", None), beside.pop("user_agent", None)
    body = json.dumps({"batch": [{"type": "track", "event": "E", "userId": "u", **event}], **beside}).encode()
    taken = take(
        body,
        route_type=None,
        source="web",
        trust=trust,
        received_at=NOON,
        limits=limits or Limits(),
        client_ip=ip,
        user_agent=agent,
        new_id=lambda: "made-here",
    )
    assert taken.quarantine == []
    found: dict[str, Any] = json.loads(taken.rows[0].body)
    assert found["timestamp"] == rfc3339(taken.rows[0].event_at) or found["timestamp"].endswith(".000Z")
    return found


def test_a_token_that_nobody_checks_is_taken_out_and_proves_nothing() -> None:
    alone = stamped({"context": {"identityToken": "a.b.c", "locale": "sv"}, "proof": {"sub": ["user_id", "x"]}})
    shared = stamped({"proof": 7}, context={"identityToken": "a.b.c"})
    null = stamped({"context": {"identityToken": None}})

    assert (alone["context"]["locale"], alone["proof"]) == ("sv", {"refused": "not_checked"})
    assert shared["proof"] == {"refused": "not_checked"}
    assert "proof" not in null
    assert not any("identityToken" in event["context"] for event in (alone, shared, null))


def test_one_token_for_a_whole_batch_is_judged_once() -> None:
    asked: list[object] = []

    def prove(token: object, at: int) -> dict[str, Any]:
        asked.append(token)
        return {"refused": str(at)}

    events = [{"type": "track", "event": "E", "userId": f"u{n}", "messageId": f"m{n}"} for n in range(3)]
    body = json.dumps({"batch": events, "context": {"identityToken": "a.b.c"}}).encode()
    taken = take(body, route_type=None, source="web", trust=1, received_at=NOON, limits=Limits(), prove=prove)

    assert [json.loads(row.body)["proof"] for row in taken.rows] == [{"refused": str(NOON)}] * 3
    assert asked == ["a.b.c"]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"type": "x", "context": {"identityToken" : "sec\\"ret"}}',
        b'{"type": "track", "context": {"identityToken":"secret',
        b'{"type": "track", "traits": 1, "context": {"identityToken": "secret"}, "context": 1}',
    ],
    ids=["escaped", "broken off", "doubled"],
)
def test_what_goes_to_quarantine_holds_no_token(raw: bytes) -> None:
    assert b"ret" not in hide_token(raw)
    assert hide_token(raw).startswith(raw[: raw.index(b"sec") - 1])


def code_of(event: dict[str, Any], route_type: str | None = None) -> str:
    whole = {"type": "track", "event": "E", "userId": "u", "messageId": "m", **event}
    body = json.dumps(whole if route_type else {"batch": [whole]}).encode()
    taken = take(body, route_type=route_type, source="s", trust=1, received_at=NOON, limits=Limits())
    return taken.quarantine[0].code if taken.quarantine else ""


def test_a_wrong_clock_is_corrected_by_what_it_said_when_it_sent() -> None:
    # The phone is an hour slow; the event is 10 s older than the sending.
    slow = NOON - 3600 * SECOND

    event = stamped({"timestamp": rfc3339(slow - 10 * SECOND)}, sentAt=rfc3339(slow))

    assert instant(event["timestamp"]) == NOON - 10 * SECOND
    assert (event["originalTimestamp"], event["sentAt"]) == (rfc3339(slow - 10 * SECOND), rfc3339(slow))
    assert event["receivedAt"] == rfc3339(NOON)


def test_a_single_event_says_itself_when_it_was_sent() -> None:
    event = stamped({"timestamp": rfc3339(NOON - 70 * SECOND), "sentAt": rfc3339(NOON - 60 * SECOND)})

    assert instant(event["timestamp"]) == NOON - 10 * SECOND


def test_without_sent_at_the_timestamp_stands_and_without_timestamp_the_arrival() -> None:
    assert instant(stamped({"timestamp": rfc3339(NOON - SECOND)})["timestamp"]) == NOON - SECOND
    assert instant(stamped({})["timestamp"]) == NOON
    assert instant(stamped({"originalTimestamp": rfc3339(NOON - SECOND)})["timestamp"]) == NOON - SECOND


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", 1795304100])
def test_a_timestamp_that_cannot_be_read_is_marked_and_the_arrival_counts(text: object) -> None:
    event = stamped({"timestamp": text})

    assert (instant(event["timestamp"]), event["clock"]) == (NOON, "unreadable")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T23:34:27.367+00:00",
        "2026-11-21T23:34:27.367Z",
        "2026-11-22T00:34:27.367+01:00",
        "2026-11-21T23:34:27.367",
        "2026-11-21 23:34:27.367000",
    ],
)
def test_every_spelling_of_an_instant_that_sdks_use_is_read(text: str) -> None:
    assert instant(text) == 1_795_304_067_367_000


@given(
    at=st.integers(NOON - 10**15, NOON + 10**15),
    decimals=st.sampled_from([0, 3, 6]),
    zone=st.sampled_from(["Z", "+00:00", ""]),
)
def test_instants_are_read_and_written_like_the_standard_library_does(at: int, decimals: int, zone: str) -> None:
    at -= at % 10 ** (6 - decimals)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    fraction = f".{moment.microsecond:06d}"[: decimals + 1] if decimals else ""

    assert instant(f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{zone}") == at
    assert instant(_text_of(at)) == at


def test_a_missing_message_id_is_made_here_and_a_numeric_one_is_a_text() -> None:
    assert stamped({})["messageId"] == "made-here"
    assert stamped({"messageId": ""})["messageId"] == "made-here"
    assert stamped({"messageId": 7})["messageId"] == "7"


def test_null_is_absent() -> None:
    event = stamped({"anonymousId": None, "context": None, "properties": None, "integrations": None, "groupId": None})

    assert not {"anonymousId", "properties", "integrations", "groupId"} & set(event)


def test_unknown_fields_survive_and_the_key_does_not() -> None:
    event = stamped({"_metadata": {"bundled": ["x"]}, "channel": "server", "writeKey": "PUB", "clock": "clamped"})

    assert (event["_metadata"], event["channel"]) == ({"bundled": ["x"]}, "server")
    assert not {"writeKey", "clock"} & set(event)


def test_what_the_batch_says_lies_under_what_the_event_says() -> None:
    event = stamped(
        {"context": {"library": {"version": "2"}}, "integrations": {"A": True}},
        trust=2,
        context={"library": {"name": "go", "version": "1"}, "locale": "sv"},
        integrations={"A": False, "B": True},
    )

    assert event["context"] == {"library": {"name": "go", "version": "2"}, "locale": "sv"}
    assert event["integrations"] == {"A": True, "B": True}


def test_merging_leaves_both_documents_as_they_were() -> None:
    under, over = {"a": {"b": 1}}, {"a": {"c": 2}}

    assert merged(under, over) == {"a": {"b": 1, "c": 2}}
    assert (under, over) == ({"a": {"b": 1}}, {"a": {"c": 2}})


@pytest.mark.parametrize(
    ("trust", "context", "policy", "kept"),
    [
        (1, {}, "truncate", "203.0.113.0"),
        (1, {"ip": "198.51.100.9"}, "truncate", "203.0.113.0"),
        (1, {}, "keep", "203.0.113.77"),
        (1, {"ip": "198.51.100.9"}, "drop", None),
        (2, {}, "truncate", None),
        (2, {"direct": True}, "truncate", "203.0.113.0"),
        (2, {"ip": "198.51.100.9"}, "truncate", "198.51.100.0"),
        (2, {"ip": "not an address"}, "truncate", None),
        (2, {"ip": 7}, "keep", None),
    ],
)
def test_an_address_is_the_clients_for_browsers_and_the_given_one_for_servers(
    trust: int, context: dict[str, Any], policy: str, kept: str | None
) -> None:
    event = stamped({"context": context}, trust=trust, limits=Limits(ip=policy), client_ip="203.0.113.77")

    assert event["context"].get("ip") == kept


def test_addresses_are_cut_to_where_nobody_is_alone() -> None:
    assert shown_ip("2001:db8:1:2:3:4:5:6", "truncate") == "2001:db8:1::"
    assert shown_ip("::ffff:203.0.113.77", "truncate") == "203.0.113.0"
    assert shown_ip("", "truncate") is None


def test_robots_are_flagged_and_taken() -> None:
    assert stamped({"context": {"userAgent": GOOGLE}})["context"]["bot"] == {"is_bot": True, "kind": "search"}
    assert stamped({}, user_agent=GOOGLE)["context"]["bot"]["is_bot"] is True
    assert "bot" not in stamped({"context": {"userAgent": CHROME}})["context"]
    # A server's library is no robot: its User-Agent header is not the customer's.
    assert "bot" not in stamped({}, trust=2, user_agent="python-requests/2.32").get("context", {})


@pytest.mark.parametrize(
    ("agent", "is_bot"),
    [
        (CHROME, False),
        ("Mozilla/5.0 (Linux; Android 9; CUBOT X19) Chrome/120 Mobile Safari/537.36", False),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/130.0", True),
        ("facebookexternalhit/1.1", True),
        ("curl/8.1", True),
    ],
)
def test_robots_are_told_from_people(agent: str, is_bot: bool) -> None:
    assert (bot_kind(agent) is not None) is is_bot


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({}, ""),
        ({"type": "husk"}, "type_unknown"),
        ({"type": None}, "type_unknown"),
        ({"type": ["track"]}, "type_unknown"),
        ({"userId": None}, "no_user_anon_id"),
        ({"userId": "  "}, "no_user_anon_id"),
        ({"userId": ["u"]}, "user_id_invalid"),
        ({"userId": True}, "user_id_invalid"),
        ({"anonymousId": {"a": 1}}, "anonymous_id_invalid"),
        ({"messageId": [1]}, "message_id_invalid"),
        ({"messageId": "m" * 257}, "message_id_invalid"),
        ({"userId": "u" * 257}, "id_too_large"),
        ({"userId": "ü" * 129}, "id_too_large"),
        ({"event": None}, "event_not_defined"),
        ({"event": ""}, "event_not_defined"),
        ({"event": 7}, "event_not_string"),
        ({"properties": [1]}, "properties_not_object"),
        ({"traits": "x"}, "traits_not_object"),
        ({"context": 1}, "context_not_object"),
        ({"integrations": []}, "integrations_not_object"),
        ({"name": 1}, "name_not_string"),
        ({"category": {}}, "category_not_string"),
        ({"type": "group"}, "id_required"),
        ({"type": "alias"}, "id_required"),
        ({"context": {"consent": []}}, "consent_categorypreferences_should_be_object"),
        ({"context": {"consent": {"categoryPreferences": []}}}, "consent_categorypreferences_should_be_object"),
        (
            {"context": {"consent": {"categoryPreferences": {"ads": "false"}}}},
            "consent_categorypreferences_fields_should_be_bool",
        ),
        ({"context": {"consent": {"categoryPreferences": {"ads": False}}}}, ""),
    ],
    ids=str,
)
def test_segments_words_say_what_is_wrong(event: dict[str, Any], code: str) -> None:
    assert code_of(event) == code


def test_the_path_says_the_type_of_a_single_event() -> None:
    assert code_of({"type": "husk"}, route_type="track") == ""
