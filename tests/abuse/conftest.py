"""One server for everybody who wishes it ill."""

from collections.abc import Iterator

import pytest

from tests.abuse.knocking import Stranger
from tests.running import RunningServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("abuse") / "shop") as running:
        yield running


@pytest.fixture
def stranger(server: RunningServer) -> Stranger:
    return Stranger(server)
