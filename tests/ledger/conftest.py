"""Fixtures of the ledger's tests.

In:    a temporary folder.
Out:   `shelf`: a ledger in it.
Never: the real clock.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path / "ledger")
    yield made
    made.close()
