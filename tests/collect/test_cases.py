"""The numbered cases of bad input, each at the door (what concerns the fold is tested on the whole product)."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.collect.knocking import NOON, Answer, Shop, basic
from tillit.clock import DAY, rfc3339
from tillit.collect.limits import Limits

GOOD = b'{"type":"track","event":"E","userId":"u","messageId":"good"}'


def batch_of(*events: bytes) -> bytes:
    return b'{"batch":[' + b",".join(events) + b"]}"


def codes(answer: Answer) -> list[str]:
    return [rejected["code"] for rejected in answer.json["rejected"]]


def test_case_1_nesting_5000_deep_is_400_and_in_a_batch_costs_only_itself(shop: Shop) -> None:
    deep = b'{"type":"track","event":"E","userId":"u","properties":' + b'{"a":' * 5000 + b"1" + b"}" * 5001

    assert shop.send("POST", "/v1/track", b"[" * 5000 + b"]" * 5000, headers=basic("PUB")).status == 400
    assert shop.send("POST", "/v1/track", deep, headers=basic("PUB")).status == 400
    assert shop.batch(batch_of(deep)).status == 400
    mixed = shop.batch(batch_of(GOOD, deep))

    assert (mixed.status, codes(mixed), shop.message_ids()) == (200, ["too_deep"], ["good"])
    assert {row.code for row in shop.quarantined()} == {"too_deep"}


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400"])
def test_case_2_numbers_that_are_none_are_rejected(shop: Shop, number: bytes) -> None:
    bad = b'{"type":"track","event":"E","userId":"u","properties":{"x":' + number + b"}}"

    assert shop.send("POST", "/v1/track", bad, headers=basic("PUB")).status == 400
    mixed = shop.batch(batch_of(bad, GOOD))

    assert (mixed.status, codes(mixed), shop.message_ids()) == (200, ["number_out_of_range"], ["good"])


@pytest.mark.parametrize(
    "ids", [b'"userId":"a","userId":"b"', b'"userId":"a","user\\u0049d":"b"', b'"userId" :"a","userId":"b"']
)
def test_case_3_a_key_that_stands_twice_goes_to_quarantine(shop: Shop, ids: bytes) -> None:
    twice = b'{"type":"track","event":"E",' + ids + b"}"

    single = shop.send("POST", "/v1/track", twice, headers=basic("PUB"))
    mixed = shop.batch(batch_of(twice, GOOD))

    assert (single.status, codes(single)) == (200, ["duplicate_key"])
    assert (codes(mixed), shop.message_ids()) == (["duplicate_key"], ["good"])
    assert [row.raw for row in shop.quarantined()] == [twice, twice]


def test_case_3_a_key_twice_beside_the_events_is_400(shop: Shop) -> None:
    assert shop.batch(b'{"batch":[],"batch":[' + GOOD + b"]}").status == 400
    assert shop.batch(b'{"writeKey":"a","writeKey":"b","batch":[' + GOOD + b"]}").status == 400
    assert shop.message_ids() == []


@pytest.mark.parametrize(
    ("number", "kept"),
    [(b"42", "42"), (b"9007199254740992", str(2**53)), (b"0", "0"), (b"-7", "-7")],
)
def test_case_4_a_numeric_id_becomes_a_text(shop: Shop, number: bytes, kept: str) -> None:
    shop.batch(batch_of(b'{"type":"track","event":"E","userId":' + number + b"}"))

    assert [event["userId"] for event in shop.events()] == [kept]


@pytest.mark.parametrize("number", [b"9007199254740993", b"-9007199254740993", b"1.5", b"42.0", b"1e3"])
def test_case_4_an_id_that_may_have_been_rounded_is_refused(shop: Shop, number: bytes) -> None:
    for field in (b"userId", b"anonymousId"):
        answer = shop.batch(batch_of(b'{"type":"track","event":"E","' + field + b'":' + number + b"}"))

        assert codes(answer) == ["id_out_of_range"]
    assert shop.message_ids() == []


def test_case_4_two_large_numeric_ids_never_become_one_person(shop: Shop) -> None:
    for number in (2**64, 2**64 + 1):
        shop.batch(batch_of(b'{"type":"track","event":"E","userId":%d}' % number))

    assert shop.message_ids() == []


def test_case_5_an_integer_of_5000_digits_is_400_and_in_a_batch_costs_only_itself(shop: Shop) -> None:
    bad = b'{"type":"track","event":"E","userId":"u","properties":{"n":' + b"9" * 5000 + b"}}"

    assert shop.send("POST", "/v1/track", bad, headers=basic("PUB")).status == 400
    assert codes(shop.batch(batch_of(GOOD, bad))) == ["number_out_of_range"]
    assert shop.message_ids() == ["good"]


@pytest.mark.parametrize("half", [b"\\ud800", b"\\udc00", b"a\\uDBFFb", b"\\ud800\\ud800"])
def test_case_6_half_a_surrogate_is_rejected(shop: Shop, half: bytes) -> None:
    bad = b'{"type":"identify","userId":"u","traits":{"name":"' + half + b'"}}'

    assert shop.send("POST", "/v1/identify", bad, headers=basic("PUB")).status == 400
    assert codes(shop.batch(batch_of(bad, GOOD))) == ["lone_surrogate"]
    assert shop.message_ids() == ["good"]


def test_case_6_whole_surrogate_pairs_are_texts_like_any_other(shop: Shop) -> None:
    shop.batch(batch_of(b'{"type":"identify","userId":"u","traits":{"mood":"\\ud83d\\ude00"}}'))

    assert shop.events()[0]["traits"] == {"mood": "\U0001f600"}


@pytest.mark.parametrize("field", ["userId", "anonymousId", "messageId", "groupId", "previousId"])
def test_case_7_nul_in_an_id_is_rejected(shop: Shop, field: str) -> None:
    event = {"type": "track", "event": "E", "userId": "u", field: "a\0b"}

    assert codes(shop.batch(json.dumps({"batch": [event]}).encode())) == ["nul_in_id"]


def test_case_7_nul_in_other_texts_is_rejected_and_its_spelling_is_not(shop: Shop) -> None:
    answer = shop.batch(
        batch_of(
            b'{"type":"track","event":"a\\u0000b","userId":"u"}',
            b'{"type":"track","event":"a\\\\u0000b","userId":"u","messageId":"spelled"}',
        )
    )

    assert codes(answer) == ["nul_in_text"]
    assert shop.message_ids() == ["spelled"]


def test_case_8_a_bomb_is_400_and_never_unpacked_beyond_the_limit(shop: Shop) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    gzipped = {**basic("PUB"), "Content-Encoding": "gzip"}

    assert shop.send("POST", "/v1/batch", bomb, headers=gzipped).status == 400
    assert shop.send("POST", "/v1/batch", gzip.compress(bomb), headers=gzipped).status == 400
    assert shop.send("POST", "/v1/batch", bomb, headers={**gzipped, "Content-Encoding": "gzip, gzip"}).status == 400
    assert shop.send("POST", "/v1/batch", gzip.compress(b"[" * 400_000), headers=gzipped).status == 400


def test_case_8_one_layer_of_packing_is_undone_whatever_the_header_says(shop: Shop) -> None:
    body = batch_of(GOOD)
    bare = zlib.compressobj(wbits=-15)
    packed = [
        (gzip.compress(body), {"Content-Encoding": "gzip"}),
        (gzip.compress(body), {}),
        (zlib.compress(body), {"Content-Encoding": "deflate"}),
        (bare.compress(body) + bare.flush(), {"Content-Encoding": "deflate"}),
        (body, {"Content-Encoding": "gzip"}),
    ]

    assert [shop.send("POST", "/v1/batch", b, headers={**basic("PUB"), **h}).status for b, h in packed] == [200] * 5
    assert shop.message_ids() == ["good"] * 5


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b + b"x", lambda b: b[:10] + b"\0\0\0" + b[13:]])
def test_case_8_a_damaged_stream_is_400(shop: Shop, damage: Any) -> None:
    packed = damage(gzip.compress(batch_of(GOOD)))

    assert shop.send("POST", "/v1/batch", packed, headers={**basic("PUB"), "Content-Encoding": "gzip"}).status == 400


def test_case_9_a_body_that_never_ends_is_cut_off_by_size_or_by_time(tmp_path: Path) -> None:
    shop = Shop(tmp_path, limits=Limits(body_read_s=0.05))
    slow = shop.send("POST", "/v1/batch", headers=basic("PUB"), chunks=[b'{"batch":['], is_endless=True)
    endless = shop.send("POST", "/v1/batch", headers=basic("PUB"), chunks=[b" " * 65_536] * 10, is_endless=True)
    shop.close()

    assert (slow.status, endless.status) == (408, 400)


def test_case_9_a_length_beyond_the_limit_is_refused_before_a_byte_is_read(shop: Shop) -> None:
    headers = {**basic("PUB"), "Content-Length": "512001"}

    assert shop.send("POST", "/v1/batch", headers=headers, chunks=[], is_endless=True).status == 400


def test_case_9_one_huge_event_costs_none_of_the_good_ones(shop: Shop) -> None:
    huge = b'{"type":"track","event":"E","userId":"u","properties":{"x":"' + b"x" * 300_000 + b'"}}'

    answer = shop.batch(batch_of(huge, *[GOOD] * 2000))

    assert (answer.json["accepted"], codes(answer)) == (2000, ["event_too_large"])
    assert shop.quarantined()[0].raw == huge


def test_case_10_an_event_with_an_explosion_of_keys_goes_to_quarantine(shop: Shop) -> None:
    event = {"type": "track", "event": "E", "userId": "u", "properties": {f"k{i}": 1 for i in range(2000)}}

    assert codes(shop.batch(json.dumps({"batch": [event]}).encode())) == ["too_many_keys"]


def test_case_11_strange_keys_are_data_like_any_other(shop: Shop) -> None:
    keys = ["__proto__", "constructor", "$set", "a.b", "", "event_id", "select", "position", "' or 1=1 --", "{in}", "?"]
    event = {
        "type": "track",
        "event": "E",
        "userId": "u",
        "properties": dict.fromkeys(keys, 1),
        **dict.fromkeys(keys, 2),
    }

    shop.batch(json.dumps({"batch": [event]}).encode())

    logged = shop.events()[0]
    assert logged["properties"] == dict.fromkeys(keys, 1)
    assert {key: logged[key] for key in keys} == dict.fromkeys(keys, 2)


def test_case_11_a_key_of_a_megabyte_is_refused(shop: Shop) -> None:
    event = b'{"type":"track","event":"E","userId":"u","' + b"k" * 1_000_000 + b'":1}'

    assert shop.send("POST", "/v1/track", event, headers=basic("PUB")).status == 400


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "nonsense", ""])
def test_case_12_a_body_is_json_whatever_its_content_type_says(shop: Shop, kind: str) -> None:
    answer = shop.send("POST", "/v1/batch", batch_of(GOOD), headers={**basic("PUB"), "Content-Type": kind})

    assert (answer.status, shop.message_ids()) == (200, ["good"])


@pytest.mark.parametrize(
    "coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_case_12_bodies_in_other_codings_are_read_right(shop: Shop, coding: str) -> None:
    body = '{"batch":[{"type":"track","event":"Åter","userId":"ü","messageId":"m"}]}'.encode(coding)

    assert shop.batch(body).status == 200
    assert [(event["event"], event["userId"]) for event in shop.events()] == [("Åter", "ü")]


def test_case_12_what_is_no_json_is_400_and_says_so(shop: Shop) -> None:
    for body in (
        b"",
        b"hello",
        b"a=b&c=d",
        b"<x/>",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"batch":{}}',
        b"{}",
    ):
        answer = shop.batch(body)

        assert (answer.status, set(answer.json["error"])) == (400, {"code", "message", "details"})
    assert shop.quarantined() == []


def test_case_13_a_property_may_change_its_type_from_event_to_event(shop: Shop) -> None:
    values: list[Any] = [1, "1", 1.5, True, None, [1, "a"], {"a": 1}]
    events = [{"type": "track", "event": "E", "userId": "u", "properties": {"x": value}} for value in values]

    shop.batch(json.dumps({"batch": events}).encode())

    assert [event["properties"]["x"] for event in shop.events()] == values


def test_case_14_a_public_key_is_only_claimed_and_keeps_to_its_origins(shop: Shop) -> None:
    body = batch_of(GOOD)

    def from_origin(origin: str) -> int:
        return shop.send("POST", "/v1/batch", body, headers={**basic("SHOP"), "Origin": origin}).status

    assert from_origin("https://shop.example") == 200
    assert from_origin("https://www.shop.example") == 200
    assert [
        from_origin(origin)
        for origin in ("https://evil.example", "http://shop.example", "https://shop.example.evil.example", "null")
    ] == [403] * 4
    assert shop.batch(body, key="SHOP").status == 403  # no origin at all
    assert {row.trust for row in shop.rows()} == {1}


def test_case_14_a_public_key_may_not_say_where_it_is(shop: Shop) -> None:
    shop.track(context={"ip": "198.51.100.5", "direct": True})

    assert shop.events()[0]["context"]["ip"] == "203.0.113.0"  # the client's own address, last octet cut


def test_case_14_a_key_has_a_quota(tmp_path: Path) -> None:
    shop = Shop(tmp_path, limits=Limits(rate_per_key_per_s=2))

    answers = [shop.track() for _ in range(3)]
    shop.clock.monotonic += 1
    later = shop.track()
    shop.close()

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert (answers[2].headers["retry-after"], later.status) == ("1", 200)


def test_case_15_a_servers_key_from_a_browser_is_refused(shop: Shop) -> None:
    answer = shop.send("POST", "/v1/batch", batch_of(GOOD), headers={**basic("SEC"), "Origin": "https://shop.example"})

    assert (answer.status, answer.json["error"]["code"]) == (403, "collect.secret-key-in-browser")


def test_case_16_a_revoked_key_stops_at_the_next_request(tmp_path: Path) -> None:
    from tests.collect.knocking import FakeKey, KeyRing

    ring = KeyRing(K=FakeKey("k"))
    shop = Shop(tmp_path, keys=ring)
    before = shop.send("POST", "/v1/batch", batch_of(GOOD), headers=basic("K"))
    del ring["K"]
    after = shop.send("POST", "/v1/batch", batch_of(GOOD), headers=basic("K"))
    ids = shop.message_ids()
    shop.close()

    assert (before.status, after.status, ids) == (200, 401, ["good"])


def test_case_17_the_same_ids_in_two_workspaces_meet_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a, b = Shop(tmp_path / "a"), Shop(tmp_path / "b")
    a.track(userId="u1")
    ids = (a.message_ids(), b.message_ids())
    a.close()
    b.close()

    assert ids == (["m1"], [])


@pytest.mark.parametrize(
    "given",
    ["9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "-271821-04-20T00:00:00.000Z", "+275760-09-13T00:00:00.000Z"],
)
def test_case_27_and_28_a_wild_date_is_clamped_and_both_clocks_are_kept(shop: Shop, given: str) -> None:
    shop.track(timestamp=given)

    (row,), (event,) = shop.rows(), shop.events()
    assert row.event_at == NOON
    assert (event["timestamp"], event["originalTimestamp"], event["clock"]) == (rfc3339(NOON), given, "clamped")


def test_case_28_no_event_is_dated_ahead_of_its_arrival_beyond_the_tolerance(shop: Shop) -> None:
    for number, ahead in enumerate((299, 300, 301, 86_400)):
        shop.track(messageId=f"m{number}", timestamp=rfc3339(NOON + ahead * 1_000_000))

    assert [row.event_at - NOON for row in shop.rows()] == [299_000_000, 300_000_000, 0, 0]


def test_case_30_a_replayed_request_is_known_by_its_message_id(shop: Shop) -> None:
    shop.track()
    shop.clock.at += DAY
    shop.track()

    first, second = shop.rows()
    assert first.message_hash == second.message_hash


def test_case_31_the_same_id_with_another_body_has_the_same_hash_and_another_source_has_not(shop: Shop) -> None:
    shop.track()
    shop.track(event="Other")
    shop.batch(batch_of(b'{"type":"track","event":"E","userId":"u","messageId":"m1"}'), key="SEC")

    first, second, other_source = shop.rows()
    assert first.message_hash == second.message_hash
    assert first.body != second.body
    assert other_source.message_hash != first.message_hash
