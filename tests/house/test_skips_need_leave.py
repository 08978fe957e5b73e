"""A test that skips without leave fails the run; one with leave and a reason does not."""

from pathlib import Path

import pytest

from tests.conftest import is_match, read_allowed_skips

pytest_plugins = ["pytester"]

CONFTEST = (Path(__file__).parents[1] / "conftest.py").read_text(encoding="utf-8")
SKIPPING = """
import pytest

def test_runs():
    pass

def test_skips():
    pytest.skip("no such engine here")
"""


@pytest.mark.parametrize("workers", ["0", "1"], ids=["one process", "a worker"])
def test_a_skip_without_leave_fails_the_run(pytester: pytest.Pytester, workers: str) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makefile(".txt", allowed_skips="# none")
    pytester.makepyfile(test_engine=SKIPPING)

    result = pytester.runpytest_inprocess("-n", workers, "-p", "no:randomly")

    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*skipped without leave*", "test_engine.py::test_skips  *no such engine here"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_skip_with_leave_passes(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makefile(".txt", allowed_skips="test_engine.py::test_*  the engine is not sold any more")
    pytester.makepyfile(test_engine=SKIPPING)

    result = pytester.runpytest_inprocess("-n", "0", "-p", "no:randomly")

    assert result.ret == pytest.ExitCode.OK


def test_a_module_that_skips_as_a_whole_needs_leave_too(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makefile(".txt", allowed_skips="")
    pytester.makepyfile(
        test_engine="import pytest\npytest.importorskip('no_such_engine')\n", test_other="def test_runs(): pass"
    )

    result = pytester.runpytest_inprocess("-n", "1", "-p", "no:randomly")

    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_an_expected_failure_is_no_skip(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makefile(".txt", allowed_skips="")
    pytester.makepyfile(test_engine="import pytest\n@pytest.mark.xfail\ndef test_fails(): assert 0")

    result = pytester.runpytest_inprocess("-n", "0", "-p", "no:randomly")

    assert result.ret == pytest.ExitCode.OK


def test_leave_without_a_reason_is_refused() -> None:
    with pytest.raises(pytest.UsageError, match=r"line 2: 'test_a.py::test_b' has no reason"):
        read_allowed_skips("# list\ntest_a.py::test_b\n")


def test_brackets_in_a_pattern_stand_for_themselves() -> None:
    assert is_match("test_a.py::test_b[one*]", "test_a.py::test_b[one-two]")
    assert not is_match("test_a.py::test_b[one]", "test_a.py::test_bo")
