"""What may we? Purposes, and the permits that every read of personal values needs.

In:    a purpose and who asks.
Out:   a `Permit` or a `Scope`; nobody else makes them.
Never: a permit for a purpose that was not declared.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from tillit.errors import InputError
from tillit.records import Permit, Scope

_NAME = re.compile(r"[A-Za-z_-]{1,32}")


class UnknownPurpose(InputError):
    """A purpose was named that this workspace has not declared."""

    code = "consent.unknown-purpose"

    def __init__(self, purpose: str, declared: Mapping[str, str]) -> None:
        """Name the nearest one."""
        near = get_close_matches(purpose, declared, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        # What is no name may be a person's e-mail that went into the wrong place: it is not repeated.
        named = f"Purpose {purpose!r}" if _NAME.fullmatch(purpose) else "The purpose that was named"
        super().__init__(
            f"{named} is not declared under [consent] purposes.{hint} Declared: {', '.join(declared)}.",
            declared=list(declared),
        )


def permit_for(purpose: str, *, declared: Mapping[str, str], position: int, asked_by: str) -> Permit:
    """Give leave to use one person's values for a purpose."""
    if purpose not in declared:
        raise UnknownPurpose(purpose, declared)
    return Permit(purpose, position, asked_by)


def scope_for(purpose: str, *, declared: Mapping[str, str], position: int, asked_by: str) -> Scope:
    """Give leave to use many people's values for a purpose."""
    if purpose not in declared:
        raise UnknownPurpose(purpose, declared)
    return Scope(purpose, position, asked_by)


__all__ = ["UnknownPurpose", "permit_for", "scope_for"]
