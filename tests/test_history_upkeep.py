"""What is kept of who is who, and kept up as the log moves, is what would be read anew: whatever happens in between.

In:    random steps in one workspace: events (late ones, joins, shared devices), acts of colleagues, erasures, other
       rules, a rebuild, a restart.
Out:   nothing: a difference fails.
Never: a second notion of the answer: the same question is asked of an empty folder.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audience.shop import Town
from tests.still_clock import Clock
from tillit.clock import DAY, HOUR, MINUTE
from tillit.errors import InputError
from tillit.flow.history import History, Needs
from tillit.workspace import Workspace

USERS = ("user-ana-7f3kq9", "user-bo-3x8vd2", "user-cem-5t1wz4")
DEVICES = ("device-one-9zk", "device-two-4wq")
EMAILS = ("ana@example.org", "bo@example.org")
HANDLES = (*(f"user_id:{one}" for one in USERS), *(f"email:{one}" for one in EMAILS))
ADS = ("consent", ("Ads",))
Act = Callable[["Kept"], None]


class Kept:
    """A workspace, and histories of it that are kept open: one that keeps much in memory, one that keeps little."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.town = Town(folder / "town", self.clock)
        self.histories = self.open()
        self.acts: list[str] = []

    def open(self) -> list[History]:
        ws = self.town.ws
        return [history(ws, ws.paths.history, 200_000), history(ws, self.folder / "little", 20)]

    def look(self) -> None:
        self.town.ws.flush()
        anew = self.folder / "anew"
        rmtree(anew, ignore_errors=True)
        fresh = history(self.town.ws, anew, 200_000)
        wanted = answers(fresh)
        fresh.close()
        for one in self.histories:
            assert answers(one) == wanted

    def restart(self) -> None:
        self.close()
        self.town.restart()
        self.histories = self.open()

    def close(self) -> None:
        for one in self.histories:
            one.close()


def history(ws: Workspace, folder: Path, few: int) -> History:
    return History(ws.log, ws.state, lambda: ws.lake, folder, few=few)


def answers(asked: History) -> list[Any]:
    """Ask for all that anybody could be asked about."""
    needs = Needs(traits=frozenset(["plan", "email"]))
    return [
        sorted(asked.ask("SELECT person, profile_id FROM people")),
        asked.ask('SELECT position, person, "at", type, name FROM events ORDER BY 1, 2'),
        sorted(asked.ask("SELECT person, name, value FROM traits", needs)),
        sorted(asked.ask("SELECT person, name, value FROM traits", needs._replace(lens=ADS))),
        asked.ask("SELECT position, person FROM events ORDER BY ALL", Needs(lens=ADS)),
        asked.ask("SELECT identifier_id, part, person FROM holders ORDER BY ALL"),
    ]


@st.composite
def events(draw: st.DrawFn) -> Act:
    told: dict[str, Any] = {"type": draw(st.sampled_from(["track", "track", "identify"]))}
    who = draw(st.integers(0, 5))
    if who != 0:
        told["userId"] = draw(st.sampled_from(USERS))
    if who in (0, 1, 2, 3):
        told["anonymousId"] = draw(st.sampled_from(DEVICES))
    if draw(st.integers(0, 3)) == 0:
        told["context"] = {"consent": {"categoryPreferences": {"Ads": draw(st.booleans())}}}
    if told["type"] == "track":
        told["event"] = draw(st.sampled_from(["Order Completed", "Product Viewed"]))
        if draw(st.integers(0, 3)) == 0:
            told.setdefault("context", {})["traits"] = {"email": draw(st.sampled_from(EMAILS))}
    else:
        told["traits"] = {"plan": draw(st.sampled_from(["pro", "free", None]))}
        if draw(st.booleans()):
            told["traits"]["email"] = draw(st.sampled_from(EMAILS))
    ago = draw(st.sampled_from([0, 0, 5 * MINUTE, HOUR, 3 * DAY, 40 * DAY, -2 * HOUR]))
    return lambda kept: kept.town.say(told, ago)


@st.composite
def acts(draw: st.DrawFn) -> Act:
    kind = draw(st.sampled_from(["cut", "join", "pin", "block", "free", "undo", "correct", "erase", "forget"]))
    one, other = draw(st.permutations([*HANDLES, *(f"anonymous_id:{device}" for device in DEVICES)]))[:2]
    position = draw(st.integers(2, 12))

    def act(kept: Kept) -> None:
        ws = kept.town.ws
        ws.flush()
        with contextlib.suppress(InputError):
            match kind:
                case "cut" | "join" | "pin":
                    decide = getattr(ws.identity, kind)
                    kept.acts.append(decide(one, other, operator="kim", reason="test")["action"])
                case "block" | "free":
                    decide = getattr(ws.identity, kind)
                    decide(one, operator="kim", reason="test")
                case "undo" if kept.acts:
                    ws.identity.undo(kept.acts[-1], operator="kim", reason="test")
                case "correct":
                    ws.profiles.correct(one, "plan", "gold", operator="kim", reason="test")
                case "erase":
                    kept.town.erase(one)
                case "forget":
                    ws.forget([position])

    return act


@st.composite
def turns(draw: st.DrawFn) -> Act:
    kind = draw(st.sampled_from(["restart", "rebuild", "rules", "lake"]))

    def turn(kept: Kept) -> None:
        ws = kept.town.ws
        ws.flush()
        match kind:
            case "restart":
                kept.restart()
            case "rebuild":
                ws.folding.rebuild()
            case "lake":
                ws.folding.write_lake()
            case _:
                with contextlib.suppress(InputError):
                    if "shout" in ws.rules.text():
                        ws.rules.undo()
                    else:
                        ws.rules.apply("namespaces: {email: {block: {values: [bo@example.org]}}} # shout")

    return turn


@settings(max_examples=8)
@given(st.data())
def test_what_is_kept_up_is_what_would_be_read_anew(data: st.DataObject) -> None:
    done = data.draw(st.lists(st.one_of(events(), events(), events(), acts(), turns()), min_size=4, max_size=16))
    every = data.draw(st.integers(1, 3))
    with TemporaryDirectory() as folder:
        kept = Kept(Path(folder))
        with kept.town, contextlib.closing(kept):
            for number, act in enumerate(done):
                act(kept)
                if number % every == 0:
                    kept.look()
            kept.look()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    one = Kept(tmp_path)
    with one.town, contextlib.closing(one):
        yield one


def whose(kept: Kept, event: str) -> int:
    """Give whose an event is, by the history that looks at what came alone."""
    return int(kept.histories[0].ask("SELECT person FROM events WHERE name = ?", params=(event,))[0][0])


def test_a_device_goes_over_with_whoever_has_it(kept: Kept) -> None:
    by_mail = {"context": {"traits": {"email": EMAILS[0]}}}
    kept.town.say({"type": "track", "event": "Seen", "anonymousId": DEVICES[0]}, HOUR)
    kept.town.say({"type": "track", "event": "Mailed", "anonymousId": DEVICES[0], **by_mail}, 0)
    kept.town.say({"type": "track", "event": "Bought", "userId": USERS[0]}, 0)
    kept.look()
    assert whose(kept, "Seen") == whose(kept, "Mailed") != whose(kept, "Bought")

    kept.town.say({"type": "identify", "userId": USERS[0], "traits": {"email": EMAILS[0]}}, 0)
    kept.look()

    assert whose(kept, "Seen") == whose(kept, "Mailed") == whose(kept, "Bought")


def test_a_device_that_somebody_else_had_earlier_gives_them_what_was_done_then(kept: Kept) -> None:
    kept.town.say({"type": "track", "event": "First", "userId": USERS[0], "anonymousId": DEVICES[0]}, 9 * HOUR)
    kept.town.say({"type": "track", "event": "Seen", "anonymousId": DEVICES[0]}, 2 * HOUR)
    kept.look()
    assert whose(kept, "Seen") == whose(kept, "First")

    kept.town.say({"type": "track", "event": "Late", "userId": USERS[1], "anonymousId": DEVICES[0]}, 5 * HOUR)
    kept.look()

    assert whose(kept, "Seen") == whose(kept, "Late") != whose(kept, "First")


def test_what_stands_for_many_gives_its_events_to_what_is_weaker(kept: Kept) -> None:
    mailed = {"context": {"traits": {"email": EMAILS[0]}}}
    kept.town.say({"type": "track", "event": "Bought", "userId": USERS[0], **mailed}, 0)
    kept.look()
    before = whose(kept, "Bought")

    kept.town.ws.identity.block(f"user_id:{USERS[0]}", operator="kim", reason="many")
    kept.look()

    assert whose(kept, "Bought") != before


def test_what_was_forgotten_is_nobodys_also_before_the_lake_lets_go_of_it(kept: Kept) -> None:
    for event in ("Bought", "Seen"):
        kept.town.say({"type": "track", "event": event, "userId": USERS[0]}, 0)
    kept.town.ws.flush()
    kept.town.ws.folding.write_lake()
    kept.look()
    head = kept.town.ws.log.head()

    kept.town.ws.forget([head])
    kept.look()

    assert kept.histories[0].ask("SELECT name FROM events") == [("Bought",)]
    assert kept.histories[0].ask("SELECT count(*) FROM owners WHERE position = ?", params=(head,)) == [(0,)]


def test_files_of_a_state_that_was_thrown_away_are_not_looked_at_again(kept: Kept) -> None:
    kept.town.say({"type": "track", "event": "Bought", "userId": USERS[0]}, 0)
    kept.look()
    folder = kept.town.ws.paths.history
    assert list(folder.glob("history-*"))

    kept.town.ws.folding.rebuild()

    assert not list(folder.glob("history-*"))
    kept.look()
