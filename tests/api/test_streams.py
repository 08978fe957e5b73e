"""Live events arrive as they are applied, go on where a listener left, and end with the server."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.api.asking import Asker, Listener
from tests.api.conftest import KeyRing
from tests.looks import looks
from tests.still_clock import Clock
from tillit.api import Api
from tillit.api.streams import MOST_PER_KEY
from tillit.clock import SECOND
from tillit.workspace import Workspace


def run(ask: Asker, story: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(story(), 60)

    ask.runner.run(whole())


def test_live_events_arrive_in_order_and_others_do_not(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    async def story() -> None:
        listener = Listener(ask.app, "/api/events/stream", keys.reader)
        assert await listener.status() == 200
        people.track(user_id="7", event="First", message_id="s1")
        people.track(user_id="7", event="First", message_id="s1")
        people.track(user_id="42", event="Second", message_id="s2")
        people.flush()

        told = await listener.events(2)

        assert [(one["id"], one["name"]) for one in told] == [(7, "First"), (9, "Second")]
        await listener.leave()

    run(ask, story)


def test_a_listener_goes_on_where_it_left(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    async def story() -> None:
        by_header = Listener(ask.app, "/api/events/stream?after=1", keys.reader, {"Last-Event-ID": "4"})
        by_address = Listener(ask.app, "/api/events/stream?after=0&type=page", keys.reader)
        await by_header.status()
        await by_address.status()

        assert [one["message_id"] for one in await by_header.events(2)] == ["m5", "m6"]
        assert [one["message_id"] for one in await by_address.events(2)] == ["m1", "m6"]
        await by_header.leave()
        await by_address.leave()

    run(ask, story)


def test_a_last_event_id_that_is_no_number_is_refused(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    answer = ask.get("/api/events/stream", keys.reader, headers={"Last-Event-ID": "m5"})

    assert (answer.status, answer.code) == (400, "api.bad-request")


def test_streams_end_with_the_server(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    api = ask.app
    assert isinstance(api, Api)

    async def story() -> None:
        listener = Listener(api, "/api/events/stream", keys.reader)
        await listener.status()
        api.close()

        frames = [frame async for frame in listener.frames()]
        await listener.ended()

        assert [frame for frame in frames if "data:" in frame] == []

    run(ask, story)


def test_a_stream_ends_when_its_key_is_revoked(ask: Asker, people: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tillit.api.streams._KEY_EVERY_S", 0.01)
    plain, key = people.keys.create("api", "short")

    async def story() -> None:
        listener = Listener(ask.app, "/api/events/stream", plain)
        await listener.status()
        people.keys.revoke(key.key_id)

        await listener.ended()

    run(ask, story)


def test_a_silent_stream_is_kept_alive(
    ask: Asker, people: Workspace, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tillit.api.streams.HEARTBEAT_S", 0.0)

    async def story() -> None:
        listener = Listener(ask.app, "/api/events/stream", keys.reader)
        await listener.status()
        frames = listener.frames()
        await anext(frames)

        assert await anext(frames) == ": alive\nid: 6"
        await listener.leave()

    run(ask, story)


def test_a_key_holds_so_many_streams_and_a_place_is_free_again(ask: Asker, people: Workspace, keys: KeyRing) -> None:
    async def story() -> None:
        listeners = [Listener(ask.app, "/api/events/stream", keys.reader) for _ in range(MOST_PER_KEY)]
        for listener in listeners:
            await listener.status()
            await listener._messages.get()
        one_more = Listener(ask.app, "/api/events/stream", keys.reader)
        assert await one_more.status() == 429
        of_another_key = Listener(ask.app, "/api/events/stream", keys.all)
        assert await of_another_key.status() == 200

        await listeners[0].leave()
        instead = Listener(ask.app, "/api/events/stream", keys.reader)
        assert await instead.status() == 200

        for listener in (*listeners[1:], of_another_key, instead):
            await listener.leave()

    run(ask, story)


def test_whoever_a_stream_shows_is_noted_once_an_hour(
    ask: Asker, people: Workspace, keys: KeyRing, clock: Clock
) -> None:
    one = people.profiles.get("user_id:42")["id"]

    async def story() -> None:
        for hour in range(2):
            for _ in range(2):
                listener = Listener(ask.app, "/api/events/stream?purpose=analytics&after=0", keys.reader)
                await listener.status()
                await listener.events(1)
                await listener.leave()
            clock.go_on(3600 * SECOND * (1 - hour))

    run(ask, story)

    noted = [(n.route, n.purpose) for n in looks(people) if n.subject_ref == one]
    assert noted == [("GET /api/events/stream", "analytics")] * 2


def test_a_stream_holds_its_place_while_accesses_cannot_be_noted(
    ask: Asker, people: Workspace, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        monkeypatch.setattr(people.accesses, "_most_waiting", 0)
        listener = Listener(ask.app, "/api/events/stream?after=0", keys.reader)
        await listener.status()
        frames = listener.frames()
        begun = await anext(frames)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting := asyncio.ensure_future(anext(frames))), 0.3)
        monkeypatch.undo()

        first = await waiting

        assert begun.startswith("retry:")
        assert first.startswith("id: 1\n")
        await listener.leave()

    run(ask, story)
