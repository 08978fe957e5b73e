"""Rows become messages, as a mapping says.

In:    the values of one row, the mapping, the id the message shall have.
Out:   a message in Segment's form, as a program would have sent it.
Never: a value of the row in an error; a time guessed; a cast that loses digits without a word.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from tillit.clock import rfc3339
from tillit.collect.files.mapping import Mapping, ValueRule, minor_digits
from tillit.errors import InputError

YES = frozenset({"true", "t", "yes", "y", "1", "on", "ja", "oui", "si"})
NO = frozenset({"false", "f", "no", "n", "0", "off", "nej", "nein", "non"})
LARGEST_INTEGER = 2**63 - 1  # what every store of ours holds
LARGEST_EXACT_ID = 2**53  # beyond it other programs have already rounded
_WHOLE = re.compile(r"[+-]?\d{1,19}")
_NUMBER = re.compile(r"[+-]?(\d{1,300}(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNITS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}


class BadRow(InputError):
    """A row of a file cannot become a message."""

    code = "collect.bad-row"


def build_message(values: dict[str, Any], mapping: Mapping, message_id: str) -> dict[str, Any]:
    """Make one row's message.

    Raises: BadRow, naming the column and what was wanted.
    """
    message: dict[str, Any] = {"type": mapping.type, "messageId": message_id}
    for name, column in (
        ("userId", mapping.user_id),
        ("anonymousId", mapping.anonymous_id),
        ("groupId", mapping.group_id),
    ):
        if column is not None and (found := _id(values, column, mapping)) is not None:
            message[name] = found
    if mapping.group_id is not None and "groupId" not in message:
        raise BadRow(f"Column {mapping.group_id!r} has no group id.", code="collect.row-no-group")

    handles = {
        name: found
        for name, column in (("email", mapping.email), ("phone", mapping.phone))
        if column is not None and (found := _id(values, column, mapping)) is not None
    }
    external = [
        {"id": found, "type": namespace, "collection": "users", "encoding": "none"}
        for namespace, column in mapping.external_ids
        if (found := _id(values, column, mapping)) is not None
    ]
    if not (handles or external or "userId" in message or "anonymousId" in message):
        raise BadRow("None of the columns that say whose row it is has a value.", code="collect.row-nobody")

    if mapping.event is not None:
        name = _value(values, mapping.event, mapping, "event")
        if not isinstance(name, str):
            raise BadRow("The column with the event's name has no text.", code="collect.row-no-event")
        message["event" if mapping.type == "track" else "name"] = name
    if mapping.timestamp is not None:
        stamp = _value(values, mapping.timestamp, mapping, "timestamp")
        if stamp is None:
            raise BadRow(f"Column {mapping.timestamp.column!r} has no time.", code="collect.row-no-time")
        message["timestamp"] = stamp

    context: dict[str, Any] = {"library": {"name": "tillit-import"}}
    if external:
        context["externalIds"] = external
    if mapping.type in {"identify", "group"}:
        message["traits"] = _values(values, mapping.traits, mapping)
        if mapping.type == "identify":
            message["traits"] = {**handles, **message["traits"]}
        elif handles:
            context["traits"] = handles
    else:
        message["properties"] = _values(values, mapping.properties, mapping)
        if handles:
            context["traits"] = handles
    message["context"] = context
    return message


def key_of(values: dict[str, Any], mapping: Mapping) -> list[str]:
    """Give the values of the key columns, as texts.

    Raises: BadRow when one is missing.
    """
    found = []
    for column in mapping.key:
        text = _id(values, column, mapping)
        if text is None:
            raise BadRow(f"Key column {column!r} has no value.", code="collect.row-no-key")
        found.append(text)
    return found


def find_value(values: dict[str, Any], column: str) -> Any:
    """Look a column up: by its whole name, else along its dots into nested objects; None when there is none."""
    if column in values:
        return values[column]
    found: Any = values
    for part in column.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def _found(values: dict[str, Any], column: str, mapping: Mapping) -> Any:
    found = find_value(values, column)
    if isinstance(found, str) and (found in mapping.missing or found.strip() in mapping.missing):
        return None
    return found


def _id(values: dict[str, Any], column: str, mapping: Mapping) -> str | None:
    found = _found(values, column, mapping)
    if found is None:
        return None
    if isinstance(found, str):
        return found.strip()
    if isinstance(found, bool) or not isinstance(found, int):
        raise BadRow(
            f"Column {column!r} is an id and holds neither text nor a whole number.", code="collect.row-bad-id"
        )
    # Parquet keeps whole numbers exactly; JSON often went through a program that rounds.
    if mapping.format == "jsonl" and abs(found) > LARGEST_EXACT_ID:
        raise BadRow(
            f"Column {column!r} is a number beyond 2^53, which programs round. Export ids as texts.",
            code="collect.row-rounded-id",
        )
    return str(found)


def _values(values: dict[str, Any], rules: tuple[tuple[str, ValueRule], ...], mapping: Mapping) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, rule in rules:
        found = _value(values, rule, mapping, name)
        if found is not None:
            made[name] = found
            if rule.currency is not None:
                made.setdefault("currency", rule.currency)
    return made


def _value(values: dict[str, Any], rule: ValueRule, mapping: Mapping, name: str) -> Any:
    if rule.column is None:
        return rule.value
    found = _found(values, rule.column, mapping)
    if found is None:
        return None
    if rule.type == "as-is":
        return found
    try:
        return CASTS[rule.type](found, rule)
    except (ValueError, InvalidOperation, OverflowError) as exc:
        if rule.type in {"date", "time"}:
            raise BadRow(
                f"Column {rule.column!r} holds no date or time of the mapping's format ({rule.format}).",
                code="collect.row-bad-time",
            ) from exc
        wanted = WANTED[rule.type].format(rule=rule)
        raise BadRow(
            f"Column {rule.column!r} is not {wanted}, which {name!r} needs.", code="collect.row-bad-value"
        ) from exc


def _as_text(found: Any, _: ValueRule) -> str:
    if isinstance(found, (dict, list)):
        raise ValueError("nested")
    return str(found)


def _as_integer(found: Any, _: ValueRule) -> int:
    if isinstance(found, bool):
        raise ValueError("a truth value")
    if isinstance(found, float):
        if not found.is_integer():
            raise ValueError("not whole")
        found = int(found)
    elif isinstance(found, str):
        if not _WHOLE.fullmatch(found.strip()):
            raise ValueError("not whole")
        found = int(found)
    if not isinstance(found, int) or abs(found) > LARGEST_INTEGER:
        raise ValueError("too large")
    return found


def _as_number(found: Any, _: ValueRule) -> float:
    if isinstance(found, bool) or not isinstance(found, (int, float, str)):
        raise ValueError("not a number")
    if isinstance(found, str) and not _NUMBER.fullmatch(found.strip()):
        raise ValueError("not a number")
    number = found if isinstance(found, (int, float)) else float(found)
    if abs(number) > 1e308:
        raise ValueError("not finite")
    return number


def _as_boolean(found: Any, _: ValueRule) -> bool:
    if isinstance(found, bool):
        return found
    text = str(found).strip().lower()
    if text in YES:
        return True
    if text in NO:
        return False
    raise ValueError("neither yes nor no")


def _as_money(found: Any, rule: ValueRule) -> int:
    """Whole minor units, exactly: an amount finer than that is refused, not rounded."""
    if isinstance(found, bool) or not isinstance(found, (int, float, str)):
        raise ValueError("not an amount")
    text = str(found).strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError("not an amount")
    minor = Decimal(text).scaleb(minor_digits(rule.currency or ""))
    whole = int(minor)
    if whole != minor or abs(whole) > LARGEST_INTEGER:
        raise ValueError("finer than a minor unit")
    return whole


def _as_time(found: Any, rule: ValueRule) -> str:
    return _read_time(found if isinstance(found, (int, float)) else str(found).strip(), rule.format, rule.zone)


def _as_date(found: Any, rule: ValueRule) -> str:
    text = str(found).strip()
    if rule.format in _UNITS:
        return _read_time(found, rule.format, rule.zone)[:10]
    if rule.format == "iso":
        return date.fromisoformat(text[:10]).isoformat()
    return _parse(text, rule.format).date().isoformat()


@lru_cache(maxsize=16_384)  # rows of one day often hold one text
def _read_time(found: str | float, pattern: str, zone: str) -> str:
    if isinstance(found, bool):
        raise ValueError("a truth value")
    if pattern in _UNITS:
        text = str(found).strip()
        if not _NUMBER.fullmatch(text):
            raise ValueError("not a number")
        return rfc3339(int(Decimal(text) * _UNITS[pattern]))
    if not isinstance(found, str):
        raise ValueError("a number where a text belongs")
    moment = datetime.fromisoformat(found) if pattern == "iso" else _parse(found, pattern)
    if moment.tzinfo is None:
        # Where a clock is set back an hour happens twice: the first is meant (there is nothing better to know).
        moment = moment.replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone))
    return rfc3339((moment - _EPOCH) // _MICROSECOND)


def _parse(text: str, pattern: str) -> datetime:
    return datetime.strptime(text, pattern)  # noqa: DTZ007 - the mapping's zone is put on afterwards


CASTS: dict[str, Callable[[Any, ValueRule], Any]] = {
    "text": _as_text,
    "integer": _as_integer,
    "number": _as_number,
    "boolean": _as_boolean,
    "money": _as_money,
    "time": _as_time,
    "date": _as_date,
}
WANTED = {
    "text": "a single value",
    "integer": "a whole number",
    "number": "a number with a decimal point",
    "boolean": "a yes or a no",
    "money": "an amount of {rule.currency}, no finer than its minor unit",
}
