"""Tests of the language: what is kept of events is added up after a day already."""

from collections.abc import Iterator

import pytest

from tests.language.asking import short_horizons


@pytest.fixture(autouse=True, scope="module")  # no wider: other tests of the same process start servers
def horizons() -> Iterator[None]:
    with short_horizons():
        yield
