"""Signing in: no hint who exists, guessing is slow, and nobody is locked out by strangers."""

from __future__ import annotations

import threading
import time
from statistics import median

import pytest

from tests.still_clock import Clock
from tillit.access import SignInDelayed, SignInRefused, Told
from tillit.access.sign_in import NotAnOperator
from tillit.clock import HOUR, MINUTE, SECOND
from tillit.workspace import Workspace

PASSWORD = "a kettle sings at dawn"
HOME, EVIL = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def ana(ws: Workspace) -> str:
    return ws.operators.create(login="ana", name="Ana", role="admin", password=PASSWORD).operator_id


def guess(ws: Workspace, n: int, *, login: str = "ana", address: str = EVIL, device: str = "") -> list[str]:
    outcomes = []
    for i in range(n):
        try:
            ws.sign_in.by_password(login, f"guess number {i} of many", address=address, device=device)
        except (SignInRefused, SignInDelayed) as refused:
            outcomes.append(refused.code.partition(".")[2])
    return outcomes


def test_wrong_unknown_disabled_and_passwordless_are_told_the_same(ws: Workspace, ana: str) -> None:
    ws.operators.create(login="bo", role="reader")
    cem = ws.operators.create(login="cem", role="reader", password=PASSWORD)
    ws.operators.disable(cem.operator_id)

    told = set()
    for login, password in (
        ("ana", "wrong"),
        ("nobody", PASSWORD),
        ("bo", PASSWORD),
        ("bo", ""),
        ("cem", PASSWORD),
        ("", ""),
    ):
        with pytest.raises(SignInRefused) as refused:
            ws.sign_in.by_password(login, password, address=HOME)
        told.add((refused.value.message, refused.value.code, refused.value.status))

    assert len(told) == 1


def test_an_unknown_login_takes_as_long_as_a_known_one(ws: Workspace, ana: str, clock: Clock) -> None:
    spans: dict[str, list[float]] = {"ana": [], "nobody": []}
    for n in range(9):
        for login, taken in spans.items():
            clock.go_on(2 * HOUR)
            began = time.perf_counter()
            with pytest.raises(SignInRefused):
                ws.sign_in.by_password(login, f"wrong {n}", address=HOME)
            taken.append(time.perf_counter() - began)

    known, unknown = median(spans["ana"]), median(spans["nobody"])
    # Both hash once; a machine that does other things besides is why this is no closer.
    assert 0.4 < unknown / known < 2.5


def test_guessing_gets_slower_and_a_wait_ends(ws: Workspace, ana: str, clock: Clock) -> None:
    first = guess(ws, 12)

    with pytest.raises(SignInDelayed) as delayed:
        ws.sign_in.by_password("ana", PASSWORD, address=HOME)
    clock.go_on(1 * SECOND)
    operator = ws.sign_in.by_password("ana", PASSWORD, address=HOME)

    assert first == ["sign-in-refused"] * 5 + ["sign-in-delayed"] * 7
    assert delayed.value.details["wait_s"] == 1
    assert operator.operator_id == ana


def test_the_wait_doubles_and_never_exceeds_a_quarter_of_an_hour(ws: Workspace, ana: str, clock: Clock) -> None:
    guess(ws, 5)
    waits: list[int] = []
    for _ in range(14):
        with pytest.raises(SignInDelayed) as delayed:
            ws.sign_in.by_password("ana", "wrong", address=EVIL)
        waits.append(int(str(delayed.value.details["wait_s"])))
        clock.go_on(waits[-1] * SECOND)
        guess(ws, 1)

    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits[-1] == 15 * MINUTE // SECOND


def test_strangers_who_guess_do_not_slow_down_a_browser_that_is_known(ws: Workspace, ana: str, clock: Clock) -> None:
    device = ws.sessions.know_device(ana)
    for n in range(300):
        guess(ws, 1, address=f"198.51.100.{n % 250}")
        clock.go_on(5 * SECOND)

    with pytest.raises(SignInDelayed):
        ws.sign_in.by_password("ana", PASSWORD, address=HOME)
    operator = ws.sign_in.by_password("ana", PASSWORD, address=HOME, device=device)

    assert operator.operator_id == ana


def test_a_known_browser_may_not_guess_for_ever_and_counts_for_its_owner_alone(ws: Workspace, ana: str) -> None:
    ws.operators.create(login="bo", password=PASSWORD)
    device = ws.sessions.know_device(ana)

    own = guess(ws, 15, device=device)
    others = guess(ws, 8, login="bo", device=device)

    assert own.count("sign-in-refused") == 10
    assert others.count("sign-in-refused") == 5


def test_one_address_that_tries_many_logins_is_slowed_down(ws: Workspace, ana: str) -> None:
    outcomes = [outcome for n in range(40) for outcome in guess(ws, 1, login=f"staff-{n}")]

    assert outcomes.count("sign-in-refused") == 20
    assert ws.sign_in.by_password("ana", PASSWORD, address=HOME).operator_id == ana


def test_of_many_guesses_at_the_same_moment_only_the_first_few_are_looked_at(ws: Workspace, ana: str) -> None:
    outcomes: list[str] = []
    threads = [threading.Thread(target=lambda: outcomes.extend(guess(ws, 1))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes.count("sign-in-refused") == 5


def test_failures_are_forgotten_after_a_quiet_hour_and_after_a_success(ws: Workspace, ana: str, clock: Clock) -> None:
    guess(ws, 4)
    ws.sign_in.by_password("ana", PASSWORD, address=HOME)
    after_success = guess(ws, 5)
    clock.go_on(1 * HOUR)

    assert after_success == ["sign-in-refused"] * 5
    assert guess(ws, 5) == ["sign-in-refused"] * 5


def test_confirming_the_own_password_is_slowed_down_too(ws: Workspace, ana: str) -> None:
    for _ in range(5):
        with pytest.raises(SignInRefused):
            ws.sign_in.confirm(ana, "wrong")

    with pytest.raises(SignInDelayed):
        ws.sign_in.confirm(ana, PASSWORD)


def test_no_login_address_or_device_is_kept_in_plain(ws: Workspace, ana: str) -> None:
    device = ws.sessions.know_device(ana)
    guess(ws, 2, login="somebody.private@example.org", address="203.0.113.99", device=device)

    ws._registry.scrub()
    kept = ws.paths.registry.read_bytes()

    for secret in ("somebody.private", "203.0.113.99", device):
        assert secret.encode() not in kept


def told(subject: str, email: str, role: str | None = None) -> Told:
    return Told(f"https://id.example\n{subject}", email, "Ana", role)


def test_a_provider_finds_an_operator_by_address_once_and_then_by_subject(ws: Workspace) -> None:
    ana = ws.operators.create(login="ana@example.org", role="editor")

    first = ws.sign_in.by_provider(told("1", "Ana@example.org"), may_create=False, default_role="reader")
    moved = ws.sign_in.by_provider(told("1", "ana@new.example"), may_create=False, default_role="reader")

    assert first.operator_id == moved.operator_id == ana.operator_id
    assert first.role == "editor"
    with pytest.raises(NotAnOperator):  # the address was given to somebody else there
        ws.sign_in.by_provider(told("2", "ana@example.org"), may_create=True, default_role="reader")


def test_a_provider_makes_operators_only_where_it_may_and_never_lets_a_disabled_one_in(ws: Workspace) -> None:
    with pytest.raises(NotAnOperator):
        ws.sign_in.by_provider(told("1", "bo@example.org"), may_create=False, default_role="reader")
    made = ws.sign_in.by_provider(told("1", "bo@example.org"), may_create=True, default_role="reader")
    ws.operators.disable(made.operator_id)

    with pytest.raises(NotAnOperator):
        ws.sign_in.by_provider(told("1", "bo@example.org"), may_create=True, default_role="reader")
    assert (made.role, made.has_sso, made.has_password) == ("reader", True, False)


def test_a_providers_groups_change_the_role_and_end_sessions_but_keep_the_last_admin(ws: Workspace) -> None:
    ana = ws.operators.create(login="ana@example.org", role="admin")
    bo = ws.operators.create(login="bo@example.org", role="editor")
    cookie = ws.sessions.open(bo.operator_id, via="sso")

    changed = ws.sign_in.by_provider(told("b", "bo@example.org", "reader"), may_create=False, default_role="reader")
    kept = ws.sign_in.by_provider(told("a", "ana@example.org", "reader"), may_create=False, default_role="reader")

    assert (changed.role, kept.role) == ("reader", "admin")
    assert kept.operator_id == ana.operator_id
    assert ws.sessions.find(cookie) is None
