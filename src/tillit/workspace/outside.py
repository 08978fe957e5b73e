"""Outside: how destinations are opened, with their secrets, behind the guard.

In:    settings, the registry's secrets, a destination.
Out:   an open wire; whether a destination says where it is in a way that can be.
Never: a secret told to another host than it was set for; a package of a kind loaded before one of it is opened.
"""

import hmac
from collections.abc import Callable
from pathlib import Path

from tillit.deliver import Delivery, Destination, Template, Wire
from tillit.deliver.outward import read_allow
from tillit.deliver.secrets import Secrets
from tillit.deliver.unsubscribe import make_token
from tillit.deliver.wires import Ways, check_to, open_wire
from tillit.errors import SettingsError
from tillit.privacy.erasure import load_signing_bytes
from tillit.settings import Settings
from tillit.store import SqliteState


class NoPublicUrl(SettingsError):
    """A marketing mail wants a link to unsubscribe by, and nobody said under which address customers reach this."""

    code = "deliver.no-public-url"

    def __init__(self) -> None:
        """Name the setting."""
        super().__init__(
            "Marketing mail carries a link to unsubscribe by. Say under which address customers reach this server: "
            'deliver.public_url = "https://…" in tillit.toml.'
        )


class Outside:
    """What lies outside a workspace, and how it is reached."""

    def __init__(self, settings: Settings, registry: SqliteState, *, root: Path, now: Callable[[], int]) -> None:
        """Know settings and secrets; nothing is opened."""
        self._settings = settings.deliver
        self.secrets = Secrets(registry, now=now)
        self._ways = Ways(read_allow(settings.deliver.allow_private), self.secrets.get, root, now)
        key = load_signing_bytes(registry)
        self.hash_secret = hmac.digest(key, b"tillit delivery hashes", "sha256")
        self.link_secret = hmac.digest(key, b"tillit delivery links", "sha256")

    def check(self, destination: Destination) -> None:
        """Judge where a destination is, without going there. Raises DefinitionInvalid, OutwardInvalid."""
        check_to(destination, self._ways)

    def open_wire(self, destination: Destination) -> Wire:
        """Open a destination, in a running loop. Raises TillitError when secrets or address stand in the way."""
        return open_wire(destination, self._ways)

    def unsubscribe_url(self, delivery: Delivery, template: Template) -> str:
        """Give the link by which a message is unsubscribed from. Raises NoPublicUrl."""
        if not self._settings.public_url:
            raise NoPublicUrl
        token = make_token(self.link_secret, key=delivery.key, purpose=template.purpose, channel="email")
        return f"{self._settings.public_url}/u/{token}"
