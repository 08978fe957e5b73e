"""The zip of a package, written in one pass over a person's events.

In:    a dossier: plain documents of one person, events as a stream.
Out:   a zip, the same for the same dossier; how many rows it has and what was withheld.
Never: a person's events in memory; a name in the zip that comes from data.
"""

import csv
import io
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from tillit.clock import rfc3339
from tillit.privacy.package.cells import cell_text
from tillit.privacy.package.others import Own, Redactor
from tillit.privacy.package.page import MOST_SHOWN, write_page
from tillit.privacy.package.words import ACCESS, LEFT_OUT, README, RIGHTS, SECTIONS, TITLES, Section
from tillit.records import safe_cell

FORMAT = "tillit-package-1"
_CONTENTS = "contents.json"  # how many rows each table has, to check the zip by
_WHOLE = ("data.json", "index.html", "README.txt")
# Measured on 30,000 events: level 6 takes a quarter more time and saves a twelfth.
_LEVEL = 3
_CHUNK = 1 << 16
_EARLIEST, _LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, tzinfo=UTC)  # what a zip can date

# Counts and ages that we made of events: for reading, not to take along.
_SUMS = ("n_events", "first_seen_at", "last_seen_at", "counts", "types")
csv.field_size_limit(1 << 24)  # a cell of ours is at most some hundred kilobytes

Row = Mapping[str, Any]


class Dossier(NamedTuple):
    """All that goes into a package. Streams are read once."""

    kind: str  # access, portability
    request_id: str
    made_at: int  # UTC epoch microseconds
    profile: Row  # the document of the HTTP API
    profile_ids: Sequence[str]  # every id the profile ever had
    events: Iterable[Row]  # newest first, as the HTTP API tells them, with "trust", and what else their senders said
    staff_words: Iterable[Row] = ()  # read after the events, among which they are found
    consent: Iterable[Row] = ()
    purposes: Iterable[Row] = ()
    disclosures: Iterable[Row] = ()
    accesses: Iterable[Row] = ()


class Packed(NamedTuple):
    """What a package holds."""

    n_rows: dict[str, int]  # section -> rows
    withheld: list[dict[str, Any]]  # {"table", "reason", "n"}


class _Contents(msgspec.Struct):
    n_rows: dict[str, int]


class _Told(NamedTuple):
    """A section as it was written."""

    section: Section
    shown: list[Row]  # its first rows
    n_rows: int


def write_package(target: IO[bytes], dossier: Dossier, *, scratch: Path) -> Packed:
    """Write the zip. Tables wait unnamed in the folder `scratch`, which no one else may read, until their turn."""
    redactor = Redactor(Own.of(dossier.profile, dossier.profile_ids))
    sources: Counter[str] = Counter()
    told: list[_Told] = []
    with zipfile.ZipFile(target, "w") as archive:
        put = _Put(archive, dossier.made_at)
        with tempfile.TemporaryFile(dir=scratch) as tables, put.open("data.json") as data:
            places = list[tuple[str, int, int]]()
            data.write(b"{" + _member("about", _about(dossier)))
            for section in SECTIONS:
                if dossier.kind in section.kinds:
                    start = tables.tell()
                    rows = _rows(section, dossier, redactor, sources)
                    told.append(_write_section(section, rows, data, tables))
                    places.append((section.name, start, tables.tell()))
            withheld = [
                {"table": table, "reason": reason.strip("[]"), "n": n}
                for (table, reason), n in sorted(redactor.counted.items())
            ]
            data.write(b",\n" + _member("withheld", withheld) + b"}\n")
            data.close()
            for name, start, end in places:
                tables.seek(start)
                with put.open(f"tables/{name}.csv") as out:
                    for part in _parts(tables, end - start):
                        out.write(part)
        page = write_page(
            title=TITLES[dossier.kind],
            about=_about(dossier),
            sections=[(one.section, one.shown, one.n_rows) for one in told],
            rights=RIGHTS,
            withheld=withheld,
        )
        put.whole("index.html", page)
        put.whole("README.txt", _readme(dossier, withheld))
        packed = Packed({one.section.name: one.n_rows for one in told}, withheld)
        put.whole(_CONTENTS, msgspec.json.encode({"format": FORMAT, **packed._asdict()}).decode())
    return packed


def check_package(source: IO[bytes]) -> list[str]:
    """Read a package back: say which of its files is missing, damaged, foreign or short of rows."""
    try:
        with zipfile.ZipFile(source) as archive:
            if (broken := archive.testzip()) is not None:
                return [f"damaged.{broken}"]
            n_rows = msgspec.json.decode(archive.read(_CONTENTS), type=_Contents).n_rows
            wanted = {_CONTENTS, *_WHOLE, *(f"tables/{name}.csv" for name in n_rows)}
            found = [f"file.{name}" for name in sorted(wanted.symmetric_difference(archive.namelist()))]
            for name in [] if found else n_rows:
                with archive.open(f"tables/{name}.csv") as raw, io.TextIOWrapper(raw, "utf-8", newline="") as text:
                    if sum(1 for _ in csv.reader(text)) != n_rows[name] + 1:
                        found.append(f"rows.{name}")
            return found
    except (zipfile.BadZipFile, KeyError, msgspec.MsgspecError):
        return ["damaged.zip"]


class _Put:
    """Puts files into the zip: names and dates are ours."""

    def __init__(self, archive: zipfile.ZipFile, made_at: int) -> None:
        self._archive = archive
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=made_at)
        self._date = min(max(moment, _EARLIEST), _LATEST).timetuple()[:6]

    def open(self, name: str) -> IO[bytes]:
        info = zipfile.ZipInfo(name, self._date)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        info.create_system = 3
        _set_level(info, _LEVEL)
        return self._archive.open(info, "w", force_zip64=True)

    def whole(self, name: str, text: str) -> None:
        with self.open(name) as out:
            out.write(text.encode("utf-8", "replace"))


def _set_level(info: zipfile.ZipInfo, level: int) -> None:
    # Python 3.13 gave the attribute its public name.
    setattr(info, "compress_level" if hasattr(info, "compress_level") else "_compresslevel", level)


def _write_section(section: Section, rows: Iterator[dict[str, Any]], data: IO[bytes], tables: IO[bytes]) -> _Told:
    encode = msgspec.json.Encoder().encode
    text = io.TextIOWrapper(tables, "utf-8", errors="backslashreplace", newline="")
    table = csv.writer(text, quoting=csv.QUOTE_ALL)
    table.writerow([*section.columns, "more"])
    data.write(b",\n" + encode(section.name) + b": [")
    shown: list[Row] = []
    n_rows = 0
    for row in rows:
        data.write((b",\n" if n_rows else b"\n") + encode(row))
        more = {key: value for key, value in row.items() if key not in section.columns}
        cells = [*(row.get(column) for column in section.columns), more or None]
        table.writerow([safe_cell(cell_text(cell)) for cell in cells])
        if n_rows < MOST_SHOWN:
            shown.append(row)
        n_rows += 1
    data.write(b"]")
    text.flush()
    text.detach()
    return _Told(section, shown, n_rows)


def _rows(section: Section, dossier: Dossier, redactor: Redactor, sources: Counter[str]) -> Iterator[dict[str, Any]]:
    """Give a section's rows, without what names others."""
    is_access = dossier.kind == ACCESS
    name = section.name
    if name == "identifiers":
        yield from map(dict, dossier.profile.get("identifiers", ()))
    elif name == "traits":
        for key, held in dossier.profile.get("traits", {}).items():
            if is_access or held["trust"] != "operator":
                yield {
                    "name": redactor.text(name, key),
                    **held,
                    "value": redactor.named(name, key, held["value"]),
                }
    elif name == "facts":
        told = {key: dossier.profile[key] for key in _SUMS if key in dossier.profile}
        for key, value in {**told, **dossier.profile.get("facts", {})}.items():
            yield {"name": key, "value": redactor.named(name, key, value)}
    elif name == "sources":  # counted while the events went by
        yield from ({"source": source, "n_events": n} for source, n in sorted(sources.items()))
    elif name == "events":
        for event in dossier.events:
            if not is_access and event.get("trust") == "operator":
                continue
            sources[str(event.get("source", ""))] += 1
            yield redactor.redact(name, event)
    else:
        rows: Iterable[Row] = dossier.profile.get("groups", ()) if name == "groups" else getattr(dossier, name)
        for row in rows:
            yield redactor.redact(name, row)


def _about(dossier: Dossier) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "kind": dossier.kind,
        "request_id": dossier.request_id,
        "made_at": rfc3339(dossier.made_at),
        "profile_id": dossier.profile["id"],
        "left_out": list(LEFT_OUT[dossier.kind]),
        "rights": dict(RIGHTS),
    }


def _readme(dossier: Dossier, withheld: Sequence[Mapping[str, Any]]) -> str:
    return README.format(
        title=TITLES[dossier.kind],
        made_at=rfc3339(dossier.made_at).removesuffix("Z").replace("T", " "),
        kind=dossier.kind,
        request_id=dossier.request_id,
        most=MOST_SHOWN,
        left_out="\n".join(f"- {one}" for one in LEFT_OUT[dossier.kind]),
        withheld="; ".join(f"{one['n']} in {one['table']} ({one['reason']})" for one in withheld) or "nothing.",
    )


def _member(name: str, value: Any) -> bytes:
    return msgspec.json.encode(name) + b": " + msgspec.json.encode(value)


def _parts(file: IO[bytes], n_bytes: int) -> Iterator[bytes]:
    while n_bytes > 0 and (part := file.read(min(_CHUNK, n_bytes))):
        n_bytes -= len(part)
        yield part
