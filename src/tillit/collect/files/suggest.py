"""Suggest: draft a mapping from the data, for a person to check.

In:    the first rows of a file.
Out:   a commented mapping in YAML that loads, and imports this file.
Never: a value of the file in the draft (it will be shared and kept in git); a draft that hides what was guessed.
"""

import csv
import gzip
import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

from tillit.collect.files.mapping import Mapping, ValueRule, bom_encoding, read_mapping
from tillit.collect.files.readers import (
    GZIP_MAGIC,
    PARQUET_MAGIC,
    BadFile,
    open_rows,
    sniff_delimiter,
    translated,
)
from tillit.collect.files.rows import CASTS, NO, YES

SAMPLE_ROWS = 2_000
SAMPLE_BYTES = 65_536
MOST_OF = 0.95  # a column is of a kind when all but a few of its values are (taste)

# Names people give to columns, in the languages we have met, written without case and marks.
_USER = re.compile(
    r"(customer|client|user|member|kund|kunden|person|cust|account|shopper|buyer)(id|no|nr|number|key|ref)?"
)
_ANONYMOUS = re.compile(r"(anonymous|anon|visitor|device|cookie|client)id|cid|distinctid")
_EMAIL = re.compile(r"(customer|user|contact)?(e?mail|epost|courriel)(add?ress)?")
_PHONE = re.compile(r"(customer|user|contact)?(phone|mobile|mobil|telephone|telefon|tel|cell|msisdn)(number|no|nr)?")
_CARD = re.compile(r"(loyalty)?card(id|no|nr|number)?|loyalty(id|no|nr|number)")
_TIME = re.compile(
    r"(date|time|datetime|timestamp|datum|ts|when)|.*(date|time|timestamp|datum)|.+(at|on)|(date|time).+", re.DOTALL
)
_CREATED = re.compile(
    r"(event|order|purchase|transaction|sold|created|occurred|received|invoice|visit).*|date|time.*|ts"
)
_KEY = re.compile(
    r"(event|message|order|transaction|receipt|invoice|row|line|record|purchase)(id|no|nr|number|uuid)|uuid|guid|id"
)
_AMOUNT = re.compile(r".*(amount|price|revenue|total|value|spend|sum|dollar|euro|belopp|prix|preis|umsatz).*")
_EMAIL_VALUE = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s.]+")
_PHONE_VALUE = re.compile(r"\+?[\d][\d\s().\-/]{5,18}\d")
_TIME_FORMATS = (
    "iso",
    "%Y%m%d",
    "%Y%m%d%H%M%S",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%Y-%m-%dT%H:%M:%S.%f%z",
)
_SWAPPABLE = re.compile(r"%d([./-])%m|%m([./-])%d")
# Seconds since 1970 between 1990 and 2100 (taste): other numbers are numbers.
_EPOCH_FROM, _EPOCH_TO = 631_152_000, 4_102_444_800


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    values: tuple[Any, ...]  # of the sample, missing ones left out
    n_missing: int
    type: str
    time_format: str | None
    is_swappable: bool  # day and month could change places

    @property
    def plain_name(self) -> str:
        return _plain_name(self.name)

    @property
    def is_unique(self) -> bool:
        return self.n_missing == 0 and len({str(value) for value in self.values}) == len(self.values)


def suggest_mapping(path: Path, *, name: str | None = None) -> str:
    """Draft the mapping of a file, as YAML with comments.

    Raises: BadFile when nothing can be read of it.
    """
    name = name or re.sub(r"[^a-z0-9]+", "_", path.name.split(".")[0].lower()).strip("_") or "rows"
    shape = _shape_of(path)
    columns, n_rows = _sample(path, shape)
    if not columns:
        raise BadFile(f"{path.name} has no row that can be read; nothing can be drafted from it.", file=path.name)
    text = _Draft(name, path.name, shape, columns, n_rows).text()
    read_mapping(text, where="draft")  # a draft that does not load would be our bug
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    format: str
    encoding: str = "utf-8"
    delimiter: str = ","
    header: bool = True
    columns: tuple[str, ...] = ()


def _shape_of(path: Path) -> _Shape:
    with translated(path), path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        sample = (gzip.GzipFile(fileobj=file) if head[:2] == GZIP_MAGIC else file).read(SAMPLE_BYTES)
    if head == PARQUET_MAGIC:
        return _Shape(format="parquet")
    encoding = bom_encoding(sample) or ("utf-8" if _is_utf8(sample) else "latin-1")
    lines = [line for line in sample.decode(encoding, errors="replace").splitlines() if line.strip()]
    if len(sample) == SAMPLE_BYTES and len(lines) > 1:
        lines.pop()  # it was cut
    if lines and lines[0].lstrip().startswith("{"):
        return _Shape(format="jsonl", encoding=encoding)
    lines = lines[:50]
    delimiter = sniff_delimiter(lines)
    rows = list(csv.reader(lines, delimiter=delimiter))
    if rows and max(len(row) for row in rows) == 1:
        widths = {len(line.split()) for line in lines}
        if len(widths) == 1 and widths != {1}:
            delimiter, rows = "whitespace", [line.split() for line in lines]
    header = _has_header(rows)
    names = () if header or not rows else tuple(f"column_{i}" for i in range(1, len(rows[0]) + 1))
    return _Shape(format="csv", encoding=encoding, delimiter=delimiter, header=header, columns=names)


def _is_utf8(sample: bytes) -> bool:
    try:
        sample.decode()
    except UnicodeDecodeError as exc:
        return exc.start >= len(sample) - 3  # a character cut at the end of the sample
    return True


def _has_header(rows: list[list[str]]) -> bool:
    """A header has different names, none of them a number, a date or an address."""
    if not rows:
        return True
    first = [cell.strip() for cell in rows[0]]
    is_named = all(
        cell and not cell[0].isdigit() and "@" not in cell and not cell.startswith(("-", "+", ".")) for cell in first
    )
    return is_named and len(set(first)) == len(first)


def _sample(path: Path, shape: _Shape) -> tuple[list[_Column], int]:
    mapping = _bare_mapping(shape)
    reader = open_rows(path, mapping)
    try:
        rows = [row.values for row in islice(reader, SAMPLE_ROWS) if row.fault is None]
    finally:
        reader.close()
    names = dict.fromkeys(name for row in rows for name in _flat(row))
    return [_column(name, [_flat(row).get(name) for row in rows]) for name in names], len(rows)


def _flat(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Write nested objects as dotted names; lists stay as they are."""
    made: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict) and value and "." not in name:
            made.update(_flat(value, f"{prefix}{name}."))
        else:
            made[f"{prefix}{name}"] = value
    return made


def _bare_mapping(shape: _Shape) -> Mapping:
    return Mapping(
        name="draft",
        source="draft",
        format=shape.format,
        encoding=shape.encoding,
        delimiter=shape.delimiter,
        header=shape.header,
        columns=shape.columns,
        missing=frozenset({""}),
        type="track",
        event=ValueRule(value="draft"),
        key=(),
        user_id=None,
        anonymous_id=None,
        group_id=None,
        email=None,
        phone=None,
        external_ids=(),
        timestamp=None,
        properties=(),
        traits=(),
        text_hash="",
    )


def _column(name: str, found: list[Any]) -> _Column:
    values = tuple(value for value in found if value is not None and not (isinstance(value, str) and not value.strip()))
    time_format, is_swappable = _time_format(name, values)
    return _Column(
        name=name,
        values=values,
        n_missing=len(found) - len(values),
        type="time" if time_format is not None else _type_of(values),
        time_format=time_format,
        is_swappable=is_swappable,
    )


def _type_of(values: tuple[Any, ...]) -> str:
    if not values or any(not isinstance(value, str) for value in values):
        return "as-is"  # JSON and Parquet say themselves what they hold
    if {value.strip().lower() for value in values} <= (YES | NO) - {"0", "1"}:
        return "boolean"
    # Digits behind a zero are a code (a postcode, a card), not a quantity.
    is_code = any(len(value.strip()) > 1 and value.strip()[0] == "0" and value.strip().isdigit() for value in values)
    if is_code:
        return "as-is"
    return next((kind for kind in ("integer", "number") if _share(values, kind, ValueRule(column="?")) == 1.0), "as-is")


def _share(values: tuple[Any, ...], type: str, rule: ValueRule) -> float:
    return sum(_casts(value, type, rule) for value in values) / len(values) if values else 0.0


def _casts(value: Any, type: str, rule: ValueRule) -> bool:
    try:
        CASTS[type](value, rule)
    except (ValueError, ArithmeticError):
        return False
    return True


def _time_format(name: str, values: tuple[Any, ...]) -> tuple[str | None, bool]:
    if not values or any(isinstance(value, (bool, dict, list)) for value in values):
        return None, False
    plain = _plain_name(name)
    texts = [str(value).strip() for value in values]
    is_digits = all(re.fullmatch(r"\d+(\.\d+)?", text) for text in texts)
    if is_digits and not _TIME.fullmatch(plain):
        return None, False
    if is_digits:
        for pattern, unit in (("epoch_s", 1), ("epoch_ms", 1_000), ("epoch_us", 1_000_000)):
            if all(_EPOCH_FROM * unit <= float(text) <= _EPOCH_TO * unit for text in texts):
                return pattern, False
    if any(not isinstance(value, str) for value in values):
        return None, False
    fitting = [
        pattern
        for pattern in _TIME_FORMATS
        # ISO's short form 19970101 is also a number: only a pattern may claim bare digits.
        if not (pattern == "iso" and is_digits)
        and _share(tuple(texts[:20]), "time", ValueRule(column="?", format=pattern)) == 1.0
        and _share(values, "time", ValueRule(column="?", format=pattern)) >= MOST_OF
    ]
    if not fitting:
        return None, False
    return fitting[0], sum(1 for pattern in fitting if _SWAPPABLE.search(pattern)) > 1


class _Draft:
    """Decides which column is what, and writes it down with its doubts."""

    def __init__(self, name: str, file: str, shape: _Shape, columns: list[_Column], n_rows: int) -> None:
        self._name = name
        self._file = file
        self._shape = shape
        self._n_rows = n_rows
        self._left = dict.fromkeys(column.name for column in columns)
        self._by_name = {column.name: column for column in columns}
        self.email = self._claim(lambda c: bool(_EMAIL.fullmatch(c.plain_name)) or _all_match(_EMAIL_VALUE, c.values))
        self.phone = self._claim(lambda c: bool(_PHONE.fullmatch(c.plain_name)) and _all_match(_PHONE_VALUE, c.values))
        self.anonymous_id = self._claim(lambda c: bool(_ANONYMOUS.fullmatch(c.plain_name)))
        self.user_id = self._claim(
            lambda c: bool(_USER.fullmatch(c.plain_name)) and c.type not in {"time", "number", "boolean"}
        )
        self.card = self._claim(lambda c: bool(_CARD.fullmatch(c.plain_name)))
        self.time = self._claim(
            lambda c: c.type == "time" and bool(_CREATED.fullmatch(c.plain_name)) and c.n_missing == 0
        )
        person = self.user_id or self.email
        # One row each and ways to reach them: a list of customers, whose dates are traits and not when it happened.
        is_list_of_people = person is not None and person.is_unique and (self.email or self.phone) is not None
        if self.time is None and not is_list_of_people:
            self.time = self._claim(lambda c: c.type == "time" and c.n_missing == 0)
        self.key = self._claim(lambda c: bool(_KEY.fullmatch(c.plain_name)) and c.is_unique and n_rows > 1)
        self.is_guessed_id = False
        if not (self.user_id or self.email or self.phone or self.anonymous_id or self.card):
            self.is_guessed_id = True
            self.user_id = self._claim(lambda c: c.type in {"as-is", "integer"}) or self.key or columns[0]
            if self.user_id is self.key:
                self.key = None
        self.type = "track" if self.time is not None else "identify"

    def _claim(self, is_it: Callable[[_Column], bool]) -> _Column | None:
        found = next((name for name in self._left if is_it(self._by_name[name])), None)
        if found is None:
            return None
        del self._left[found]
        return self._by_name[found]

    def text(self) -> str:
        out = StringIO()
        for line in self._lines():
            out.write(line + "\n")
        return out.getvalue()

    def _lines(self) -> Iterable[str]:
        shape = self._shape
        yield f"# Drafted from the first {self._n_rows:,} rows of {_comment(self._file)}."
        yield "# Check each line marked CHECK, then:"
        yield "#   tillit import FILE --workspace DIR --mapping THIS.yaml"
        yield ""
        yield "# Keep the name: the same rows under the same name are the same events, however often they are imported."
        yield f"name: {_quoted(self._name)}"
        yield f"source: {_quoted(self._name)}  # shown beside every event"
        yield ""
        yield f"format: {shape.format}"
        if shape.format != "parquet":
            yield f"encoding: {shape.encoding}"
        if shape.format == "csv":
            yield f"delimiter: {_delimiter_name(shape.delimiter)}"
            yield f"header: {'true' if shape.header else 'false'}"
            if not shape.header:
                yield "# CHECK: the file has no header; give the columns better names, here and below."
                yield f"columns: [{', '.join(shape.columns)}]"
        yield 'missing: [""]  # texts that mean "no value", such as NULL or n/a'
        yield ""
        if self.type == "track":
            has_amount = any(_AMOUNT.fullmatch(self._by_name[name].plain_name) for name in self._left)
            yield "type: track  # each row is something that happened"
            yield f"event: {'Order Completed' if has_amount else 'Row Imported'}  # CHECK: what happened"
        else:
            yield "type: identify  # each row says what is known of a customer (no column with a time was found)"
        yield ""
        yield from self._key_lines()
        yield "# Whose row it is."
        if self.is_guessed_id:
            yield "# CHECK: no column looked like an id of a customer; this is only the first that could be."
        for label, column in (
            ("user_id", self.user_id),
            ("anonymous_id", self.anonymous_id),
            ("email", self.email),
            ("phone", self.phone),
        ):
            if column is not None:
                yield f"{label}: {_quoted(column.name)}{self._doubt(column)}"
        if self.card is not None:
            yield "external_ids:"
            yield f"  card: {_quoted(self.card.name)}{self._doubt(self.card)}"
        yield ""
        if self.time is not None:
            yield "# When it happened. A time without an offset of its own is read in this zone."
            if self.time.is_swappable:
                yield "# CHECK: day and month could be the other way round."
            yield "timestamp:"
            yield f"  column: {_quoted(self.time.name)}"
            yield f"  format: {_quoted(self.time.time_format or 'iso')}"
            yield "  zone: UTC  # CHECK: the shop's zone, such as Europe/Stockholm"
            yield ""
        if self._left:
            yield "# What else the row says. Delete what you have no use for: what is not kept cannot leak."
            yield "properties:" if self.type == "track" else "traits:"
            for name in self._left:
                yield f"  {_quoted(name)}: {self._rule_text(self._by_name[name])}{self._doubt(self._by_name[name])}"

    def _key_lines(self) -> Iterable[str]:
        if self.key is not None:
            yield "# This column has another value in every row seen: a row with a known key is not taken again."
            yield f"key: [{_quoted(self.key.name)}]"
        else:
            yield "# No column names a row. A row is then known by what it says and how often the file said it before."
            yield "# Right for whole exports. For files that hold only what is new, name a column here."
            yield "# key: [order_id]"
        yield ""

    def _rule_text(self, column: _Column) -> str:
        name = _quoted(column.name)
        if column.type == "time":
            return f"{{column: {name}, type: time, format: {_quoted(column.time_format or 'iso')}, zone: UTC}}"
        return f"{{column: {name}, type: {column.type}}}" if column.type != "as-is" else name

    def _doubt(self, column: _Column) -> str:
        return f"  # missing in {column.n_missing:,} of {self._n_rows:,} rows" if column.n_missing else ""


def _all_match(pattern: re.Pattern[str], values: tuple[Any, ...]) -> bool:
    texts = [value.strip() for value in values if isinstance(value, str)]
    return bool(texts) and sum(bool(pattern.fullmatch(text)) for text in texts) >= MOST_OF * len(values)


def _plain_name(name: str) -> str:
    """Write a column's name without case, marks and spaces: "E-Postadress (ny)" is "epostadressny"."""
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKD", name).lower())


def _delimiter_name(delimiter: str) -> str:
    return {"\t": "tab", ",": "comma", ";": "semicolon", "|": "pipe"}.get(delimiter, delimiter)


def _quoted(text: str) -> str:
    # A word stays bare where YAML reads it as the same text; JSON's quotes are YAML's.
    is_bare = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text) and text.lower() not in {
        "true", "false", "yes", "no", "on", "off", "null", "y", "n"
    }  # fmt: skip
    return text if is_bare else json.dumps(text)


def _comment(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
