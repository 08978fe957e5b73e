"""Sessions of the console, and the links that open one.

In:    cookies and tokens as they were sent.
Out:   who is signed in; new cookies and tokens.
Never: a cookie or a token in the store (only their sha256), a token that opens twice, a session without an end.
"""

import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tillit.access.operators import end_access, get_operator, insert_operator
from tillit.clock import DAY, HOUR, MINUTE
from tillit.errors import RefusedError
from tillit.store import SqliteState, Writing

# Taste: long enough to walk to another machine, short enough that a link in a terminal's memory is worthless tomorrow.
LINK_US = 1 * HOUR
INVITATION_US = 1 * DAY  # a colleague may be at home
SESSION_US = 12 * HOUR  # a working day
_SEEN_EVERY_US = 1 * MINUTE  # a write for every page would wake every process that watches the registry
_DEVICE_US = 90 * DAY


class OpenSession(NamedTuple):
    """One session that has not ended."""

    session_id: str
    operator_id: str
    name: str
    role: str
    has_way_back: bool  # a password or single sign-on: they can come again without a link
    purpose: str  # what it acts for, as its operator chose; empty: what comes first
    via: str  # link, password, sso
    created_at: int
    last_seen_at: int
    expires_at: int


class ConsoleSessions:
    """The sessions of one workspace, shared by its processes."""

    def __init__(self, registry: SqliteState, *, now: Callable[[], int], place: Path) -> None:
        """Use the registry; `place` tells workspaces on one host apart."""
        self._registry = registry
        self._now = now
        # Cookies do not know ports: two workspaces on one host must not sign each other out.
        self.cookie_name = "tillit_" + hashlib.sha256(str(place.resolve()).encode()).hexdigest()[:8]

    def issue(self, operator_id: str = "", *, lasts_us: int = LINK_US) -> str:
        """Make a token that signs somebody in once; without an operator the first admin, who is made if need be."""
        now = self._now()
        token = secrets.token_urlsafe(32)
        with self._registry.transaction() as tx:
            if operator_id and get_operator(tx, operator_id).disabled_at is not None:
                raise RefusedError("This operator is disabled. Enable them first.", code="access.operator-disabled")
            tx.execute("DELETE FROM sign_in_link WHERE expires_at <= ?", (now,))
            tx.execute("INSERT INTO sign_in_link VALUES (?, ?, ?)", (hash_secret(token), operator_id, now + lasts_us))
        return token

    def redeem(self, token: str) -> str | None:
        """Spend a token: give whom it signs in, or None when it is unknown, spent or too old."""
        now = self._now()
        with self._registry.transaction() as tx:
            rows = tx.read(
                "SELECT operator_id, expires_at FROM sign_in_link WHERE link_hash = ?", (hash_secret(token),)
            )
            if not rows:
                return None
            tx.execute("DELETE FROM sign_in_link WHERE link_hash = ?", (hash_secret(token),))
            operator_id = str(rows[0][0]) or _first_admin(tx, now)
            is_enabled = get_operator(tx, operator_id).disabled_at is None
            return operator_id if is_enabled and now < int(rows[0][1]) else None

    def open(self, operator_id: str, *, via: str, instead_of: str = "") -> str:
        """Begin a session: give its cookie. One that the browser held before ends."""
        now = self._now()
        cookie = secrets.token_urlsafe(32)
        with self._registry.transaction() as tx:
            tx.execute(
                "DELETE FROM console_session WHERE expires_at <= ? OR session_hash = ?", (now, hash_secret(instead_of))
            )
            tx.execute(
                "INSERT INTO console_session VALUES (?, ?, ?, ?, ?, ?, ?, '')",
                (hash_secret(cookie), "s_" + secrets.token_hex(6), operator_id, via, now, now, now + SESSION_US),
            )
        return cookie

    def find(self, cookie: str) -> OpenSession | None:
        """Give the session that this cookie is, or None when it is none or has ended. One read by key."""
        if not cookie:
            return None
        rows = self._registry.read(f"{_SELECT} AND session_hash = ?", (self._now(), hash_secret(cookie)))
        return _session(rows[0]) if rows else None

    def is_due(self, session: OpenSession) -> bool:
        """Say whether it should be noted that a session is in use."""
        return self._now() - session.last_seen_at >= _SEEN_EVERY_US

    def note_seen(self, session_id: str) -> None:
        """Note that a session is in use."""
        with self._registry.transaction() as tx:
            tx.execute("UPDATE console_session SET last_seen_at = ? WHERE session_id = ?", (self._now(), session_id))

    def choose_purpose(self, session_id: str, purpose: str) -> None:
        """Note what a session acts for; whether its operator may is for whoever asks."""
        with self._registry.transaction() as tx:
            tx.execute("UPDATE console_session SET purpose = ? WHERE session_id = ?", (purpose, session_id))

    def end(self, cookie: str) -> None:
        """End the session that this cookie is."""
        with self._registry.transaction() as tx:
            tx.execute("DELETE FROM console_session WHERE session_hash = ?", (hash_secret(cookie),))

    def end_one(self, operator_id: str, session_id: str) -> None:
        """End one session of an operator by its id; somebody else's stays."""
        with self._registry.transaction() as tx:
            tx.execute(
                "DELETE FROM console_session WHERE session_id = ? AND operator_id = ?", (session_id, operator_id)
            )

    def end_all(self, operator_id: str) -> None:
        """Sign an operator out everywhere; their unused links end, too."""
        with self._registry.transaction() as tx:
            end_access(tx, operator_id)

    def list_of(self, operator_id: str) -> list[OpenSession]:
        """Give an operator's sessions, the newest first."""
        rows = self._registry.read(
            f"{_SELECT} AND s.operator_id = ? ORDER BY s.created_at DESC, s.session_id", (self._now(), operator_id)
        )
        return [_session(row) for row in rows]

    def know_device(self, operator_id: str) -> str:
        """Remember a browser in which somebody signed in: give its cookie."""
        now = self._now()
        device = secrets.token_urlsafe(32)
        with self._registry.transaction() as tx:
            tx.execute("DELETE FROM known_device WHERE seen_at <= ?", (now - _DEVICE_US,))
            tx.execute("INSERT INTO known_device VALUES (?, ?, ?)", (hash_secret(device), operator_id, now))
        return device

    def is_known_device(self, device: str, operator_id: str) -> bool:
        """Say whether an operator has signed in before in the browser that holds this cookie."""
        return bool(device) and bool(
            self._registry.read(
                "SELECT 1 FROM known_device WHERE device_hash = ? AND operator_id = ? AND seen_at > ?",
                (hash_secret(device), operator_id, self._now() - _DEVICE_US),
            )
        )


def hash_secret(secret: str) -> bytes:
    """Give what is kept of a cookie or a token: it has 256 random bits, so a plain hash cannot be turned back."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


_SELECT = (
    "SELECT s.session_id, s.operator_id, o.name, o.role, o.password_hash IS NOT NULL OR o.subject IS NOT NULL, "
    "s.purpose, s.via, s.created_at, s.last_seen_at, s.expires_at "
    "FROM console_session s JOIN operator o ON o.operator_id = s.operator_id "
    "WHERE o.disabled_at IS NULL AND s.expires_at > ?"
)


def _session(row: tuple[Any, ...]) -> OpenSession:
    session_id, operator_id, name, role, has_way_back, purpose, via, created_at, last_seen_at, expires_at = row
    return OpenSession(
        session_id, operator_id, name, role, bool(has_way_back), purpose, via, created_at, last_seen_at, expires_at
    )


def _first_admin(tx: Writing, now: int) -> str:
    rows = tx.read(
        "SELECT operator_id FROM operator WHERE role = 'admin' AND disabled_at IS NULL "
        "ORDER BY created_at, operator_id LIMIT 1"
    )
    return str(rows[0][0]) if rows else insert_operator(tx, now=now, login="", name="Owner", role="admin")
