"""One shop, told in few words.

In:    events as a test writes them, rules.
Out:   who is who afterwards, on a real workspace.
Never: a word of the fold's own: everything is asked through the workspace.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from tillit.clock import DAY, rfc3339
from tillit.records import TRUST_SERVER, Scope
from tillit.workspace import Workspace

FIRST_DAY = 1_735_689_600_000_000  # 2025-01-01


class Shop:
    """A workspace, and the questions that the examples ask."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self._n = 0

    @property
    def scope(self) -> Scope:
        return self.ws.scope()

    def rules(self, text: str) -> None:
        assert self.ws.rules.apply(text)["in_force"]

    def say(self, *, trust: int = TRUST_SERVER, **told: Any) -> None:
        """Send one event and see it applied. Words: those of `event`."""
        self.say_all([told], trust=trust)

    def say_all(self, told: Sequence[dict[str, Any]], *, trust: int = TRUST_SERVER) -> None:
        self.ws.append([self.event(**one) for one in told], trust=trust)
        self.ws.flush()

    def event(
        self,
        *,
        user: str | None = None,
        device: str | None = None,
        previous: str | None = None,
        day: float = 0,
        traits: dict[str, Any] | None = None,
        **ids: str,
    ) -> dict[str, Any]:
        """Write one event. `email` and `phone` are traits, other ids stand among the external ids.

        The protocol wants a user id or an anonymous id: without either it is a receipt that nobody has seen before.
        """
        self._n += 1
        if user is None and device is None:
            device = f"receipt-{self._n}"
        told = {name: ids.pop(name) for name in ("email", "phone") if name in ids} | (traits or {})
        external = [
            {"id": value, "type": name, "collection": "users", "encoding": "none"} for name, value in ids.items()
        ]
        body: dict[str, Any] = {"type": "track", "event": "Seen"}
        if previous is not None:
            body = {"type": "alias", "previousId": previous}
        elif told:
            body = {"type": "identify", "traits": told}
        body |= {name: value for name, value in (("userId", user), ("anonymousId", device)) if value is not None}
        body |= {"timestamp": rfc3339(FIRST_DAY + round(day * DAY))}
        return body | ({"context": {"externalIds": external}} if external else {})

    def find(self, who: str) -> dict[str, Any] | None:
        return self.ws.profiles.find(who, self.scope)

    def get(self, who: str) -> dict[str, Any]:
        found = self.find(who)
        assert found is not None, who
        return found

    def id_of(self, who: str) -> str:
        return str(self.get(who)["id"])

    def is_one(self, *who: str) -> bool:
        return len({self.id_of(one) for one in who}) == 1

    def ids(self, who: str, namespace: str) -> list[str]:
        return sorted(one["value"] for one in self.get(who)["identifiers"] if one["namespace"] == namespace)

    def violations(self) -> list[tuple[str, str]]:
        """Give verdict and violation of every link that was not admitted, oldest first."""
        found, more = self.ws.identity.violations(self.scope)
        assert more is None
        return [(one["verdict"], one["violation"]) for one in reversed(found)]

    def evidence(self, one: str, other: str) -> list[tuple[str, str]]:
        told = self.ws.identity.why(one, other, self.scope)["direct"]
        return [(link["verdict"], link["violation"]) for link in told]


@pytest.fixture
def shop(ws: Workspace) -> Shop:
    return Shop(ws)
