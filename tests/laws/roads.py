"""Every road on which a person's values may leave, and a shop with somebody who agreed to nothing.

In:    a folder.
Out:   `World`, and for each door the roads that are walked and those that are not, each with its reason.
Never: a road that nobody names: the lists are held against routes, commands and parts as they are.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

from litestar.exceptions import LitestarDeprecationWarning
from typer.testing import CliRunner

from tests.api.asking import Asker, Listener
from tests.console.desk_in_process import DeskInProcess
from tillit.access import API_SCOPES
from tillit.api import create_api
from tillit.cli.commands import app as commands
from tillit.clock import rfc3339
from tillit.consent import Choice
from tillit.deliver import Answer, Beginning
from tillit.deliver.deliveries import Outcome
from tillit.errors import InputError, TillitError
from tillit.identity import profile_id
from tillit.privacy import OPERATOR
from tillit.workspace import MARK

# The soft links of a person are told for this purpose alone, so it is the one that is walked.
P = "analytics"
PURPOSES = """
controller: {name: Ek, address: Storgatan 1, contact: privacy@ek.example, country: SE, url: "https://ek.example/p"}
recipients:
  agency: {name: Agency AB, country: SE, contact: dpo@agency.example, address: Box 3}
  post: {name: The post, role: processor, country: SE}
notices: {counting: {version: "1", language: en, text: We count., effective_from: 2026-01-01}}
purposes:
  service: {title: Service, basis: contract, fields: all, recipients: [post]}
  analytics:
    title: Analytics
    basis: consent
    share: true
    recipients: [agency]
    categories: [Counting]
    notice: counting
    fields: [identifiers, events, groups, facts, notes, traits.email, traits.firstName, traits.city]
"""
POST = """
destination: post
kind: webhook
purpose: service
send: messages
to: {url: "https://post.example/hooks"}
"""
PEOPLE = """
destination: post-people
recipient: post
kind: webhook
purpose: service
send: people
to: {url: "https://post.example/people"}
fields: {id: profile.id, name: traits.firstName}
"""
LETTER = """
template: letter
purpose: service
class: service
destination: post
body: {text: "Hello {{ profile.traits.firstName }}, {{ message.code }}"}
"""
HOUSE = "household:home"
# Nobody listens there; what is asked is what would leave, and what is kept of what did.
COPY = (
    "destination: copy\nkind: webhook\npurpose: analytics\nsend: people\nrecipient: agency\n"
    "to: {url: 'https://hooks.example/hooks'}\nfields: {name: traits.firstName}\n"
)
MESSENGER = (
    "destination: messenger\nkind: webhook\npurpose: analytics\nsend: messages\nrecipient: agency\n"
    "to: {url: 'https://hooks.example/hooks'}\n"
)
HELLO = (
    "template: hello\npurpose: analytics\nclass: marketing\ndestination: messenger\n"
    "body: {text: 'Hello {{ profile.traits.firstName }}'}\n"
)
# Everybody of whom anything is known; a name is what their reasons show.
NAMED = (
    "audience: named\npurpose: analytics\n"
    "definition: {all: [{trait: firstName, is_set: true}, {any: [{page: Home}, {not: {page: Home}}]}]}\n"
)
NOBODY = NAMED.replace("is_set: true", "is_set: false")
SEEN = "feature: seen\npurpose: analytics\ndefinition: {trait: firstName}\n"
# One for each purpose that pages are walked for: who is in them is shown for that one alone.
DEFINED = (
    "audience: counted\npurpose: analytics\ndefinition: everybody\n",
    "audience: served\npurpose: service\ndefinition: everybody\n",
    "feature: counted-name\npurpose: analytics\ndefinition: {trait: firstName}\n",
    "feature: served-name\npurpose: service\ndefinition: {trait: firstName}\n",
)
RULES = "namespaces: {user_id: {limit: 3}}"  # under which two logins with one address are one person


class World:
    """A shop: `mark` is in everything that may not leave, `glad` in everything of somebody who agreed."""

    def __init__(self, folder: Path, *, restricts: bool = False) -> None:
        """Fill it. `restricts`: the marked person's data is restricted; then `service` is what is walked."""
        self.mark, self.glad = f"mk{secrets.token_hex(6)}", f"gd{secrets.token_hex(6)}"
        folder.mkdir()
        (folder / MARK).write_text('[deliver]\npublic_url = "https://shop.example"\n', encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LitestarDeprecationWarning)
            self.desk = DeskInProcess(folder)
            self.api = create_api(self.desk.ws)
        self.ask = Asker(self.api)
        self.folder, self.ws = folder, self.desk.ws
        self._n = 0
        self.ws.consent.apply(PURPOSES, operator="kim", reason="")
        for word in (self.mark, self.glad):
            self._live(word)
        if not restricts:
            self._refuse_some()
        for who in ("user", "second", "third"):
            self.desk.clock.at += 1_000_000
            self.ws.consent.set(f"user_id:{self.glad}-{who}", [Choice(P, "given")], evidence="form-1")
        # A tablet in both hands: what the marked person did on it is no other's.
        for word in (self.mark, self.glad):
            self._say(type="identify", userId=f"{word}-user", anonymousId="tablet")
            self._say(type="track", event=f"{word}-tablet", anonymousId="tablet", properties={"y": word})
        for word in (self.mark, self.glad):
            try:
                self.ws.append([{"type": "track", "userId": f"{word}-user", "event": [word]}])
            except InputError:
                continue
        self.ws.flush()
        self.made = self.ws.rules.plan(RULES, self.ws.scope())
        if restricts:
            for who in ("user", "second", "third"):
                self.ws.consent.set(f"user_id:{self.mark}-{who}", [Choice("*", "restricted")])
        self.ws.folding.write_lake()
        self.ws.shares.share_all()
        self.ids = {
            word: str((self.ws.profiles.membership(f"user_id:{word}-user") or _nobody()).profile_id)
            for word in (self.mark, self.glad)
        }
        self.asked = {
            word: self.ws.requests.open(
                self.ids[word],
                "access",
                by_whom="kim",
                asked_by=OPERATOR,
                evidence="ticket-4711",
            ).request_id
            for word in (self.mark, self.glad)
        }
        for text in (SEEN, NAMED):
            self.ws.audiences.apply(text, reason="", operator="kim")
        for text in (COPY, MESSENGER, HELLO):
            self.ws.deliveries.apply(text, reason="", operator="kim")
        self.message = {word: self._refused(word) for word in (self.mark, self.glad)}
        self.key, key = self.ws.keys.create("api", "agency", scopes=API_SCOPES, purposes=[P])
        kim = self.ws.sessions.find(self.desk.cookie.partition("=")[2])
        for asked_by in (key.key_id, kim.operator_id if kim is not None else ""):
            # Made for `service` before anybody said no: it is read for another purpose, and later.
            plan = self.ws.plans.ask(RULES, against=None, asked_by=asked_by)
            self.ws.plans.save_result(plan, self.made)
            plan.state = "done"
            self.ws.plans.save(plan)
        self.sent = self._send()
        for text in DEFINED:
            self.ws.audiences.apply(text, reason="", operator="kim")
        self.positions = range(1, self.ws.log.head() + 1)

    def _refuse_some(self) -> None:
        """Of somebody who agreed: what they refused when it was collected, and a trait that the purpose names not."""
        refused = {"consent": {"categoryPreferences": {"Counting": False}}}
        hers = f"{self.glad}-user"
        self._say(type="identify", userId=hers, traits={"city": f"{self.mark}-city"}, context=refused)
        self._say(type="track", event=f"{self.mark}-event", userId=hers, properties={"x": self.mark}, context=refused)
        self._say(type="identify", userId=hers, traits={"secret": f"{self.mark}-secret"})

    def _refused(self, word: str) -> str:
        """Ask for a message that its recipient refused with somebody's name, as a courier writes it down."""
        asked = self.ws.deliveries.send("hello", f"user_id:{word}-user", {}, asked_by="kim")
        self.ws.flush()
        self.ws.deliveries.courier("courier").take()
        queue = self.ws.deliveries.queue
        for one in queue.claim("messenger", courier="courier", lease_s=30, most=10):
            begun = Beginning(one, "message", "", "", self.ids[word], (), b"", "consent", None, 0, None)
            queue.begin([begun])
            queue.end([Outcome(begun, Answer("refused", "http.422", f"{word} is unknown"), 12, is_idempotent=True)])
        number = self.ws.deliveries.suppress(self.ids[word], "operator", source="cli", by="kim", words=f"{word} called")
        self.ws.deliveries.lift(number, by="kim", words=f"{word} called again")
        return asked.key

    def _send(self) -> dict[str, str]:
        """Ask for a message to each; both are on the suppression list, so nothing goes out. Gives their keys."""
        for text in (POST, PEOPLE, LETTER):
            self.ws.deliveries.apply(text, operator="kim", reason="")
        self.ws.deliveries.queue.standings.pause("post-people", by="kim", code="operator")
        keys = {}
        for word in (self.mark, self.glad):
            for kind, value in (("address", f"{word}@example.org"), ("person", self.ids[word])):
                self.ws.deliveries.suppressions.add(
                    kind,
                    value,
                    "operator",
                    source="console",
                    at=self.ws.now(),
                    by="kim",
                    words=f"{word}-called",
                    purpose="service",
                    subject_ref=self.ids[word],
                )
            keys[word] = self.ws.deliveries.send("letter", f"user_id:{word}-user", {"code": f"{word}-code"}).key
        self.ws.flush()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(self.ws.deliveries.courier("test").run(until_idle=True))).result()
        self.ws.flush()
        return keys

    def close(self) -> None:
        """Let go."""
        self.ask.close()
        self.api.close()
        self.desk.close()

    def _say(self, **event: Any) -> None:
        self._n += 1
        self.desk.clock.at += 1_000_000
        self.ws.append([{"messageId": f"m{self._n}", **event}])
        self.ws.flush()

    def _live(self, w: str) -> None:
        user, mail = f"{w}-user", f"{w}@example.org"
        self._say(type="identify", userId=user, traits={"firstName": f"{w}-former"})
        traits = {"email": mail, "firstName": f"{w}-first", "custom": f"{w}-x"}
        self._say(type="identify", userId=user, anonymousId=f"{w}-dev", traits=traits)
        self._say(type="track", userId=user, event=f"{w}-event", properties={f"{w}-k": f"{w}-v", "order_id": f"{w}-o"})
        self._say(type="page", userId=user, name=f"{w}-page", properties={"path": f"/{w}"})
        group = {"kind": "household", "name": f"{w}-home", f"{w}-t": w, "role": f"{w}-role"}
        self._say(type="group", userId=user, groupId="home", traits=group)
        # A second login with the same address: a soft link.
        self._say(type="identify", userId=f"{w}-second", traits={"email": mail})
        self.ws.profiles.correct(f"user_id:{user}", "city", f"{w}-city", reason=f"{w}-reason", operator="kim")
        self.ws.profiles.note(f"user_id:{user}", f"{w}-note", operator="kim")
        self._say(type="identify", userId=user, traits={"card": f"{w}-card"})
        self._say(type="identify", userId=f"{w}-third")
        self.ws.identity.pin(f"user_id:{user}", f"user_id:{w}-third", reason=f"{w}-pin", operator="kim")
        self.ws.flush()

    # -- asking

    def both(self, ask: Callable[[str], Any]) -> str:
        """Ask the same of the marked person and of the one who agreed; a refusal is an answer, too."""
        told = []
        for word in (self.mark, self.glad):
            try:
                told.append(written(ask(word)))
            except TillitError as exc:
                told.append(exc.message + written(exc.details))
        return "\n".join(told)

    def http(self, method: str, target: str, body: Any = None) -> str:
        """Ask the API for the purpose."""
        answer = self.ask(method, target, key=self.key, body=body)
        return f"{answer.status} " + answer.body.decode()

    def command(self, *words: str) -> str:
        """Run a command."""
        done = CliRunner().invoke(commands, [*words, "--workspace", str(self.folder)])
        return done.output + (str(done.exception) if done.exception is not None else "")

    def who(self, word: str) -> str:
        """Name somebody without a value of theirs."""
        return self.ids[word]

    def named(self, told: str) -> str:
        """Write their word beside each whom an id names: an id tells who is in an audience as a name does."""
        return told + " ".join(word for word, one in self.ids.items() if one in told)

    def event_ids(self) -> list[str]:
        """Give the id of every row there is."""
        return [f"e{self.ws.log.epoch()}-{position}" for position in self.positions]


def _nobody() -> Any:
    raise AssertionError("nobody is known by a name that the test gave")


def written(told: Any) -> str:
    """Write whatever was answered."""
    try:
        return json.dumps(told, default=repr, ensure_ascii=False)
    except TypeError:
        return repr(told)


Road = Callable[[World], str]


def everyone(ask: Callable[[World, str], Any]) -> Road:
    """Make a road that is asked of both."""
    return lambda world: world.both(lambda word: ask(world, word))


def by_id(road: Road) -> Road:
    """Make a road on which an id names somebody."""
    return lambda world: world.named(road(world))


def _path(word: str) -> str:
    return quote(f"user_id:{word}-user", safe="")


def _ends(word: str) -> dict[str, str]:
    return {"a": f"user_id:{word}-user", "b": f"email:{word}@example.org"}


def _changes(world: World) -> str:
    found = world.ws.audiences.shown_changes(lambda one: world.ws.scope(P) if one == P else None, limit=1_000)
    return world.named(written(found.changes) + written(found.people))


def _change_frames(world: World) -> str:
    """Listen for changes as a program does, to all that there were."""

    async def first() -> str:
        listener = Listener(world.api, "/api/audiences/changes/stream?after=0", world.key)
        await listener.status()
        frames = listener.frames()
        told: list[str] = []
        last = world.ws.audiences.shown_changes(lambda one: world.ws.scope(P) if one == P else None, limit=1_000)
        while len(told) < 1 + len(last.changes):  # what the connection says, and the rows
            told.append(await anext(frames))
        await listener.leave()
        return "".join(told)

    return world.named(world.ask.runner.run(first()))


def _frames(world: World) -> str:
    async def first() -> str:
        from tillit.api.gate import Asked

        found = []
        streams = world.api._desk.streams
        asked = Asked(world.key)
        asked.key = world.ws.keys.find(world.key)
        key_id = asked.key.key_id if asked.key is not None else ""
        frames = streams.follow(asked, lambda: world.ws.scope(P, asked_by=key_id), after=0, wanted={})
        async for frame in frames:
            found.append(frame)
            if len(found) == 2:  # what the connection says, and the rows
                break
        await frames.aclose()  # type: ignore[attr-defined]
        return b"".join(found).decode()

    return asyncio.run(first())


# -- programs: method and template -> road; and those on which nobody's values lie

API: dict[str, Road] = {
    "GET /api/profiles/{who}": everyone(lambda w, m: w.http("GET", f"/api/profiles/{_path(m)}")),
    "GET /api/profiles/{who}/events": everyone(lambda w, m: w.http("GET", f"/api/profiles/{_path(m)}/events")),
    "POST /api/profiles/lookup": everyone(
        lambda w, m: w.http("POST", "/api/profiles/lookup", {"identifier": f"email:{m}@example.org"})
    ),
    "POST /api/profiles/lookup/events": everyone(
        lambda w, m: w.http("POST", "/api/profiles/lookup/events", {"identifier": f"user_id:{m}-user"})
    ),
    "GET /api/profiles": everyone(lambda w, m: w.http("GET", f"/api/profiles?q={m}-first")),
    "POST /api/profiles/search": everyone(lambda w, m: w.http("POST", "/api/profiles/search", {"q": m})),
    "GET /api/groups/{group}": lambda w: w.http("GET", f"/api/groups/{HOUSE}"),
    "GET /api/identity/why": everyone(
        lambda w, m: w.http("GET", f"/api/identity/why?a={_path(m)}&b={quote(_ends(m)['b'])}")
    ),
    "POST /api/identity/why": everyone(lambda w, m: w.http("POST", "/api/identity/why", _ends(m))),
    "GET /api/identity/violations": lambda w: w.http("GET", "/api/identity/violations"),
    "GET /api/profiles/{who}/decisions": everyone(lambda w, m: w.http("GET", f"/api/profiles/{_path(m)}/decisions")),
    "GET /api/profiles/{who}/possible": everyone(lambda w, m: w.http("GET", f"/api/profiles/{_path(m)}/possible")),
    "POST /api/profiles/lookup/decisions": everyone(
        lambda w, m: w.http("POST", "/api/profiles/lookup/decisions", {"identifier": f"user_id:{m}-user"})
    ),
    "GET /api/events": lambda w: w.http("GET", "/api/events?limit=1000"),
    "GET /api/events/stream": _frames,
    "GET /api/quarantine": lambda w: w.http("GET", "/api/quarantine"),
    "GET /api/quarantine/{number}": lambda w: w.http("GET", "/api/quarantine/1") + w.http("GET", "/api/quarantine/2"),
    "GET /api/consent/{who}": everyone(lambda w, m: w.http("GET", f"/api/consent/{_path(m)}")),
    "POST /api/consent/lookup": everyone(
        lambda w, m: w.http("POST", "/api/consent/lookup", {"identifier": f"user_id:{m}-user"})
    ),
    "POST /api/decide": everyone(
        lambda w, m: w.http("POST", "/api/decide", {"identifier": f"user_id:{m}-user", "purpose": P})
    ),
    "GET /api/identity/plan": lambda w: w.http("GET", "/api/identity/plan"),
    "GET /api/requests": lambda w: w.http("GET", "/api/requests"),
    "GET /api/requests/{request_id}": everyone(lambda w, m: w.http("GET", f"/api/requests/{w.asked[m]}")),
    "GET /api/messages/{message_id}": everyone(lambda w, m: w.http("GET", f"/api/messages/{w.message[m]}")),
    "GET /api/messages": everyone(lambda w, m: w.http("GET", f"/api/messages?to={_path(m)}")),
    "POST /api/messages/lookup": everyone(
        lambda w, m: w.http("POST", "/api/messages/lookup", {"identifier": f"user_id:{m}-user"})
    ),
    "GET /api/suppressions": lambda w: w.http("GET", "/api/suppressions?with_lifted=true"),
    "GET /api/destinations/{name}": lambda w: w.http("GET", "/api/destinations/messenger"),
    "GET /api/audiences/{name}/members": by_id(lambda w: w.http("GET", "/api/audiences/named/members")),
    "GET /api/audiences/{name}/why/{who}": by_id(
        everyone(lambda w, m: w.http("GET", f"/api/audiences/named/why/{_path(m)}"))
    ),
    "POST /api/audiences/{name}/why": by_id(
        everyone(lambda w, m: w.http("POST", "/api/audiences/named/why", {"identifier": f"user_id:{m}-user"}))
    ),
    "GET /api/audiences/{name}/changes": by_id(lambda w: w.http("GET", "/api/audiences/named/changes")),
    "GET /api/audiences/changes/stream": _change_frames,
    "POST /api/audiences/preview": by_id(
        lambda w: w.http("POST", "/api/audiences/preview", {"definition": "everybody", "purpose": P, "sample": 100})
    ),
    "GET /api/features/{name}": lambda w: w.http("GET", "/api/features/seen"),
    "GET /api/features/{name}/values": lambda w: w.http("GET", "/api/features/seen/values"),
    "POST /api/features/{name}/values/lookup": everyone(
        lambda w, m: w.http("POST", "/api/features/seen/values/lookup", {"identifier": f"user_id:{m}-user"})
    ),
    "GET /metrics": lambda w: w.http("GET", "/metrics"),
}
# What a decision about who is who answers is walked one by one: it changes the shop.
ACTS: dict[str, Road] = {
    "POST /api/identity/cut": everyone(lambda w, m: w.http("POST", "/api/identity/cut", {**_ends(m), "reason": "r"})),
    "POST /api/identity/join": everyone(lambda w, m: w.http("POST", "/api/identity/join", _two(m))),
    "POST /api/identity/pin": everyone(lambda w, m: w.http("POST", "/api/identity/pin", _two(m))),
}


def _two(word: str) -> dict[str, str]:
    return {"a": f"user_id:{word}-user", "b": f"user_id:{word}-second", "reason": "r"}


_OWN_WORD = "answers with the word that was sent, and ids"
_SHOP = "rules and how far they are: nobody's values"
_COUNTS = "counts"
_KEYS = "keys and sources of the shop"
_ASKS = "asks for a message, which leaves through the last gate; answers with its id"
API_NOT: dict[str, str] = {
    "POST /api/identity/undo": "as cut, pin and join, which are walked: one function answers",
    "POST /api/identity/block": _OWN_WORD,
    "POST /api/identity/free": _OWN_WORD,
    "POST /api/consent": "answers with the event's id",
    "POST /api/messages": _ASKS,
    "POST /api/suppressions": "answers with a number",
    "DELETE /api/suppressions/{number}": "answers with a number",
    "GET /api/destinations": _COUNTS,
    "POST /api/destinations/{name}/pause": _COUNTS,
    "POST /api/destinations/{name}/resume": _COUNTS,
    "POST /api/destinations/{name}/replay": _COUNTS,
    "GET /api/audiences": _COUNTS,
    "GET /api/audiences/{name}": _COUNTS,
    "GET /api/features": _SHOP,
    "POST /api/destinations/{name}/check": "reaches a destination with nobody's values",
    "GET /api/identity/rules": _SHOP,
    "POST /api/identity/rules": _SHOP,
    "POST /api/identity/plan": _SHOP,
    "POST /api/identity/rules/undo": _SHOP,
    "POST /api/quarantine/replay": _COUNTS,
    "GET /api/sources": _KEYS,
    "GET /api/keys": _KEYS,
    "POST /api/keys": _KEYS,
    "DELETE /api/keys/{key_id}": _KEYS,
    "POST /api/messages/bounces": _COUNTS,
    "POST /api/verifications": "answers with an id; the code goes to the address alone",
    "POST /api/verifications/{verification_id}": "answers with the event's id",
    "POST /api/requests": "answers as GET /api/requests/{request_id}, which is walked",
    "POST /api/requests/{request_id}/{step}": "answers as GET /api/requests/{request_id}, which is walked",
    "GET /api/profiles/count": _COUNTS,
    "GET /health": _COUNTS,
    "GET /ready": _COUNTS,
}


# -- Python: part and method


def _rows(world: World, word: str) -> Any:
    told = world.ws.profiles.rows(world.who(word), world.ws.scope(P))
    return [row.body for row in told.rows] if told is not None else None


def _applied(world: World) -> str:
    return written(world.ws.events.applied(0, world.ws.scope(P), limit=1_000))


def _reached(world: World) -> str:
    return repr([row.body for row in world.ws.events.reached(world.ws.log.read(0, 1_000), world.ws.scope(P))])


def _past(world: World, word: str) -> Any:
    return world.ws.profiles.as_of(world.who(word), world.desk.clock.at, world.ws.scope(P))


def _decision(world: World) -> str:
    return "".join(written(world.ws.identity.decision(one, world.ws.scope(P))) for one in world.event_ids())


def _plan(world: World) -> str:
    return written(world.ws.rules.plan(RULES, world.ws.scope(P)))


def _shared(world: World) -> str:
    from tillit.store.lake import Lake

    world.ws.shares.share(P)
    with Lake.open(world.ws.shares.path(P), read_only=True) as lake:
        return repr(lake.query("SELECT * FROM events"))


def _members(world: World) -> str:
    told = world.ws.audiences.members("named", world.ws.scope(P))
    documents = [*world.ws.audiences["named"].members(), *world.ws.audiences["named"].changes()]
    return written([profile_id(one.root_id) for one in told.members]) + written(documents)


def _belonging(world: World, word: str) -> Any:
    held = world.ws.profiles.get(world.who(word), purpose=P)["audiences"]
    return word if held else ""


def _why(world: World, word: str) -> Any:
    return world.ws.audiences.why("named", world.ws.audiences.membership(world.who(word)), world.ws.scope(P))


def _value(world: World, word: str) -> Any:
    return world.ws.audiences.value_of("seen", world.ws.audiences.membership(world.who(word)), world.ws.scope(P))


PYTHON: dict[str, Road] = {
    "profiles.get": everyone(lambda w, m: w.ws.profiles.get(f"user_id:{m}-user", purpose=P)),
    "profiles.find": everyone(lambda w, m: w.ws.profiles.find(f"email:{m}@example.org", w.ws.scope(P))),
    "profiles.as_of": everyone(_past),
    "profiles.facts": everyone(lambda w, m: w.ws.profiles.facts(w.who(m), w.ws.scope(P))),
    "profiles.events": everyone(lambda w, m: w.ws.profiles.events(w.who(m), w.ws.scope(P))),
    "profiles.timeline": everyone(lambda w, m: w.ws.profiles.timeline(w.who(m), w.ws.scope(P))),
    "profiles.rows": everyone(_rows),
    "profiles.person": everyone(lambda w, m: w.ws.profiles.person(w.who(m), w.ws.scope(P))),
    "profiles.evidence": everyone(lambda w, m: w.ws.profiles.evidence(w.who(m), w.ws.scope(P))),
    "profiles.earlier": everyone(lambda w, m: w.ws.profiles.earlier(w.who(m), "firstName", w.ws.scope(P))),
    "profiles.search": everyone(lambda w, m: w.ws.profiles.search(m, purpose=P)),
    "profiles.newest": lambda w: written(w.ws.profiles.newest(scope=w.ws.scope(P), limit=50)),
    "groups.get": lambda w: written(w.ws.groups.get(HOUSE, w.ws.scope(P))),
    "events.applied": _applied,
    "events.reached": _reached,
    "identity.why": everyone(lambda w, m: w.ws.identity.why(_ends(m)["a"], _ends(m)["b"], w.ws.scope(P))),
    "identity.decisions": everyone(lambda w, m: w.ws.identity.decisions(w.who(m), w.ws.scope(P))),
    "identity.decision": _decision,
    "identity.possible": everyone(lambda w, m: w.ws.identity.possible(w.who(m), w.ws.scope(P))),
    "identity.violations": lambda w: written(w.ws.identity.violations(w.ws.scope(P))),
    "identity.values": lambda w: written(w.ws.identity.values(w.ws.scope(P))),
    "rules.plan": _plan,
    "shares.share": _shared,
    "shares.share_all": lambda w: written(w.ws.shares.share_all()) + _shared(w),
    "consent.state": everyone(lambda w, m: w.ws.consent.state(w.who(m))),
    "papers.record": everyone(lambda w, m: w.ws.papers.record(w.who(m), P)),
    "papers.kantara": everyone(lambda w, m: w.ws.papers.kantara(w.who(m), P)),
    "requests.list": lambda w: repr(w.ws.requests.list()),
    "requests.get": everyone(lambda w, m: repr(w.ws.requests.get(w.asked[m]))),
    "consent.decide": everyone(lambda w, m: w.ws.consent.decide(w.who(m), P)),
    "ledger.search": lambda w: written([repr(one) for one in w.ws.ledger.search().entries]),
    "ledger.read": everyone(lambda w, m: repr(w.ws.ledger.read([w.who(m)]))),
    "deliveries.try_out": everyone(lambda w, m: repr(w.ws.deliveries.try_out("hello", f"user_id:{m}-user", {}))),
    "deliveries.try_record": everyone(lambda w, m: repr(w.ws.deliveries.try_record("copy", w.who(m)))),
    "deliveries.plan": lambda w: (
        written(w.ws.deliveries.plan(COPY, n_cases=50)) + written(w.ws.deliveries.plan(HELLO, n_cases=50))
    ),
    "messages.get": everyone(lambda w, m: w.ws.messages.get(w.message[m], w.ws.scope(P))),
    "messages.list_messages": everyone(lambda w, m: w.ws.messages.list_messages(who=w.who(m))),
    "messages.suppressions": lambda w: written(w.ws.messages.suppressions(w.ws.scope(P), with_lifted=True)),
    "messages.destination": lambda w: written(w.ws.messages.destination("messenger")),
    "audiences.members": by_id(_members),
    "audiences.list_members": by_id(lambda w: written(w.ws.audiences.list_members("named", w.ws.scope(P)))),
    "audiences.shown_changes": _changes,
    "audiences.of_person": everyone(_belonging),
    "audiences.why": by_id(everyone(_why)),
    "audiences.why_of": by_id(everyone(lambda w, m: w.ws.audiences.why_of("named", w.who(m), w.ws.scope(P)))),
    "audiences.preview": by_id(lambda w: written(w.ws.audiences.preview("everybody", P, w.ws.scope(P), sample=100))),
    "audiences.preview_count": by_id(
        lambda w: written(w.ws.audiences.preview_count("everybody", P, w.ws.scope(P), sample=100))
    ),
    "audiences.members_then": by_id(
        lambda w: written(w.ws.audiences.members_then("named", w.ws.scope(P), w.ws.now(), limit=100))
    ),
    "audiences.count_then": by_id(
        lambda w: written(w.ws.audiences.count_then("named", w.ws.scope(P), w.ws.now(), sample=100))
    ),
    "audiences.plan": by_id(lambda w: written(w.ws.audiences.plan(NOBODY, n_cases=100))),
    "audiences.permitted_of": by_id(
        lambda w: written(w.ws.audiences.permitted_of([*w.ids.values()], w.ws.scope(P))[0])
    ),
    "audiences.value_of": everyone(_value),
    "audiences.values": lambda w: written(w.ws.audiences.values("seen", w.ws.scope(P))),
    "audiences.distribution": lambda w: written(w.ws.audiences.distribution("seen", w.ws.scope(P))),
    "audit.list_actions": lambda w: repr(w.ws.audit.list_actions()),
}
_ACT = "says something new; what it answers is an id"
_OWN = "for the person themself, or the law: the purpose own_data, which no key may ask for"
_STORE = "the store below the gates: rooms read it, and hand nothing on"
_STAFF = "staff and keys of the shop"
_SEAM = "for rooms: ids and whether, no values"
_MENDING = "bytes that nobody could read: staff mend them for `service`; programs meet the gate of GET /api/quarantine"
PYTHON_NOT: dict[str, tuple[str, ...]] = {
    _ACT: (
        "profiles.correct", "profiles.note", "profiles.undo", "groups.join", "groups.leave", "consent.set",
        "deliveries.send", "deliveries.suppress", "deliveries.lift", "deliveries.apply",
        "audiences.apply", "audiences.define",
        "consent.apply", "rules.apply", "rules.undo", "identity.block", "identity.free",
    ),
    "walked from the API, where they change a shop of their own": (
        "identity.cut", "identity.pin", "identity.join", "identity.undo",
    ),
    _SHOP: (
        "deliveries.before_last", "deliveries.check", "deliveries.definitions", "deliveries.destination",
        "deliveries.history", "deliveries.judge", "deliveries.template",
        "audiences.before_last", "audiences.catalog", "audiences.definitions", "audiences.diff", "audiences.feature",
        "audiences.as_of", "audiences.get", "audiences.health", "audiences.history", "audiences.hold_purpose",
        "audiences.judge",
        "audiences.list_features", "audiences.purpose_of", "audiences.ranking", "audiences.scope_of", "audiences.whole",
        "consent.before_last", "consent.declared", "consent.door", "consent.history", "consent.tally",
        "consent.text", "consent.plan",
        "rules.before_last",
        "rules.history", "rules.status", "rules.text", "identity.rules", "groups.view", "identity.n_violations",
        "identity.judged_by_itself", "events.fates", "shares.drop", "shares.let_go", "shares.path", "shares.purposes",
    ),
    _OWN: (
        "erasure.close", "erasure.door", "erasure.erase", "erasure.list_all", "erasure.outline", "erasure.resume",
        "erasure.token", "erasure.verify", "erasure.verify_certificate", "exports.check", "exports.find",
        "exports.forget", "exports.write", "requests.answer", "requests.extend", "requests.forget", "requests.hold",
        "requests.open", "requests.prove", "requests.reasons",
        "requests.reject", "requests.release", "requests.run", "requests.withdraw",
    ),
    _SEAM: (
        "deliveries.courier", "deliveries.forget", "deliveries.taken", "messages.people_of",
        "audiences.changes", "audiences.check", "audiences.iter_members", "audiences.may", "audiences.membership",
        "audiences.holder_of", "audiences.replay", "audiences.traits_of",
        "profiles.holders", "profiles.leave", "profiles.membership", "permissions.permit", "permissions.settle",
        "events.about", "events.people",
    ),
    _COUNTS: (
        "audiences.beside", "audiences.count", "audiences.count_held_out", "audiences.holdout", "audiences.overview",
        "audiences.preview_rest", "audiences.trend",
        "deliveries.pause", "deliveries.replay", "deliveries.resume",
        "messages.count_doubtful", "messages.destinations",
        "permissions.count", "permissions.count_where", "retention.is_declared", "retention.kept_after",
        "retention.last", "retention.outline", "retention.sweep",
    ),
    "what another road kept; walked as GET /api/identity/plan": (
        "rules.shown", "plans.ask", "plans.discard_of", "plans.find_next", "plans.find_of", "plans.result",
        "plans.save", "plans.save_result",
    ),
    _MENDING: (
        "quarantine.close", "quarantine.count", "quarantine.count_since", "quarantine.counts", "quarantine.expire",
        "quarantine.find", "quarantine.groups", "quarantine.mend", "quarantine.replay", "quarantine.replay_part",
        "quarantine.rows",
    ),
}  # fmt: skip
# Parts of a workspace that are no roads, whole.
PARTS_NOT: dict[str, str] = {
    **dict.fromkeys(("log", "state", "lake", "folding", "memberships"), _STORE),
    **dict.fromkeys(("keys", "identity_tokens", "openings", "operators", "sessions", "sign_in", "sources"), _STAFF),
    **dict.fromkeys(("paths", "settings", "limits", "now", "outside"), "no person is in it"),
    "accesses": "takes notes and gives none",
}


# -- commands


def _command(*words: str) -> Road:
    return lambda world: world.command(*words)


def _one(*words: str, last: Callable[[World, str], list[str]]) -> Road:
    return everyone(lambda w, m: w.command(*words, *last(w, m)))


def _preview(world: World) -> str:
    file = world.folder.parent / "named.yaml"
    file.write_text(NAMED, encoding="utf-8")
    return world.command("audience", "preview", str(file))


def _unlike(world: World) -> str:
    """Hold the members against history where a member of each is missing; they come back."""
    store = world.ws.memberships.store
    lost = store.read("SELECT audience, root_id, since_at, cause, position FROM membership WHERE audience = 'named'")
    with store.transaction() as tx:
        tx.execute("DELETE FROM membership WHERE audience = 'named'")
    try:
        return world.command("audience", "check", "named")
    finally:
        with store.transaction() as tx:
            tx.executemany("INSERT INTO membership VALUES (?, ?, ?, ?, ?)", lost)


COMMANDS: dict[str, Road] = {
    "profile show": _one("profile", "show", last=lambda w, m: [w.who(m), "--purpose", P]),
    "profile search": _one("profile", "search", last=lambda w, m: [f"{m}-first", "--purpose", P]),
    "group show": _command("group", "show", HOUSE, "--purpose", P, "--json"),
    "identity why": _one("identity", "why", last=lambda w, m: [*_ends(m).values(), "--purpose", P]),
    "identity violations": _command("identity", "violations", "--purpose", P, "--json"),
    "identity history": _one("identity", "history", last=lambda w, m: [w.who(m), "--purpose", P]),
    "consent show": _one("consent", "show", last=lambda w, m: [w.who(m)]),
    "consent export": _one("consent", "export", last=lambda w, m: [w.who(m), P]),
    "privacy requests list": _command("privacy", "requests", "list"),
    "privacy requests show": _one("privacy", "requests", "show", last=lambda w, m: [w.asked[m]]),
    "ledger list": _command("ledger", "list"),
    "destination show": _command("destination", "show", "messenger"),
    "destination dry-run": _one("destination", "dry-run", "copy", last=lambda w, m: [w.who(m)]),
    "message send": _one("message", "send", "hello", last=lambda w, m: [f"user_id:{m}-user", "--purpose", P]),
    "message list": _command("message", "list", "--purpose", P),
    "message show": _one("message", "show", last=lambda w, m: [w.message[m], "--purpose", P]),
    "suppression list": _command("suppression", "list", "--lifted", "--purpose", P, "--json"),
    "audience members": by_id(_command("audience", "members", "named")),
    "audience why": by_id(_one("audience", "why", last=lambda w, m: ["named", w.who(m)])),
    "audience preview": by_id(_preview),
    "audience check": by_id(_unlike),
    "feature values": lambda world: (
        world.command("feature", "values", "seen") + world.command("feature", "values", "seen", "--people")
    ),
    "lake share": lambda world: world.command("lake", "share", P) + _shared(world),
    "keys list": _command("keys", "list"),
    "doctor": _command("doctor"),
}
_SERVICE = "for `service`, a contract: no choice of the customer ends it; restricted people: the console's walk"
COMMANDS_NOT: dict[str, tuple[str, ...]] = {
    "walked from Python: the same part answers": ("plan", "identity plan"),
    _SHOP: (
        "apply", "rules", "purposes", "init", "serve", "import", "rebuild", "forget", "demo", "version", "keys create",
        "keys revoke", "settings explain", "settings sample", "console link", "simulate make", "simulate score",
        "operators create", "operators list", "operators role", "operators disable", "operators enable",
        "operators password", "consent validate", "feature list",
    ),
    _ACT: ("group join", "group leave", "consent set", "identity block", "identity free"),
    "walked from the API: one function answers, for `service` where no purpose is named": (
        "identity cut", "identity pin", "identity join", "identity undo",
    ),
    _OWN: (
        "privacy export", "privacy erase", "privacy verify-erasure",
        "privacy requests open", "privacy requests verify", "privacy requests run", "privacy requests hold",
        "privacy requests release", "privacy requests reject", "privacy requests withdraw", "privacy requests extend",
        "privacy requests answer",
    ),
    _COUNTS: (
        "audience count", "audience holdout", "audience list",
        "profile count", "privacy retention", "destination list", "destination check", "destination pause",
        "destination resume", "destination replay", "message bounced",
    ),
    "answers with a number": ("suppression add", "suppression remove"),
    "secrets of the shop, by name": (
        "destination secret set", "destination secret list", "destination secret remove",
    ),
    "proofs: hashes": ("ledger prove", "ledger verify", "ledger checkpoint", "ledger check"),
    _SERVICE: ("events tail",),
    _MENDING: ("quarantine list", "quarantine replay"),
}  # fmt: skip


# -- the console acts for `service`: nobody whose data is restricted is shown

PAGES: dict[str, Road] = {
    "GET /console": lambda w: page(w, "/console"),
    "GET /console/audit": lambda w: page(w, "/console/audit"),
    "GET /console/customers": lambda w: page(w, "/console/customers"),
    "POST /console/customers": lambda w: w.both(lambda m: answer_to(w, m, "/console/customers", {"q": f"{m}-first"})),
    "GET /console/customers/{profile_id}": lambda w: w.both(lambda m: page(w, f"/console/customers/{w.who(m)}")),
    "GET /console/customers/{profile_id}/identity": lambda w: w.both(
        lambda m: page(w, f"/console/customers/{w.who(m)}/identity")
    ),
    "POST /console/customers/{profile_id}/earlier": lambda w: w.both(
        lambda m: answer_to(w, m, f"/console/customers/{w.who(m)}/earlier", {"trait": "firstName"})
    ),
    "GET /console/events/{event_id}": lambda w: "".join(page(w, f"/console/events/{one}") for one in w.event_ids()),
    "GET /console/identity": lambda w: page(w, "/console/identity?only=all"),
    "GET /console/identity/rules": lambda w: page(w, "/console/identity/rules"),
    "GET /console/identity/values": lambda w: page(w, "/console/identity/values"),
    "GET /console/live": lambda w: page(w, "/console/live"),
    "POST /console/live": lambda w: answer_to(w, "", "/console/live", {"only": "taken"}),
    "GET /console/sources": lambda w: page(w, "/console/sources"),
    "GET /console/privacy": lambda w: page(w, "/console/privacy"),
    "GET /console/privacy/versions": lambda w: page(w, "/console/privacy/versions"),
    "GET /console/privacy/requests": lambda w: page(w, "/console/privacy/requests"),
    "GET /console/privacy/requests/{request_id}": lambda w: w.both(
        lambda m: page(w, f"/console/privacy/requests/{w.asked[m]}")
    ),
    "GET /console/privacy/ledger": lambda w: page(w, "/console/privacy/ledger"),
    "GET /console/privacy/ledger/{entry}/proof": lambda w: page(w, "/console/privacy/ledger/0/proof"),
    "GET /console/privacy/question": lambda w: page(w, "/console/privacy/question"),
    "POST /console/privacy/question": lambda w: w.both(
        lambda m: answer_to(
            w, m, "/console/privacy/question", {"who": f"user_id:{m}-user", "purpose": P, "day": "2026-11-20"}
        )
    ),
    "GET /console/destinations": lambda w: page(w, "/console/destinations"),
    "GET /console/destinations/{name}": lambda w: page(w, "/console/destinations/post-people"),
    "POST /console/destinations/{name}/try": lambda w: w.both(
        lambda m: answer_to(w, m, "/console/destinations/post-people/try", {"who": f"user_id:{m}-user"})
    ),
    "GET /console/deliveries": lambda w: page(w, "/console/deliveries"),
    "GET /console/deliveries/{key}": lambda w: w.both(lambda m: page(w, f"/console/deliveries/{w.sent[m]}")),
    "GET /console/templates": lambda w: page(w, "/console/templates"),
    "GET /console/templates/{name}": lambda w: page(w, "/console/templates/letter"),
    "POST /console/templates/{name}/preview": lambda w: w.both(
        lambda m: answer_to(w, m, "/console/templates/letter/preview", {"who": f"user_id:{m}-user"})
    ),
    "GET /console/suppressions": lambda w: page(w, "/console/suppressions"),
    "POST /console/suppressions/find": lambda w: w.both(
        lambda m: answer_to(w, m, "/console/suppressions/find", {"who": f"{m}@example.org"})
    ),
    "GET /console/definitions": lambda w: page(w, "/console/definitions?name=post"),
    "GET /console/audiences": lambda w: page(w, "/console/audiences"),
    "GET /console/audiences/new": lambda w: page(w, "/console/audiences/new"),
    "GET /console/audiences/{name}": lambda w: of_both(
        lambda kind: page(w, f"/console/audiences/{kind}?overlap=yes&on={rfc3339(w.ws.now())[:10]}")
    ),
    "GET /console/audiences/{name}/edit": lambda w: page(w, "/console/audiences/served/edit"),
    "GET /console/audiences/{name}/why/{profile_id}": lambda w: w.both(
        lambda m: of_both(lambda kind: page(w, f"/console/audiences/{kind}/why/{w.who(m)}"))
    ),
    "POST /console/audiences/preview": lambda w: of_both(lambda kind: build(w, "preview", kind)),
    "POST /console/audiences/plan": lambda w: of_both(lambda kind: build(w, "plan", kind)),
    "GET /console/features": lambda w: page(w, "/console/features"),
    "GET /console/features/new": lambda w: page(w, "/console/features/new"),
    "GET /console/features/{name}": lambda w: of_both(lambda kind: page(w, f"/console/features/{kind}-name")),
    "GET /console/features/{name}/edit": lambda w: page(w, "/console/features/served-name/edit"),
    "POST /console/features/{name}/value": lambda w: w.both(
        lambda m: of_both(
            lambda kind: answer_to(w, m, f"/console/features/{kind}-name/value", {"who": f"user_id:{m}-user"})
        )
    ),
    "GET /console/privacy/processing": lambda w: page(w, "/console/privacy/processing"),
    "GET /console/privacy/processing.json": lambda w: page(w, "/console/privacy/processing.json"),
}


def of_both(ask: Callable[[str], str]) -> str:
    """Ask the same of what is for the one purpose and for the other."""
    return "\n".join(ask(kind) for kind in ("counted", "served"))


def build(world: World, what: str, kind: str) -> str:
    """Ask the builder for everybody, for one purpose or the other."""
    fields = {"kind": "audience", "title": "Others", "purpose": P if kind == "counted" else "service"}
    return answer_to(world, "", f"/console/audiences/{what}", {**fields, "d.rows.0.kind": "everybody"})


def page(world: World, path: str) -> str:
    """Ask for a page."""
    return world.desk.get(path).body.decode()


def answer_to(world: World, word: str, path: str, fields: dict[str, str]) -> str:
    """Send a form; the words that were typed may stand in its fields again."""
    told = world.desk.post(path, fields).body.decode()
    for typed in fields.values():
        if word and word in typed:
            told = told.replace(f'value="{typed}"', "").replace(f"“{typed}”", "")
    return told


_DOES = "does something and shows where it was asked from, a page that is walked"
_UPLOADED = "rows of a file that a colleague uploaded and mends, before anybody is known by them"
_ME = "one's own account, and colleagues"
_NUMBERS = "numbers of people, and names of fields"
PAGES_NOT: dict[str, tuple[str, ...]] = {
    _DOES: (
        "POST /console/customers/{profile_id}/corrections", "POST /console/customers/{profile_id}/identity/beside",
        "POST /console/customers/{profile_id}/identity/cut", "POST /console/customers/{profile_id}/identity/join",
        "POST /console/customers/{profile_id}/identity/pin", "POST /console/customers/{profile_id}/identity/undo",
        "POST /console/customers/{profile_id}/notes", "POST /console/customers/{profile_id}/undo",
        "POST /console/customers/{profile_id}/choices", "POST /console/customers/{profile_id}/requests",
        "POST /console/privacy/requests/{request_id}/answer", "POST /console/privacy/requests/{request_id}/extend",
        "POST /console/privacy/requests/{request_id}/hold", "POST /console/privacy/requests/{request_id}/reject",
        "POST /console/privacy/requests/{request_id}/release", "POST /console/privacy/requests/{request_id}/run",
        "POST /console/privacy/requests/{request_id}/verify", "POST /console/privacy/requests/{request_id}/withdraw",
        "POST /console/privacy/versions/again", "POST /console/privacy/versions/apply",
        "POST /console/privacy/versions/plan",
        "POST /console/identity/join", "POST /console/identity/pin", "POST /console/identity/rules/again",
        "POST /console/identity/rules/apply", "POST /console/identity/rules/drop", "POST /console/identity/rules/plan",
        "POST /console/identity/values/block", "POST /console/identity/values/free",
        "POST /console/identity/values/looked", "POST /console/customers/{profile_id}/open",
        "POST /console/deliveries/{key}/replay", "POST /console/destinations/{name}/check",
        "POST /console/destinations/{name}/pause", "POST /console/destinations/{name}/replay",
        "POST /console/destinations/{name}/resume", "POST /console/suppressions/add",
        "POST /console/suppressions/{number}/lift", "POST /console/definitions/plan",
        "POST /console/definitions/apply", "POST /console/audiences/apply", "POST /console/audiences/build",
        "POST /console/audiences/{name}/send/plan",
    ),
    _NUMBERS: ("GET /console/audiences/{name}/send", "POST /console/audiences/preview/rest"),
    "the looks of GET /console/live, one after the other": ("POST /console/live/stream",),
    _OWN: (
        "POST /console/customers/{profile_id}/package", "POST /console/privacy/requests/{request_id}/package",
    ),
    _MENDING: (
        "GET /console/quarantine", "GET /console/quarantine/{number}", "POST /console/quarantine/replay",
        "POST /console/quarantine/{number}/mend",
    ),
    _UPLOADED: (
        "GET /console/imports", "GET /console/imports/{upload_id}", "GET /console/imports/{upload_id}/rejects/{kind}",
        "POST /console/imports", "POST /console/imports/{upload_id}/mapping",
        "POST /console/imports/{upload_id}/remove",
        "POST /console/imports/{upload_id}/retry", "POST /console/imports/{upload_id}/stop",
    ),
    _KEYS: (
        "GET /console/sources/keys/{key_id}", "GET /console/sources/keys/{key_id}/heard", "POST /console/sources/keys",
        "POST /console/sources/keys/{key_id}/revoke", "POST /console/sources/keys/{key_id}/rotate",
    ),
    _ME: (
        "GET /console/enter", "GET /console/enter/return", "GET /console/enter/sso", "GET /console/me",
        "GET /console/operators", "POST /console/enter", "POST /console/leave", "POST /console/me/name",
        "POST /console/me/opened/close", "POST /console/me/password", "POST /console/me/purpose",
        "POST /console/me/sessions/{session_id}/end",
        "POST /console/me/sign-out-everywhere", "POST /console/operators/invite",
        "POST /console/operators/{operator_id}/disable", "POST /console/operators/{operator_id}/enable",
        "POST /console/operators/{operator_id}/link", "POST /console/operators/{operator_id}/role",
        "POST /console/operators/{operator_id}/sign-out",
    ),
}  # fmt: skip
