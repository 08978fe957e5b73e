"""Operators: staff who may open the console, and what each may do there.

In:    logins, names, roles, passwords as they were typed.
Out:   operators, by id.
Never: a workspace whose operators have no admin among them; a row deleted, for journal and audit name it.
"""

import secrets
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

from tillit.access.passwords import Passwords, check_password
from tillit.errors import InputError, NotFound, RefusedError
from tillit.store import Reading, SqliteState, Writing

ROLES = ("reader", "editor", "admin")  # each may do what those before it may

_LONGEST = 100


class Operator(NamedTuple):
    """One operator."""

    operator_id: str
    login: str  # case-folded; empty: not chosen yet
    name: str
    role: str
    has_password: bool
    has_sso: bool
    created_at: int
    disabled_at: int | None


class LoginTaken(InputError):
    """Another operator has this login."""

    code = "access.login-taken"

    def __init__(self) -> None:
        """Say it without repeating the login."""
        super().__init__("Another operator has this login, perhaps a disabled one. Choose another.")


class LastAdmin(RefusedError):
    """The only admin left cannot be disabled or given another role."""

    code = "access.last-admin"

    def __init__(self) -> None:
        """Say what to do first."""
        super().__init__("This is the only admin. Make another operator an admin first.")


class Operators:
    """The operators of one workspace."""

    def __init__(self, registry: SqliteState, *, now: Callable[[], int], passwords: Passwords) -> None:
        """Use the registry."""
        self._registry = registry
        self._now = now
        self._passwords = passwords

    def create(self, *, login: str, name: str = "", role: str = "reader", password: str | None = None) -> Operator:
        """Make an operator. Without a password they sign in with a link or with single sign-on.

        Raises: InputError when login, name or role cannot be; LoginTaken; WeakPassword.
        """
        told = clean_login(login)
        shown = clean_name(name or login)
        kept = self._hash(password, about=(told, shown)) if password is not None else None
        with self._registry.transaction() as tx:
            refuse_taken(tx, told)
            operator_id = insert_operator(
                tx, now=self._now(), login=told, name=shown, role=clean_role(role), password_hash=kept
            )
            return get_operator(tx, operator_id)

    def get(self, operator_id: str) -> Operator:
        """Give one operator. Raises NotFound."""
        return get_operator(self._registry, operator_id)

    def get_by_login(self, login: str) -> Operator:
        """Give whoever has a login. Raises NotFound."""
        found = self.find(login)
        if found is None:
            raise _unknown_operator()
        return found

    def find(self, login: str) -> Operator | None:
        """Give whoever has a login, or None."""
        rows = self._registry.read(f"{_SELECT} WHERE login = ?", (fold_login(login),))
        return _operator(rows[0]) if rows else None

    def list_all(self) -> list[Operator]:
        """Give every operator, the oldest first, the disabled too."""
        return [_operator(row) for row in self._registry.read(f"{_SELECT} ORDER BY created_at, operator_id")]

    def rename(self, operator_id: str, *, name: str, login: str | None = None) -> Operator:
        """Change the name, and the login when one is given. Raises InputError, LoginTaken."""
        with self._registry.transaction() as tx:
            before = get_operator(tx, operator_id)
            told = before.login if login is None else clean_login(login)
            if told != before.login:
                refuse_taken(tx, told)
            tx.execute(
                "UPDATE operator SET name = ?, login = ? WHERE operator_id = ?",
                (clean_name(name), told or None, operator_id),
            )
            return get_operator(tx, operator_id)

    def set_role(self, operator_id: str, role: str) -> Operator:
        """Give another role; their sessions end. Raises LastAdmin."""
        wanted = clean_role(role)
        with self._registry.transaction() as tx:
            before = get_operator(tx, operator_id)
            if before.role == wanted:
                return before
            if is_last_admin(tx, before):
                raise LastAdmin
            tx.execute("UPDATE operator SET role = ? WHERE operator_id = ?", (wanted, operator_id))
            end_access(tx, operator_id)
            return get_operator(tx, operator_id)

    def disable(self, operator_id: str) -> Operator:
        """Let somebody in no more; their sessions end. Raises LastAdmin."""
        with self._registry.transaction() as tx:
            before = get_operator(tx, operator_id)
            if is_last_admin(tx, before):
                raise LastAdmin
            tx.execute(
                "UPDATE operator SET disabled_at = ? WHERE operator_id = ? AND disabled_at IS NULL",
                (self._now(), operator_id),
            )
            end_access(tx, operator_id)
            return get_operator(tx, operator_id)

    def enable(self, operator_id: str) -> Operator:
        """Let somebody in again."""
        with self._registry.transaction() as tx:
            tx.execute("UPDATE operator SET disabled_at = NULL WHERE operator_id = ?", (operator_id,))
            return get_operator(tx, operator_id)

    def set_password(self, operator_id: str, password: str) -> None:
        """Set a password; sessions and links of before end. Raises WeakPassword."""
        before = self.get(operator_id)
        kept = self._hash(password, about=(before.login, before.name))
        with self._registry.transaction() as tx:
            tx.execute("UPDATE operator SET password_hash = ? WHERE operator_id = ?", (kept, operator_id))
            end_access(tx, operator_id)

    def _hash(self, password: str, *, about: tuple[str, ...]) -> str:
        check_password(password, about=about)
        return self._passwords.hash(password)


def clean_login(login: str) -> str:
    """Give a login in its one form, case-folded. Raises InputError.

    >>> clean_login("Ana@Example.ORG")
    'ana@example.org'
    """
    told = fold_login(login)
    if not told or len(told) > _LONGEST or any(c.isspace() or not c.isprintable() for c in told):
        raise InputError(
            f"A login is an e-mail address or a name of 1 to {_LONGEST} printable characters without spaces.",
            code="access.bad-login",
        )
    return told


def fold_login(login: str) -> str:
    """Give a login as it is compared."""
    return unicodedata.normalize("NFKC", login.strip()).casefold()


def clean_name(name: str) -> str:
    """Give a name without what cannot be seen. Raises InputError."""
    told = " ".join(unicodedata.normalize("NFC", name).split())
    if not told or len(told) > _LONGEST or not told.isprintable():
        raise InputError(f"A name is 1 to {_LONGEST} printable characters.", code="access.bad-name")
    return told


def clean_role(role: str) -> str:
    """Give a role that there is. Raises InputError."""
    if role not in ROLES:
        raise InputError(f"A role is one of {', '.join(ROLES)}.", code="access.unknown-role")
    return role


def insert_operator(
    tx: Writing,
    *,
    now: int,
    login: str,
    name: str,
    role: str,
    password_hash: str | None = None,
    subject: str | None = None,
) -> str:
    """Write a new operator within a transaction; give the id."""
    operator_id = "op_" + secrets.token_hex(6)
    tx.execute(
        "INSERT INTO operator (operator_id, login, name, role, password_hash, subject, created_at, disabled_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
        (operator_id, login or None, name, role, password_hash, subject, now),
    )
    return operator_id


def get_operator(reading: Reading, operator_id: str) -> Operator:
    """Give one operator. Raises NotFound."""
    rows = reading.read(f"{_SELECT} WHERE operator_id = ?", (operator_id,))
    if not rows:
        raise _unknown_operator()
    return _operator(rows[0])


def _unknown_operator() -> NotFound:
    return NotFound("There is no such operator. `tillit operators list` shows them.", code="access.unknown-operator")


def refuse_taken(tx: Reading, login: str) -> None:
    """Raise LoginTaken when somebody has a login."""
    if tx.read("SELECT 1 FROM operator WHERE login = ?", (login,)):
        raise LoginTaken


def is_last_admin(tx: Reading, operator: Operator) -> bool:
    """Say whether nobody else is an admin who may sign in."""
    if operator.role != "admin" or operator.disabled_at is not None:
        return False
    return not tx.read(
        "SELECT 1 FROM operator WHERE role = 'admin' AND disabled_at IS NULL AND operator_id <> ? LIMIT 1",
        (operator.operator_id,),
    )


def end_access(tx: Writing, operator_id: str) -> None:
    """End every session, link and known browser of somebody, within a transaction."""
    for table in ("console_session", "sign_in_link", "known_device"):
        tx.execute(f"DELETE FROM {table} WHERE operator_id = ?", (operator_id,))


_SELECT = (
    "SELECT operator_id, login, name, role, password_hash IS NOT NULL, subject IS NOT NULL, created_at, disabled_at "
    "FROM operator"
)


def _operator(row: tuple[Any, ...]) -> Operator:
    operator_id, login, name, role, has_password, has_sso, created_at, disabled_at = row
    return Operator(operator_id, login or "", name, role, bool(has_password), bool(has_sso), created_at, disabled_at)
