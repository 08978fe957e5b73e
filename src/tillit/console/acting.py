"""What staff act for: which purposes a role may act for, and which one a session does.

In:    the purposes in force, a session.
Out:   the purpose that a page's scope is for, and the others to choose from.
Never: a purpose that the role may not act for, whatever a form says.
"""

from typing import NamedTuple

from tillit.consent import SERVICE, Declared, Purpose, staff_of
from tillit.console.sessions import Session
from tillit.errors import RefusedError


class Acting(NamedTuple):
    """What somebody acts for."""

    name: str  # empty: there is nothing that their role may act for
    purposes: dict[str, Purpose]  # what they may act for, in the order in which forms offer it

    @property
    def title(self) -> str:
        """Say what it is called."""
        return self.purposes[self.name].title if self.name else "nothing"


class PurposeMissing(RefusedError):
    """The operator's role may act for none of the declared purposes."""

    code = "console.no-purpose"

    def __init__(self, role: str) -> None:
        """Say what to declare."""
        super().__init__(
            f"Your role, {role}, may act for none of the purposes that are declared here, so no person is shown. "
            "An admin declares `service`, or names the role under `staff:` of a purpose.",
            role=role,
        )


class PurposeClosed(RefusedError):
    """Somebody chose to act for a purpose that their role may not act for."""

    code = "console.purpose-closed"

    def __init__(self, role: str) -> None:
        """Say who can change it."""
        super().__init__(
            f"Your role, {role}, may not act for that purpose. An admin can name it under `staff:` of the purpose.",
            role=role,
        )


def acting_of(declared: Declared, session: Session) -> Acting:
    """Say what a session acts for: what its operator chose, else `service`, else the first that they may."""
    names = sorted(declared.purposes, key=lambda name: name != SERVICE)
    purposes = {
        name: declared.purposes[name]
        for name in names
        if any(session.may(role) for role in staff_of(name, declared.purposes[name]))
    }
    return Acting(session.purpose if session.purpose in purposes else next(iter(purposes), ""), purposes)
