"""A town of a few people in which everything happens that moves people between audiences.

In:    a folder, a clock that a test moves.
Out:   `Town`, which holds live against batch, and the changes that were told against both.
Never: a stand-in for log, state, engine or journal.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.still_clock import Clock
from tillit.audience import AUDIENCE, ENTER, EXIT, MOVE, definition_row
from tillit.clock import SECOND, rfc3339
from tillit.consent import Choice
from tillit.errors import InputError, NotFound
from tillit.records import NewRow
from tillit.settings import Settings
from tillit.workspace import Workspace, create_workspace

PURPOSES = """
purposes:
  service: {title: Service, basis: contract, fields: all}
  ads: {title: Ads, basis: consent, fields: all, categories: [Ads]}
"""
# Each in two versions: what an edit changes is the number, the window, or the purpose.
DEFINITIONS: dict[str, tuple[tuple[str, Any], tuple[str, Any]]] = {
    "buyers": (
        ("service", {"event": "Order Completed", "within": "30d", "count": {"at_least": 2}}),
        ("ads", {"event": "Order Completed", "within": "30d", "count": {"at_least": 1}}),
    ),
    "spenders": (
        ("service", {"event": "Order Completed", "sum": {"of": "total", "at_least": 100}}),
        ("service", {"event": "Order Completed", "within": "7d", "average": {"of": "total", "greater": 50}}),
    ),
    "quiet": (
        ("service", {"all": [{"event": "*", "within": "1d", "count": 0}, {"event": "*"}]}),
        ("service", {"stopped": {"event": "Product Viewed", "quiet": "1h", "active": "30d"}}),
    ),
    "pro": (
        ("service", {"trait": "plan", "equals": "pro"}),
        ("ads", {"any": [{"trait": "plan", "equals": "pro"}, {"permitted": "ads"}]}),
    ),
    "leavers": (
        (
            "service",
            {"sequence": {"steps": [{"event": "Cart Viewed"}], "within": "7d",
                          "unless": {"event": "Order Completed", "within": "1h"}}},
        ),
        (
            "service",
            {"sequence": {"steps": [{"event": "Product Viewed"}, {"event": "Order Completed", "within": "3d"}],
                          "within": "30d", "same": "sku"}},
        ),
    ),
    "new": (
        ("service", {"first_time": {"event": "*", "within": "8d"}}),
        ("service", {"not": {"event": "Order Completed"}}),
    ),
    "best": (
        ("service", {"all": [{"audience": "spenders"}, {"not": {"trait": "plan", "equals": "free"}}]}),
        ("service", {"event": "*", "distinct": {"of": "sku", "at_least": 2}}),
    ),
}  # fmt: skip


class Town:
    """One workspace."""

    def __init__(
        self, folder: Path, clock: Clock, *, purposes: str = PURPOSES, settings: Settings | None = None
    ) -> None:
        create_workspace(folder)
        self.folder = folder
        self.clock = clock
        self.settings = settings
        self.ws = Workspace(folder, settings=settings, now=clock.now)
        self.ws.consent.apply(purposes, operator="kim", reason="")
        self.told: dict[str, set[int]] = {}
        self.read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ws.close()

    def restart(self) -> None:
        """Close the workspace and open it again."""
        self.ws.close()
        self.ws = Workspace(self.folder, settings=self.settings, now=self.clock.now)

    # -- what happens

    def say(self, told: dict[str, Any], ago: int) -> None:
        """Let an event come that happened so long ago."""
        self.clock.go_on(SECOND)
        self.ws.append([{**told, "timestamp": rfc3339(self.clock.at - ago)}])

    def wait(self, by: int) -> None:
        """Let time pass."""
        self.clock.go_on(by)

    def cut(self, one: str, other: str) -> None:
        """Say that two identifiers are not one person's."""
        self.ws.flush()
        with contextlib.suppress(InputError):
            self.ws.identity.cut(one, other, operator="kim", reason="test")

    def join(self, one: str, other: str) -> None:
        """Say that two identifiers are one person's."""
        self.ws.flush()
        with contextlib.suppress(InputError):
            self.ws.identity.join(one, other, operator="kim", reason="test")

    def erase(self, who: str) -> None:
        """Forget somebody."""
        self.ws.flush()
        with contextlib.suppress(NotFound):
            self.ws.erasure.erase(who)

    def choose(self, user: str, *, is_yes: bool) -> None:
        """Let somebody choose about ads."""
        self.ws.flush()
        with contextlib.suppress(NotFound):
            self.ws.consent.set(f"user_id:{user}", [Choice("ads", "given" if is_yes else "withdrawn")], evidence="f")

    def apply(self, name: str, version: int, *, is_retired: bool = False) -> None:
        """Apply a definition; one that names what is not there is refused."""
        with contextlib.suppress(InputError):
            self.ws.audiences.apply(self.text(name, version, is_retired=is_retired), reason="", operator="kim")

    def text(self, name: str, version: int, *, is_retired: bool = False) -> str:
        """Write a definition."""
        purpose, definition = DEFINITIONS[name][version]
        # JSON is YAML.
        return json.dumps({"audience": name, "purpose": purpose, "definition": definition, "retired": is_retired})

    def row(self, name: str, text: str, number: int) -> NewRow:
        """Write a definition for the log, for whoever folds next."""
        message_id = f"definition-{number}"
        now = self.clock.now()
        return definition_row(AUDIENCE, name, text, operator="kim", reason="", message_id=message_id, now=now)

    # -- what holds

    def put(self, name: str, definition: Any, purpose: str = "service", **more: Any) -> None:
        """Put an audience in force at once, as a colleague would."""
        told = {"audience": name, "purpose": purpose, "definition": definition, **more}
        self.ws.audiences.apply(json.dumps(told), reason="", operator="kim")

    def look(self, names: Iterable[str] | None = None) -> None:
        """Hold live against batch, and both against what was told: of all audiences, or of some."""
        self.clock.go_on(SECOND)
        self.ws.flush()
        self._follow()
        for name in self.ws.audiences.definitions().audiences if names is None else names:
            found = self.ws.audiences.check(name)
            assert (found["only_live"], found["only_batch"]) == (0, 0), (name, found)
            live = {one.root_id for one in self.ws.memberships.members(name, limit=1_000)}
            assert self.told.get(name, set()) == live, name
            assert self.ws.memberships.standings().get(name, (0, 0, 0))[2] == len(live), name

    def _follow(self) -> None:
        """Apply what was told since, as whoever subscribed would: nobody enters twice or leaves without being there."""
        for change in self.ws.audiences.changes(after=self.read, limit=10_000):
            assert change.change_id == self.read + 1
            self.read = change.change_id
            members = self.told.setdefault(change.audience, set())
            if change.kind == ENTER:
                assert change.root_id not in members, change
                members.add(change.root_id)
            elif change.kind == EXIT:
                members.remove(change.root_id)
            else:
                assert change.kind == MOVE
                members.remove(change.from_root)
                assert (change.root_id in members) == (change.cause == "joined"), change
                members.add(change.root_id)
