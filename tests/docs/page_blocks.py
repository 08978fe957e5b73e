"""Read the code blocks of a page, and judge whether an output is the one the page shows.

In:    Markdown with fenced blocks. What a block is stands after its fence: a language, then `name="value"` pairs.
Out:   blocks and browser visits in the order of the page; the difference between two outputs.
Never: runs anything.

A page may say:
    ```sh                           run with bash, in one shell for the whole page
    ```python                       run with the interpreter
    ```html file="page.html"        written to that file, whatever its language
    ```text                         after one that ran: what it printed; `…` stands for anything
    ```sh not-run="why"             not run; the reason has to be on the list of those allowed
    <!-- browser: URL click=#id -->  what the prose beside it asks the reader to do in a browser; the URL `again` is
                                     the page that is still open
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

RUN = frozenset({"sh", "python"})
SHOWN = frozenset({"text", "json"})

_FENCE = re.compile(r"^```([a-z]*)(.*)$")
_BROWSER = re.compile(r"^<!-- browser: (.*) -->$")

# What differs from run to run. The order counts: a time holds a date.
_MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"\b(pk|sk|ak)_[\w-]{20,}"), "KEY"),
    (re.compile(r"\bk_[0-9a-f]{12}\b"), "KEY_ID"),
    (re.compile(r"\bp0[0-9a-z]{12}\b"), "PROFILE"),
    (re.compile(r"\be\d+-\d+\b"), "EVENT"),
    (re.compile(r"\b(ajs-next-)?[\w-]*[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b(127\.0\.0\.1|localhost):\d+"), "HOST"),
    (re.compile(r"\b\d[\d.,]* (B|kB|MB|GB|TB)\b"), "SIZE"),
)


class Block(NamedTuple):
    """One fenced block of a page."""

    line: int
    language: str
    text: str
    file: str | None
    not_run: str | None


class Visit(NamedTuple):
    """A page to open in a browser (or the one that is open), and what to click there."""

    line: int
    url: str
    clicks: tuple[str, ...]


def read_page(page: Path, *, section: str | None = None) -> list[Block | Visit]:
    """Give blocks and visits in order; only those under one heading when a section is named."""
    found: list[Block | Visit] = []
    fence: tuple[int, str, dict[str, str]] | None = None
    held: list[str] = []
    is_wanted = section is None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        opened = _FENCE.match(line)
        if fence is not None:
            if line == "```":
                at, language, words = fence
                found.append(Block(at, language, "\n".join(held) + "\n", words.get("file"), words.get("not-run")))
                fence, held = None, []
            else:
                held.append(line)
        elif line.startswith("#"):
            is_wanted = section is None or line.lstrip("# ") == section
        elif not is_wanted:
            continue
        elif opened is not None:
            words = dict(word.split("=", 1) for word in shlex.split(opened[2]))
            fence = (number, opened[1], words)
        elif (visit := _BROWSER.match(line)) is not None:
            url, *clicks = shlex.split(visit[1])
            found.append(Visit(number, url, tuple(click.removeprefix("click=") for click in clicks)))
    return found


def difference(shown: str, printed: str) -> str | None:
    """Say how a printed text differs from the shown one, spaces, ids, times and sizes aside; None when it does not."""
    wanted, got = _masked(shown), _masked(printed)
    pattern = ".*?".join(r"\s+".join(map(re.escape, part.split())) for part in wanted.split("…"))
    # Around an ellipsis spaces may be part of what it stands for.
    pattern = r"\s*" + pattern.replace(".*?", r"[\s\S]*?") + r"\s*"
    if re.fullmatch(pattern, got):
        return None
    return f"shown:\n{wanted}\nprinted:\n{got}"


def _masked(text: str) -> str:
    for pattern, name in _MASKS:
        text = pattern.sub(name, text)
    return text
