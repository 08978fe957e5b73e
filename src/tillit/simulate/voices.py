"""How each source writes its messages: a browser, an app's SDK, the shop's own servers.

In:    who speaks with what, at which instants.
Out:   `Said`: messages in the form of Segment's libraries, each with its source and with who it really was.
Never: reads a clock or an unseeded source; changes a message that was said (parts of them are shared).
"""

from functools import lru_cache
from random import Random
from typing import NamedTuple

from tillit.clock import DAY, HOUR, rfc3339
from tillit.simulate.catalogue import SITE, Message
from tillit.simulate.people import random_uuid

_new = tuple.__new__
_BROWSER = {"name": "analytics.js", "version": "npm:next-1.84.3"}
_SERVER = {"library": {"name": "analytics-python", "version": "2.4.0"}}
_LIBRARIES = {
    "iOS": {"name": "analytics-swift", "version": "1.9.1"},
    "Android": {"name": "analytics-kotlin", "version": "1.22.0"},
}
_APP = {"name": "Kettle and Moss", "version": "4.2.0", "build": "4200", "namespace": "com.example.kettle"}
_SCREENS = {"iOS": {"width": 1179, "height": 2556, "density": 3}, "Android": {"width": 1080, "height": 2424}}


class Said(NamedTuple):
    """One message on its way to the door, and the truth about it."""

    at: int  # when it happened
    arrives_at: int  # when it is at the door: hours later when a telephone had no network
    source: str
    person: int  # who it was
    skew: int  # microseconds by which the sender's clock is ahead
    message: Message
    gpc: bool = False  # the browser sent Sec-GPC


class Held(NamedTuple):
    """An identifier was somebody's for a time."""

    namespace: str
    value: str
    person: int | None  # None: nobody's, whoever types it
    from_at: int
    until_at: int | None  # None: still
    why: str


class Scene:
    """What comes out of one visit after the other. Units: UTC epoch microseconds."""

    __slots__ = ("held", "rng", "said")

    def __init__(self) -> None:
        """Begin with nothing said; whoever plays a visit seeds the chance first."""
        self.rng = Random()
        self.said: list[Said] = []
        self.held: list[Held] = []

    def after(self, at: int, low_s: float, high_s: float) -> int:
        """Give an instant some seconds later."""
        return at + int((low_s + self.rng.random() * (high_s - low_s)) * 1000) * 1000


class Voice:
    """One sender during one visit."""

    __slots__ = ("_head", "_n", "_said", "gpc", "ids", "person", "skew", "source")

    def __init__(self, scene: Scene, source: str, person: int, ids: Message, *, head: str = "") -> None:
        """Speak as a source, with these ids on each message."""
        self._said = scene.said.append
        self._head = head + random_uuid(scene.rng)[:-4]
        self._n = 0
        self.source = source
        self.person = person
        self.ids = ids
        self.skew = 0
        self.gpc = False

    def say(self, at: int, message: Message) -> None:
        """Say one message; ids, message id and time are added."""
        self._n += 1
        whole = {
            **message,
            **self.ids,
            "messageId": f"{self._head}{self._n:04x}",
            "timestamp": text_of(at + self.skew),
        }
        # The plain constructor of a NamedTuple takes twice as long.
        self._said(_new(Said, (at, at + 400_000, self.source, self.person, self.skew, whole, self.gpc)))


class Server(Voice):
    """The shop's own server, its till, its mailing or its help desk."""

    __slots__ = ("context",)

    def __init__(self, scene: Scene, source: str, person: int, ids: Message, context: Message | None = None) -> None:
        """Speak for a person; what the server knows beside the ids stands in the context."""
        super().__init__(scene, source, person, ids)
        self.context = _SERVER if context is None else {**_SERVER, **context}

    def track(self, at: int, event: str, properties: Message) -> None:
        """Say what somebody did."""
        self.say(at, {"type": "track", "event": event, "properties": properties, "context": self.context})


class Browser(Voice):
    """One browser."""

    __slots__ = ("_path", "context")

    def __init__(self, scene: Scene, person: int, device: str, context: Message) -> None:
        """Speak as a browser that holds this anonymous id."""
        super().__init__(scene, "web", person, {"anonymousId": device}, head="ajs-next-")
        self.context = context
        self._path: Message = {"path": "/", "url": SITE + "/"}

    def page(self, at: int, name: str, path: str) -> None:
        """See a page."""
        self._path = {"path": path, "url": SITE + path}
        about = {"name": name, "path": path, "url": SITE + path, "title": f"{name} · Kettle and Moss"}
        self.say(at, {"type": "page", "name": name, "properties": about, "context": self._context()})

    def track(self, at: int, event: str, properties: Message) -> None:
        """Do something."""
        self.say(at, {"type": "track", "event": event, "properties": properties, "context": self._context()})

    def identify(self, at: int, traits: Message) -> None:
        """Say who one is."""
        self.say(at, {"type": "identify", "traits": traits, "context": self._context()})

    def _context(self) -> Message:
        return {**self.context, "page": self._path}


class App(Voice):
    """The app's SDK on one telephone."""

    __slots__ = ("context",)

    def __init__(self, scene: Scene, person: int, device: str, context: Message) -> None:
        """Speak as an app that holds this anonymous id."""
        super().__init__(scene, "app", person, {"anonymousId": device})
        self.context = context

    def screen(self, at: int, name: str) -> None:
        """See a screen."""
        self.say(at, {"type": "screen", "name": name, "properties": {"name": name}, "context": self.context})

    def track(self, at: int, event: str, properties: Message) -> None:
        """Do something."""
        self.say(at, {"type": "track", "event": event, "properties": properties, "context": self.context})

    def identify(self, at: int, traits: Message) -> None:
        """Say who one is."""
        self.say(at, {"type": "identify", "traits": traits, "context": self.context})


def browser_context(agent: str, locale: str, zone: str, consent: Message | None, campaign: Message | None) -> Message:
    """Give what a browser says of itself with every message."""
    context: Message = {"library": _BROWSER, "userAgent": agent, "locale": locale, "timezone": zone}
    if consent is not None:
        context["consent"] = consent
    if campaign is not None:
        context["campaign"] = campaign
    return context


def app_context(model: tuple[str, str, str, str], device: str, locale: str, zone: str, consent: Message) -> Message:
    """Give what an app says of itself with every message."""
    maker, name, system, version = model
    return {
        "library": _LIBRARIES[system],
        "app": _APP,
        "device": {"id": device[:8], "manufacturer": maker, "model": name, "type": system.lower()},
        "os": {"name": system, "version": version},
        "network": {"wifi": True, "cellular": False},
        "screen": _SCREENS[system],
        "locale": locale,
        "timezone": zone,
        "consent": consent,
    }


def text_of(at: int) -> str:
    """Write an instant as browsers do, to the millisecond."""
    minute, milli = divmod(at // 1000, 60_000)
    # Sliced, not formatted: "112345"[1:] pads with zeros in a third of the time.
    digits = str(100_000 + milli)
    return f"{_day_text(minute // 1440)}{_MINUTES[minute % 1440]}{digits[1:3]}.{digits[3:]}Z"


_MINUTES = tuple(f"{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440))


@lru_cache(maxsize=1024)
def _day_text(day: int) -> str:
    return rfc3339(day * DAY)[:11]


def delayed(said: list[Said], first: int, hours: float) -> None:
    """Let the messages from one place on arrive together, hours later: the telephone had no network."""
    arrives_at = said[-1].at + int(hours * HOUR)
    for place in range(first, len(said)):
        said[place] = said[place]._replace(arrives_at=arrives_at)
