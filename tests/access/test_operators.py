"""Operators have one login each, a fit password, a role, and always an admin among them."""

from __future__ import annotations

import threading

import pytest

from tillit.access.operators import LastAdmin, LoginTaken
from tillit.access.passwords import Passwords, WeakPassword
from tillit.errors import InputError, NotFound
from tillit.workspace import Workspace

PASSWORD = "a kettle sings at dawn"


def test_a_login_is_one_however_it_is_written(ws: Workspace) -> None:
    ana = ws.operators.create(login="Ana@Example.ORG")

    with pytest.raises(LoginTaken):
        ws.operators.create(login=" ana@example.org ")
    assert ws.operators.find("ANA@example.org") == ana
    assert ana.login == "ana@example.org"


@pytest.mark.parametrize("login", ["", "  ", "a b", "a\x00b", "x" * 101, "a\u200bb"], ids=repr)
def test_a_login_that_cannot_be_seen_or_typed_is_refused(ws: Workspace, login: str) -> None:
    with pytest.raises(InputError) as refused:
        ws.operators.create(login=login)

    assert refused.value.code == "access.bad-login"
    assert ws.operators.list_all() == []


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "elevenchars",
        "x" * 201,
        "aaaaaaaaaaaaaa",
        "abababababab",
        "123456789012",
        "PasswordPassword",
        "abcdefghijkl",
        "ana@example.org",
        "Ana Andersson",
    ],
)
def test_an_easy_password_is_refused_and_not_repeated(ws: Workspace, password: str) -> None:
    with pytest.raises(WeakPassword) as refused:
        ws.operators.create(login="ana@example.org", name="Ana Andersson", password=password)

    assert password not in refused.value.message
    assert ws.operators.list_all() == []


def test_a_password_counts_as_the_same_letters_however_they_are_composed(ws: Workspace) -> None:
    ws.operators.create(login="ana", password="h\u00e4lsningar fr\u00e5n oss")

    operator = ws.sign_in.by_password("ana", "ha\u0308lsningar fra\u030an oss", address="192.0.2.1")

    assert operator.login == "ana"


def test_the_last_admin_is_neither_disabled_nor_demoted(ws: Workspace) -> None:
    ana = ws.operators.create(login="ana", role="admin")
    bo = ws.operators.create(login="bo", role="admin")
    ws.operators.disable(bo.operator_id)

    with pytest.raises(LastAdmin):
        ws.operators.disable(ana.operator_id)
    with pytest.raises(LastAdmin):
        ws.operators.set_role(ana.operator_id, "editor")
    ws.operators.enable(bo.operator_id)
    ws.operators.set_role(ana.operator_id, "reader")

    roles = {one.login: one.role for one in ws.operators.list_all() if one.disabled_at is None}
    assert roles == {"ana": "reader", "bo": "admin"}


def test_of_two_admins_who_demote_each_other_at_once_one_stays(ws: Workspace) -> None:
    pair = [ws.operators.create(login=name, role="admin") for name in ("ana", "bo")]
    refused = []

    def demote(operator_id: str) -> None:
        try:
            ws.operators.set_role(operator_id, "reader")
        except LastAdmin:
            refused.append(operator_id)

    threads = [threading.Thread(target=demote, args=(one.operator_id,)) for one in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(one.role for one in ws.operators.list_all()) == ["admin", "reader"]
    assert len(refused) == 1


def test_an_unknown_operator_or_role_is_refused(ws: Workspace) -> None:
    ana = ws.operators.create(login="ana", role="admin")

    with pytest.raises(NotFound):
        ws.operators.disable("op_nobody")
    with pytest.raises(InputError, match="reader, editor, admin"):
        ws.operators.set_role(ana.operator_id, "owner")


def test_a_hash_is_argon2id_and_salted_anew() -> None:
    passwords = Passwords()

    first, second = passwords.hash(PASSWORD), passwords.hash(PASSWORD)

    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert passwords.is_right(first, PASSWORD)
    assert not passwords.is_right(first, PASSWORD + ".")
    assert not passwords.is_right(None, "nobody has this password")
    assert not passwords.is_right("no hash at all", PASSWORD)


def test_a_hash_of_weaker_parameters_is_renewed_at_the_next_sign_in(ws: Workspace) -> None:
    from argon2 import PasswordHasher

    ana = ws.operators.create(login="ana", password=PASSWORD)
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with ws._registry.transaction() as tx:
        tx.execute("UPDATE operator SET password_hash = ? WHERE operator_id = ?", (weak, ana.operator_id))

    ws.sign_in.by_password("ana", PASSWORD, address="192.0.2.1")

    [(kept,)] = ws._registry.read("SELECT password_hash FROM operator")
    assert "m=19456,t=2,p=1" in kept
    assert ws.sign_in.by_password("ana", PASSWORD, address="192.0.2.1").operator_id == ana.operator_id
