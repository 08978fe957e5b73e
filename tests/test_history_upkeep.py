"""What is kept of who is who, and kept up as the log moves, is what would be read anew: whatever happens in between.

In:    random steps in one workspace: events (late ones, joins, shared devices), acts of colleagues, erasures, other
       rules, a rebuild, a restart.
Out:   nothing: a difference fails.
Never: a second notion of the answer: the same question is asked of an empty folder.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

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
