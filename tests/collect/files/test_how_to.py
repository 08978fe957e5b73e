"""The how-to page does what it says: its commands run, and its answers are the answers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tillit.collect.files.mapping import _KEYS, ENCODINGS, TIME_FORMATS, VALUE_TYPES

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "import-a-file.md"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_every_block_runs_and_answers_as_shown(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    answer = ""
    for language, block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language == "text":
            assert answer.splitlines()[-1] == block.strip()
            continue
        done = subprocess.run(
            ["bash", "-e", "-c", block],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer = done.stdout

    assert '"row":2,"line":3,"code":"collect.row-bad-time"' in answer


def test_every_key_type_format_and_encoding_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert [word for word in (*_KEYS, *VALUE_TYPES, *TIME_FORMATS, *ENCODINGS) if f"`{word}`" not in page] == []
