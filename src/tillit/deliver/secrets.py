"""Secrets of destinations: each bound to the one place it may be told.

In:    registry.db; what an operator sets.
Out:   a secret, to whoever asks for it with the place it is going to.
Never: a secret in a list, a log or an error; a secret for a place it was not set for.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from tillit.errors import InputError, RefusedError, SettingsError
from tillit.store import State, migrations_of

DELIVERY_SECRET_MIGRATIONS = migrations_of("tillit.deliver", room="deliver", folder="migrations/registry")

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+):[0-9]{1,5}")
_LONGEST = 16_384  # a private key in PEM is a quarter of this


class SecretInvalid(InputError):
    """A secret of a destination cannot be kept as it was given."""

    code = "deliver.secret-invalid"

    def __init__(self, why: str) -> None:
        """Say what is wrong, not what it is."""
        super().__init__(f"This secret was not kept: {why}")


class SecretMissing(SettingsError):
    """A destination names a secret that nobody set."""

    code = "deliver.secret-missing"

    def __init__(self, name: str) -> None:
        """Name the secret."""
        super().__init__(f"There is no secret {name!r}. Set it for the host of the destination.", secret=name)


class SecretElsewhere(RefusedError):
    """A secret was asked for on behalf of a place that it was not set for."""

    code = "deliver.secret-elsewhere"

    def __init__(self, name: str, host: str, wanted: str) -> None:
        """Name the secret, its own place and the other."""
        super().__init__(
            f"The secret {name!r} is for {host}, and goes nowhere else; {wanted} was not told. "
            "If the destination has moved, set the secret again for its new host.",
            secret=name,
            host=host,
            wanted=wanted,
        )


class Secret:
    """A text that does not show itself."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Hold it."""
        self._text = text

    def reveal(self) -> str:
        """Give the text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(hidden)"


class SecretKept(NamedTuple):
    """A secret as lists show it. Grain: one per name."""

    name: str
    host: str  # host:port
    created_at: int  # UTC epoch microseconds
    by_whom: str


class Secrets:
    """The secrets of one workspace's destinations."""

    def __init__(self, registry: State, now: Callable[[], int]) -> None:
        """Take the registry, whose tables are there."""
        self._registry = registry
        self._now = now

    def set(self, name: str, host: str, secret: str, by: str) -> None:
        """Keep a secret for one place, `host:port`; what was there under the name is gone. Raises SecretInvalid."""
        host = host.lower()
        if not _NAME.fullmatch(name):
            raise SecretInvalid("its name must be small letters, digits and hyphens, at most 63, a letter first.")
        if not _HOST.fullmatch(host):
            raise SecretInvalid("say for which place it is, as host:port, such as hooks.example.org:443.")
        if not secret or len(secret) > _LONGEST or "\0" in secret:
            raise SecretInvalid(f"it must have from 1 to {_LONGEST:,} characters, and no NUL.")
        with self._registry.transaction() as tx:
            tx.execute(
                "INSERT INTO delivery_secret (name, host, secret, created_at, by_whom) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET host = excluded.host, secret = excluded.secret, "
                "created_at = excluded.created_at, by_whom = excluded.by_whom",
                (name, host, secret, self._now(), by),
            )

    def get(self, name: str, host: str) -> Secret:
        """Give a secret for use at one place, `host:port`. Raises SecretMissing, SecretElsewhere."""
        rows = self._registry.read("SELECT host, secret FROM delivery_secret WHERE name = ?", (name,))
        if not rows:
            raise SecretMissing(name)
        kept, secret = str(rows[0][0]), str(rows[0][1])
        if kept != host.lower():
            raise SecretElsewhere(name, kept, host.lower())
        return Secret(secret)

    def list(self) -> list[SecretKept]:
        """Name what there is, without the secrets."""
        rows = self._registry.read("SELECT name, host, created_at, by_whom FROM delivery_secret ORDER BY name")
        return [SecretKept(*row) for row in rows]

    def remove(self, name: str) -> None:
        """Forget a secret. Raises SecretMissing."""
        with self._registry.transaction() as tx:
            if not tx.read("SELECT 1 FROM delivery_secret WHERE name = ?", (name,)):
                raise SecretMissing(name)
            tx.execute("DELETE FROM delivery_secret WHERE name = ?", (name,))
