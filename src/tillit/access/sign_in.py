"""Signing in with a login and a password, or as whom a provider says.

In:    what was typed, where it came from; what a provider told.
Out:   the operator who is let in.
Never: a hint whether a login exists, by words or by time; a wait that strangers can put on somebody's own browser.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tillit.access.attempts import (
    Counted,
    begin_attempt,
    by_address,
    by_device,
    by_login,
    by_operator,
    forgive_attempt,
)
from tillit.access.operators import (
    Operator,
    clean_login,
    clean_name,
    end_access,
    fold_login,
    get_operator,
    insert_operator,
    is_last_admin,
)
from tillit.access.passwords import Passwords
from tillit.access.sessions import ConsoleSessions
from tillit.clock import MINUTE, SECOND
from tillit.errors import BusyError, RefusedError
from tillit.store import SqliteState


class SignInRefused(RefusedError):
    """Login and password do not belong together, or nobody may sign in with them."""

    code = "access.sign-in-refused"

    def __init__(self, operator_id: str = "") -> None:
        """Say the same whatever was wrong; the id is for the audit alone."""
        super().__init__("Login and password do not match. Both may be wrong; capital letters count in the password.")
        self.operator_id = operator_id


class SignInDelayed(BusyError):
    """Too many sign-ins failed; the next one is looked at later."""

    code = "access.sign-in-delayed"

    def __init__(self, wait_us: int) -> None:
        """Say how long."""
        wait_s = -(-wait_us // SECOND)
        told = f"{wait_s} seconds" if wait_s < 60 else f"{-(-wait_us // MINUTE)} minutes"
        if wait_s == 1:
            told = "a second"
        super().__init__(f"Too many sign-ins failed. Try again in {told}, or open a sign-in link.", wait_s=wait_s)


class NotAnOperator(RefusedError):
    """A provider vouched for somebody who is no operator here, or a disabled one."""

    code = "access.not-an-operator"

    def __init__(self, operator_id: str = "") -> None:
        """Say what to do; the id is for the audit alone."""
        super().__init__("You are signed in there, but you are no operator here. Ask an admin to invite your address.")
        self.operator_id = operator_id


class Told(NamedTuple):
    """What a provider says of somebody who signed in there."""

    subject: str  # issuer and their id there: never changes, unlike an address
    email: str  # verified
    name: str
    role: str | None  # None: their groups say nothing of roles


class SignIn:
    """Lets operators in."""

    def __init__(
        self, registry: SqliteState, *, now: Callable[[], int], passwords: Passwords, sessions: ConsoleSessions
    ) -> None:
        """Take the parts."""
        self._registry = registry
        self._now = now
        self._passwords = passwords
        self._sessions = sessions

    def by_password(self, login: str, password: str, *, address: str, device: str = "") -> Operator:
        """Give whom login and password let in.

        Raises: SignInDelayed, SignInRefused; BusyError when too many sign in at once.
        """
        told = fold_login(login)
        found = self._found(told)
        is_known = self._sessions.is_known_device(device, found[0]) if found is not None else False
        counted = (by_device(device),) if is_known else (by_login(told), by_address(address))
        operator_id = self._judge(found, password, counted)
        return get_operator(self._registry, operator_id)

    def confirm(self, operator_id: str, password: str) -> None:
        """Hold a password against the one of whoever is signed in. Raises SignInDelayed, SignInRefused."""
        rows = self._registry.read("SELECT password_hash FROM operator WHERE operator_id = ?", (operator_id,))
        self._judge((operator_id, rows[0][0]) if rows else None, password, (by_operator(operator_id),))

    def by_provider(self, told: Told, *, may_create: bool, default_role: str) -> Operator:
        """Give whom a provider vouches for: known by subject, else by their verified address, else made anew.

        Raises: NotAnOperator when nobody is meant or they are disabled.
        """
        login = clean_login(told.email)
        with self._registry.transaction() as tx:
            rows = tx.read("SELECT operator_id FROM operator WHERE subject = ?", (told.subject,)) or tx.read(
                "SELECT operator_id FROM operator WHERE login = ? AND subject IS NULL", (login,)
            )
            if not rows:
                if not may_create or tx.read("SELECT 1 FROM operator WHERE login = ?", (login,)):
                    raise NotAnOperator
                made = insert_operator(
                    tx,
                    now=self._now(),
                    login=login,
                    name=clean_name((told.name or login)[:100]),
                    role=told.role or default_role,
                    subject=told.subject,
                )
                return get_operator(tx, made)
            operator = get_operator(tx, str(rows[0][0]))
            if operator.disabled_at is not None:
                raise NotAnOperator(operator.operator_id)
            tx.execute("UPDATE operator SET subject = ? WHERE operator_id = ?", (told.subject, operator.operator_id))
            # A provider's groups may not leave the workspace without an admin.
            if told.role is not None and told.role != operator.role and not is_last_admin(tx, operator):
                tx.execute("UPDATE operator SET role = ? WHERE operator_id = ?", (told.role, operator.operator_id))
                end_access(tx, operator.operator_id)
            return get_operator(tx, operator.operator_id)

    def _found(self, login: str) -> tuple[str, str | None] | None:
        rows = self._registry.read(
            "SELECT operator_id, password_hash FROM operator WHERE login = ? AND disabled_at IS NULL", (login,)
        )
        return (str(rows[0][0]), rows[0][1]) if rows else None

    def _judge(self, found: tuple[str, str | None] | None, password: str, counted: Sequence[Counted]) -> str:
        now = self._now()
        with self._registry.transaction() as tx:
            wait_us = begin_attempt(tx, counted, now=now)
        if wait_us:
            raise SignInDelayed(wait_us)
        operator_id, kept = found if found is not None else ("", None)
        if not self._passwords.is_right(kept, password) or kept is None:
            raise SignInRefused(operator_id)
        renewed = self._passwords.hash(password) if self._passwords.is_outdated(kept) else kept
        with self._registry.transaction() as tx:
            forgive_attempt(tx, counted, now=now)
            if renewed != kept:
                tx.execute(
                    "UPDATE operator SET password_hash = ? WHERE operator_id = ? AND password_hash = ?",
                    (renewed, operator_id, kept),
                )
        return operator_id
