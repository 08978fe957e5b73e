"""Who was let in: links that open the console once, and the sessions they become.

In:    the workspace's run folder, which only its owner may enter.
Out:   one-time tokens, session cookies.
Never: a token or a cookie in a file (only their sha256), a token that opens twice, a session without an end.

Files rather than memory: the command that prints a link and the web processes that honour it are different
processes. Each is one small file named after the hash, so that taking a link is removing a file: of two who try,
one succeeds.
"""

import hashlib
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tillit import clock

# Taste: long enough to walk to another machine, short enough that a link in a terminal's memory is worthless tomorrow.
_LINK_US = 1 * clock.HOUR
_SESSION_US = 12 * clock.HOUR  # a working day


ROLES = ("reader", "editor", "admin")  # each may do what those before it may


class Session(NamedTuple):
    """Who sits before the browser."""

    operator_id: str  # empty: nobody was let in
    name: str
    role: str
    form_token: str  # stands in every form of theirs: a page of another site cannot know it

    @property
    def asked_by(self) -> str:
        """Say under what name reads are noted in the journal."""
        return self.operator_id

    def may(self, role: str) -> bool:
        """Say whether they may do what this role may."""
        return self.role in ROLES and ROLES.index(self.role) >= ROLES.index(role)


NOBODY = Session("", "", "", "")


class Sessions:
    """The sessions of one workspace, shared by its processes."""

    def __init__(self, run: Path, *, now: Callable[[], int] = clock.now_us) -> None:
        """Use a run folder; nothing is written yet."""
        self._folder = run / "console"
        self._now = now
        # Cookies do not know ports: two workspaces on one host must not sign each other out.
        self.cookie_name = "tillit_" + hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:8]

    def issue(self) -> str:
        """Make a token that opens the console once, within the hour."""
        self._sweep()
        return self._keep("link", _LINK_US)

    def redeem(self, token: str) -> str | None:
        """Spend a token: give a new session's cookie, or None when it is unknown, spent or too old."""
        file = self._file("link", token)
        expires_at = _expires_at(file)
        if expires_at is None:
            return None
        try:
            file.unlink()
        except FileNotFoundError:  # somebody was quicker
            return None
        return self._keep("session", _SESSION_US) if self._now() < expires_at else None

    def find(self, cookie: str) -> Session | None:
        """Give the session that this cookie is, or None when it is none or has ended."""
        expires_at = _expires_at(self._file("session", cookie)) if cookie else None
        if expires_at is None or self._now() >= expires_at:
            return None
        return Session("console", "Owner", "admin", form_token_of(cookie))

    def end(self, cookie: str) -> None:
        """End a session."""
        self._file("session", cookie).unlink(missing_ok=True)

    def _keep(self, kind: str, lasts_us: int) -> str:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = secrets.token_urlsafe(32)
        file = self._file(kind, secret)
        file.touch(mode=0o600)
        file.write_text(str(self._now() + lasts_us), encoding="ascii")
        return secret

    def _file(self, kind: str, secret: str) -> Path:
        # The token has 256 random bits: a plain hash cannot be turned back.
        return self._folder / f"{kind}-{hashlib.sha256(secret.encode('utf-8', 'replace')).hexdigest()}"

    def _sweep(self) -> None:
        for file in self._folder.glob("*-*"):
            expires_at = _expires_at(file)
            if expires_at is not None and expires_at <= self._now():
                with suppress(FileNotFoundError):
                    file.unlink()


def form_token_of(cookie: str) -> str:
    """Give what stands in a session's forms: it follows from the cookie, which no script and no other site reads."""
    return hashlib.sha256(b"form " + cookie.encode("utf-8", "replace")).hexdigest()[:32]


def _expires_at(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):  # ValueError: being written at this moment
        return None
