"""Every page of the console, and the one list of its routes.

In:    the desk.
Out:   routes, each with the least role that may use it.
Never: a route without a role: the application does not start with one.
"""

from litestar.handlers import HTTPRouteHandler

from tillit.console.desk import Desk
from tillit.console.pages.account import account_routes
from tillit.console.pages.audiences import audiences_routes
from tillit.console.pages.audit import audit_routes
from tillit.console.pages.building import building_routes
from tillit.console.pages.customer import customer_routes
from tillit.console.pages.customers import customers_routes
from tillit.console.pages.definitions import definitions_routes
from tillit.console.pages.deliveries import deliveries_routes
from tillit.console.pages.destinations import destinations_routes
from tillit.console.pages.entrance import entrance_routes
from tillit.console.pages.event import event_routes
from tillit.console.pages.features import features_routes
from tillit.console.pages.identity import identity_routes
from tillit.console.pages.imports import imports_routes
from tillit.console.pages.leave import leave_routes
from tillit.console.pages.ledger import ledger_routes
from tillit.console.pages.live import live_routes
from tillit.console.pages.operators import operators_routes
from tillit.console.pages.overview import overview_routes
from tillit.console.pages.privacy import privacy_routes
from tillit.console.pages.quarantine import quarantine_routes
from tillit.console.pages.requests import requests_routes
from tillit.console.pages.rules import rules_routes
from tillit.console.pages.sending import sending_routes
from tillit.console.pages.sources import sources_routes
from tillit.console.pages.suppressions import suppressions_routes
from tillit.console.pages.templates import templates_routes
from tillit.console.pages.values import values_routes
from tillit.console.pages.violations import violations_routes

__all__ = ["list_routes"]

PAGES = (
    entrance_routes,  # the way in and out
    overview_routes,  # how the workspace is
    live_routes,  # events as they arrive
    customers_routes,  # search
    customer_routes,  # one person
    leave_routes,  # for what staff act, and what is closed to them
    identity_routes,  # why they are one person
    violations_routes,  # links that wait for somebody's word, and those that were refused
    values_routes,  # values that stand for many
    rules_routes,  # what all that goes by
    audiences_routes,  # who is in which audience, and why
    features_routes,  # values of each person
    building_routes,  # how both come to be
    sending_routes,  # where members go
    privacy_routes,  # what data may be used for
    requests_routes,  # what customers ask about theirs
    ledger_routes,  # who received and who looked
    event_routes,  # one event
    destinations_routes,  # where values go
    deliveries_routes,  # what left, what did not, and why
    templates_routes,  # what messages say
    suppressions_routes,  # whom nothing is sent to
    definitions_routes,  # destinations and templates as text
    quarantine_routes,  # what was turned away
    sources_routes,  # where events come from
    imports_routes,  # files that were uploaded
    operators_routes,  # who may open the console
    audit_routes,  # what they did
    account_routes,  # one's own account
)


def list_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Give all routes of the console."""
    return [handler for make in PAGES for handler in make(desk)]
