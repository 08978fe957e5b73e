"""A log to import into.

In:    a temporary folder.
Out:   `shop`.
Never: shared between tests.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collect.files.importing import Shop, open_shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with open_shop(tmp_path) as opened:
        yield opened
