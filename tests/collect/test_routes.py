import base64
import gzip
import json
from collections.abc import Sequence

import pytest

from tests.collect.knocking import Shop, basic, knock
from tillit.collect.routes import ROUTES, TrackingApi
from tillit.records import NewRow, QuarantineRow
from tillit.store import StoreFull, StoreLocked

EVENT = b'{"type":"track","event":"E","userId":"u","messageId":"m","groupId":"g","previousId":"p"}'
BATCH = b'{"batch":[' + EVENT + b"]}"
SINGLE = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias"}


@pytest.mark.parametrize("path", sorted(ROUTES))
def test_every_path_takes_what_it_is_for(shop: Shop, path: str) -> None:
    route = ROUTES[path]
    body = BATCH if route.type is None else EVENT

    answer = shop.send("POST", path, body, headers=basic("PUB"))

    assert answer.status == 200
    if not route.is_metrics:
        assert [event["type"] for event in shop.events()] == [route.type or "track"]


@pytest.mark.parametrize("prefix", ["/v1/", "/"])
@pytest.mark.parametrize("name", [*SINGLE, *SINGLE.values(), "b", "batch", "import", "m", "batch/v1/batch"])
@pytest.mark.parametrize("end", ["", "/"])
def test_the_protocols_paths_are_all_there(prefix: str, name: str, end: str) -> None:
    assert TrackingApi.knows(prefix + name + end)


def test_the_answer_says_what_was_taken_and_what_was_not(shop: Shop) -> None:
    answer = shop.batch(b'{"batch":[' + EVENT + b',{"type":"track","event":"E","messageId":"bad"}]}')

    assert answer.json == {
        "success": True,
        "accepted": 1,
        "rejected": [
            {
                "index": 1,
                "messageId": "bad",
                "code": "no_user_anon_id",
                "reason": "The event has neither a 'userId' nor an 'anonymousId'.",
            }
        ],
    }


def test_an_empty_batch_is_taken_and_nothing_is_logged(shop: Shop) -> None:
    assert shop.batch(b'{"batch":[]}').json == {"success": True, "accepted": 0, "rejected": []}


class Failing:
    def __init__(self, fault: Exception) -> None:
        self.fault = fault

    async def append(self, rows: Sequence[NewRow], quarantine: Sequence[QuarantineRow] = ()) -> tuple[int, int]:
        raise self.fault


@pytest.mark.parametrize(
    "fault", [StoreFull("full"), StoreLocked("locked"), RuntimeError("ana@example.org"), OSError(5)]
)
def test_trouble_of_ours_is_503_with_retry_after_and_names_nobody(
    shop: Shop, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    answer = knock(shop.with_commit(Failing(fault)), "POST", "/v1/batch", BATCH, headers=basic("PUB"))

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert set(answer.json["error"]) == {"code", "message", "details"}
    assert b"ana@" not in answer.body
    assert caplog.text
    assert "ana@" not in caplog.text


def test_no_answer_before_the_commit(shop: Shop) -> None:
    seen: list[int] = []

    class Watching:
        async def append(self, rows: Sequence[NewRow], quarantine: Sequence[QuarantineRow] = ()) -> tuple[int, int]:
            placed = await shop.group_commit.append(rows, quarantine)
            seen.append(shop.log.head())
            return placed

    answer = knock(shop.with_commit(Watching()), "POST", "/v1/batch", BATCH, headers=basic("PUB"))

    assert (answer.status, seen) == (200, [1])


@pytest.mark.parametrize("is_applied", [True, False])
def test_wait_applied_says_whether_the_event_is_in_its_profile(shop: Shop, is_applied: bool) -> None:
    shop.is_applied = is_applied

    answer = shop.send("POST", "/v1/batch", BATCH, headers=basic("PUB"), query="wait=applied")

    assert (answer.json["applied"], shop.waited) == (is_applied, [(1, 5.0)])


def test_a_key_may_stand_in_every_place_an_sdk_puts_it(shop: Shop) -> None:
    with_key = b'{"writeKey":"PUB","batch":[' + EVENT + b"]}"
    item_key = b'{"batch":[' + EVENT[:-1] + b',"writeKey":"PUB"}]}'
    colonless = {"Authorization": "Basic " + base64.b64encode(b"PUB").decode().rstrip("=")}
    ways = [
        (BATCH, basic("PUB"), ""),
        (BATCH, colonless, ""),
        (BATCH, {"authorization": "Bearer PUB"}, ""),
        (with_key, {"authorization": "Bearer some-oauth-token"}, ""),
        (BATCH, {"X-Write-Key": "PUB:secret"}, ""),
        (BATCH, {}, "writeKey=PUB"),
        (BATCH, {}, "writekey=PUB"),
        (with_key, {}, ""),
        (item_key, {}, ""),
    ]

    for body, headers, query in ways:
        assert shop.send("POST", "/v1/batch", body, headers=headers, query=query).status == 200
    assert all("writeKey" not in event for event in shop.events())


def test_the_header_counts_before_the_body(shop: Shop) -> None:
    body = b'{"writeKey":"PUB","batch":[' + EVENT + b"]}"

    shop.send("POST", "/v1/batch", body, headers=basic("SEC"))

    assert [row.source for row in shop.rows()] == ["till"]


def test_without_a_known_key_nothing_is_taken(shop: Shop) -> None:
    unknown = shop.batch(BATCH, key="nobody")
    missing = shop.send("POST", "/v1/batch", BATCH)
    reading = shop.batch(BATCH, key="API")

    assert [(a.status, a.json["error"]["code"]) for a in (unknown, missing, reading)] == [
        (401, "collect.unknown-key"),
        (401, "collect.no-key"),
        (403, "collect.key-may-not-append"),
    ]
    assert b"nobody" not in unknown.body
    assert shop.rows() == []


def test_preflights_need_no_key_and_every_answer_lets_the_page_read_it(shop: Shop) -> None:
    page = {"Origin": "https://shop.example"}
    asked = {"Access-Control-Request-Headers": "Authorization, X-Retry-Count", **page}

    preflight = shop.send("OPTIONS", "/any/path/at/all", headers=asked)
    refused = shop.send("POST", "/v1/t", b"", headers=page)

    assert preflight.status == 204
    assert preflight.headers["access-control-allow-headers"] == "Authorization, X-Retry-Count"
    for answer in (preflight, refused):
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["access-control-expose-headers"] == "Retry-After"
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "path", ["/v1/projects/PUB/settings", "/v1/projects/projects/PUB/settings", "/projects/PUB/settings"]
)
def test_settings_point_back_at_the_host_that_was_asked(shop: Shop, path: str) -> None:
    answer = shop.send("GET", path, headers={"Host": "collect.shop.example:8443"})

    integrations = answer.json["integrations"]
    assert list(integrations) == ["Segment.io"]
    assert integrations["Segment.io"]["apiHost"] == "collect.shop.example:8443/v1"
    assert integrations["Segment.io"]["protocol"] == "http"
    assert integrations["Segment.io"]["apiKey"] == "PUB"
    assert answer.json["metrics"] == {"sampleRate": 0}


@pytest.mark.parametrize("host", ['evil"><script>', "a/b", "", "x" * 300])
def test_a_host_that_is_none_is_not_repeated(shop: Shop, host: str) -> None:
    answer = shop.send("GET", "/v1/projects/PUB/settings", headers={"Host": host})

    assert answer.json["integrations"]["Segment.io"]["apiHost"] == "127.0.0.1:8000/v1"


@pytest.mark.parametrize("key", ["nobody", "SEC", "API", "x';alert(1)//"])
def test_only_a_public_key_has_a_script_and_settings(shop: Shop, key: str) -> None:
    assert shop.send("GET", f"/analytics.js/v1/{key}/analytics.min.js").status == 404
    assert shop.send("GET", f"/v1/projects/{key}/settings").status == 404


def test_the_script_carries_the_key(shop: Shop) -> None:
    plain = shop.send("GET", "/analytics.js/v1/PUB/analytics.min.js")
    packed = shop.send("GET", "/analytics.js/v1/PUB/analytics.min.js", headers={"Accept-Encoding": "gzip, br"})

    assert plain.headers["content-type"].startswith("text/javascript")
    assert b'window.analyticsWriteKey="PUB"' in plain.body
    assert b"__WRITE_KEY__" not in plain.body
    assert gzip.decompress(packed.body) == plain.body


def test_the_scripts_parts_are_served_and_nothing_else_is(shop: Shop) -> None:
    part = "queryString.bundle.34b193ada8fe288d1bd1.js"

    assert shop.send("GET", f"/analytics-next/bundles/{part}").status == 200
    for path in ("manifest.json", "..%2froutes.py", "analytics.js", "LICENSE.analytics-next.md"):
        assert shop.send("GET", f"/analytics-next/bundles/{path}").status == 404


def test_robots_are_asked_to_stay_away(shop: Shop) -> None:
    assert shop.send("GET", "/robots.txt").body == b"User-agent: *\nDisallow: /\n"


def test_a_pixel_is_an_event(shop: Shop) -> None:
    data = base64.b64encode(b'{"writeKey":"PUB","userId":"u","event":"Opened","messageId":"m2"}').decode()

    flat = shop.send("GET", "/pixel/v1/track", query="writeKey=PUB&anonymousId=a&event=Mail+Opened&messageId=m1&mail=7")
    packed = shop.send("GET", "/v1/pixel/track", query=f"data={data}")

    assert [flat.headers["content-type"], flat.body[:6], packed.status] == ["image/gif", b"GIF89a", 200]
    first, second = shop.events()
    assert (first["event"], first["anonymousId"], first["properties"]) == ("Mail Opened", "a", {"mail": "7"})
    assert (second["event"], second["userId"]) == ("Opened", "u")


def test_a_browsers_own_metrics_are_taken_and_dropped(shop: Shop) -> None:
    answer = shop.send("POST", "/v1/m", b'{"series":[{"type":"Counter","metric":"x","value":1}]}')

    assert (answer.status, shop.rows()) == (200, [])


def test_unknown_paths_and_methods_get_the_one_error_shape(shop: Shop) -> None:
    for method, path, status in (("GET", "/nowhere", 404), ("POST", "/nowhere", 404), ("PUT", "/v1/track", 405)):
        answer = shop.send(method, path)

        assert (answer.status, set(answer.json["error"])) == (status, {"code", "message", "details"})


def test_a_chunked_body_without_a_length_is_read_whole(shop: Shop) -> None:
    packed = gzip.compress(BATCH)

    answer = shop.send("POST", "/v1/b", headers=basic("PUB"), chunks=[packed[:9], packed[9:20], packed[20:], b""])

    assert (answer.status, shop.message_ids()) == (200, ["m"])


def test_errors_never_repeat_what_was_sent(shop: Shop) -> None:
    marked = "ana.marked@example.org"
    bodies = [
        json.dumps({"batch": [{"type": "track", "event": 1, "userId": marked}]}).encode(),
        b'{"batch":[{"type":"track","userId":"' + marked.encode() + b'","userId":"x"}]}',
        b'{"batch":"' + marked.encode() + b'"}',
        marked.encode(),
    ]

    for body in bodies:
        assert marked.encode() not in shop.batch(body).body
