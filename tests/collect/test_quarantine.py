import json

from tests.collect.knocking import NOON, Shop, basic
from tillit.collect.limits import Limits
from tillit.collect.quarantine import count_by_code, expire, find_quarantined, list_quarantined, note_replayed, retry


def test_a_bad_event_keeps_its_bytes_its_reason_and_its_sender(shop: Shop) -> None:
    raw = b'{"type" : "track",  "userId":"u", "messageId":"m"}'

    shop.batch(b'{"batch":[' + raw + b"]}", key="SEC")

    (kept,) = shop.quarantined()
    assert (kept.raw, kept.code, kept.source, kept.trust) == (raw, "event_not_defined", "till", 2)
    assert (kept.message_id, kept.received_at, kept.replayed_position) == ("m", NOON, None)


def test_a_mended_event_is_taken_with_its_own_time_and_sender(shop: Shop) -> None:
    shop.send("POST", "/v1/track", b'{"userId":"u","messageId":"m"}', headers=basic("PUB"))
    (kept,) = shop.quarantined()
    tables = shop.log.tables()

    assert retry(kept, limits=Limits()).rows == []
    taken = retry(kept, limits=Limits(), mended=b'{"userId":"u","messageId":"m","event":"E"}')
    shop.clock.at += 1_000_000
    first, _ = shop.log.append(taken.rows, now=shop.clock.at)
    note_replayed(tables, [(kept.quarantine_id, first)])

    (row,) = shop.rows()
    found = find_quarantined(tables, kept.quarantine_id)
    assert found is not None
    assert (row.received_at, row.source, found.replayed_position) == (NOON, "web", 1)
    assert count_by_code(tables) == {}
    tables.close()


def test_a_larger_limit_lets_the_bytes_in_as_they_came(shop: Shop) -> None:
    event = {"type": "track", "event": "E", "userId": "u", "properties": {"x": "y" * 9000}}
    shop.batch(json.dumps({"batch": [event]}).encode())
    (kept,) = shop.quarantined()

    first = retry(kept, limits=Limits(string_bytes=10_000))
    second = retry(kept, limits=Limits(string_bytes=10_000))

    assert len(first.rows) == 1
    # No message id was sent: the same row gets the same one each time, so a second replay is a duplicate.
    assert first.rows[0].message_hash == second.rows[0].message_hash


def test_bytes_are_let_go_after_their_time(shop: Shop) -> None:
    for at in (NOON - 10, NOON):
        shop.clock.at = at
        shop.batch(b'{"batch":[{}]}')
    tables = shop.log.tables()

    assert expire(tables, before=NOON) == 1
    assert [kept.received_at for kept in list_quarantined(tables)] == [NOON]
    tables.close()


def test_the_list_can_be_paged_and_narrowed(shop: Shop) -> None:
    shop.batch(b'{"batch":[{},{"type":"track"},{"type":"track","userId":"u"}]}')
    tables = shop.log.tables()

    newest = list_quarantined(tables, limit=1)

    assert [kept.quarantine_id for kept in newest] == [3]
    assert [kept.quarantine_id for kept in list_quarantined(tables, before=3)] == [2, 1]
    assert [kept.code for kept in list_quarantined(tables, code="no_user_anon_id")] == ["no_user_anon_id"]
    assert count_by_code(tables) == {"event_not_defined": 1, "no_user_anon_id": 1, "type_unknown": 1}
    tables.close()
