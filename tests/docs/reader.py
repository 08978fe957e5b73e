"""A reader who does what a page says, block by block, in a fresh folder.

In:    the blocks of a page.
Out:   what each block printed; a failure that names the line of the page.
Never: a word that the page does not have. Only the values of `export PORT=…` and the like are replaced, since the
       machine that runs the suite may use these ports, and has a PostgreSQL of its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as PageError

from tests.docs.page_blocks import RUN, SHOWN, Block, Visit, difference
from tests.running import free_port

PATIENCE_S = 120.0  # for one block, on a busy machine
BROWSER_S = 40.0  # for one event of a page
_EXPORT = re.compile(r"^export ([A-Z_]+)=(\S+)$", re.MULTILINE)


class Reader:
    """One shell, one folder, one browser, for one page."""

    def __init__(
        self,
        folder: Path,
        *,
        browser: Browser,
        replace: Mapping[str, Callable[[], str]],
        links: Mapping[str, Path],
    ) -> None:
        """Prepare; `with` starts the shell. `links` are folders that commands which are not run would have brought."""
        self._folder = folder / "page"
        self._scratch = folder / "scratch"
        self._folder.mkdir()
        self._scratch.mkdir()
        for name, target in links.items():
            (self._folder / name).symlink_to(target)
        self._browser = browser
        self._replace = dict(replace)
        self._out = self._scratch / "out"
        self._talk = self._scratch / "talk"
        self._n = 0
        self._printed: str | None = None
        self._open: list[Page] = []

    def __enter__(self) -> Self:
        settled = {name: value for name, value in os.environ.items() if not name.startswith("TILLIT_")}
        settled["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{settled['PATH']}"
        with self._out.open("ab") as out, self._talk.open("ab") as talk:
            self._shell = subprocess.Popen(
                [shutil.which("bash") or "bash", "--noprofile", "--norc"],
                cwd=self._folder,
                env=settled,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=talk,
                text=True,
                start_new_session=True,
            )
        self._tell("set -eo pipefail")
        return self

    def __exit__(self, *_: object) -> None:
        for page in self._open:
            page.context.close()
        if self._shell.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._shell.stdin.close()
        # What the page left running ends with it.
        for number, patience_s in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 20.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._shell.pid, number)
            until = time.monotonic() + patience_s
            while _is_alive(self._shell) and time.monotonic() < until:
                time.sleep(0.05)

    def do(self, step: Block | Visit) -> None:
        """Do one thing that the page says. Raises AssertionError when it does not go as the page says."""
        if isinstance(step, Visit):
            self._visit(step)
        elif step.not_run is not None:
            self._printed = None
        elif step.file is not None:
            target = self._folder / step.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(step.text, encoding="utf-8")
            self._printed = None
        elif step.language in RUN:
            self._printed = self._run(step)
        elif step.language in SHOWN:
            assert self._printed is not None, f"line {step.line}: an output is shown, but nothing ran before it"
            told = difference(step.text, self._printed)
            assert told is None, f"line {step.line}: the output is another\n{told}"
            self._printed = None
        else:
            raise AssertionError(
                f"line {step.line}: a block in {step.language or 'no language'!r} is neither run, nor written to a "
                'file, nor an output. Give it file="…" or not-run="…".'
            )

    def _run(self, block: Block) -> str:
        self._n += 1
        script = self._scratch / f"{self._n}.{block.language}"
        done = self._scratch / f"{self._n}.done"
        script.write_text(_EXPORT.sub(self._replaced, block.text), encoding="utf-8")
        before = self._out.stat().st_size
        command = f". '{script}'" if block.language == "sh" else f"python '{script}'"
        self._tell(f"{command}\ntouch '{done}'")
        until = time.monotonic() + PATIENCE_S
        while not done.exists():
            ended = self._shell.poll()
            if ended is not None or time.monotonic() > until:
                why = f"ended with {ended}" if ended is not None else f"did not end within {PATIENCE_S:.0f} s"
                printed = self._out.read_bytes()[before:].decode(errors="replace")
                talk = self._talk.read_bytes()[-4000:].decode(errors="replace")
                raise AssertionError(f"line {block.line}: the block {why}\n{block.text}\n{printed}\n{talk}")
            time.sleep(0.02)
        return self._out.read_bytes()[before:].decode()

    def _replaced(self, found: re.Match[str]) -> str:
        name = found[1]
        if name.endswith("PORT") and name not in self._replace:
            port = str(free_port())
            self._replace[name] = lambda: port
        return f"export {name}={shlex.quote(self._replace[name]())}" if name in self._replace else found[0]

    def _visit(self, visit: Visit) -> None:
        if visit.url != "again":
            url = re.sub(r"\$([A-Z_]+)", lambda found: self._replace[found[1]](), visit.url)
            self._open.append(self._browser.new_context().new_page())
            with self._open[-1].expect_response(_is_event, timeout=(BROWSER_S + PATIENCE_S) * 1000) as taken:
                _go(self._open[-1], url)
            assert taken.value.ok, f"line {visit.line}: {taken.value.status}"
        page = self._open[-1]
        for click in visit.clicks:
            with page.expect_response(_is_event, timeout=BROWSER_S * 1000) as taken:
                page.click(click)
            assert taken.value.ok, f"line {visit.line}: {taken.value.status}"

    def _tell(self, command: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(command + "\n")
        self._shell.stdin.flush()


def _go(page: Page, url: str) -> None:
    """Open a page. Its server may have been started a moment ago: like a person, load again until it answers."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            page.goto(url)
            return
        except PageError as refused:
            if "ERR_CONNECTION_REFUSED" not in str(refused) or time.monotonic() > until:
                raise
            time.sleep(0.1)


def _is_event(response: object) -> bool:
    path = urlsplit(str(getattr(response, "url", ""))).path
    method = getattr(getattr(response, "request", None), "method", "")
    # What the SDK counts about itself (/v1/m) is no event of the page.
    return path.startswith("/v1/") and path != "/v1/m" and method == "POST"


def _is_alive(shell: subprocess.Popen[str]) -> bool:
    shell.poll()
    try:
        os.killpg(shell.pid, 0)
    except ProcessLookupError:
        return False
    return True
