"""Columns: what a folder and a table have of one record, each value fitted to the kind of its column.

In:    the fields of a destination; the kinds that `columns:` names; one thing that leaves.
Out:   a row: the record's key, its instant, then the fields in order, each of its column's kind or None.
Never: a value in what is said of one that does not fit.

A column is text unless `columns:` says otherwise: a kind guessed from values would differ from one part to the next.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from tillit.clock import SECOND, instant, rfc3339
from tillit.deliver.definitions import DefinitionInvalid
from tillit.deliver.wire import Outgoing

KEY, AT = "id", "at"
KINDS = ("text", "bigint", "double", "boolean", "timestamp", "json")
_LONGEST_NAME = 63  # bytes: what PostgreSQL keeps of a name
_WHOLE = re.compile(r"-?[0-9]{1,19}")
# NUL, and halves of letters: neither is text in UTF-8, in PostgreSQL or in a spreadsheet.
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_FIRST, _LAST = -62_135_596_800 * SECOND, 253_402_300_800 * SECOND  # the years 1 to 9999

Value = str | int | float | bool | None
Row = tuple[Value, ...]


class Unfit(Exception):
    """A value does not fit its column. Says which column, never which value."""


class Columns(NamedTuple):
    """The columns behind key and instant: names in order, and the kind of each."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def header(self) -> tuple[str, ...]:
        """Give the names of all columns."""
        return KEY, AT, *self.names

    def row(self, item: Outgoing) -> Row:
        """Fit what leaves to the columns; what it has no value for is None. Raises Unfit.

        Shape: id text, at UTC epoch microseconds, then a value per field.
        """
        values = [fit(name, kind, item.payload.get(name)) for name, kind in zip(self.names, self.kinds, strict=True)]
        return item.record_key, item.at, *values


def read_columns(where: str, fields: Iterable[str], kinds: Mapping[str, str]) -> Columns:
    """Lay out the columns of a destination. Raises DefinitionInvalid."""
    names = tuple(fields)
    taken = {KEY, AT}
    for name in names:
        check_name(where, "field", name)
        # SQLite and most who read tables do not tell Email from email.
        if name.casefold() in taken:
            raise DefinitionInvalid(where, f"the field {name!r} is there already; `id` and `at` always are.")
        taken.add(name.casefold())
    for name in kinds:
        if name not in names:
            raise DefinitionInvalid(where, f"to.columns has {name!r}, which is not under `fields:`.")
    return Columns(names, tuple(kinds.get(name, "text") for name in names))


def read_kinds(where: str, kinds: Mapping[str, str]) -> None:
    """Judge the kinds that a definition names. Raises DefinitionInvalid."""
    for name, kind in kinds.items():
        if kind not in KINDS:
            raise DefinitionInvalid(where, f"to.columns.{name} is {kind!r}. There are: {', '.join(KINDS)}.")


def check_name(where: str, what: str, name: str) -> None:
    """Judge the name of a column, a table or a schema. Raises DefinitionInvalid."""
    if not name or len(name.encode(errors="replace")) > _LONGEST_NAME or not name.isprintable():
        raise DefinitionInvalid(
            where, f"the {what} {name!r} must have from 1 to {_LONGEST_NAME} bytes, and no control characters."
        )


def fit(name: str, kind: str, value: Any) -> Value:
    """Make a value fit a kind of column. Raises Unfit.

    Shape: text and json as text, timestamp as UTC epoch microseconds.

    >>> fit("n", "text", {"a": 1}), fit("n", "text", True), fit("n", "bigint", "12"), fit("n", "boolean", None)
    ('{"a":1}', 'true', 12, None)
    """
    if value is None:
        return None
    fitted = _FIT[kind](value)
    if fitted is None:
        raise Unfit(f"A value does not fit the column {name!r}, which is {kind}.")
    return fitted


def at_text(at: int) -> str:
    """Write an instant with six decimals, so that its text sorts as it does.

    >>> at_text(1_500_000)
    '1970-01-01T00:00:01.500000Z'
    """
    return f"{rfc3339(at // SECOND * SECOND)[:-1]}.{at % SECOND:06d}Z"


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_clean(key): _clean(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(inner) for inner in value]
    return value


def _json(value: Any) -> str:
    return msgspec.json.encode(_clean(value)).decode()


def _text(value: Any) -> str:
    return str(_clean(value)) if isinstance(value, str) else _json(value)


def _bigint(value: Any) -> int | None:
    if (isinstance(value, str) and _WHOLE.fullmatch(value)) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63 else None


def _double(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value)
    return value if isinstance(value, bool) else None


def _timestamp(value: Any) -> int | None:
    at = instant(value) if isinstance(value, str) else None
    return at if at is not None and _FIRST <= at < _LAST else None


_FIT = {
    "text": _text,
    "bigint": _bigint,
    "double": _double,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "json": _json,
}
