"""Identity rules: which hold, what others would change, and how they are applied.

In:    a definition of rules as people write it, an operator's name.
Out:   documents; a definition in the log, which the fold comes under while everything goes on.
Never: a change that was not planned on the same history that it is applied to, unless somebody says so.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tillit.clock import rfc3339
from tillit.collect.door import random_id
from tillit.errors import BusyError, InputError
from tillit.flow import Beside, Case, Planned, file_lock, measure, quiet_garbage_collector, trusted_position
from tillit.identity import (
    DEFAULT,
    AppliedRules,
    applied_rules,
    newest_rules,
    profile_id,
    read_applied,
    read_rules,
    rules_row,
    write_rules,
)
from tillit.profile import event_id
from tillit.records import Scope
from tillit.store import Log, SqliteState, State
from tillit.store.lake import Lake
from tillit.workspace.folder import Paths
from tillit.workspace.folding import Folding
from tillit.workspace.identity import evidence_of
from tillit.workspace.leave import Near
from tillit.workspace.profiles import Profiles
from tillit.workspace.quarantine import Append

_WAIT_S = 5.0
_PLANNED = -1  # the position of rules that nobody has applied


class RulesUnchanged(InputError):
    """These rules are the ones that were applied last."""

    code = "identity.rules-unchanged"
    status = 409

    def __init__(self) -> None:
        """Say so."""
        super().__init__("These rules say what was applied last: nothing would change.")


class Progress(NamedTuple):
    """How far a piece of long work is."""

    done: int
    of: int


def people_shown(planned: dict[str, Any]) -> set[str]:
    """Give the profile ids of all whom a plan's document shows."""
    return {one["id"] for case in [*planned["cases"], *planned["largest"]] for one in case["of"]}


class Rules:
    """The rules of who is who."""

    def __init__(
        self,
        log: Log,
        state: State,
        folding: Folding,
        paths: Paths,
        profiles: Profiles,
        *,
        lake: Callable[[], Lake],
        append: Append,
        now: Callable[[], int],
    ) -> None:
        """Know the stores and the way into the log."""
        self._log = log
        self._state = state
        self._folding = folding
        self._paths = paths
        self._profiles = profiles
        self._lake = lake
        self._append = append
        self._now = now

    def text(self) -> str:
        """Give the rules that were applied last, whole, as YAML: also what their definition leaves to the default."""
        return write_rules(read_rules(newest_rules(self._state).text))

    def status(self) -> dict[str, Any]:
        """Say which rules hold, and how far those are that were applied last.

        Shape: {"action", "in_force", "done", "of"}; action is null for the default rules.
        """
        with self._state.snapshot() as reading:
            newest, applied = newest_rules(reading), applied_rules(reading)
            position = trusted_position(reading)
        in_force = newest.position == applied.position
        return {
            "action": self._action(newest),
            "in_force": in_force,
            "done": position if in_force else self._position_beside(),
            "of": position,
        }

    def history(self) -> list[dict[str, Any]]:
        """Give all rules that were ever applied, newest first; the last is the default."""
        with self._state.snapshot() as reading:
            told = [*read_applied(reading), DEFAULT]
            in_force = applied_rules(reading).position
        return [
            {
                "action": self._action(one),
                "at": rfc3339(one.event_at) if one.position else None,
                "operator": one.operator,
                "reason": one.reason,
                "text": one.text,
                "in_force": one.position == in_force,
            }
            for one in told
        ]

    def plan(
        self,
        text: str,
        scope: Scope,
        *,
        n_cases: int = 20,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> dict[str, Any]:
        """Fold all of history under other rules, beside what there is, and say what they would change.

        Raises: RulesInvalid.
        """
        read_rules(text)
        self._folding.clear_checks()
        folder = Path(tempfile.mkdtemp(prefix="plan-", dir=self._paths.run))
        beside = None
        try:
            with file_lock(folder / "lock", "plan"), self._state.snapshot() as live:
                through = trusted_position(live)
                rules = AppliedRules(_PLANNED, text, "", "", 0)
                beside = Beside(
                    folder / "beside", rules, log=self._log, lake=self._lake, rows=self._folding.rows, live=live
                )
                with quiet_garbage_collector():
                    while beside.step(through):
                        progress(Progress(beside.position, through))
                planned = measure(live, beside, n_cases=n_cases)
        finally:
            if beside is not None:
                beside.discard()
            shutil.rmtree(folder)
        return self._planned(planned, scope)

    def apply(self, text: str, *, operator: str = "process", reason: str = "") -> dict[str, Any]:
        """Put rules in force for all of history, past and to come.

        Everything goes on under the old rules until all is folded under the new ones: `status` says how far that is.
        Raises: RulesInvalid, ReasonInvalid, RulesUnchanged.
        """
        row = rules_row(text, operator=operator, reason=reason, message_id=random_id(), now=self._now())
        if write_rules(read_rules(text)) == self.text():
            raise RulesUnchanged
        position = self._append([row])[0]
        try:
            self._folding.reach(position, _WAIT_S)
        except BusyError:
            return self.status() | {"action": event_id(position, self._log.epoch()), "in_force": False}
        return self.status()

    def undo(self, *, operator: str = "process", reason: str = "") -> dict[str, Any]:
        """Apply the rules again that were applied before the last ones. Raises RulesUnchanged when there are none."""
        return self.apply(self.before_last(), operator=operator, reason=reason)

    def before_last(self) -> str:
        """Give the text of the rules that were applied before the last ones. Raises RulesUnchanged."""
        told = self.history()
        if len(told) == 1:
            raise RulesUnchanged
        return str(told[1]["text"])

    # -- documents

    def _action(self, one: AppliedRules) -> str | None:
        return event_id(one.position, self._log.epoch()) if one.position else None

    def _position_beside(self) -> int:
        """Look how far whoever folds has come under the rules that were applied last."""
        path = self._paths.changeover / "state.db"
        try:
            beside = SqliteState(path, read_only=True)
        except Exception:  # noqa: BLE001 -- it is being made, or was just taken over
            return 0
        try:
            found = beside.read("SELECT position FROM fold")
            return int(found[0][0]) if found else 0
        except Exception:  # noqa: BLE001 -- likewise
            return 0
        finally:
            beside.close()

    def _planned(self, planned: Planned, scope: Scope) -> dict[str, Any]:
        near = Near(self._profiles.leave(self._state, scope))
        return {
            "position": planned.position,
            "people": {"before": planned.n_people_before, "after": planned.n_people_after},
            "merges": planned.n_merges,
            "merged_people": planned.n_merged,
            "splits": planned.n_splits,
            "affected_people": planned.n_affected,
            "devices_changing_hands": planned.n_devices,
            "no_longer_counting": planned.fewer,
            "beginning_to_count": planned.more,
            "soft_links": {"before": planned.soft[0], "after": planned.soft[1]},
            "refused_links": {"before": planned.refused[0], "after": planned.refused[1]},
            "largest": [
                {
                    "people": one.n_before,
                    "identifiers": one.n_identifiers,
                    "of": self._named([profile_id(root) for root in one.before], scope),
                }
                for one in planned.largest
            ],
            "cases": [self._case(case, scope, near) for case in planned.cases],
        }

    def shown(self, result: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """Give a plan's document that was kept, as far as a scope reaches now: people may have said no since."""
        near = Near(self._profiles.leave(self._state, scope))

        def anew(of: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return self._named([one["id"] for one in of], scope)

        def is_told(text: str) -> bool:
            namespace, _, value = text.partition(":")
            return near.may_name(namespace, value)

        return {
            **result,
            "largest": [{**one, "of": anew(one["of"])} for one in result["largest"]],
            "cases": [
                {
                    **case,
                    "of": anew(case["of"]),
                    "identifiers": [one for one in case["identifiers"] if is_told(one)],
                    "evidence": [one for one in case["evidence"] if is_told(one["a"]) and is_told(one["b"])],
                }
                for case in result["cases"]
            ],
        }

    def _case(self, case: Case, scope: Scope, near: Near) -> dict[str, Any]:
        return {
            "kind": case.kind,
            "people_before": case.n_before,
            "people_after": case.n_after,
            "of": self._named([profile_id(root) for root in case.before], scope),
            "identifiers": [
                f"{namespace}:{value}" for namespace, value in case.handles if near.may_name(namespace, value)
            ],
            "evidence": [
                evidence_of(link, self._log.epoch())
                for link in case.evidence
                if all(near.may_name(end.namespace, end.value) for end in (link.one, link.other))
            ],
        }

    def _named(self, ids: list[str], scope: Scope) -> list[dict[str, Any]]:
        told = []
        for one_id in ids:
            document = self._profiles.find(one_id, scope)
            if document is not None:
                traits = document["traits"]
                words = [str(traits[n]["value"]) for n in ("firstName", "lastName") if n in traits]
                whole = [str(traits[n]["value"]) for n in ("name",) if n in traits]
                told.append(
                    {
                        "id": document["id"],
                        "name": " ".join(words or whole),
                        "identifiers": [f"{one['namespace']}:{one['value']}" for one in document["identifiers"][:5]],
                        "n_events": document["n_events"],
                    }
                )
        return told
