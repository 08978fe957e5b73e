"""What an operator may choose: one table per room, read once, frozen.

In:    `tillit.toml`, the environment (`TILLIT_ROOM__NAME`), the command line; the later weighs more.
Out:   a `Settings` object to pass down, where each value came from, the sample file and the reference page.
Never: kept in a global or read on import. An unknown key is an error; a secret is never shown.
"""

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from tillit.errors import SettingsError

__all__ = [
    "Api",
    "BadSetting",
    "Collect",
    "Console",
    "ConsoleOidc",
    "Deliver",
    "Engine",
    "Explanation",
    "Lake",
    "Log",
    "Looked",
    "People",
    "Row",
    "Serve",
    "Settings",
    "State",
    "UnknownSetting",
    "UnreadableSettings",
    "explain",
    "iter_rows",
    "reference_page",
    "sample_file",
]

FILE_NAME = "tillit.toml"
ENVIRONMENT_PREFIX = "TILLIT_"

T = TypeVar("T")


class UnknownSetting(SettingsError):
    """A setting was named that does not exist."""

    code = "settings.unknown"

    def __init__(self, name: str, known: list[str], where: str) -> None:
        """Name what was found, where, and the nearest setting there is."""
        near = get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "`tillit settings sample` lists all there are."
        super().__init__(f"There is no setting {name!r} ({where}). {hint}", setting=name, where=where)


class BadSetting(SettingsError):
    """A setting has a value that it cannot have."""

    code = "settings.bad-value"

    def __init__(self, name: str, shown: str, wanted: str, where: str) -> None:
        """Say what the setting is, what it must be, and where it was read."""
        super().__init__(f"Setting {name} is {shown}; it must be {wanted} ({where}).", setting=name, where=where)


class UnreadableSettings(SettingsError):
    """The settings file is there and cannot be read."""

    code = "settings.unreadable"

    def __init__(self, path: Path, reason: str) -> None:
        """Name the file and what stands in the way."""
        super().__init__(f"{path.name} cannot be read: {reason}. Mend the file, or remove it to use the defaults.")


def setting(
    default: T,
    help: str,
    *,
    least: int | None = None,
    most: int | None = None,
    pattern: str | None = None,
    wanted: str | None = None,
    secret: bool = False,
    in_file: bool = True,
    since: str = "0.1.0",
) -> T:
    """Write one row of a room's table: default, help, bounds, since. Its type is the field's own."""
    facts = {
        "help": help,
        "least": least,
        "most": most,
        "pattern": pattern,
        "wanted": wanted,
        "secret": secret,
        "in_file": in_file,
        "since": since,
    }
    if isinstance(default, dict):
        made = field(default_factory=cast("Callable[[], T]", default.copy), repr=not secret, metadata=facts)
    else:
        made = field(default=default, repr=not secret, metadata=facts)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """What the tracking API takes. The size limits are Segment's own."""

    max_event_bytes: int = setting(32_768, "Largest event.", least=1_024, most=1_048_576)
    max_batch_bytes: int = setting(512_000, "Largest request body, decompressed.", least=1_024, most=67_108_864)
    max_batch_events: int = setting(2_500, "Most events in one batch.", least=1, most=100_000)
    max_decompressed_ratio: int = setting(100, "Most bytes one compressed byte may unfold into.", least=1, most=10_000)
    max_depth: int = setting(32, "Deepest nesting of objects and lists in an event.", least=1, most=200)
    max_keys: int = setting(512, "Most keys in an event, counted through all levels.", least=1, most=100_000)
    max_key_bytes: int = setting(128, "Longest key, in UTF-8.", least=1, most=8_192)
    max_string_bytes: int = setting(8_192, "Longest text value, in UTF-8.", least=1, most=1_048_576)
    max_id_bytes: int = setting(256, "Longest userId, anonymousId, groupId or messageId.", least=16, most=8_192)
    oldest_event_on: date = setting(date(1980, 1, 1), "Events dated before this day are quarantined.")
    future_tolerance_s: int = setting(
        300, "How far ahead of our clock an event may be dated, clock skew corrected.", least=0, most=86_400
    )
    ip: Literal["truncate", "keep", "drop"] = setting(
        "truncate", "The sender's address: last octet (IPv6: last 80 bits) cut, kept whole, or dropped."
    )
    bots: Literal["flag"] = setting("flag", "Events of known robots are flagged; they are never dropped.")
    quarantine_days: int = setting(30, "How long raw bytes of refused events are kept.", least=1, most=30)
    max_upload_mb: int = setting(
        2_000, "Largest file that the console takes for an import, in millions of bytes.", least=1, most=1_000_000
    )
    rate_per_key_per_s: int = setting(
        0, "Most requests of one key in a second to one web process; 0 is no limit.", least=0, most=10**7
    )

    @property
    def oldest_event_at(self) -> int:
        """Say when `oldest_event_on` begins: UTC epoch microseconds."""
        day = self.oldest_event_on
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """How the log keeps what it was given."""

    retention_days: int = setting(
        0, "How long bodies stay in the log; 0 is for ever. The lake keeps history.", least=0, most=36_500
    )
    # NORMAL and OFF are not on offer: a power cut would lose events that were acknowledged.
    synchronous: Literal["FULL", "EXTRA"] = setting("FULL", "How hard SQLite makes sure that the disk has it.")
    group_wait_ms: int = setting(0, "How long a write waits for others to share its sync.", least=0, most=1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """How the fold works through the log."""

    batch_rows: int = setting(20_000, "Most log rows folded in one transaction.", least=1, most=1_000_000)
    poll_ms: int = setting(5, "Pause before looking for new rows.", least=1, most=60_000)
    tick_s: int = setting(10, "How often time is noted on an idle log.", least=1, most=3_600)
    judge_apart_rows: int = setting(
        5_000,
        "Log rows in one transaction from which on audiences are judged by a process beside the fold; 0: never.",
        least=0,
        most=1_000_000,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lake:
    """How events reach the open tables."""

    flush_s: int = setting(2, "Events are in the lake at most this much later.", least=1, most=3_600)
    compact_files: int = setting(20, "Small files are joined when there are this many.", least=2, most=10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where derived state lives."""

    url: str = setting(
        "",
        "A PostgreSQL address; empty is SQLite in the workspace.",
        pattern=r"(postgres(ql)?://.+)?",
        wanted="empty or an address that starts with postgresql://",
        secret=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """Where `tillit serve` listens."""

    host: str = setting("127.0.0.1", "Address to listen on; only this machine by default.", pattern=r"\S+")
    port: int = setting(8_000, "Port; 0 takes a free one.", least=0, most=65_535)
    workers: int = setting(2, "Web processes; about as many as cores, some 60 MB each.", least=1, most=256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What one key may ask of the reading API."""

    rate_per_minute: int = setting(
        6_000, "Most requests of one key in a minute to one web process; 0 is no limit.", least=0, most=10**7
    )
    page_limit: int = setting(100, "Rows of a page when no number is asked for.", least=1, most=10_000)
    max_page_limit: int = setting(1_000, "Most rows a page may hold.", least=1, most=10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """What counts as a fact about a person."""

    adult_age: int = setting(18, "Age in years below which a birthday makes somebody a minor.", least=0, most=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """How staff reach the console."""

    public_url: str = setting(
        "",
        "The address that staff open, when a proxy stands in front. With https, cookies are sent over TLS only.",
        pattern=r"(https?://[^/\s?#]+)?",
        wanted="empty or an address such as https://cdp.example.org",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOidc:
    """How staff sign in to the console with OpenID Connect; needs `pip install 'tillit[sso]'`."""

    issuer: str = setting(
        "",
        "The provider's address, as it names itself; empty is no single sign-on.",
        # Plain http on this machine only: whoever sits between could say who signs in.
        pattern=r"(https://[^\s?#]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/[^\s?#]*)?)?",
        wanted="empty or an address that starts with https://",
    )
    name: str = setting(
        "single sign-on", "The provider's name on the button, after the words Sign in with.", pattern=r"\S.{0,59}"
    )
    client_id: str = setting("", "What the provider calls this console.")
    client_secret: str = setting("", "The secret that goes with it.", secret=True, in_file=False)
    client_secret_file: str = setting("", "A file with that secret; relative paths begin in the workspace.")
    email_domains: tuple[str, ...] = setting((), "Domains whose addresses are let in; empty is any.")
    create: bool = setting(False, "Whether somebody who is no operator yet becomes one at the first sign-in.")
    role: Literal["reader", "editor", "admin"] = setting("reader", "The role of whoever is made an operator so.")
    role_claim: str = setting("", "The claim that holds somebody's groups; with it, roles follow the provider.")
    roles: dict[str, str] = setting({}, "Which role each group of that claim gives.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """What leaves for destinations, and where it may go."""

    allow_private: tuple[str, ...] = setting(
        (),
        "Hosts (* stands for any characters) and networks that may be sent to although they are private or speak plain "
        "HTTP.",
    )
    public_url: str = setting(
        "",
        "The address under which customers reach this server, for links in messages.",
        pattern=r"(https?://[^/\s?#]+)?",
        wanted="empty or an address such as https://shop.example.org",
    )
    lease_s: int = setting(30, "How long a delivery is one courier's before another may take it.", least=5, most=3_600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every room's settings, read once at start and passed down."""

    collect: Collect = field(default_factory=Collect)
    log: Log = field(default_factory=Log)
    engine: Engine = field(default_factory=Engine)
    lake: Lake = field(default_factory=Lake)
    state: State = field(default_factory=State)
    serve: Serve = field(default_factory=Serve)
    api: Api = field(default_factory=Api)
    people: People = field(default_factory=People)
    console: Console = field(default_factory=Console)
    console_oidc: ConsoleOidc = field(default_factory=ConsoleOidc)
    deliver: Deliver = field(default_factory=Deliver)

    @classmethod
    def load(
        cls,
        path: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        given: Mapping[str, object] | None = None,
    ) -> "Settings":
        """Read the settings: command line (`given`, by full name), environment, file, default; the first wins.

        `path` is a `tillit.toml` or the folder it lies in; without a file the defaults hold.
        Raises: UnknownSetting, BadSetting, UnreadableSettings.
        """
        found = _look(path, environ, given)
        rooms = {
            room.attribute: room.type(**{row.name: _decide(row, found) for row in _rows_of(room.name, room.type)})
            for room in _rooms()
        }
        return cls(**rooms)


class Row(NamedTuple):
    """One setting, as its room's table states it."""

    room: str
    name: str
    type: Any
    default: Any
    help: str
    since: str
    least: int | None
    most: int | None
    pattern: str | None
    wanted: str | None
    is_secret: bool
    is_in_file: bool  # false: the environment or the command line only

    @property
    def full_name(self) -> str:
        """Give the name people write: `room.name`."""
        return f"{self.room}.{self.name}"

    @property
    def environment_name(self) -> str:
        """Give the environment variable that sets it."""
        return f"{ENVIRONMENT_PREFIX}{self.full_name.replace('.', '__')}".upper()

    @property
    def type_name(self) -> str:
        """Say in words what a value must be."""
        if self.wanted is not None:
            return self.wanted
        if get_origin(self.type) is Literal:
            return " or ".join(_toml(choice) for choice in get_args(self.type))
        if self.type is int and self.least is not None and self.most is not None:
            return f"a whole number from {self.least} to {self.most}"
        return {
            int: "a whole number",
            bool: "true or false",
            date: "a day such as 1980-01-31",
            str: "a text",
            tuple[str, ...]: "a list of texts",
        }.get(self.type, "a table of texts by name")


class Looked(NamedTuple):
    """One place that was looked at for a setting, and what it says there."""

    place: str
    value: str | None  # None: nothing there
    is_winner: bool


class Explanation(NamedTuple):
    """What one setting is, and where its value came from."""

    row: Row
    value: str
    looked: tuple[Looked, ...]  # the first that says something wins


class _Room(NamedTuple):
    attribute: str  # of Settings
    type: Any

    @property
    def name(self) -> str:
        """Give what the file calls it: console_oidc is [console.oidc]."""
        return self.attribute.replace("_", ".")


class _Found(NamedTuple):
    value: object
    where: str
    is_text: bool  # from the environment: "5" may stand for 5


_Places = dict[str, tuple[_Found | None, _Found | None, _Found | None]]  # command line, environment, file


def iter_rows() -> Iterator[Row]:
    """List every setting there is, room by room."""
    for room in _rooms():
        yield from _rows_of(room.name, room.type)


def explain(
    name: str,
    path: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    given: Mapping[str, object] | None = None,
) -> Explanation:
    """Say what a setting is, every place that was looked at, and which won.

    Raises: UnknownSetting when there is no such setting; BadSetting when its value is wrong.
    """
    rows = {row.full_name: row for row in iter_rows()}
    if name not in rows:
        raise UnknownSetting(name, sorted(rows), "asked for by name")
    row = rows[name]
    found = _look(path, environ, given)
    value = _decide(row, found)
    names = ("command line", f"environment {row.environment_name}", FILE_NAME)
    looked = []
    won = False
    for place, hit in zip(names, found[name], strict=True):
        shown = None if hit is None else _shown(row, hit.value)
        looked.append(Looked(hit.where if hit else place, shown, hit is not None and not won))
        won = won or hit is not None
    looked.append(Looked("default", _shown(row, row.default), not won))
    return Explanation(row, _shown(row, value), tuple(looked))


def sample_file() -> str:
    """Give a `tillit.toml` that states every setting, its help and its default, all commented out."""
    lines = ["# Settings of this workspace. Every line shows its default; remove the # to change it."]
    for room in _rooms():
        lines += ["", f"# {_first_line(room.type)}", f"[{room.name}]"]
        for row in _rows_of(room.name, room.type):
            lines.append(f"# {row.help} ({row.type_name})")
            if row.is_in_file:
                lines.append(f"# {row.name} = {_toml(row.default)}")
            else:
                lines.append(f"# Set it as {row.environment_name}; it is not read from this file.")
    return "\n".join(lines) + "\n"


def reference_page() -> str:
    """Give the reference page of all settings, in Markdown."""
    lines = [
        "# Settings",
        "",
        "Made from the code by `make docs`; do not edit.",
        "",
        "Places looked at, the first wins: command line, environment, file, default.",
        f"The environment's names are `{ENVIRONMENT_PREFIX}ROOM__NAME`, the file is `{FILE_NAME}` in the workspace.",
        "`tillit settings explain collect.ip` says which one won.",
        "An unknown name is an error.",
    ]
    for room in _rooms():
        lines += ["", f"## [{room.name}]", "", _first_line(room.type), ""]
        lines += ["| name | must be | default | what it does | since |", "|---|---|---|---|---|"]
        for row in _rows_of(room.name, room.type):
            default = _toml(row.default).replace("|", "\\|")
            where = "" if row.is_in_file else f" Read from the environment only, as `{row.environment_name}`."
            lines.append(f"| `{row.name}` | {row.type_name} | `{default}` | {row.help}{where} | {row.since} |")
    return "\n".join(lines) + "\n"


def _rooms() -> list[_Room]:
    return [_Room(name, kind) for name, kind in get_type_hints(Settings).items()]


def _rows_of(room: str, table: Any) -> Iterator[Row]:
    hints = get_type_hints(table)
    for column in fields(table):
        facts = column.metadata
        yield Row(
            room=room,
            name=column.name,
            type=hints[column.name],
            default=getattr(table(), column.name),
            help=facts["help"],
            since=facts["since"],
            least=facts["least"],
            most=facts["most"],
            pattern=facts["pattern"],
            wanted=facts["wanted"],
            is_secret=facts["secret"],
            is_in_file=facts["in_file"],
        )


def _look(path: Path | None, environ: Mapping[str, str] | None, given: Mapping[str, object] | None) -> _Places:
    """Read every place once; every name in it must be a setting."""
    line = {name: _Found(value, "command line", is_text=False) for name, value in (given or {}).items()}
    environment = _in_environment(os.environ if environ is None else environ)
    file = _in_file(path) if path is not None else {}
    known = [row.full_name for row in iter_rows()]
    for place in (line, environment, file):
        for name, hit in place.items():
            if name not in known:
                raise UnknownSetting(name, known, hit.where)
    return {name: (line.get(name), environment.get(name), file.get(name)) for name in known}


def _in_environment(environ: Mapping[str, str]) -> dict[str, _Found]:
    found = {}
    for key, value in sorted(environ.items()):
        room, separator, name = key.removeprefix(ENVIRONMENT_PREFIX).rpartition("__")
        # Without the double underscore it is somebody else's variable: TILLIT_HOME in a deploy script.
        if key.startswith(ENVIRONMENT_PREFIX) and separator:
            found[f"{room.replace('__', '.')}.{name}".lower()] = _Found(value, f"environment {key}", is_text=True)
    return found


def _in_file(path: Path) -> dict[str, _Found]:
    if path.is_dir():
        path = path / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as fault:
        raise UnreadableSettings(path, type(fault).__name__) from fault
    except tomllib.TOMLDecodeError as fault:
        raise UnreadableSettings(path, str(fault)) from fault
    found = {}
    rooms = [known.name for known in _rooms()]
    tables = list(document.items())
    for room, table in tables:
        where = _line_of(path, text, room, None)
        if room not in rooms:
            raise UnknownSetting(room, rooms, where)
        if not isinstance(table, dict):
            raise BadSetting(room, _toml(table), "a table of settings", where)
        for name, value in table.items():
            if f"{room}.{name}" in rooms:
                tables.append((f"{room}.{name}", value))
            else:
                found[f"{room}.{name}"] = _Found(value, _line_of(path, text, room, name), is_text=False)
    for row in iter_rows():
        hit = found.get(row.full_name)
        if hit is not None and not row.is_in_file:
            wanted = f"given in the environment as {row.environment_name}, or in a file of its own"
            raise BadSetting(row.full_name, _shown(row, hit.value), wanted, hit.where)
    return found


def _line_of(path: Path, text: str, room: str, name: str | None) -> str:
    """Say where a setting stands; only the file when it is written in a way we do not follow."""
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\s*([\w.-]+)\s*\]", line)
        section = header[1] if header else section
        if header and section in ({room, f"{room}.{name}"} if name is None else {f"{room}.{name}"}):
            return f"{path.name} line {number}"
        if name is not None and section == room and re.match(rf"\s*{re.escape(name)}\s*[=.]", line):
            return f"{path.name} line {number}"
        if name is None and not section and re.match(rf"\s*{re.escape(room)}\s*[=.]", line):
            return f"{path.name} line {number}"
    return path.name


def _decide(row: Row, found: _Places) -> Any:
    hit = next((hit for hit in found[row.full_name] if hit is not None), None)
    if hit is None:
        return row.default
    value = hit.value
    try:
        if hit.is_text and get_origin(row.type) in {dict, tuple}:
            value = json.loads(str(value))
        value = msgspec.convert(value, row.type, strict=not hit.is_text)
    except (msgspec.ValidationError, ValueError) as fault:
        raise _bad(row, hit) from fault
    if row.least is not None and value < row.least:
        raise _bad(row, hit)
    if row.most is not None and value > row.most:
        raise _bad(row, hit)
    if row.pattern is not None and not re.fullmatch(row.pattern, value):
        raise _bad(row, hit)
    # A declared table joins what is built in, so that nobody loses "service" by adding "newsletter".
    return {**row.default, **value} if isinstance(value, dict) else value


def _bad(row: Row, hit: _Found) -> BadSetting:
    return BadSetting(row.full_name, _shown(row, hit.value), row.type_name, hit.where)


def _shown(row: Row, value: object) -> str:
    return "(hidden)" if row.is_secret and value != "" else _toml(value)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(text)}" for name, text in value.items()) + " }"
    if isinstance(value, bool | int | float | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    return str(value)


def _first_line(table: Any) -> str:
    return str(table.__doc__).strip().splitlines()[0]
