"""The mapping: how the rows of one kind of file become messages.

In:    a YAML file that an operator wrote, or that `tillit import --suggest` drafted.
Out:   a `Mapping`, frozen and checked in full.
Never: a guess. An unknown key is an error that names the nearest one; all faults are told at once.
"""

import codecs
from collections.abc import Mapping as Mapped
from collections.abc import Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from tillit.errors import InputError

FORMATS = ("csv", "jsonl", "parquet")
# Four are enough for what shops export, and each can be told from the file's first bytes or is named by the operator.
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1")
MESSAGE_TYPES = ("track", "identify", "page", "group")
VALUE_TYPES = ("as-is", "text", "integer", "number", "boolean", "date", "time", "money")
DELIMITER_NAMES = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "whitespace": "whitespace", "auto": "auto"}
TIME_FORMATS = ("iso", "epoch_s", "epoch_ms", "epoch_us")
NO_MINOR_UNITS = frozenset(
    # ISO 4217, currencies without a minor unit.
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()
)
THREE_DIGITS = frozenset("BHD IQD JOD KWD LYD OMR TND".split())  # ISO 4217, a thousandth is the minor unit


class BadMapping(InputError):
    """A mapping file has faults."""

    code = "collect.bad-mapping"

    def __init__(self, where: str, faults: Sequence[str]) -> None:
        """Tell every fault at once."""
        listed = "".join(f"\n  - {fault}" for fault in faults)
        counted = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(
            f"The mapping {where} has {counted}:{listed}\n"
            "Mend the file, or draft a new one: tillit import FILE --suggest.",
            faults=list(faults),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRule:
    """How one value of a message is taken from a row: from a column, or always the same."""

    column: str | None = None
    value: str | int | float | bool | None = None  # a constant, when no column is named
    type: str = "as-is"
    format: str = "iso"  # date and time: iso, epoch_s, epoch_ms, epoch_us or a strptime pattern
    zone: str = "UTC"  # of a time that carries no offset of its own
    currency: str | None = None  # money: becomes whole minor units of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """How the rows of one kind of file become messages.

    Grain: one per kind of file. `name` scopes the message ids: the same rows under the same name are the same messages.
    """

    name: str
    source: str
    format: str
    encoding: str
    delimiter: str  # one character, or "whitespace", or "auto"
    header: bool
    columns: tuple[str, ...]  # of a file without a header
    missing: frozenset[str]  # texts that mean "no value"
    type: str
    event: ValueRule | None
    key: tuple[str, ...]
    user_id: str | None
    anonymous_id: str | None
    group_id: str | None
    email: str | None
    phone: str | None
    external_ids: tuple[tuple[str, str], ...]  # (namespace, column)
    timestamp: ValueRule | None
    properties: tuple[tuple[str, ValueRule], ...]
    traits: tuple[tuple[str, ValueRule], ...]
    text_hash: str  # of the YAML: another text is another import

    def columns_named(self) -> tuple[str, ...]:
        """List the columns that the mapping reads, each once, in order."""
        rules = [self.event, self.timestamp, *(rule for _, rule in (*self.properties, *self.traits))]
        plain = [self.user_id, self.anonymous_id, self.group_id, self.email, self.phone]
        named = [*self.key, *plain, *(column for _, column in self.external_ids), *(r.column for r in rules if r)]
        return tuple(dict.fromkeys(column for column in named if column is not None))


_KEYS = tuple(one.name for one in fields(Mapping) if one.name != "text_hash")
_ID_KEYS = ("user_id", "anonymous_id", "group_id", "email", "phone")
_RULE_KEYS = ("column", "value", "type", "format", "zone", "currency")


def load_mapping(path: Path) -> Mapping:
    """Read and check a mapping file.

    Raises: BadMapping with every fault.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise BadMapping(path.name, [f"The file cannot be read: {reason}."]) from exc
    return read_mapping(text, where=path.name)


def read_mapping(text: str, *, where: str = "mapping") -> Mapping:
    """Check the text of a mapping and give the record.

    Raises: BadMapping with every fault.
    """
    try:
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader that refuses repeated keys
    except (yaml.YAMLError, ValueError) as exc:
        mark = getattr(exc, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark is not None else ""
        problem = getattr(exc, "problem", None) or "it is not YAML"
        raise BadMapping(where, [f"It cannot be read as YAML{line}: {problem}."]) from exc
    if not isinstance(document, dict):
        raise BadMapping(where, ["It must be a table of keys, such as `name: orders`."])
    return _Checking(where).mapping(document, blake2b(text.encode(), digest_size=16).hexdigest())


class _StrictLoader(yaml.SafeLoader):
    """YAML as data only; a key that stands twice is a fault, not a quiet loss."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(getattr(key_node, "value", ""))
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


class _Checking:
    """One pass over a document that gathers what is wrong."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.faults: list[str] = []

    def mapping(self, document: Mapped[Any, Any], text_hash: str) -> Mapping:
        self._only(document, _KEYS, "")
        name = self._text(document, "name", None)
        file_format = self._choice(document, "format", FORMATS, None)
        made = Mapping(
            name=name,
            source=self._text(document, "source", name or "?"),  # a nameless mapping is told of its name only
            format=file_format,
            encoding=self._choice(document, "encoding", ENCODINGS, "utf-8"),
            delimiter=self._delimiter(document.get("delimiter", "auto")),
            header=self._flag(document, "header", default=True),
            columns=self._texts(document, "columns"),
            missing=frozenset(self._texts(document, "missing", default=("",), may_be_empty=True)),
            type=self._choice(document, "type", MESSAGE_TYPES, None),
            event=self._rule_or_constant(document.get("event")),
            key=self._texts(document, "key", one_is_enough=True),
            external_ids=self._external_ids(document.get("external_ids")),
            timestamp=self._timestamp(document.get("timestamp")),
            properties=self._rules(document, "properties"),
            traits=self._rules(document, "traits"),
            text_hash=text_hash,
            **{key: self._column(document, key) for key in _ID_KEYS},
        )
        self._together(made, document)
        if self.faults:
            raise BadMapping(self.where, self.faults)
        return made

    def _together(self, made: Mapping, document: Mapped[Any, Any]) -> None:
        if made.type == "track" and made.event is None:
            self.faults.append("A track needs `event`: the name of what happened, such as `event: Order Completed`.")
        if made.type == "group" and made.group_id is None:
            self.faults.append("A group needs `group_id`: the column with the group's id.")
        if made.traits and made.type in {"track", "page"}:
            self.faults.append(f"A {made.type} has `properties`, not `traits`. Use `type: identify` for traits.")
        if made.properties and made.type in {"identify", "group"}:
            self.faults.append(f"A {made.type} has `traits`, not `properties`.")
        if not (made.user_id or made.anonymous_id or made.email or made.phone or made.external_ids):
            self.faults.append(
                "No column says whose row it is. Name at least one of "
                "user_id, anonymous_id, email, phone, external_ids."
            )
        if made.format != "csv":
            for key in ("delimiter", "header", "columns"):
                if key in document:
                    self.faults.append(f"`{key}` is for csv; the format here is {made.format}.")
        elif not made.header and not made.columns:
            self.faults.append("A csv without a header needs `columns`: the names, in order.")
        elif made.header and made.columns:
            self.faults.append("`columns` is for files without a header. Drop it, or say `header: false`.")
        if len(set(made.columns)) != len(made.columns):
            self.faults.append("`columns` names one column twice.")
        if made.columns:
            for column in made.columns_named():
                if column not in made.columns:
                    self.faults.append(f"Column {column!r} is not in `columns`.{_near(column, made.columns)}")

    def _only(self, table: Mapped[Any, Any], known: Sequence[str], inside: str) -> None:
        for key in table:
            if key not in known:
                place = f" in `{inside}`" if inside else ""
                listed = _near(str(key), known) or f" Known: {', '.join(known)}."
                self.faults.append(f"There is no key {str(key)!r}{place}.{listed}")

    def _text(self, table: Mapped[Any, Any], key: str, default: str | None) -> str:
        found = table.get(key, default)
        if isinstance(found, str) and found.strip():
            return found
        self.faults.append(f"`{key}` must be a text, such as `{key}: orders`.")
        return ""

    def _choice(self, table: Mapped[Any, Any], key: str, choices: Sequence[str], default: str | None) -> str:
        found = table.get(key, default)
        if found in choices:
            return str(found)
        shown = "missing" if found is None else f"{found!r}"
        self.faults.append(f"`{key}` is {shown}; it must be one of {', '.join(choices)}.{_near(str(found), choices)}")
        return ""

    def _flag(self, table: Mapped[Any, Any], key: str, *, default: bool) -> bool:
        found = table.get(key, default)
        if not isinstance(found, bool):
            self.faults.append(f"`{key}` must be true or false.")
            return default
        return found

    def _texts(
        self,
        table: Mapped[Any, Any],
        key: str,
        *,
        default: tuple[str, ...] = (),
        one_is_enough: bool = False,
        may_be_empty: bool = False,
    ) -> tuple[str, ...]:
        found = table.get(key)
        if found is None:
            return default
        if one_is_enough and isinstance(found, str):
            found = [found]
        if isinstance(found, list) and all(isinstance(one, str) and (one or may_be_empty) for one in found):
            return tuple(found)
        self.faults.append(f"`{key}` must be a list of texts (put quotes around what looks like a number or a date).")
        return default

    def _delimiter(self, found: object) -> str:
        if isinstance(found, str):
            if found in DELIMITER_NAMES:
                return DELIMITER_NAMES[found]
            if len(found) == 1 and found not in '"\r\n\0':
                return found
        self.faults.append(f"`delimiter` must be one character or one of {', '.join(DELIMITER_NAMES)}.")
        return "auto"

    def _column(self, table: Mapped[Any, Any], key: str) -> str | None:
        found = table.get(key)
        if found is None or (isinstance(found, str) and found):
            return found
        self.faults.append(f"`{key}` must be the name of a column.")
        return None

    def _external_ids(self, found: object) -> tuple[tuple[str, str], ...]:
        if found is None:
            return ()
        if isinstance(found, dict) and all(
            isinstance(name, str) and isinstance(column, str) and name and column for name, column in found.items()
        ):
            return tuple(found.items())
        self.faults.append("`external_ids` must be a table of namespace and column, such as `card: loyalty_card`.")
        return ()

    def _rule_or_constant(self, found: object) -> ValueRule | None:
        """`event: Order Completed` is a constant; `event: {column: action}` is read from the row."""
        if isinstance(found, dict):
            return self._rule("event", found)
        if found is None or (isinstance(found, str) and found.strip()):
            return None if found is None else ValueRule(value=found)
        self.faults.append("`event` must be a name, or `{column: ...}`.")
        return None

    def _timestamp(self, found: object) -> ValueRule | None:
        if found is None:
            return None
        if isinstance(found, str):
            found = {"column": found}
        if not isinstance(found, dict):
            self.faults.append("`timestamp` must be a column, or `{column: ..., format: ..., zone: ...}`.")
            return None
        if "type" in found or "value" in found or "currency" in found:
            self.faults.append("`timestamp` takes column, format and zone only.")
            return None
        return self._rule("timestamp", {**found, "type": "time"})

    def _rules(self, table: Mapped[Any, Any], key: str) -> tuple[tuple[str, ValueRule], ...]:
        found = table.get(key)
        if found is None:
            return ()
        if not isinstance(found, dict) or not all(isinstance(name, str) and name for name in found):
            self.faults.append(f"`{key}` must be a table, such as `price: {{column: price, type: number}}`.")
            return ()
        made = []
        for name, written in found.items():
            rule = self._rule(f"{key}.{name}", {"column": written} if isinstance(written, str) else written)
            if rule is None:
                continue
            if rule.type == "money" and not name.endswith("_minor"):
                self.faults.append(
                    f"`{key}.{name}` is money, which is kept in whole minor units. Call it `{name}_minor`."
                )
            made.append((name, rule))
        return tuple(made)

    def _rule(self, place: str, found: object) -> ValueRule | None:
        if not isinstance(found, dict):
            self.faults.append(f"`{place}` must be a column, or a table such as `{{column: price, type: number}}`.")
            return None
        before = len(self.faults)
        self._only(found, _RULE_KEYS, place)
        column, value = found.get("column"), found.get("value")
        if (column is None) == (value is None):
            self.faults.append(f"`{place}` needs either `column` or `value`.")
        if column is not None and not (isinstance(column, str) and column):
            self.faults.append(f"`{place}.column` must be the name of a column.")
        if value is not None and not isinstance(value, (str, int, float, bool)):
            self.faults.append(f"`{place}.value` must be a text, a number, true or false.")
        kind = found.get("type", "as-is")
        if kind not in VALUE_TYPES:
            listed = ", ".join(VALUE_TYPES)
            near = _near(str(kind), VALUE_TYPES)
            self.faults.append(f"`{place}.type` is {kind!r}; it must be one of {listed}.{near}")
        if value is not None and len(found) > 1:
            self.faults.append(f"`{place}` is a constant: `value` stands alone.")
        pattern, zone, currency = found.get("format", "iso"), found.get("zone", "UTC"), found.get("currency")
        if kind not in {"date", "time"} and ("format" in found or "zone" in found):
            self.faults.append(f"`{place}`: `format` and `zone` are for date and time.")
        if not isinstance(pattern, str) or (pattern not in TIME_FORMATS and "%" not in pattern):
            listed = ", ".join(TIME_FORMATS)
            self.faults.append(f"`{place}.format` must be one of {listed}, or a pattern such as '%d.%m.%Y'.")
        if not is_zone(zone):
            self.faults.append(f"`{place}.zone` must be a time zone's name, such as UTC or Europe/Stockholm.")
        if kind == "money" and not (isinstance(currency, str) and len(currency) == 3 and currency.isupper()):
            self.faults.append(f"`{place}.currency` must be a code of three letters, such as SEK.")
        if kind != "money" and currency is not None:
            self.faults.append(f"`{place}`: `currency` is for money.")
        if len(self.faults) > before:
            return None
        return ValueRule(column=column, value=value, type=kind, format=pattern, zone=zone, currency=currency)


def is_zone(name: object) -> bool:
    """Say whether this machine knows the time zone."""
    if not isinstance(name, str):
        return False
    if name == "UTC":
        return True
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def minor_digits(currency: str) -> int:
    """Say how many decimals of the currency's main unit its minor unit has.

    >>> minor_digits("SEK"), minor_digits("JPY"), minor_digits("KWD")
    (2, 0, 3)
    """
    return 0 if currency in NO_MINOR_UNITS else 3 if currency in THREE_DIGITS else 2


def bom_encoding(head: bytes) -> str | None:
    """Name the encoding that a file's first bytes announce."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return None


def _near(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
