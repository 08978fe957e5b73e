"""Codes are dotted, each means one thing, and the reference lists them all."""

import re
from functools import cache

from scripts.build_reference import (
    CODE,
    REFERENCE,
    ErrorCode,
    Module,
    error_classes,
    error_codes,
    errors_page,
    read_modules,
)

# The families themselves: raised with a code of their own only when nobody named the case better.
FAMILIES = {"refused", "busy", "internal"}


@cache
def modules() -> list[Module]:
    return read_modules()


@cache
def codes() -> list[ErrorCode]:
    return error_codes(modules())


def test_every_code_is_room_dot_case() -> None:
    odd = [place(one) for one in codes() if not CODE.fullmatch(one.code) and one.code not in FAMILIES]

    assert odd == []


def test_no_two_error_classes_share_a_code() -> None:
    by_code: dict[str, set[str]] = {}
    for one in codes():
        if one.family:
            by_code.setdefault(one.code, set()).add(one.family)
    shared = [f"{code}  {', '.join(sorted(families))}" for code, families in by_code.items() if len(families) > 1]

    assert shared == []


def test_every_error_class_names_its_own_code() -> None:
    classes = error_classes(modules())
    nameless = [f"{one.file}:{one.line}  {one.name}" for one in classes.values() if "code" not in one.values]

    assert nameless == []


def test_every_code_says_what_it_means() -> None:
    explained = {one.code for one in codes() if one.meaning}
    silent = [place(one) for one in codes() if one.code not in explained]

    assert silent == []


def test_the_reference_lists_every_code() -> None:
    page = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([^`]+)`", page, flags=re.MULTILINE))

    assert {
        "missing": sorted({one.code for one in codes()} - listed),
        "gone": sorted(listed - {one.code for one in codes()}),
    } == {
        "missing": [],
        "gone": [],
    }, "Run `make docs`."


def test_the_reference_of_errors_is_up_to_date() -> None:
    is_same = (REFERENCE / "errors.md").read_text(encoding="utf-8") == errors_page(modules())

    assert is_same, "docs/reference/errors.md is out of date. Run `make docs`."


def place(one: ErrorCode) -> str:
    return f"{one.file}:{one.line}  {one.code}"
