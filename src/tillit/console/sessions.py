"""Who sits before the browser: what pages see of a session.

In:    an open session as the registry knows it, and the cookie it came with.
Out:   the operator's name, role and form token.
Never: the cookie itself beyond this file.
"""

import hashlib
from typing import NamedTuple

from tillit.access import ROLES, OpenSession

__all__ = ["NOBODY", "ROLES", "Session", "form_token_of", "session_from"]


class Session(NamedTuple):
    """Who sits before the browser."""

    operator_id: str  # empty: nobody was let in
    name: str
    role: str
    form_token: str  # stands in every form of theirs: a page of another site cannot know it
    session_id: str = ""
    purpose: str = ""  # what they chose to act for; empty: what comes first
    has_way_back: bool = True  # else they came by a link and could not come again without one

    @property
    def asked_by(self) -> str:
        """Say under what name reads are noted in the ledger."""
        return self.operator_id

    def may(self, role: str) -> bool:
        """Say whether they may do what this role may."""
        return self.role in ROLES and ROLES.index(self.role) >= ROLES.index(role)


NOBODY = Session("", "", "", "")


def session_from(known: OpenSession, cookie: str) -> Session:
    """Give what pages see of an open session."""
    return Session(
        known.operator_id,
        known.name,
        known.role,
        form_token_of(cookie),
        known.session_id,
        known.purpose,
        known.has_way_back,
    )


def form_token_of(cookie: str) -> str:
    """Give what stands in a session's forms: it follows from the cookie, which no script and no other site reads."""
    return hashlib.sha256(b"form " + cookie.encode("utf-8", "replace")).hexdigest()[:32]
