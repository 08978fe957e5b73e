import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.collect.knocking import NOON
from tillit.collect.checks import BodyTooLarge, Flaw, UnreadableBody, read_body, read_messages
from tillit.collect.door import take
from tillit.collect.limits import Limits

LIMITS = Limits()


class Pairs(list[tuple[str, Any]]):
    """A JSON object that may hold a key twice."""


# Texts that look like JSON from inside: quotes, colons, braces, escapes, blanks before colons.
TRICKY = st.text(st.sampled_from('":{}[],\\ /aé\u2028\t\nu0'), max_size=8)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | TRICKY,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(TRICKY, inner), max_size=4).map(Pairs),
    max_leaves=8,
)


def written(value: Any, gap: str, ascii_only: bool) -> str:
    """Write JSON with repeated keys, with blanks where JSON allows them, with or without escapes."""
    if isinstance(value, Pairs):
        inside = [f"{written(key, gap, ascii_only)}{gap}:{gap}{written(each, gap, ascii_only)}" for key, each in value]
        return "{" + ",".join(inside) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(each, gap, ascii_only) for each in value) + "]"
    text = json.dumps(value, ensure_ascii=ascii_only)
    return text.replace(":", "\\u003a") if isinstance(value, str) and ascii_only else text


def has_repeated_key(value: Any) -> bool:
    if isinstance(value, Pairs):
        keys = [key for key, _ in value]
        return len(keys) != len(set(keys)) or any(has_repeated_key(each) for _, each in value)
    return isinstance(value, list) and any(has_repeated_key(each) for each in value)


@given(
    events=st.lists(st.lists(st.tuples(TRICKY, VALUES), max_size=5).map(Pairs), max_size=4),
    gap=st.sampled_from(["", " ", "\n\t"]),
    ascii_only=st.booleans(),
)
@example(events=[Pairs([("a", 1), ("b", 2), ("b", 3)])], gap=" ", ascii_only=False)
def test_a_repeated_key_is_found_wherever_a_careful_parser_finds_one(
    events: list[Pairs], gap: str, ascii_only: bool
) -> None:
    body = '{"batch":[' + ",".join(written(event, gap, ascii_only) for event in events) + "]}"

    reading = read_body(body.encode(), is_batch=True, limits=LIMITS)

    found = [isinstance(event, Flaw) and event.code == "duplicate_key" for event in reading.events]
    assert found == [has_repeated_key(event) for event in events]


@given(
    events=st.lists(st.lists(st.tuples(TRICKY, VALUES), max_size=5).map(Pairs), max_size=4),
    gap=st.sampled_from(["", " "]),
)
def test_an_events_raw_bytes_are_those_that_were_sent(events: list[Pairs], gap: str) -> None:
    sent = [written(event, gap, False).encode() for event in events]

    reading = read_body(b'{"batch":[' + b",".join(sent) + b"]}", is_batch=True, limits=LIMITS)

    assert [reading.raw(i) for i in range(len(sent))] == sent


BAD = {
    "nan": b'{"type":"track","event":"E","userId":"u","properties":{"x":NaN}}',
    "infinite": b'{"type":"track","event":"E","userId":"u","properties":{"x":1e400}}',
    "deep": b'{"type":"track","event":"E","userId":"u","properties":' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    "half a surrogate": b'{"type":"track","event":"\\ud800","userId":"u"}',
    "twice": b'{"type":"track","event":"E","userId":"u","userId":"v"}',
    "long integer": b'{"type":"track","event":"E","userId":"u","properties":{"x":' + b"9" * 5000 + b"}}",
    "not utf-8": b'{"type":"track","event":"\xff","userId":"u"}',
    "not json": b'{"type":"track","event":oops,"userId":"u"}',
    "not an object": b"[1,2]",
    "no ids": b'{"type":"track","event":"E"}',
    "no type": b'{"event":"E","userId":"u"}',
    "bad properties": b'{"type":"track","event":"E","userId":"u","properties":[1]}',
}


@given(bad=st.lists(st.sampled_from(sorted(BAD)), max_size=6), order=st.randoms(use_true_random=False))
def test_bad_events_never_cost_a_good_one(bad: list[str], order: Any) -> None:
    good = [b'{"type":"track","event":"E","userId":"u","messageId":"good-%d"}' % i for i in range(3)]
    events = good + [BAD[name] for name in bad]
    order.shuffle(events)

    taken = judged(b'{"batch":[' + b" , ".join(events) + b"]}")

    assert sorted(json.loads(row.body)["messageId"] for row in taken.rows) == ["good-0", "good-1", "good-2"]
    assert sorted(row.raw for row in taken.quarantine) == sorted(BAD[name] for name in bad)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nan", "number_out_of_range"),
        ("infinite", "number_out_of_range"),
        ("deep", "too_deep"),
        ("half a surrogate", "lone_surrogate"),
        ("twice", "duplicate_key"),
        ("long integer", "number_out_of_range"),
        ("not utf-8", "not_utf8"),
        ("not json", "not_json"),
        ("not an object", "event_not_object"),
        ("no ids", "no_user_anon_id"),
        ("no type", "type_unknown"),
        ("bad properties", "properties_not_object"),
    ],
)
def test_each_fault_has_its_code(name: str, code: str) -> None:
    taken = judged(b'{"batch":[' + BAD[name] + b"]}")

    assert [row.code for row in taken.quarantine] == [code]


@given(
    body=st.binary(max_size=200)
    | st.text(st.sampled_from('{}[]":,\\ batchu0123nulltrue.eE-'), max_size=60).map(str.encode)
)
@example(body=b'{"batch":[')
@example(body=b'{"batch":[{}')
@example(body=b'{"batch":[],}')
@example(body=b"\xff\xfe")
@example(body=b'{"batch":["]}')
def test_no_bytes_whatever_make_the_door_raise_anything_but_its_own_refusals(body: bytes) -> None:
    for route_type in (None, "track"):
        try:
            taken = judged(body, route_type)
        except (UnreadableBody, BodyTooLarge):
            continue
        assert len(taken.quarantine) == len(taken.rejected)


@given(
    values=st.dictionaries(
        st.sampled_from(
            [
                "userId",
                "anonymousId",
                "messageId",
                "event",
                "timestamp",
                "sentAt",
                "context",
                "properties",
                "traits",
                "type",
                "integrations",
                "name",
            ]
        ),
        VALUES,
    )
)
def test_no_value_in_any_field_makes_the_door_raise(values: dict[str, Any]) -> None:
    event = {"type": "track", "event": "E", "userId": "u", **values}
    body = '{"batch":[' + written(Pairs(event.items()), "", False) + "]}"

    taken = judged(body.encode())

    assert len(taken.rows) + len(taken.quarantine) == 1


@given(value=VALUES.filter(lambda value: not has_repeated_key(value)))
def test_what_is_logged_holds_the_properties_that_were_sent(value: Any) -> None:
    sent = json.loads(written(value, "", False))
    event = {"type": "track", "event": "E", "userId": "u", "properties": {"v": sent}}

    (row,) = judged(json.dumps({"batch": [event]}).encode()).rows

    assert json.loads(row.body)["properties"] == {"v": sent}


@pytest.mark.parametrize(("depth", "is_taken"), [(31, True), (32, True), (33, False)])
@pytest.mark.parametrize("opening", [b'{"a":', b"["])
def test_an_event_may_nest_as_deep_as_the_limit_and_no_deeper(depth: int, is_taken: bool, opening: bytes) -> None:
    closing = b"}" if opening == b'{"a":' else b"]"
    # The event and its properties are two levels.
    inner = opening * (depth - 2) + b"1" + closing * (depth - 2)
    body = b'{"batch":[{"type":"track","event":"E","userId":"u","properties":{"p":' + inner + b"}}]}"

    assert (len(judged(body).rows) == 1) is is_taken


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({f"k{i}": i for i in range(508)}, None),  # 508 + type, event, userId, properties = 512
        ({f"k{i}": i for i in range(509)}, "too_many_keys"),
        ({"k" * 128: 1}, None),
        ({"k" * 129: 1}, "key_too_long"),
        ({"é" * 65: 1}, "key_too_long"),  # 130 bytes
        ({"text": "x" * 8192}, None),
        ({"text": "x" * 8193}, "string_too_long"),
        ({"list": ["x" * 8193]}, "string_too_long"),
        ({"n": 2**63 - 1}, None),
        ({"n": 2**63}, "number_out_of_range"),
        ({"n": [-(2**63) - 1]}, "number_out_of_range"),
        ({f"k{i}": "x" * 1000 for i in range(33)}, "event_too_large"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_limits_hold_to_the_unit(properties: dict[str, Any], code: str | None) -> None:
    event = {"type": "track", "event": "E", "userId": "u", "properties": properties}

    taken = judged(json.dumps({"batch": [event]}, ensure_ascii=False).encode())

    assert [row.code for row in taken.quarantine] == ([] if code is None else [code])


def test_an_event_of_exactly_the_largest_size_is_taken_and_one_byte_more_is_not() -> None:
    def sized(size: int) -> bytes:
        frame = b'{"type":"track","event":"E","userId":"u","properties":{"a":"%s","b":"%s","c":"%s","d":"%s","e":"%s"}}'
        room = size - len(frame % ((b"",) * 5))
        return frame % (b"x" * 8000, b"x" * 8000, b"x" * 8000, b"x" * 8000, b"x" * (room - 32_000))

    for size, n_rows in ((32_768, 1), (32_769, 0)):
        assert len(sized(size)) == size
        assert len(judged(b'{"batch":[' + sized(size) + b"]}").rows) == n_rows


def test_a_batch_may_hold_2500_events_and_no_more() -> None:
    event = b'{"type":"track","event":"E","userId":"u"}'

    assert len(judged(b'{"batch":[' + b",".join([event] * 2500) + b"]}").rows) == 2500
    with pytest.raises(BodyTooLarge):
        judged(b'{"batch":[' + b",".join([event] * 2501) + b"]}")


def test_a_context_that_repeats_is_still_counted_and_one_that_only_seems_to_repeat_is_looked_at() -> None:
    event = b'{"type":"track","event":"E","userId":"u","context":%s,"properties":%s}'
    large = json.dumps({f"c{i}": "x" for i in range(300)}).encode()
    wide = json.dumps({f"p{i}": "x" for i in range(300)}).encode()
    number, too_large = b'{"x":1e30}', b'{"x":1000000000000000000000000000000}'

    counted = judged(b'{"batch":[' + event % (large, b"{}") + b"," + event % (large, wide) + b"]}")
    looked_at = judged(b'{"batch":[' + event % (number, b"{}") + b"," + event % (too_large, b"{}") + b"]}")

    assert [row.code for row in counted.quarantine] == ["too_many_keys"]
    assert [row.code for row in looked_at.quarantine] == ["number_out_of_range"]


def test_a_shared_context_cannot_be_used_to_blow_up_a_batch() -> None:
    body = b'{"context":{"a":"' + b"x" * 8192 + b'"},"batch":[]}'

    with pytest.raises(BodyTooLarge):
        judged(body)


def test_events_made_in_process_are_checked_like_those_from_outside() -> None:
    messages: list[dict[Any, Any]] = [
        {"type": "track", "event": "E", "userId": "u", "properties": {"x": float("nan")}},
        {"type": "track", "event": "E", "userId": "u", "properties": {"x": "\ud800"}},
        {"type": "track", "event": "E", "userId": "u", "properties": {"x": object()}},
        {"type": "track", "event": "E", "userId": "u", "properties": {1: 2}},
        {"type": "track", "event": "E", "userId": 2**53 + 1},
        {"type": "track", "event": "E", "userId": 42},
    ]

    taken = take(messages, route_type=None, source="s", trust=2, received_at=NOON, limits=LIMITS)

    assert [row.code for row in taken.quarantine] == [
        "number_out_of_range",
        "lone_surrogate",
        "not_json",
        "key_not_string",
        "id_out_of_range",
    ]
    assert [json.loads(row.body)["userId"] for row in taken.rows] == ["42"]
    assert messages[5]["userId"] == 42  # the caller's own objects are left alone


def test_reading_messages_twice_gives_the_same() -> None:
    message = {"type": "identify", "userId": "u", "traits": {"a": 1}}

    assert read_messages([message], limits=LIMITS).events == read_messages([message], limits=LIMITS).events


def judged(body: bytes, route_type: str | None = None) -> Any:
    return take(body, route_type=route_type, source="s", trust=1, received_at=NOON, limits=LIMITS, new_id=lambda: "new")
