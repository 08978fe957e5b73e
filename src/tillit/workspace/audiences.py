"""Audiences: which customers, for doors to ask for, look at, change and hold against the batch answer.

In:    definitions to try and to apply; names of audiences; who is meant; a scope.
Out:   definitions in the log; members, counts, changes; reasons.
Never: a member for whom the audience's purpose has no permission: how many were withheld is told, who they are is not.
"""

import difflib
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from tillit.audience import (
    AUDIENCE,
    FEATURE,
    NOBODY,
    WHOLE,
    Applied,
    Audience,
    AudienceInvalid,
    Catalog,
    Change,
    Defined,
    DefinedFeature,
    Definitions,
    Feature,
    Member,
    Memberships,
    definition_row,
    list_applied,
    list_in_force,
    read_audience,
    read_feature,
    read_standing,
    resolve_definitions,
)
from tillit.clock import DAY, rfc3339
from tillit.consent import OWN_DATA, policy_in_force
from tillit.errors import BusyError, InputError, NotFound
from tillit.flow import History, catalog_of
from tillit.identity import find_membership, profile_id
from tillit.language.live import inputs_of, reach_of
from tillit.language.nodes import Condition, Value
from tillit.language.sentences import every
from tillit.records import Membership, NewRow, Permit, Scope
from tillit.store import Log, Reading, State
from tillit.workspace.audience_answers import Answers
from tillit.workspace.audience_past import AsOf
from tillit.workspace.audience_told import (
    AudienceView,
    ShownChanges,
    ShownValues,
    audience_document,
    feature_document,
    held_at,
    iter_roots,
    member_document,
    tell_changes,
)
from tillit.workspace.folding import Folding
from tillit.workspace.leave import Leave
from tillit.workspace.people import find_membership_of, unknown_profile

_APPLY_S = 30.0
_PAGE = 1_000
_MOST_CHANGES = 10_000  # of one person, looked at to say where they were then


class UnknownAudience(NotFound):
    """An audience was named that is not in force."""

    code = "audience.unknown"

    def __init__(self, known: Sequence[str]) -> None:
        """Name those there are."""
        listed = ", ".join(known[:50]) or "none yet"
        super().__init__(f"There is no audience of that name in force. There are: {listed}.")


class UnknownFeature(NotFound):
    """A feature was named that is not in force."""

    code = "audience.unknown-feature"

    def __init__(self, known: Sequence[str]) -> None:
        """Name those there are."""
        listed = ", ".join(known[:50]) or "none yet"
        super().__init__(f"There is no feature of that name in force. There are: {listed}.")


class NoEarlierDefinition(InputError):
    """A definition is to go back to what was before, and nothing was."""

    code = "audience.nothing-before"

    def __init__(self, kind: str, name: str) -> None:
        """Say what to do instead."""
        super().__init__(
            f"The {kind} {name!r} was applied once at most: nothing was before. One that says `retired: true` holds "
            "nobody any more."
        )


class Health(NamedTuple):
    """How one audience stands."""

    state: str  # live, filling, broken
    words: str
    done: int = 0  # of filling
    of: int = 0


class Shown(NamedTuple):
    """Members that may be shown, and how many may not."""

    members: list[Member]
    withheld: Counter[str]  # reason -> people
    after: int | None  # where the next page begins; None: this is the last


class Audiences(Answers):
    """The audiences and features of a workspace."""

    def __init__(
        self,
        log: Log,
        state: State,
        folding: Folding,
        memberships: Memberships,
        *,
        history: Callable[[], History],
        scope: Callable[..., Scope],
        leave: Callable[[Reading, Scope], Leave],
        append: Callable[[Sequence[NewRow]], tuple[int, int]],
        adult_age: int,
        now: Callable[[], int],
    ) -> None:
        """Know the stores, and whom to ask."""
        super().__init__(
            state,
            folding,
            memberships,
            history=history,
            scope=scope,
            leave=leave,
            adult_age=adult_age,
            epoch=log.epoch,
            now=now,
        )
        self._append = append

    def __getitem__(self, name: str) -> AudienceView:
        """Give one audience in force, to be asked for its own purpose. Raises UnknownAudience."""
        return AudienceView(self, name)

    # -- definitions

    def catalog(self) -> Catalog:
        """Give the audiences in force, ready to be answered."""
        self._folding.trusted_position()
        return catalog_of(self._state)

    def definitions(self) -> Definitions:
        """Give the audiences and features in force."""
        return self.catalog().definitions

    def get(self, name: str) -> Defined:
        """Give an audience in force. Raises UnknownAudience."""
        told = self.definitions()
        found = told.audiences.get(name)
        if found is None:
            raise UnknownAudience(sorted(told.audiences))
        return found

    def feature(self, name: str) -> DefinedFeature:
        """Give a feature in force. Raises UnknownFeature."""
        told = self.definitions()
        found = told.features.get(name)
        if found is None:
            raise UnknownFeature(sorted(told.features))
        return found

    def history(self, kind: str, name: str = "") -> list[Applied]:
        """Give every definition of a kind that was applied, newest first."""
        return list_applied(self._state, kind, name)

    def before_last(self, kind: str, name: str) -> str:
        """Give the text of a definition before the one in force. Raises NoEarlierDefinition."""
        told = self.history(kind, name)
        if len(told) < 2:
            raise NoEarlierDefinition(kind, name)
        return told[1].text

    def judge(self, text: str, planned: Mapping[str, str] | None = None) -> Defined | DefinedFeature:
        """Read an audience or a feature, and hold it against purposes and against what it names.

        `planned`: texts that are to be applied before it, by `kind name`.
        Raises: AudienceInvalid.
        """
        kind, name = kind_of(text)
        others = [one for one in list_in_force(self._state) if (one.kind, one.name) != (kind, name)]
        for planned_kind, planned_name in map(str.split, planned or {}):
            if (planned_kind, planned_name) != (kind, name):
                planned_text = (planned or {})[f"{planned_kind} {planned_name}"]
                others.append(Applied(0, planned_kind, planned_name, planned_text, "", "", 0))
        newest = {(one.kind, one.name): one for one in others}
        resolved = resolve_definitions([*newest.values(), Applied(0, kind, name, text, "", "", 0)])
        told = read_audience(text)[0] if kind == AUDIENCE else read_feature(text)[0]
        where = f"{kind.capitalize()} {name!r}"
        if told.retired:
            self._hold_unused(where, kind, name, resolved)
            return self._retired(kind, text)
        broken = resolved.broken.get(f"{kind} {name}")
        if broken is not None:
            raise AudienceInvalid(where, broken)
        found = resolved.audiences[name] if kind == AUDIENCE else resolved.features[name]
        self.hold_purpose(where, told.purpose, found.node)
        others_broken = [one for one in resolved.broken if one not in self.catalog().broken]
        if others_broken:
            raise AudienceInvalid(where, f"with it {others_broken[0]} could not be answered any more.")
        return found

    def _retired(self, kind: str, text: str) -> Defined | DefinedFeature:
        if kind == AUDIENCE:
            audience, condition = read_audience(text)
            return Defined(0, audience, condition, condition)
        feature, value = read_feature(text)
        return DefinedFeature(0, feature, value, value)

    def _hold_unused(self, where: str, kind: str, name: str, resolved: Definitions) -> None:
        users = [one for one in resolved.broken if one not in self.catalog().broken and one != f"{kind} {name}"]
        if users:
            raise AudienceInvalid(where, f"it is named by {', '.join(users)}. Change these first.")

    def hold_purpose(self, where: str, name: str, node: Condition | Value) -> None:
        """See that a purpose is declared and reaches what a definition hangs on. Raises AudienceInvalid."""
        declared = policy_in_force(self._state)
        if name not in declared.purposes:
            listed = ", ".join(sorted(declared.purposes))
            raise AudienceInvalid(where, f"the purpose {name!r} is not declared. Declared: {listed}.")
        scope, inputs = self._scope(name), inputs_of(node)
        beyond = sorted(f"traits.{one}" for one in inputs.traits if not scope.allows(f"traits.{one}"))
        for tape in inputs.tapes:
            for one in tape.matcher.names or ("",):
                field = f"events.{one or tape.matcher.type}"
                if not (scope.allows(field) if one else scope.allows("events")):
                    beyond.append(field)
        if inputs.groups and not scope.allows("groups"):
            beyond.append("groups")
        if beyond:
            raise AudienceInvalid(
                where,
                f"the purpose {name!r} does not reach {', '.join(dict.fromkeys(beyond))}. Take them out, or declare "
                "them there.",
            )
        kept = declared.purposes[name].retention_us
        if kept is not None and reach_of(node) > kept:
            raise AudienceInvalid(
                where,
                f"it looks further back than the purpose {name!r} keeps events ({declared.purposes[name].retention}). "
                "Say `within`, and no more than that.",
            )
        for purpose in inputs.purposes:
            if purpose not in declared.purposes:
                raise AudienceInvalid(where, f"it asks for the purpose {purpose!r}, which is not declared.")

    def diff(self, text: str) -> list[str]:
        """Give the lines in which a definition differs from the one in force."""
        kind, name = kind_of(text)
        before = [one.text for one in self.history(kind, name)[:1]]
        return list(
            difflib.unified_diff(
                (before or [""])[0].splitlines(), text.splitlines(), "in force", "planned", lineterm="", n=2
            )
        )

    def apply(self, text: str, *, reason: str, operator: str) -> Applied:
        """Put an audience or a feature in force. Raises AudienceInvalid."""
        self.judge(text)
        kind, name = kind_of(text)
        message_id = f"{kind}-{secrets.token_hex(8)}"
        row = definition_row(kind, name, text, operator=operator, reason=reason, message_id=message_id, now=self._now())
        _, last = self._append([row])
        self._folding.reach(last, _APPLY_S)
        return self.history(kind, name)[0]

    def define(
        self,
        name: str,
        definition: Any,
        *,
        purpose: str,
        kind: str = AUDIENCE,
        title: str = "",
        description: str = "",
        after: Sequence[str] = (),
        holdout: float | str | None = None,
        reason: str = "",
        operator: str = "process",
    ) -> Applied:
        """Put an audience or a feature in force that is written in Python, or as plain values. Raises AudienceInvalid.

        `definition`: as `tillit.language.python` makes it, or what stands under `definition:` of a file. `after`: other
        audiences whose members are not in it; `holdout`: the share of everybody that is left alone.
        """
        told: dict[str, Any] = {kind: name, "title": title, "description": description, "purpose": purpose}
        told |= {"after": list(after) or "", "holdout": "" if holdout is None else holdout}
        told["definition"] = getattr(definition, "plain", definition)
        text = yaml.safe_dump(
            {word: one for word, one in told.items() if one != ""}, sort_keys=False, allow_unicode=True, width=100
        )
        return self.apply(text, reason=reason, operator=operator)

    # -- who is in it

    def health(self, name: str) -> Health:
        """Say whether an audience is answered live."""
        catalog = self.catalog()
        why = catalog.broken.get(f"{AUDIENCE} {name}")
        if why is not None:
            return Health("broken", why)
        ranked = catalog.ranked.get(name)
        entry = catalog.entries.get(name) if ranked is None else ranked.entry
        if entry is None:
            raise UnknownAudience(sorted({*catalog.entries, *catalog.ranked}))
        standing = read_standing(self._state)
        waiting = [standing.get(one, -1) for one in entry.tapes.values() if standing.get(one, -1) != WHOLE]
        last = int(self._state.read("SELECT max(identifier_id) FROM identifier")[0][0] or 0)
        if waiting:
            return Health("filling", "Its history is being read.", max(0, min(waiting)), 2 * last)
        judged = self.memberships.judged()
        if judged.walk != NOBODY:
            return Health("filling", "Everybody is being looked at.", last + judged.walk, 2 * last)
        if ranked is not None:
            ranking = self.ranking(name)
            if ranking is None or ranking.version != entry.version:
                return Health("filling", "Everybody is being looked at.", last, 2 * last)
            return Health("live", f"Everybody is ranked anew {every(ranked.node.every)}.")
        return Health("live", "Every event and every passing second counts at once.")

    def scope_of(self, name: str, *, asked_by: str = "process") -> Scope:
        """Ask for leave to use values for an audience's purpose. Raises UnknownAudience."""
        return self._scope(self.get(name).audience.purpose, asked_by=asked_by)

    def iter_members(self, name: str, scope: Scope) -> Iterator[tuple[Member, Membership, Permit | None, str]]:
        """Give every member of an audience with who they are and leave to use their values, or why there is none."""
        leave = self._leave(self._state, scope)
        after = -1
        while members := self.memberships.members(name, after=after, limit=_PAGE):
            for member in members:
                membership = find_membership(self._state, profile_id(member.root_id))
                if membership is None:
                    continue
                permit = leave.of(membership)
                if isinstance(permit, Permit):
                    yield member, membership, permit, ""
                else:
                    yield member, membership, None, permit.reason
            after = members[-1].root_id

    def members(self, name: str, scope: Scope, *, after: int = -1, limit: int = 100) -> Shown:
        """Give some members of an audience that may be used for a scope, in the order of their ids.

        `withheld` counts those on this page whom the purpose may not use.
        """
        self.get(name)
        leave = self._leave(self._state, scope)
        shown: list[Member] = []
        withheld: Counter[str] = Counter()
        while True:
            members = self.memberships.members(name, after=after, limit=min(_PAGE, limit + 1))
            for member in members:
                if len(shown) == limit:
                    return Shown(shown, withheld, after)
                after = member.root_id
                membership = find_membership(self._state, profile_id(member.root_id))
                permit = leave.of(membership) if membership is not None else None
                if isinstance(permit, Permit):
                    shown.append(member)
                elif permit is not None:
                    withheld[permit.reason] += 1
            if len(members) < min(_PAGE, limit + 1):
                return Shown(shown, withheld, None)

    def count(self, name: str, scope: Scope, *, as_of: AsOf | None = None) -> dict[str, Any]:
        """Count the members of an audience: in all, those who may be used for its purpose, and why others may not.

        With `as_of` those who were it then, see `count_then`.
        """
        if as_of is not None:
            return self.count_then(name, scope, as_of)
        withheld: Counter[str] = Counter()
        n_permitted = 0
        for _, _, permit, reason in self.iter_members(name, scope):
            if permit is not None:
                n_permitted += 1
            else:
                withheld[reason] += 1
        return {
            "audience": name,
            "purpose": scope.purpose,
            "as_of": self.as_of(name),
            "members": n_permitted + withheld.total(),
            "permitted": n_permitted,
            "withheld": dict(sorted(withheld.items())),
        }

    def of_person(self, membership: Membership, scope: Scope, *, at: int | None = None) -> dict[str, dict[str, Any]]:
        """Give the audiences of one person that a scope may be told of, as their profile has them.

        Shape: {name: {"since", "cause"}}; audiences for other purposes are left out. With `at` (UTC epoch
        microseconds) those in which they were then.
        """
        roots = [one.identifier_id for one in membership.identifiers]
        if at is None:
            found = {
                name: (member.since_at, member.cause)
                for mine in self.memberships.of_roots(roots).values()
                for name, member in mine.items()
            }
        else:
            found = held_at(self.memberships.changes_of(roots, limit=_MOST_CHANGES), at)
        if not found:
            return {}
        definitions = self.definitions().audiences
        # What somebody is taken for is theirs to see, whatever it is for.
        is_all = scope.purpose == OWN_DATA or scope.is_break_glass
        return {
            name: {"since": rfc3339(since_at), "cause": cause}
            for name, (since_at, cause) in sorted(found.items())
            if (defined := definitions.get(name)) is not None and (is_all or defined.audience.purpose == scope.purpose)
        }

    def overview(self) -> list[dict[str, Any]]:
        """Give each audience in force with its size, what changed in a day and how it stands; no person."""
        catalog = self.catalog()
        standings = self.memberships.standings()
        today = self._now() // DAY
        found = []
        for name in sorted(catalog.names):
            defined = catalog.definitions.audiences.get(name)
            standing = standings.get(name)
            n_members = standing.n_members if standing is not None else 0
            earlier = [n for day, n in self.memberships.days(name, since=today - 90) if day < today]
            health = self.health(name)
            found.append(
                {
                    "audience": name,
                    "title": defined.audience.title if defined is not None else "",
                    "purpose": defined.audience.purpose if defined is not None else "",
                    "description": defined.audience.description if defined is not None else "",
                    "members": n_members,
                    "change_since_yesterday": n_members - (earlier[-1] if earlier else 0),
                    "state": health.state,
                    "words": health.words,
                    "version": defined.position if defined is not None else None,
                    "as_of": self.as_of(name),
                }
            )
        return found

    def trend(self, name: str, *, days: int = 90) -> list[tuple[int, int]]:
        """Give how many were in an audience at the end of each of the last days: (day since 1970 in UTC, members)."""
        today = self._now() // DAY
        told = dict(self.memberships.days(name, since=0))
        n = 0
        found = []
        for day in range(min([today - days + 1, *told]), today + 1):
            n = told.get(day, n)
            if day > today - days:
                found.append((day, n))
        return found

    def changes(self, *, after: int = 0, name: str = "", limit: int = 100) -> list[Change]:
        """Give changes of membership after one of them, in the order in which they were published."""
        return self.memberships.changes(after=after, audience=name, limit=limit)

    # -- what doors tell

    def membership(self, who: str) -> Membership:
        """Say who is meant by `namespace:value` or a profile id. Raises NotFound."""
        found = find_membership_of(self._state, who)
        if found is None:
            raise unknown_profile()
        return found

    def why_of(self, name: str, who: str, scope: Scope, *, at: int | None = None) -> dict[str, Any]:
        """Say why somebody is in an audience or not, and what would change it.

        Raises: UnknownAudience, NotFound, PersonWithheld.
        """
        self.get(name)
        return self.why(name, self.membership(who), scope, at=at)

    def whole(self, name: str) -> dict[str, Any]:
        """Give an audience with its definition, how it stands, and its versions. Raises UnknownAudience."""
        defined = self.get(name)
        overview = next(one for one in self.overview() if one["audience"] == name)
        told = {**overview, "trend": [list(one) for one in self.trend(name)]}
        try:
            told["held_out"] = self.count_held_out(defined)
        except BusyError:
            told["held_out"] = None  # it is counted when the lake is not busy
        return audience_document(defined, told, self.history(AUDIENCE, name))

    def list_members(
        self, name: str, scope: Scope, *, after: int = -1, limit: int = 100, as_of: AsOf | None = None
    ) -> dict[str, Any]:
        """Give a page of members as every door shows it; with `as_of` of those who were it then, see `members_then`.

        Shape: {"audience", "purpose", "as_of", "members": [{"profile_id", "since", "cause"}], "withheld": {reason:
        people}, "next"}; `next` is the `after` of the page after, `as_of` the instant of an audience that ranks.
        """
        if as_of is not None:
            return self.members_then(name, scope, as_of, after=after, limit=limit)
        found = self.members(name, scope, after=after, limit=limit)
        return {
            "audience": name,
            "purpose": scope.purpose,
            "as_of": self.as_of(name),
            "members": [member_document(one) for one in found.members],
            "withheld": dict(sorted(found.withheld.items())),
            "next": found.after,
        }

    def purpose_of(self, name: str) -> str:
        """Give the purpose of an audience by its newest version, though it be retired. Raises UnknownAudience."""
        found = self.history(AUDIENCE, name)
        if not found:
            raise UnknownAudience(sorted(self.definitions().audiences))
        return _purpose(found[0].text)

    def permitted_of(self, people: Sequence[str], scope: Scope) -> tuple[list[str], Counter[str]]:
        """Give those of some profile ids that a scope may be told of, and count the others by the reason."""
        leave = self._leave(self._state, scope)
        shown: list[str] = []
        withheld: Counter[str] = Counter()
        for one in people:
            membership = find_membership(self._state, one)
            permit = leave.of(membership) if membership is not None else None
            if isinstance(permit, Permit):
                shown.append(one)
            elif permit is not None:
                withheld[permit.reason] += 1
        return shown, withheld

    def shown_changes(
        self, purposes: Callable[[str], Scope | None], *, after: int = 0, name: str = "", limit: int = 100
    ) -> ShownChanges:
        """Give changes of membership that may be told, in the order in which they were published.

        `purposes`: leave by the purpose for which a change was decided; None: nothing of it is told. Each change is
        held to the purpose of the version that decided it, not of the one in force.
        Raises: UnknownAudience when nothing was ever applied under a name.
        """
        if name:
            self.purpose_of(name)
        found = self.changes(after=after, name=name, limit=limit)
        purpose_of = _PurposesOf(lambda one: self.history(AUDIENCE, one))
        with self._state.snapshot() as reading:
            leaves: dict[str, Leave | None] = {}

            def leave_of(change: Change) -> Leave | None:
                purpose = purpose_of(change)
                if purpose not in leaves:
                    scope = purposes(purpose) if purpose else None
                    leaves[purpose] = self._leave(reading, scope) if scope is not None else None
                return leaves[purpose]

            told = tell_changes(reading, found, leave_of)
        return told._replace(through=max(told.through, after), is_last=len(found) < limit)

    def list_features(self) -> list[dict[str, Any]]:
        """Give each feature in force; nobody's value."""
        told = self.catalog()
        found = [feature_document(one) for _, one in sorted(told.definitions.features.items())]
        return [{**one, "state": "live", "words": "It is made whenever it is asked for."} for one in found] + [
            {
                "feature": name,
                "title": "",
                "description": "",
                "purpose": "",
                "sentence": "",
                "definition": None,
                "version": None,
                "state": "broken",
                "words": why,
            }
            for key, why in sorted(told.broken.items())
            if (name := key.removeprefix(f"{FEATURE} ")) != key
        ]

    def values(self, name: str, scope: Scope, *, after: int = -1, limit: int = 100) -> ShownValues:
        """Give a feature's value of some people who may be used for a scope, in the order of their ids.

        Those for whom there is none are there with None. Raises: UnknownFeature.
        """
        self.feature(name)
        values: list[dict[str, Any]] = []
        withheld: Counter[str] = Counter()
        with self._state.snapshot() as reading:
            leave, last = self._leave(reading, scope), after
            for root, membership in iter_roots(reading, after):
                if len(values) == limit:
                    return ShownValues(values, withheld, last)
                permit = leave.of(membership)
                if not isinstance(permit, Permit):
                    withheld[permit.reason] += 1
                    continue
                last = root
                values.append(
                    {"profile_id": membership.profile_id, "value": self.value_of(name, membership, scope)["value"]}
                )
        return ShownValues(values, withheld, None)


class _PurposesOf:
    """For what purpose a change was decided: by the version that decided it, else by the newest before it."""

    def __init__(self, history: Callable[[str], list[Applied]]) -> None:
        self._history = history
        self._known: dict[str, list[tuple[int, str]]] = {}

    def __call__(self, change: Change) -> str:
        known = self._known.get(change.audience)
        if known is None:
            known = self._known[change.audience] = [
                (one.position, _purpose(one.text)) for one in self._history(change.audience)
            ]
        decided = change.version or change.position
        return next((purpose for position, purpose in known if position <= decided), "")


def _purpose(text: str) -> str:
    try:
        return read_audience(text)[0].purpose
    except AudienceInvalid:
        return ""


def kind_of(text: str) -> tuple[str, str]:
    """Say whether a text defines an audience or a feature, and its name. Raises AudienceInvalid."""
    try:
        told: Audience | Feature = read_audience(text)[0]
    except AudienceInvalid as exc:
        try:
            told = read_feature(text)[0]
        except AudienceInvalid as other:
            if f"`{FEATURE}:` must" not in other.message:
                raise other from None
            raise exc from None
    if isinstance(told, Audience):
        return AUDIENCE, told.audience
    return FEATURE, told.feature
