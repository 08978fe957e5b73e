"""Who may knock: sources, their keys, operators, and the journal of what was done.

In:    keys, cookies and passwords as they are sent.
Out:   what each may do and how busy it is; registry.db (keys, operators, sessions), journal.db (actions).
Never: a key, a cookie or a password in plain.
"""

from tillit.access.audit import Action, Audit, Detail
from tillit.access.identity_tokens import IdentityTokens
from tillit.access.keys import API_SCOPES, KINDS, Key, Keys
from tillit.access.oidc import Provider, SsoRefused
from tillit.access.openings import Opening, Openings
from tillit.access.operators import ROLES, Operator, Operators
from tillit.access.passwords import SHORTEST, Passwords
from tillit.access.sessions import INVITATION_US, ConsoleSessions, OpenSession
from tillit.access.sign_in import NotAnOperator, SignIn, SignInDelayed, SignInRefused, Told
from tillit.access.sources import Activity, SourceActivity, Sources
from tillit.store import migrations_of

REGISTRY_MIGRATIONS = migrations_of("tillit.access", room="access", folder="migrations/registry")
JOURNAL_MIGRATIONS = migrations_of("tillit.access", room="access", folder="migrations/journal")

__all__ = [
    "API_SCOPES",
    "INVITATION_US",
    "JOURNAL_MIGRATIONS",
    "KINDS",
    "REGISTRY_MIGRATIONS",
    "ROLES",
    "SHORTEST",
    "Action",
    "Activity",
    "Audit",
    "ConsoleSessions",
    "Detail",
    "IdentityTokens",
    "Key",
    "Keys",
    "NotAnOperator",
    "OpenSession",
    "Opening",
    "Openings",
    "Operator",
    "Operators",
    "Passwords",
    "Provider",
    "SignIn",
    "SignInDelayed",
    "SignInRefused",
    "SourceActivity",
    "Sources",
    "SsoRefused",
    "Told",
]
