"""Where one can go in the console.

In:    the role of whoever looks.
Out:   the places of the menu and of the command palette.
Never: a place that would turn them away.
"""

from typing import NamedTuple

from tillit.console.sessions import Session


class Place(NamedTuple):
    """One place of the menu."""

    id: str
    href: str
    label: str
    icon: str  # the name of a drawing in icons.svg
    role: str
    key: str  # goes there after `g`


PLACES = (
    Place("overview", "/console", "Overview", "home", "reader", "h"),
    Place("live", "/console/live", "Live", "pulse", "reader", "l"),
    Place("customers", "/console/customers", "Customers", "people", "reader", "c"),
    Place("audiences", "/console/audiences", "Audiences", "circles", "reader", "u"),
    Place("identity", "/console/identity", "Identity", "link", "reader", "d"),
    Place("privacy", "/console/privacy", "Privacy", "lock", "reader", "p"),
    Place("deliveries", "/console/destinations", "Delivery", "send", "reader", "t"),
    Place("sources", "/console/sources", "Sources", "plug", "reader", "s"),
    Place("imports", "/console/imports", "Imports", "upload", "editor", "i"),
    Place("quarantine", "/console/quarantine", "Quarantine", "shield", "reader", "q"),
    Place("operators", "/console/operators", "Operators", "badge", "admin", "o"),
    Place("audit", "/console/audit", "Audit", "book", "admin", "a"),
    Place("account", "/console/me", "My account", "person", "reader", "m"),
)


def list_places(session: Session) -> list[Place]:
    """Give the places that a session may go to."""
    return [place for place in PLACES if session.may(place.role)]
