"""Give the SDK tests a real server, a real browser and a proxy that fails on demand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.running import RunningServer
from tests.sdk.page_server import PageServer
from tests.sdk.sdks import missing


@pytest.fixture(scope="session")
def sdk_packages() -> None:
    """Fail, not skip: a matrix without its SDKs has shown nothing."""
    if wrong := missing():
        pytest.fail(
            f"tests/sdk/node_modules lacks {', '.join(wrong)}. Run:\n"
            "npm install --no-package-lock --ignore-scripts --prefix tests/sdk",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One `tillit serve` for all tests of this folder; each test brings customers nobody else knows."""
    with RunningServer(tmp_path_factory.mktemp("sdk") / "shop") as running:
        yield running


@pytest.fixture(scope="session")
def pages() -> Iterator[PageServer]:
    """The shop's own site, at another origin than the server."""
    with PageServer() as site:
        yield site
