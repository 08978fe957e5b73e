"""What may we? Purposes, and the permits that every read of personal values needs.

In:    a purpose and who asks.
Out:   a `Permit` or a `Scope`; nobody else makes them.
Never: a permit for a purpose that was not declared.
"""

from collections.abc import Mapping
from difflib import get_close_matches

from tillit.errors import InputError
from tillit.records import Permit, Scope


class UnknownPurpose(InputError):
    """A purpose was named that this workspace has not declared."""

    code = "consent.unknown-purpose"

    def __init__(self, purpose: str, declared: Mapping[str, str]) -> None:
        """Name the nearest one."""
        near = get_close_matches(purpose, declared, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(
            f"Purpose {purpose[:64]!r} is not declared under [consent] purposes.{hint} Declared: {', '.join(declared)}.",
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
