"""Imports in the console: a hostile name is harmless, a preview keeps nothing, the worker does the rest, rejects come
back mended.
"""

from __future__ import annotations

import csv
import io
import json
import re
import threading
import uuid
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import expect

from tests.console.conftest import Opening
from tests.console.desk_in_process import DeskInProcess
from tests.running import Answer, RunningServer
from tillit.cli.import_worker import run_imports
from tillit.clock import DAY
from tillit.collect.files import Upload, Uploads, forget_uploads, retry_mapping, safe_name
from tillit.collect.files.rejects import iter_reject_csv, strip_mended
from tillit.records import plain_cell, safe_cell
from tillit.settings import Settings
from tillit.workspace import Workspace

SCRIPT = "<script>alert(1)</script>"
ORDERS = b"""receipt,customer,sold_at,total,note
r-1,c1,2025-03-01 10:15:00,12.50,first
r-2,c2,2025-03-02 10:15:00,7.00,=1+1
r-3,c3,next Tuesday,9.90,"=HYPERLINK(""x"")"
r-4,,2025-03-03 10:15:00,9.90,+46701234567
r-5,c5,2025-03-04 10:15:00,1.00,-
"""
MAPPING = """name: orders
source: till
format: csv
type: track
event: Order Completed
key: receipt
user_id: customer
timestamp: {column: sold_at, format: iso, zone: UTC}
properties:
  total: {column: total, type: number}
  note: note
"""


def uploads_of(desk: DeskInProcess) -> Uploads:
    return Uploads(desk.ws.paths.uploads, now=desk.clock.now)


def id_from(answer: Answer) -> str:
    assert answer.status == 303, answer.body[-500:]
    return answer.headers["location"].rpartition("/")[2]


def work(desk: DeskInProcess) -> None:
    """Do what the worker's process does, with an engine that follows."""
    stop = threading.Event()

    def fold() -> None:
        while not stop.wait(0.005):
            engine.catch_up()

    engine = desk.ws.folding.engine()
    folding = threading.Thread(target=fold)
    folding.start()
    with Workspace(desk.ws.paths.root, now=desk.clock.now) as other:
        run_imports(other, threading.Event())
    stop.set()
    folding.join()


def bring(desk: DeskInProcess, content: bytes = ORDERS, mapping: str = MAPPING, name: str = "orders.csv") -> Upload:
    upload_id = id_from(desk.upload("/console/imports", name, content))
    started = desk.post(f"/console/imports/{upload_id}/mapping", {"text": mapping, "what": "start"})
    assert started.status == 303, started.body[-900:]
    work(desk)
    return uploads_of(desk).get(upload_id)


def test_a_file_is_drafted_previewed_imported_and_removed(desk: DeskInProcess) -> None:
    upload_id = id_from(desk.upload("/console/imports", "orders.csv", ORDERS))
    page = desk.get(f"/console/imports/{upload_id}").body.decode()
    assert "name: orders" in page
    assert desk.ws.log.head() == 0

    preview = desk.post(f"/console/imports/{upload_id}/mapping", {"text": MAPPING, "what": "preview"}).body.decode()
    assert "<strong>3</strong> would become events" in preview
    assert "<strong>2</strong> would be rejected" in preview
    assert "holds no date or time" in preview
    assert desk.ws.log.head() == 0

    desk.post(f"/console/imports/{upload_id}/mapping", {"text": MAPPING, "what": "start"})
    assert desk.n_starts == 1
    work(desk)
    done = uploads_of(desk).get(upload_id)
    assert (done.state, done.n_new, done.n_known, done.n_rejected) == ("done", 3, 0, 2)
    assert not uploads_of(desk).has_file(done)
    assert desk.ws.profiles.membership("user_id:c5") is not None
    result = desk.get(f"/console/imports/{upload_id}").body.decode()
    assert re.search(r'id="n-new">3<', result)


def test_importing_again_changes_nothing(desk: DeskInProcess) -> None:
    bring(desk)

    again = bring(desk)

    assert (again.n_new, again.n_known) == (0, 3)


def test_rejects_come_as_a_table_that_no_spreadsheet_runs(desk: DeskInProcess) -> None:
    done = bring(desk)

    answer = desk.get(f"/console/imports/{done.upload_id}/rejects/csv")

    rows = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"))))
    assert rows[0] == ["row", "line", "code", "reason", "receipt", "customer", "sold_at", "total", "note"]
    assert [row[0] for row in rows[1:]] == ["3", "4"]
    assert rows[1][-1] == '\'=HYPERLINK("x")'
    assert rows[2][-1] == "'+46701234567"
    assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r") and cell[:1]]
    assert answer.headers["content-disposition"].startswith("attachment")


def test_mended_rejects_are_taken_under_the_same_mapping(desk: DeskInProcess) -> None:
    first = bring(desk)
    table = desk.get(f"/console/imports/{first.upload_id}/rejects/csv").body.decode("utf-8-sig")
    mended = table.replace("next Tuesday", "2025-03-05 08:00:00")

    upload_id = id_from(desk.upload(f"/console/imports/{first.upload_id}/retry", "mended.csv", mended.encode()))
    text = uploads_of(desk).mapping_text(uploads_of(desk).get(upload_id))
    desk.post(f"/console/imports/{upload_id}/mapping", {"text": text, "what": "start"})
    work(desk)

    second = uploads_of(desk).get(upload_id)
    assert (second.state, second.n_new, second.n_rejected) == ("done", 1, 1)
    body = desk.ws.log.get([desk.ws.log.head()])[desk.ws.log.head()].body
    assert body is not None
    assert json.loads(body)["properties"] == {"total": 9.9, "note": '=HYPERLINK("x")'}


def test_mended_tables_saved_with_semicolons_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mended.csv"
    path.write_bytes("\ufeffrow;line;code;reason;a;b\r\n1;2;x;y;'=1;ü\r\n".encode())

    strip_mended(path)

    assert path.read_text(encoding="utf-8").splitlines() == ["a,b", "=1,ü"]


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "plain", "", "'quoted", "''=x", "|cmd", "＝1+1", " =1"]
)
def test_a_cell_comes_back_as_it_went(cell: str) -> None:
    assert plain_cell(safe_cell(cell)) == cell
    assert not safe_cell(cell).lstrip(" ").startswith(("=", "+", "-", "@", "|", "＝", "\t", "\r"))


def test_rejects_of_json_lines_are_mended_as_json_lines(desk: DeskInProcess) -> None:
    mapping = "name: visits\nsource: app\nformat: jsonl\ntype: track\nevent: Visit\nuser_id: who\ntimestamp: at\n"
    lines = b'{"who":"a","at":"2025-01-01T00:00:00Z","n":1}\n{"who":"b","at":"soon","n":2}\n'
    first = bring(desk, lines, mapping, "visits.jsonl")
    raw = desk.get(f"/console/imports/{first.upload_id}/rejects/jsonl").body

    upload_id = id_from(
        desk.upload(f"/console/imports/{first.upload_id}/retry", "m.jsonl", raw.replace(b"soon", b"2025-01-02"))
    )
    text = uploads_of(desk).mapping_text(uploads_of(desk).get(upload_id))
    desk.post(f"/console/imports/{upload_id}/mapping", {"text": text, "what": "start"})
    work(desk)

    assert raw == b'{"who":"b","at":"soon","n":2}\n'
    assert uploads_of(desk).get(upload_id).n_new == 1


def test_a_parquet_file_is_imported(desk: DeskInProcess, tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    rows = "SELECT 'c' || i AS customer, TIMESTAMP '2025-01-01' AS at FROM range(5) t(i)"
    duckdb.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet)")
    mapping = "name: p\nsource: p\nformat: parquet\ntype: track\nevent: E\nuser_id: customer\ntimestamp: at\n"

    assert bring(desk, path.read_bytes(), mapping, "p.parquet").n_new == 5


def test_the_mapping_of_rejects_says_only_how_they_are_written() -> None:
    text = MAPPING.replace("format: csv", "format: csv\nencoding: latin-1\ndelimiter: pipe")

    made = retry_mapping(text)

    assert "delimiter: comma" in made
    assert "latin-1" not in made
    assert "Order Completed" in made


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..\\..\\boot.ini",
        "/absolute.csv",
        ".hidden",
        "-rf",
        "a\u202egnp.csv",
        "x" * 4_000 + ".csv",
        "orders.csv; rm -rf x",
        SCRIPT + ".csv",
        "*?[a].csv",
        "..",
        "ü" * 200 + ".parquet",
    ],
)
def test_a_hostile_file_name_names_a_file_in_its_own_folder(desk: DeskInProcess, name: str) -> None:
    answer = desk.upload("/console/imports", name.replace('"', "%22"), ORDERS)

    upload = uploads_of(desk).get(id_from(answer))
    files = [path for path in desk.ws.paths.root.rglob("*") if path.is_file() and path.read_bytes() == ORDERS]
    assert files == [desk.ws.paths.uploads / upload.upload_id / upload.name]
    assert upload.name == safe_name(upload.name)
    assert len(upload.name.encode()) <= 80
    assert upload.name[0] not in ".-"
    assert files[0].stat().st_mode & 0o077 == 0
    assert SCRIPT.encode() not in desk.get("/console/imports").body
    assert desk.get(f"/console/imports/{upload.upload_id}").status == 200


def test_a_file_beyond_the_limit_is_refused_and_nothing_of_it_stays(
    desk: DeskInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ws.paths.settings.write_text("[collect]\nmax_upload_mb = 1\n")
    desk.ws.settings = Settings.load(desk.ws.paths.root)

    answer = desk.upload("/console/imports", "large.csv", b"a,b\n" * 300_000)

    assert answer.status == 400
    assert b"larger than 1 million bytes" in answer.body
    assert list(desk.ws.paths.uploads.rglob("*")) == []


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param(b"", 400, id="empty"),
        pytest.param(b"\x00\x01\x02" * 500, 303, id="not a table"),
        pytest.param(b"PAR1 broken", 303, id="broken parquet"),
    ],
)
def test_a_file_that_cannot_be_read_says_so(desk: DeskInProcess, content: bytes, status: int) -> None:
    answer = desk.upload("/console/imports", "odd.bin", content)

    assert answer.status == status
    if status == 303:
        page = desk.get(answer.headers["location"])
        assert page.status == 200


def test_a_form_that_breaks_off_leaves_nothing(desk: DeskInProcess) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\n1,2'
    headers = {"content-type": "multipart/form-data; boundary=x", "x-form-token": desk.token}
    answer = desk.ask("POST", "/console/imports", body, headers)

    assert answer.status == 400
    assert list(desk.ws.paths.uploads.rglob("*")) == []


def test_without_the_forms_token_no_byte_is_kept(desk: DeskInProcess) -> None:
    for token in ("wrong", "x" * 5_000):
        assert desk.upload("/console/imports", "orders.csv", ORDERS, token=token).status == 403

    assert not desk.ws.paths.uploads.exists()


def test_a_reader_may_not_even_look(desk: DeskInProcess) -> None:
    done = bring(desk)
    desk.become("reader")

    paths = ("/console/imports", f"/console/imports/{done.upload_id}", f"/console/imports/{done.upload_id}/rejects/csv")
    assert [desk.get(path).status for path in paths] == [403, 403, 403]
    assert desk.upload("/console/imports", "orders.csv", ORDERS).status == 403
    assert b"/console/imports" not in desk.get("/console/live").body


def test_a_wrong_mapping_is_told_whole_and_starts_nothing(desk: DeskInProcess) -> None:
    upload_id = id_from(desk.upload("/console/imports", "orders.csv", ORDERS))

    answer = desk.post(f"/console/imports/{upload_id}/mapping", {"text": "name: 7\ncolour: csv", "what": "start"})

    assert answer.status == 422
    assert b"colour" in answer.body
    assert uploads_of(desk).get(upload_id).state == "draft"
    assert desk.n_starts == 0


def test_an_import_that_was_cut_short_goes_on_where_it_was(desk: DeskInProcess) -> None:
    lines = [f"r-{i},c{i},2025-03-01 10:15:00,1.0,x" for i in range(3_500)]
    content = b"receipt,customer,sold_at,total,note\n" + "\n".join(lines).encode()
    upload_id = id_from(desk.upload("/console/imports", "orders.csv", content))
    desk.post(f"/console/imports/{upload_id}/mapping", {"text": MAPPING, "what": "start"})
    stop = threading.Event()
    with Workspace(desk.ws.paths.root, now=desk.clock.now) as other:
        append = other.append_rows
        other.append_rows = lambda *rows: (append(*rows), stop.set())[0]  # type: ignore[method-assign, func-returns-value]  # as SIGTERM would
        run_imports(other, stop)
    halfway = uploads_of(desk).get(upload_id)
    assert (halfway.state, halfway.n_rows) == ("running", 1_000)

    work(desk)

    done = uploads_of(desk).get(upload_id)
    assert (done.state, done.n_new, done.n_known) == ("done", 3_500, 0)
    assert desk.ws.log.head() >= 3_500


def test_imports_wait_their_turn(desk: DeskInProcess) -> None:
    ids = []
    for n in range(3):
        desk.clock.at += 1_000_000
        content = ORDERS.replace(b"r-", f"q{n}-".encode())
        upload_id = id_from(desk.upload("/console/imports", f"orders-{n}.csv", content))
        desk.post(f"/console/imports/{upload_id}/mapping", {"text": MAPPING, "what": "start"})
        ids.append(upload_id)
    found = uploads_of(desk).find_next()
    assert found is not None
    assert found.upload_id == ids[0]

    work(desk)

    assert [uploads_of(desk).get(one).state for one in ids] == ["done"] * 3


def test_a_stopped_import_keeps_its_place_and_its_file(desk: DeskInProcess) -> None:
    upload_id = id_from(desk.upload("/console/imports", "orders.csv", ORDERS))
    desk.post(f"/console/imports/{upload_id}/mapping", {"text": MAPPING, "what": "start"})

    desk.post(f"/console/imports/{upload_id}/stop")

    stopped = uploads_of(desk).get(upload_id)
    assert (stopped.state, uploads_of(desk).has_file(stopped)) == ("stopped", True)
    assert uploads_of(desk).find_next() is None


def test_forgetting_somebody_removes_files_that_wait(desk: DeskInProcess) -> None:
    upload_id = id_from(desk.upload("/console/imports", "orders.csv", ORDERS))
    desk.post(f"/console/imports/{upload_id}/mapping", {"text": MAPPING, "what": "start"})
    desk.ws.append([{"type": "track", "event": "E", "userId": "c1"}])
    desk.ws.flush()

    desk.ws.forget([desk.ws.log.head()])

    stopped = uploads_of(desk).get(upload_id)
    assert (stopped.state, uploads_of(desk).has_file(stopped)) == ("stopped", False)
    assert b"somebody was forgotten" in desk.get(f"/console/imports/{upload_id}").body
    work(desk)
    assert uploads_of(desk).get(upload_id).state == "stopped"


def test_files_go_after_thirty_days_and_what_was_imported_stays_on_record(desk: DeskInProcess) -> None:
    upload_id = id_from(desk.upload("/console/imports", "orders.csv", ORDERS))

    assert forget_uploads(desk.ws.paths.uploads, before=desk.clock.at) == 0
    assert forget_uploads(desk.ws.paths.uploads, before=desk.clock.at + 30 * DAY) == 1

    upload = uploads_of(desk).get(upload_id)
    assert not uploads_of(desk).has_file(upload)
    assert upload.asked_by.encode() in desk.get("/console/imports").body


def test_what_a_file_says_is_text_on_the_page(desk: DeskInProcess) -> None:
    rows = (f"{SCRIPT},c1,{SCRIPT},1,{SCRIPT}", f"{SCRIPT}2,{SCRIPT},2025-01-01,1,{SCRIPT}")
    content = "\n".join(("receipt,customer,sold_at,total,note", *rows))
    upload_id = id_from(desk.upload("/console/imports", "x.csv", content.encode()))

    page = desk.post(f"/console/imports/{upload_id}/mapping", {"text": MAPPING + f"# {SCRIPT}\n", "what": "preview"})

    assert page.status == 200
    assert SCRIPT.encode() not in page.body
    assert b"&lt;script&gt;" in page.body


def test_rows_that_were_not_readable_are_a_column_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(
        json.dumps({"row": 1, "code": "c", "reason": "r", "raw": "=x"}) + '\n{"summary":{}}\n', encoding="ascii"
    )

    lines = b"".join(iter_reject_csv(path, [], ",")).decode("utf-8-sig").splitlines()

    assert lines == ["row,line,code,reason,whole row", "1,,c,r,'=x"]


def test_an_import_runs_in_the_browser_and_survives_a_reload(
    server: RunningServer, open_page: Opening, tmp_path: Path
) -> None:
    mark = uuid.uuid4().hex[:8]
    file = tmp_path / f"orders {mark}.csv"
    file.write_bytes(ORDERS.replace(b"r-", f"{mark}-".encode()))
    page = open_page("/console/imports")
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/console/imports/i*")

    page.locator("#text").fill(MAPPING)
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("section[aria-labelledby=h-preview]")).to_contain_text("3 would become events")
    with page.expect_navigation():
        page.get_by_role("button", name="Start the import").click()
    page.reload()

    expect(page.locator("#n-new")).to_have_text("3")
    expect(page.locator("#n-rejected")).to_have_text("2")
    assert server.find_profile("user_id:c5") is not None
    page.goto(server.url + "/console/imports")
    expect(page.locator(".rows li", has_text=mark)).to_contain_text("3 new, 0 known, 2 rejected")
