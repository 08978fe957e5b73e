"""What every test may ask for, and the rule that a skip needs leave.

In:    pytest's hooks; `tests/allowed_skips.txt`.
Out:   `workspace_dir`, an empty folder for one workspace; a failed run when a test skips without leave.
Never: a room's own fixtures. They live beside its tests.
"""

import os
import shutil
import tempfile
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from tillit.flow import quiet_garbage_collector

pytest_plugins = ("tests.browser", "tests.engines", "tests.still_clock")

# Folders for tests lie in memory where there is room, also those of the processes that tests start: a busy disk makes
# each of thousands of small databases wait. What a power cut takes is tested on a disk that forgets, not on this one.
MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 * 1024**3
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

ALLOWED_SKIPS = Path(__file__).parent / "allowed_skips.txt"

# Two shared cores: an example may take as long as it takes, and a slow machine is no fault of the code. The whole suite
# stays under 15 minutes: each run draws other examples, and the deep profile many more of them.
settings.register_profile(
    "suite", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
# For a night or a doubt: `pytest tests/laws --hypothesis-profile deep`.
settings.register_profile("deep", settings.get_profile("suite"), max_examples=400)
settings.load_profile("suite")


class AllowedSkip(NamedTuple):
    """One line of the file: these tests may skip, and why."""

    pattern: str
    reason: str


def read_allowed_skips(text: str) -> list[AllowedSkip]:
    """Read the list; a line without a reason is an error."""
    allowed = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, _, reason = line.strip().partition("  ")
        if not reason.strip():
            message = f"{ALLOWED_SKIPS.name} line {number}: {pattern!r} has no reason. Write it after two spaces."
            raise pytest.UsageError(message)
        allowed.append(AllowedSkip(pattern, reason.strip()))
    return allowed


class SkipsNeedLeave:
    """Collects what skipped (workers report here too) and fails the run for what stands not in the list."""

    def __init__(self, allowed: list[AllowedSkip]) -> None:
        self.allowed = allowed
        self.offenders: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # An expected failure did run; pytest counts it among the skipped.
        if report.skipped and not hasattr(report, "wasxfail"):
            self.judge(report.nodeid, report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.judge(report.nodeid, report.longrepr)

    def judge(self, nodeid: str, longrepr: object) -> None:
        if not any(is_match(one.pattern, nodeid) for one in self.allowed):
            self.offenders[nodeid] = str(longrepr[2] if isinstance(longrepr, tuple) else longrepr)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.offenders and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.offenders:
            return
        terminalreporter.section("skipped without leave", sep="=", red=True, bold=True)
        for nodeid, reason in sorted(self.offenders.items()):
            terminalreporter.line(f"{nodeid}  {reason}")
        terminalreporter.line(f"The run fails. Make them run, or give the reason in tests/{ALLOWED_SKIPS.name}.")


def is_match(pattern: str, nodeid: str) -> bool:
    """Say whether a node id is meant; the brackets of parameters stand for themselves."""
    return fnmatchcase(nodeid, pattern.replace("[", "[[]"))


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Judge skips once: in the process that prints, not in the workers."""
    if not hasattr(config, "workerinput"):
        allowed = read_allowed_skips(ALLOWED_SKIPS.read_text(encoding="utf-8"))
        config.pluginmanager.register(SkipsNeedLeave(allowed), "skips-need-leave")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a folder's tests together, in whatever order they were shuffled: they share a running server."""
    order: dict[Path, int] = {}
    for item in items:
        order.setdefault(item.path.parent, len(order))
    items.sort(key=lambda item: order[item.path.parent])


_QUIET = ExitStack()


def pytest_collection_finish() -> None:
    """Take what is loaded by now out of the garbage collector's sight: looking through it all takes 0.1 s each time."""
    _QUIET.enter_context(quiet_garbage_collector(young=10_000))


def pytest_unconfigure() -> None:
    """Let the collector end what it was not to see; libraries complain of leaks otherwise."""
    _QUIET.close()


@pytest.fixture
def workspace_dir(tmp_path: Path) -> Path:
    """Give an empty folder for one workspace, private like a real one."""
    folder = tmp_path / "workspace"
    folder.mkdir(mode=0o700)
    return folder
