"""Cases 1 to 7 and 9 to 13 on the whole product: what strangers write, and what becomes of it and of its neighbours."""

import codecs
import gzip
import json
import socket
import threading
import time
import zlib

import pytest

from tests.abuse.knocking import Stranger, codes, raw_event
from tests.running import RunningServer
from tillit.profile.strands import MAX_NAMES, MAX_SEEN, MAX_TRAITS

MEGABYTE = 1_000_000


def assert_only_the_bad_one_is_missing(stranger: Stranger, bad: bytes, code: str) -> None:
    """Send good, bad, good: the good ones are in their profiles, the bad one in quarantine as it came."""
    answer = stranger.batch(stranger.good("before"), bad, stranger.good("behind"))

    assert (answer.status, answer.json()["accepted"], codes(answer)) == (200, 2, [code])
    assert [raw for found, raw in stranger.quarantined() if found == code] == [bad]
    assert stranger.profile("bad") is None
    for word in ("before", "behind"):
        found = stranger.profile(word)
        assert found is not None
        assert found["counts"] == {"Good": 1}
    assert len(stranger.taken()) == 2
    assert stranger.is_served_as_before()


def test_case_01_nesting_costs_only_the_event_that_is_nested(stranger: Stranger) -> None:
    deep = raw_event(stranger.name("bad"), b'{"a":' * 5_000 + b"1" + b"}" * 5_000)

    assert stranger.post("/v1/track", deep).status == 400
    for body in (b"[" * 200_000, b"[" * 5_000 + b"]" * 5_000, b'{"batch":' * 5_000, b'{"batch":[' + b"[" * 100_000):
        assert stranger.post("/v1/batch", body).status == 400
    assert stranger.post("/v1/track", deep).status == 400
    answer = stranger.batch(stranger.good("before"), deep, stranger.good("behind"))

    assert (answer.status, codes(answer)) == (200, ["too_deep"])
    # Sent alone it is 400, so that the sender learns of it; its bytes are kept all the same.
    assert stranger.quarantined() == [("too_deep", deep)] * 3
    assert len(stranger.taken()) == 2
    assert stranger.is_served_as_before()


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"1E999999999"])
def test_case_02_a_number_that_is_none_is_rejected(stranger: Stranger, number: bytes) -> None:
    bad = raw_event(stranger.name("bad"), b'{"x":' + number + b"}")

    assert_only_the_bad_one_is_missing(stranger, bad, "number_out_of_range")


def test_case_03_a_user_id_that_stands_twice_reaches_neither_person(stranger: Stranger) -> None:
    one, other = stranger.name("one"), stranger.name("other")
    spellings = (b'"userId"', b'"user\\u0049d"', b'"\\u0075serId"')
    for spelling in spellings:
        bad = b'{"type":"track","event":"Bad","userId":"%b",%b:"%b"}' % (one.encode(), spelling, other.encode())

        answer = stranger.batch(stranger.good(), bad)

        assert (answer.status, codes(answer)) == (200, ["duplicate_key"])
        assert stranger.post("/v1/track", bad).json()["rejected"][0]["code"] == "duplicate_key"
    assert [code for code, _ in stranger.quarantined()] == ["duplicate_key"] * 2 * len(spellings)
    assert (stranger.profile("one"), stranger.profile("other")) == (None, None)
    assert stranger.profile("good") is not None
    assert stranger.is_served_as_before()


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63, 2**64, 2**64 + 1, 10**30])
def test_case_04_a_numeric_id_beyond_2_to_53_is_refused_never_rounded(stranger: Stranger, number: int) -> None:
    for field in ("userId", "anonymousId"):
        event = b'{"type":"track","event":"%b","%b":%d}' % (stranger.mark.encode(), field.encode(), number)

        answer = stranger.batch(event, stranger.good())

        assert (answer.status, answer.json()["accepted"], len(codes(answer))) == (200, 1, 1)
        assert set(codes(answer)) <= {"id_out_of_range", "number_out_of_range"}
    for near in {number, int(float(number)), number - 1, number + 1}:
        for namespace in ("user_id", "anonymous_id"):
            found = stranger.server.find_profile(f"{namespace}:{near}")
            assert found is None or stranger.mark not in found["counts"]
    assert stranger.is_served_as_before()


def test_case_04_the_largest_exact_number_and_its_text_are_one_person(stranger: Stranger) -> None:
    stranger.batch({"type": "track", "event": "E", "userId": 2**53})
    stranger.batch({"type": "track", "event": "E", "userId": str(2**53)})

    found = stranger.server.find_profile(f"user_id:{2**53}")

    assert found is not None
    assert found["counts"] == {"E": 2}


@pytest.mark.parametrize("digits", [20, 4_301, 5_000, 30_000])
def test_case_05_an_integer_of_many_digits_costs_only_its_event(stranger: Stranger, digits: int) -> None:
    bad = raw_event(stranger.name("bad"), b'{"n":' + b"9" * digits + b"}")

    assert_only_the_bad_one_is_missing(stranger, bad, "number_out_of_range")


def test_case_05_as_an_id_or_alone_it_is_no_crash_either(stranger: Stranger) -> None:
    nines = b"9" * 5_000
    assert stranger.post("/v1/track", b'{"event":"E","userId":' + nines + b"}").status == 400
    assert stranger.post("/v1/track", nines).status == 400
    assert stranger.post("/v1/batch", b'{"sentAt":' + nines + b',"batch":[]}').status == 400
    assert stranger.is_served_as_before()


@pytest.mark.parametrize("half", [b'"\\ud800"', b'"a\\udc00"', b'"\\ud800\\ud800"', b'{"\\ud83d":1}'])
def test_case_06_half_a_surrogate_is_turned_away_at_the_door(stranger: Stranger, half: bytes) -> None:
    bad = raw_event(stranger.name("bad"), b'{"x":' + half + b"}")

    assert_only_the_bad_one_is_missing(stranger, bad, "lone_surrogate")


def test_case_06_a_whole_pair_is_an_emoji(stranger: Stranger) -> None:
    stranger.batch(raw_event(stranger.name("smile"), b'{"x":"\\ud83d\\ude00"}'))

    assert stranger.server.events_of(f"user_id:{stranger.name('smile')}")[0]["properties"] == {"x": "\N{GRINNING FACE}"}


def test_case_07_nul_in_an_id_or_a_text_is_turned_away(stranger: Stranger) -> None:
    name = stranger.name("bad").encode()
    in_id = b'{"type":"track","event":"E","userId":"%b\\u0000tail"}' % name
    in_text = raw_event(stranger.name("bad"), b'{"a\\u0000b":"x\\u0000y"}')
    written_out = raw_event(stranger.name("fine"), b'{"a":"\\\\u0000"}')  # a backslash and six letters: no NUL

    answer = stranger.batch(in_id, in_text, written_out, stranger.good())

    assert (answer.status, codes(answer), answer.json()["accepted"]) == (200, ["nul_in_id", "nul_in_text"], 2)
    assert stranger.profile("bad") is None
    assert (stranger.profile("fine") is not None, stranger.profile("good") is not None) == (True, True)
    assert stranger.server.read(f"/api/profiles/user_id:{stranger.name('bad')}%00tail").status == 404
    assert stranger.is_served_as_before()


def memory_of(server: RunningServer) -> int:
    return int(sum(process.memory_info().rss for process in server.processes()))


def test_case_08_a_gzip_bomb_is_refused_and_takes_no_memory(stranger: Stranger) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(b"\0" * MEGABYTE) for _ in range(100)) + packer.flush()
    assert len(bomb) < 100_000
    twice = gzip.compress(bomb)
    before = memory_of(stranger.server)

    for body in (bomb, twice):
        for encoding in ("gzip", "", "gzip, gzip", "identity", "br", "deflate"):
            answer = stranger.post("/v1/batch", body, headers={"Content-Encoding": encoding})
            assert answer.status == 400

    assert memory_of(stranger.server) - before < 30 * MEGABYTE
    assert stranger.is_served_as_before()


def test_case_08_one_layer_is_undone_and_two_are_not(stranger: Stranger) -> None:
    body = json.dumps({"batch": [stranger.good("once")]}).encode()
    again = json.dumps({"batch": [stranger.good("twice")]}).encode()
    gzipped = {"Content-Encoding": "gzip"}

    assert stranger.post("/v1/batch?wait=applied", gzip.compress(body), headers=gzipped).status == 200
    assert stranger.post("/v1/batch", gzip.compress(gzip.compress(again)), headers=gzipped).status == 400
    assert stranger.post("/v1/batch", gzip.compress(again) + b"tail", headers=gzipped).status == 400
    assert stranger.post("/v1/batch", gzip.compress(again)[:-9], headers=gzipped).status == 400

    assert (stranger.profile("once") is not None, stranger.profile("twice")) == (True, None)


def test_case_09_a_hundred_half_said_requests_keep_nobody_waiting(stranger: Stranger) -> None:
    head = b"POST /v1/track HTTP/1.1\r\nHost: x\r\n" + stranger.authorization()
    starts = (
        b"",
        b"POST /v1/tr",
        head,
        head + b"Content-Length: 400000\r\n\r\n{",
        head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    )
    slow = []
    for n in range(100):
        wire = socket.create_connection(("127.0.0.1", stranger.server.port), timeout=5)
        wire.sendall(starts[n % len(starts)])
        slow.append(wire)

    began = time.monotonic()
    served = stranger.is_served_as_before()
    took_s = time.monotonic() - began

    for wire in slow:
        wire.close()
    assert served
    assert took_s < 5
    assert stranger.taken() == []


def test_case_09_a_body_that_never_ends_is_cut_off_at_the_limit(stranger: Stranger) -> None:
    head = b"POST /v1/track HTTP/1.1\r\nHost: x\r\n" + stranger.authorization() + b"Transfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"

    heard = stranger.say(head, more=[chunk] * 12)

    assert b"400 Bad Request" in heard
    assert b"collect.body-too-large" in heard
    assert stranger.is_served_as_before()


def test_case_09_an_oversized_event_is_quarantined_and_an_oversized_batch_is_400(stranger: Stranger) -> None:
    huge = {"type": "track", "event": "Bad", "userId": stranger.name("bad"), "properties": {}}
    huge["properties"] = {f"p{n}": "x" * 8_000 for n in range(5)}
    many = [stranger.good(f"many{n}") for n in range(200)]

    mixed = stranger.batch(*many[:100], huge, *many[100:])
    too_many = stranger.batch(*({"type": "track", "event": "E", "userId": stranger.name("no")} for _ in range(2_501)))
    too_long = stranger.post("/v1/batch", b'{"batch":[' + b" " * 512_000 + b"]}")

    assert (mixed.status, mixed.json()["accepted"], codes(mixed)) == (200, 200, ["event_too_large"])
    assert (too_many.status, too_many.json()["error"]["code"]) == (400, "collect.body-too-large")
    assert (too_long.status, too_long.json()["error"]["code"]) == (400, "collect.body-too-large")
    assert (stranger.profile("bad"), stranger.profile("no")) == (None, None)
    assert (stranger.profile("many0") is not None, stranger.profile("many199") is not None) == (True, True)
    assert [code for code, _ in stranger.quarantined()] == ["event_too_large"]
    assert stranger.is_served_as_before()


def test_case_10_a_person_stays_readable_whatever_names_are_made_up(stranger: Stranger) -> None:
    who = stranger.name("keys")
    before = memory_of(stranger.server)
    answers = []
    for start in range(0, 6_000, 100):
        names = range(start, start + 100)
        answers.append(
            stranger.batch(
                {"type": "identify", "userId": who, "traits": {f"trait{n}": "x" * 200 for n in names}},
                *({"type": "track", "userId": who, "event": f"Name {n}", "properties": {f"k{n}": n}} for n in names),
                *({"type": "track", "userId": who, "event": "Seen", "anonymousId": f"{who}-{n}"} for n in names),
            )
        )

    assert {answer.status for answer in answers} == {200}
    began = time.monotonic()
    answer = stranger.server.read(f"/api/profiles/user_id:{who}")
    took_s = time.monotonic() - began
    found = answer.json()
    assert found["n_events"] == 6_000 * 2 + 60  # nothing is lost from the sums
    assert len(found["counts"]) <= MAX_NAMES + 1
    assert len(found["traits"]) <= MAX_TRAITS
    assert len(found["identifiers"]) <= 2 * MAX_SEEN
    assert len(answer.body) < MEGABYTE
    assert took_s < 2
    assert memory_of(stranger.server) - before < 200 * MEGABYTE
    too_many = stranger.batch({"type": "identify", "userId": who, "traits": {f"t{n}": 1 for n in range(600)}})
    assert codes(too_many) == ["too_many_keys"]
    assert stranger.is_served_as_before()


def test_case_10_fat_traits_do_not_make_a_document_that_slows_every_event(stranger: Stranger) -> None:
    who = stranger.name("fat")
    for start in range(0, 120, 15):
        stranger.batch(
            *(
                {"type": "identify", "userId": who, "traits": {f"t{n}-{k}": "x" * 8_000 for k in range(3)}}
                for n in range(start, start + 15)
            )
        )
    stranger.batch({"type": "identify", "userId": who, "traits": {"t0-0": "short"}})

    answer = stranger.server.read(f"/api/profiles/user_id:{who}")

    assert len(answer.body) < 400_000
    assert answer.json()["traits"]["t0-0"]["value"] == "short"
    assert stranger.is_served_as_before()


HOSTILE_KEYS = (
    "__proto__",
    "constructor",
    "prototype",
    "$set",
    "a.b",
    "",
    " ",
    "event_id",
    "SELECT",
    "__class__",
    "position",
    "properties",
    "'; DROP TABLE log; --",
    "\u202egnp.exe",
    "\N{ZERO WIDTH JOINER}",
    "0",
)


def test_case_11_hostile_keys_are_only_keys(stranger: Stranger) -> None:
    who = stranger.name("keys")
    said = {key: f"value {n}" for n, key in enumerate(HOSTILE_KEYS)}

    answer = stranger.batch(
        {"type": "track", "event": "E", "userId": who, "properties": said},
        {"type": "identify", "userId": who, "traits": said},
        {"type": "track", "event": "E", "userId": stranger.name("long"), "properties": {"k" * 200: 1}},
        {"type": "track", "event": "E", "userId": who, **{key: 1 for key in HOSTILE_KEYS if key != "properties"}},
    )
    megabyte = stranger.post("/v1/track", json.dumps({"userId": who, "event": "E", "k" * MEGABYTE: 1}).encode())

    assert (answer.status, answer.json()["accepted"], codes(answer)) == (200, 3, ["key_too_long"])
    assert (megabyte.status, megabyte.json()["error"]["code"]) == (400, "collect.body-too-large")
    found = stranger.profile("keys")
    assert found is not None
    assert {name: trait["value"] for name, trait in found["traits"].items()} == said
    assert [e["properties"] for e in stranger.server.events_of(f"user_id:{who}") if e["properties"]] == [said]
    assert stranger.is_served_as_before()


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "text/html",
        "",
        "\x01",
    ],
)
def test_case_12_json_is_read_whatever_the_content_type_says(stranger: Stranger, content_type: str) -> None:
    answer = stranger.post(
        "/v1/track?wait=applied", json.dumps(stranger.good()).encode(), headers={"Content-Type": content_type}
    )

    assert answer.status in ({200} if content_type != "\x01" else {200, 400})
    assert (stranger.profile("good") is not None) == (answer.status == 200)


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_case_12_unicode_with_and_without_a_mark_is_read(stranger: Stranger, coding: str) -> None:
    body = json.dumps({**stranger.good(), "properties": {"x": "Zoë \N{GRINNING FACE}"}}, ensure_ascii=False)

    answer = stranger.post("/v1/track?wait=applied", body.encode(coding))

    assert answer.status == 200
    events = stranger.server.events_of(f"user_id:{stranger.name('good')}")
    assert events[0]["properties"] == {"x": "Zoë \N{GRINNING FACE}"}


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"null", b"[]", b'"x"', b"1", b"{", b"{}{}", b"<xml/>", b"\x00", b"\x80\x05N.", b"\xff\xfe{"),
        *(b"userId=a&event=b", codecs.BOM_UTF8, b'{"userId":"\xff","event":"E"}'),
        '{"userId":"é","event":"E"}'.encode("latin-1"),
    ],
)
def test_case_12_what_is_no_json_object_is_400(stranger: Stranger, body: bytes) -> None:
    for path in ("/v1/track", "/v1/batch"):
        answer = stranger.post(path, body)

        assert answer.status == 400
        assert set(answer.json()["error"]) == {"code", "message", "details"}
    assert stranger.is_served_as_before()


def test_case_13_one_property_of_many_types_is_kept_as_it_came(stranger: Stranger) -> None:
    who = stranger.name("types")
    values = [1, "one", 1.5, True, None, [1, "x"], {"a": {"b": 1}}, "", [], {}, -(2**63), 2**53 + 1, 1e300]

    answer = stranger.batch(
        *({"type": "track", "event": "E", "userId": who, "properties": {"total": value}} for value in values),
        *({"type": "identify", "userId": who, "traits": {"plan": value}} for value in values),
        *({"type": "identify", "userId": who, "traits": {"email": value, "phone": value}} for value in values),
        *({"type": "track", "event": "E", "userId": who, "context": {"traits": value}} for value in values),
        *({"type": "track", "event": "E", "userId": who, "context": {"externalIds": value}} for value in values),
        *({"type": "track", "event": "E", "userId": who, "context": {"traits": {"email": value}}} for value in values),
    )

    assert (answer.status, codes(answer)) == (200, [])
    found = stranger.profile("types")
    assert found is not None
    assert found["n_events"] == 6 * len(values)
    assert found["traits"]["plan"]["value"] == 1e300
    events = stranger.server.events_of(f"user_id:{who}")
    assert [e["properties"]["total"] for e in reversed(events) if "total" in e["properties"]] == values
    assert set(stranger.server.fates().values()) <= {"duplicate", "conflict"}
    assert stranger.is_served_as_before()


def test_case_13_threads_of_bad_and_good_senders_do_not_meet(stranger: Stranger) -> None:
    bad = raw_event(stranger.name("bad"), b'{"x":NaN}')
    statuses: list[int] = []

    def knock(n: int) -> None:
        for k in range(10):
            statuses.append(stranger.batch(bad, stranger.good(f"t{n}-{k}")).status)

    threads = [threading.Thread(target=knock, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [200] * 40
    assert all(stranger.profile(f"t{n}-{k}") is not None for n in range(4) for k in range(10))
    assert stranger.is_served_as_before()
