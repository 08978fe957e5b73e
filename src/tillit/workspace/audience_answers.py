"""Answers: what a definition would say of everybody, and why it says what it says of one.

In:    definitions, also ones that nobody applied; who is meant; a scope.
Out:   counts, samples, trends and overlaps; who would enter and leave; reasons; the live answer beside the batch one.
Never: somebody for whom the purpose has no permission: they are counted. An answer about one person that is taken from
       what the live evaluator keeps: it is read anew from their events.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from tillit import clock
from tillit.audience import (
    AUDIENCE,
    Audience,
    Catalog,
    Defined,
    DefinedFeature,
    Definitions,
    Holdout,
    Lens,
    Member,
    Memberships,
    Ranking,
    condition_of,
    held_out_of,
    lens_allows,
    lens_of,
    read_rankings,
    read_standing,
    stored_id,
)
from tillit.clock import DAY, rfc3339
from tillit.consent import policy_in_force
from tillit.flow import Circles, History, OfPerson, Permissions, count_met, counts_then, members_then, needs_of
from tillit.identity import (
    Holder,
    find_holders,
    find_membership,
    identifier_of,
    iter_events,
    profile_id,
    read_event,
)
from tillit.language.groups import for_purpose
from tillit.language.inlining import inline
from tillit.language.live import compile_value, inputs_of
from tillit.language.nodes import Condition, Everybody, Ranked, Value
from tillit.language.ranks import instant_for
from tillit.language.sentences import sentence
from tillit.language.sql import places_sql
from tillit.language.tapes import Document, Tape, add_entries, entry_of, matches, new_document
from tillit.language.why import Reason, explain
from tillit.profile import event_id, load_traits
from tillit.records import KIND_TICK, Membership, Permit, Scope, carried_by
from tillit.store import Reading, State
from tillit.workspace.audience_past import AsOf, read_as_of
from tillit.workspace.folding import Folding
from tillit.workspace.leave import Leave, PersonWithheld
from tillit.workspace.permissions import count_people
from tillit.workspace.places import Place

_MOST_EVENTS = 1_000_000  # of one person, read to say why
_MOST_REASONS = 2_000  # people who are asked one by one why they are withheld; of more only how many is told
_MOST_OVERLAPS = 50
_NEAR = 0.9  # of two audiences, members of both by members of either
_MOST_ROWS = 10_000  # of the log, read to say whether more came
_TREND_POINTS = 13  # weeks
_TREND_S = 10.0  # what a trend may take, if each of its points takes as long as the count did; taste
_BARS = 12
_MOST_VALUES = 20  # different texts that are told apart
_FEWEST = 3  # people who have a text, for it to be told; taste


class Answers:
    """Answers questions about definitions."""

    def __init__(
        self,
        state: State,
        folding: Folding,
        memberships: Memberships,
        *,
        history: Callable[[], History],
        scope: Callable[..., Scope],
        leave: Callable[[Reading, Scope], Leave],
        adult_age: int,
        epoch: Callable[[], int],
        now: Callable[[], int],
    ) -> None:
        """Know the stores, and whom to ask."""
        self._state = state
        self._folding = folding
        self.memberships = memberships
        self._history = history
        self._scope = scope
        self._leave = leave
        self._adult_age = adult_age
        self._epoch = epoch
        self._now = now

    # What whoever has definitions in force says.

    def catalog(self) -> Catalog:
        """Give the audiences in force, ready to be answered."""
        raise NotImplementedError

    def definitions(self) -> Definitions:
        """Give the audiences and features in force."""
        raise NotImplementedError

    def judge(self, text: str, planned: Mapping[str, str] | None = None) -> Defined | DefinedFeature:
        """Read a definition and hold it against purposes and others."""
        raise NotImplementedError

    def diff(self, text: str) -> list[str]:
        """Give the lines in which a definition differs from the one in force."""
        raise NotImplementedError

    def hold_purpose(self, where: str, name: str, node: Condition | Value) -> None:
        """See that a purpose is declared and reaches what a definition hangs on."""
        raise NotImplementedError

    # -- everybody

    def preview(
        self,
        definition: Any,
        purpose: str,
        scope: Scope,
        *,
        sample: int = 20,
        as_of: AsOf | None = None,
        after: Sequence[str] = (),
        holdout: float | str | Holdout | None = None,
        name: str = "",
    ) -> dict[str, Any]:
        """Say what a definition would come to for a purpose; nothing is kept.

        `after`, `holdout`: as an audience's file has them; `name`: of the audience, which is what its holdout is drawn
        by.
        Shape:  {"as_of", "sentence", "people", "of", "share", "permitted", "withheld": {reason: n}, "sample":
                [profile ids], "trend": [[day, n]], "overlaps": [...], "near": [...], "cost": {...}}. With `as_of` all
                is as of then, of one that ranks as of its last tick before, who is who and who may be used as of today,
                and there are no overlaps.
        Raises: LanguageInvalid, Unresolved, AudienceInvalid; AsOfUnreadable, AsOfFuture; LakeBusy.
        """
        said = _said(definition, purpose, after, holdout, name)
        counted, roots = self._preview_count(said, purpose, scope, sample, as_of)
        return {**counted, **self._preview_rest(said, purpose, roots, as_of, counted["cost"]["seconds"])}

    def preview_count(
        self,
        definition: Any,
        purpose: str,
        scope: Scope,
        *,
        sample: int = 20,
        after: Sequence[str] = (),
        holdout: float | str | Holdout | None = None,
        name: str = "",
    ) -> dict[str, Any]:
        """Give the part of a preview that one question answers: all but trend, overlaps and near. Raises as it does."""
        return self._preview_count(_said(definition, purpose, after, holdout, name), purpose, scope, sample, None)[0]

    def preview_rest(
        self,
        definition: Any,
        purpose: str,
        *,
        after: Sequence[str] = (),
        holdout: float | str | Holdout | None = None,
        name: str = "",
    ) -> dict[str, Any]:
        """Give the rest of a preview: trend, overlaps and near. Raises as it does."""
        began_s = clock.monotonic_s()
        said = _said(definition, purpose, after, holdout, name)
        roots = self._members(self._tried(said, purpose), purpose, self._moment())
        return self._preview_rest(said, purpose, roots, None, clock.monotonic_s() - began_s)

    def _preview_count(
        self, said: Condition, purpose: str, scope: Scope, sample: int, as_of: AsOf | None
    ) -> tuple[dict[str, Any], list[int]]:
        began_s = clock.monotonic_s()
        node = self._tried(said, purpose)
        then = None if as_of is None else instant_for(node, read_as_of(as_of, self._now()))
        if then is None:
            roots = self._members(node, purpose, self._moment())
            of = count_people(self._state)
        else:
            roots = self._members_then(node, purpose, then)
            of = count_met(self._history(), then)
        took_s = clock.monotonic_s() - began_s
        permitted, withheld, shown = self._permitted(roots, scope, sample)
        counted = {
            "as_of": rfc3339(then) if then is not None else None,
            "sentence": sentence(said),
            "people": len(roots),
            "of": of,
            "share": len(roots) / of if of else 0.0,
            "permitted": permitted,
            "withheld": withheld,
            "sample": shown,
            "cost": self._cost(node, purpose, took_s),
        }
        return counted, roots

    def _preview_rest(
        self, said: Condition, purpose: str, roots: Sequence[int], as_of: AsOf | None, took_s: float
    ) -> dict[str, Any]:
        node = self._tried(said, purpose)
        at = self._moment() if as_of is None else read_as_of(as_of, self._now())
        overlaps, near = self._overlaps(roots) if as_of is None else ([], [])
        return {"trend": self._trend(node, purpose, at, len(roots), took_s), "overlaps": overlaps, "near": near}

    def beside(self, name: str) -> list[dict[str, Any]]:
        """Say how the members of an audience, as they are, lie beside those of each other one: "overlaps" of a preview.

        Raises: UnknownAudience.
        """
        self.get(name)
        overlaps, _ = self._overlaps([one.root_id for one in self._all_members(name)])
        return [one for one in overlaps if one["audience"] != name]

    def _tried(self, said: Condition, purpose: str) -> Condition:
        node = for_purpose(self._whole(said), purpose)
        self.hold_purpose("This audience", purpose, node)
        return node

    # -- as of an instant

    def members_then(
        self, name: str, scope: Scope, as_of: AsOf, *, after: int = -1, limit: int = 100
    ) -> dict[str, Any]:
        """Give a page of those who were in an audience at an instant, by the definition in force now.

        Who is who, who is forgotten and who may be used is as of today. Since when and why is not asked of everybody.
        Of one that ranks: who was chosen for the newest snapshot, or where that is later for the last tick before.
        Shape:  as `list_members`, with "as_of": of one that ranks the instant for which they were chosen.
        Raises: UnknownAudience, AsOfUnreadable, AsOfFuture; LakeBusy.
        """
        at, roots = self._then(name, as_of)
        leave = self._leave(self._state, scope)
        members: list[dict[str, Any]] = []
        withheld: Counter[str] = Counter()
        following = None
        last = after
        for root in roots[bisect_right(roots, after) :]:
            if len(members) == limit:
                following = last
                break
            last = root
            membership = find_membership(self._state, profile_id(root))
            permit = leave.of(membership) if membership is not None else None
            if isinstance(permit, Permit):
                members.append({"profile_id": profile_id(root), "since": None, "cause": None})
            elif permit is not None:
                withheld[permit.reason] += 1
        return {
            "audience": name,
            "purpose": scope.purpose,
            "as_of": rfc3339(at),
            "members": members,
            "withheld": dict(sorted(withheld.items())),
            "next": following,
        }

    def count_then(self, name: str, scope: Scope, as_of: AsOf, *, sample: int = 0) -> dict[str, Any]:
        """Count those who were in an audience at an instant, as `members_then` gives them, and name some.

        Shape:  as `count`, with "as_of" and "sample": [profile ids]. Raises as `members_then`.
        """
        at, roots = self._then(name, as_of)
        permitted, withheld, shown = self._permitted(roots, scope, sample)
        return {
            "audience": name,
            "purpose": scope.purpose,
            "as_of": rfc3339(at),
            "members": len(roots),
            "permitted": permitted,
            "withheld": withheld,
            "sample": shown,
        }

    def _then(self, name: str, as_of: AsOf) -> tuple[int, list[int]]:
        defined = self.get(name)
        asked_at = read_as_of(as_of, self._now())
        at = instant_for(defined.node, asked_at)
        ranking = self.ranking(name)
        if ranking is not None and ranking.version == defined.position and at <= ranking.judged_at <= asked_at:
            at = ranking.judged_at
        return at, self._members_then(defined.node, defined.audience.purpose, at)

    def _members_then(self, node: Condition, purpose: str, at: int) -> list[int]:
        return members_then(self._history(), node, at, lens=self._lens(purpose), now=self._moment())

    def plan(self, text: str, *, n_cases: int = 20, planned: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Say what applying a definition would change.

        Shape:  {"kind", "name", "purpose", "diff", "is_new", "people": {"before", "after", "entering", "leaving"},
                "held_out", "withheld", "cases": [{"profile_id", "change"}], "sentence"}.
        Raises: AudienceInvalid; LakeBusy.
        """
        found = self.judge(text, planned)
        diff = self.diff(text)
        is_audience = isinstance(found, Defined)
        told: dict[str, Any] = {
            "kind": AUDIENCE if is_audience else "feature",
            "name": found.audience.audience if isinstance(found, Defined) else found.feature.feature,
            "purpose": found.audience.purpose if isinstance(found, Defined) else found.feature.purpose,
            "diff": diff,
            "sentence": sentence(found.said),
        }
        if not isinstance(found, Defined):
            told["is_new"] = told["name"] not in self.definitions().features
            return {**told, "people": None, "held_out": None, "withheld": {}, "cases": []}
        name = told["name"]
        told["is_new"] = name not in self.definitions().audiences
        before = {one.root_id for one in self._all_members(name)}
        after = set() if found.audience.retired else set(self._members(found.node, told["purpose"], self._moment()))
        told["held_out"] = None if found.audience.retired else self.count_held_out(found)
        scope = self._scope(told["purpose"])
        entering, leaving = sorted(after - before), sorted(before - after)
        cases = [{"profile_id": profile_id(root), "change": "enters"} for root in entering]
        cases += [{"profile_id": profile_id(root), "change": "leaves"} for root in leaving]
        shown = set(self._permitted([*entering[:n_cases], *leaving[:n_cases]], scope, 2 * n_cases)[2])
        permitted, withheld, _ = self._permitted(sorted(after), scope, 0)
        return {
            **told,
            "people": {
                "before": len(before),
                "after": len(after),
                "entering": len(entering),
                "leaving": len(leaving),
                "permitted": permitted,
            },
            "withheld": withheld,
            "cases": [one for one in cases if one["profile_id"] in shown][:n_cases],
        }

    def count_held_out(self, defined: Defined) -> int | None:
        """Count who would be in an audience and is held out; None when nobody is to be. Raises LakeBusy."""
        node = held_out_of(defined)
        if node is None:
            return None
        return self._history().count(node, self._moment(), lens=self._lens(defined.audience.purpose))

    def holdout(self, name: str) -> dict[str, Any]:
        """Say how many would be in an audience, and how many of them are left alone.

        Shape:  {"audience", "members", "held_out", "people": both}; "held_out" is None when it has no holdout.
        Raises: UnknownAudience; LakeBusy.
        """
        defined = self.get(name)
        n_members = len(self._members(defined.node, defined.audience.purpose, self._moment()))
        n_held_out = self.count_held_out(defined)
        return {
            "audience": name,
            "members": n_members,
            "held_out": n_held_out,
            "people": n_members + (n_held_out or 0),
        }

    def ranking(self, name: str) -> Ranking | None:
        """Give the newest snapshot of an audience that ranks; None: there is none."""
        return read_rankings(self.memberships.store).get(name)

    def as_of(self, name: str) -> str | None:
        """Say for which instant the members of an audience that ranks were chosen; None of others."""
        ranking = self.ranking(name)
        return None if ranking is None else rfc3339(ranking.judged_at)

    def check(self, name: str) -> dict[str, Any]:
        """Hold the live answer of an audience against the batch one, at the place up to which people are judged.

        Shape:  {"audience", "position", "at", "as_of", "is_stale", "live", "batch", "only_live", "only_batch",
                "cases": [profile ids]}.
        `as_of`: the instant of an audience that ranks, for which both are asked. `is_stale`: more came into the log
        since; it counts in the batch answer and not in the members.
        Raises: UnknownAudience; LakeBusy.
        """
        defined = self.get(name)
        if isinstance(defined.node, Ranked):
            return self._check_ranked(name, defined)
        for _ in range(20):
            judged = self.memberships.judged()
            live = {one.root_id for one in self._all_members(name)}
            batch = set(self._members(defined.node, defined.audience.purpose, self._moment()))
            # Both are of one moment when nothing was judged or folded in between.
            if self.memberships.judged() == judged and self._history().position == judged.position:
                break
        wrong = sorted(live ^ batch)
        return {
            "audience": name,
            "position": judged.position,
            "at": rfc3339(self._moment()),
            "as_of": None,
            "is_stale": False,
            "live": len(live),
            "batch": len(batch),
            "only_live": len(live - batch),
            "only_batch": len(batch - live),
            "cases": [profile_id(root) for root in wrong[:20]],
        }

    def _check_ranked(self, name: str, defined: Defined) -> dict[str, Any]:
        for _ in range(20):
            ranking = self.ranking(name)
            live = {one.root_id for one in self._all_members(name)}
            at = self._moment() if ranking is None else ranking.judged_at
            batch = set(self._members(defined.node, defined.audience.purpose, at))
            if self.ranking(name) == ranking:
                break
        through = self._history().position
        return {
            "audience": name,
            "position": 0 if ranking is None else ranking.position,
            "at": rfc3339(at),
            "as_of": None if ranking is None else rfc3339(at),
            "is_stale": ranking is None or self._has_more(ranking.position, through),
            "live": len(live),
            "batch": len(batch),
            "only_live": len(live - batch),
            "only_batch": len(batch - live),
            "cases": [profile_id(root) for root in sorted(live ^ batch)[:20]],
        }

    def _has_more(self, after: int, through: int) -> bool:
        """Say whether the log has rows between two places that are more than a note of the time."""
        if through - after > _MOST_ROWS:
            return True
        rows = self._folding.rows(range(after + 1, through + 1))
        return any(row.kind != KIND_TICK for row in rows.values())

    def get(self, name: str) -> Defined:
        """Give an audience in force."""
        raise NotImplementedError

    def feature(self, name: str) -> DefinedFeature:
        """Give a feature in force."""
        raise NotImplementedError

    def distribution(self, name: str, scope: Scope) -> dict[str, Any]:
        """Say how a feature's values lie, of everybody whom its purpose may use.

        Shape:  {"n", "missing", "rare", "bars": [{"from", "until", "n"}]} of numbers, {"bars": [{"value", "n"}]} of
                others. `rare`: people whose value fewer than three share: it would say who they are.
        Raises: UnknownFeature; LakeBusy.
        """
        found = self.feature(name)
        values = self._history().values(found.node, self._moment(), lens=self._lens(found.feature.purpose))
        permitted = self._permitted_roots(scope)
        told = [value for root, value in values.items() if permitted(root)]
        known = [value for value in told if value is not None]
        numbers = [float(value) for value in known if isinstance(value, int | float) and not isinstance(value, bool)]
        is_numeric = len(numbers) == len(known)
        bars, n_rare = (_number_bars(numbers), 0) if is_numeric else _value_bars(known)
        return {"n": len(told), "missing": len(told) - len(known), "rare": n_rare, "bars": bars}

    # -- one person

    def why(self, name: str, membership: Membership, scope: Scope, *, at: int | None = None) -> dict[str, Any]:
        """Say why somebody is in an audience or not, and what would change it.

        Raises: UnknownAudience; PersonWithheld when the scope may not be told of them.
        """
        defined = self.get(name)
        self._ask(membership, scope)
        if isinstance(defined.node, Ranked):
            return self._why_ranked(name, defined, defined.node, membership, at)
        moment = self._moment() if at is None else at
        lens = self._lens(defined.audience.purpose)
        person = _Replayed(self, membership, defined.node, lens, moment)
        if inputs_of(defined.node).groups:
            person.circles = self._circles(defined.node, lens, moment, scope)
        told = explain(defined.node, person, moment)
        held = self.memberships.of_roots([one.identifier_id for one in membership.identifiers])
        member = next((mine[name] for mine in held.values() if name in mine), None)
        return {
            "audience": name,
            "profile_id": membership.profile_id,
            "at": rfc3339(moment),
            "is_member": told.holds,
            "since": rfc3339(member.since_at) if member is not None and at is None else None,
            "cause": member.cause if member is not None and at is None else None,
            "sentence": sentence(defined.said),
            "changes_at": _when(told.until),
            "leaves": list(_leaves(told.reason, self._epoch(), 0, "")),
            "flip": told.change.words if told.change is not None else None,
            "words": list(told.words),
        }

    def _why_ranked(
        self, name: str, defined: Defined, node: Ranked, membership: Membership, at: int | None
    ) -> dict[str, Any]:
        """Say which place somebody has, and how far it is from the last one that counts.

        Without an instant the places are those of the newest snapshot, with all that is known by now of that instant.
        """
        ranking = self.ranking(name)
        moment = at if at is not None else self._moment() if ranking is None else ranking.judged_at
        lens, root = self._lens(defined.audience.purpose), identifier_of(membership.profile_id) or 0
        told = explain(node.of, _Replayed(self, membership, node.of, lens, moment), moment)
        places = places_sql(node, moment, audiences={}, features={})
        needs = needs_of(node, {}, {})._replace(lens=lens, at=moment)
        rows = self._history().ask(
            f"SELECT person, score, place, n, kept FROM ({places}) AS placed WHERE person = ? OR place = kept",
            needs,
            (root,),
        )
        place = Place.of(node, membership.profile_id, root, rows)
        held = self.memberships.of_roots([one.identifier_id for one in membership.identifiers])
        member = next((mine[name] for mine in held.values() if name in mine), None) if at is None else None
        next_tick = None if ranking is None or at is not None else ranking.next_tick(node.every)
        leaf = {
            "kind": "leaf", "sentence": sentence(node._replace(of=Everybody())), "holds": place.is_first,
            "value": place.value, "wanted": place.wanted, "events": [], "changes_at": _when(next_tick), "flip": None,
            "depth": 0, "joined_by": "all", "people": [],
        }  # fmt: skip
        return {
            "audience": name,
            "profile_id": membership.profile_id,
            "at": rfc3339(moment),
            "is_member": member is not None if at is None else place.is_first,
            "since": rfc3339(member.since_at) if member is not None else None,
            "cause": member.cause if member is not None else None,
            "sentence": sentence(defined.said),
            "changes_at": _when(next_tick),
            "leaves": [leaf, *({**one, "joined_by": one["joined_by"] or "all"}
                               for one in _leaves(told.reason, self._epoch(), 0, "all"))],
            "flip": None,
            "words": place.words(moment, next_tick),
        }  # fmt: skip

    def value_of(self, name: str, membership: Membership, scope: Scope) -> dict[str, Any]:
        """Give the value of a feature for one person, and when it changes by itself.

        Shape:  {"feature", "profile_id", "value", "changes_at"}.
        Raises: UnknownFeature; PersonWithheld.
        """
        found = self.feature(name)
        self._ask(membership, scope)
        at = self._moment()
        person = _Replayed(self, membership, found.node, self._lens(found.feature.purpose), at)
        value, until = compile_value(found.node)(person, at)
        return {
            "feature": name,
            "profile_id": membership.profile_id,
            "value": value,
            "changes_at": _when(until),
        }

    def _circles(self, node: Condition, lens: Lens, at: int, scope: Scope) -> Circles:
        """Give the groups of people, whose members are read anew from their events as the person is."""
        leave = self._leave(self._state, scope)

        def make(holder: Holder) -> _Replayed:
            membership = find_membership(self._state, profile_id(holder.root_id))
            assert membership is not None, "whoever holds an identifier is somebody"
            return _Replayed(self, membership, node, lens, at)

        def may_name(one: str) -> bool:
            membership = find_membership(self._state, one)
            return membership is not None and isinstance(leave.of(membership), Permit)

        return Circles(self._state, make, may_name=may_name)

    def _ask(self, membership: Membership, scope: Scope) -> None:
        permit = self._leave(self._state, scope).of(membership)
        if not isinstance(permit, Permit):
            raise PersonWithheld(scope, permit.reason)

    # -- at work

    def _moment(self) -> int:
        """Give the instant for which people are judged: that of the log, as the live answer has it."""
        rows = self._state.read("SELECT logged_at FROM fold")
        return int(rows[0][0])

    def _whole(self, said: Condition) -> Condition:
        told = self.definitions()
        audiences = {name: one.said for name, one in told.audiences.items()}
        return inline(said, audiences, {name: one.said for name, one in told.features.items()})

    def _lens(self, purpose: str) -> Lens:
        declared = policy_in_force(self._state).purposes[purpose]
        return lens_of(declared.basis, declared.categories)

    def _members(self, node: Condition, purpose: str, at: int) -> list[int]:
        return self._history().members(node, at, lens=self._lens(purpose))

    def _all_members(self, name: str) -> Iterable[Member]:
        after = -1
        while members := self.memberships.members(name, after=after, limit=10_000):
            yield from members
            after = members[-1].root_id

    def _permitted_roots(self, scope: Scope) -> Callable[[int], bool]:
        """Give what says of a root whether a purpose may use it."""
        many = self._history().permits(self._state, scope.purpose, scope.at)
        otherwise = {int(root) for (root,) in self._state.read(many.otherwise, many.params)}
        return lambda root: (root in otherwise) != many.is_open

    def _permitted(self, roots: Sequence[int], scope: Scope, sample: int) -> tuple[int, dict[str, int], list[str]]:
        """Count whom a scope may be told of; give why not of the others, and some who may be shown."""
        permitted = self._permitted_roots(scope)
        allowed = [root for root in roots if permitted(root)]
        refused = [root for root in roots if not permitted(root)]
        leave = self._leave(self._state, scope)
        reasons: Counter[str] = Counter()
        for root in refused[:_MOST_REASONS]:
            membership = find_membership(self._state, profile_id(root))
            permit = leave.of(membership) if membership is not None else None
            if permit is not None and not isinstance(permit, Permit):
                reasons[permit.reason] += 1
        if len(refused) > _MOST_REASONS:
            reasons = Counter({"withheld": len(refused)})
        step = max(1, len(allowed) // sample) if sample else 1
        shown = [profile_id(root) for root in allowed[::step][:sample]]
        return len(allowed), dict(sorted(reasons.items())), shown

    def _overlaps(self, roots: Sequence[int]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        here = set(roots)
        found = []
        for name in list(self.definitions().audiences)[:_MOST_OVERLAPS]:
            there = {one.root_id for one in self._all_members(name)}
            both = len(here & there)
            similarity = both / len(here | there) if here or there else 0.0
            told = {"audience": name, "both": both, "here_only": len(here) - both, "there_only": len(there) - both}
            found.append((-similarity, name, {**told, "similarity": similarity}))
        found.sort(key=lambda one: one[:2])
        near = [{"audience": name, "similarity": -less} for less, name, _ in found if -less >= _NEAR]
        return [told for _, _, told in found], near

    def _trend(self, node: Condition, purpose: str, at: int, n_now: int, took_s: float) -> list[list[int]]:
        """Count members week by week over 90 days, under who is who today; fewer points when each takes long."""
        n_points = max(1, min(_TREND_POINTS, int(_TREND_S / max(took_s, 0.001))))
        step = 90 * DAY // n_points
        instants = [at - back * step for back in range(n_points, 0, -1)]
        asked = [instant_for(node, one) for one in instants]
        told = counts_then(self._history(), node, asked, lens=self._lens(purpose), now=self._moment())
        return [[then // DAY, n] for then, n in [*zip(instants, told, strict=True), (at, n_now)]]

    def _cost(self, node: Condition, purpose: str, took_s: float) -> dict[str, Any]:
        lens = self._lens(purpose)
        wanted = {stored_id(tape, lens) for tape in inputs_of(node).tapes}
        shared = wanted & read_standing(self._state).keys()
        return {"tapes_shared": len(shared), "tapes_new": len(wanted - shared), "seconds": round(took_s, 3)}

    def replay(self, membership: Membership, tapes: Iterable[Tape], lens: Lens, at: int) -> dict[int, Document]:
        """Give what the events of one person up to an instant leave on tapes, read from log and lake."""
        documents = {tape.tape_id: (tape, new_document(tape)) for tape in tapes}
        before = (at, 1 << 62)
        places = [position for _, position in iter_events(self._state, membership, before=None, limit=_MOST_EVENTS)]
        for position, row in sorted(self._folding.rows(places).items()):
            if not row.body or (row.event_at, position) > before:
                continue
            event = read_event(row.body)
            if lens is not None and not lens_allows(lens, carried_by(event.context)):
                continue
            name = event.event if event.type == "track" else event.name
            properties = msgspec.json.decode(row.body).get("properties")
            for tape, document in documents.values():
                if matches(tape.matcher, event.type, name, properties):
                    entry = entry_of(tape, row.event_at, position, properties)
                    if entry is not None:
                        add_entries(tape, document, [entry], at)
        return {tape_id: document for tape_id, (_, document) in documents.items()}

    def holder_of(self, membership: Membership) -> Holder:
        """Give a person by what is theirs."""
        root = identifier_of(membership.profile_id) or 0
        return find_holders(self._state, [root]).get(root, Holder(root, (), ()))

    def traits_of(self, membership: Membership, lens: Lens) -> dict[str, Any]:
        """Give a person's traits as a purpose may use them."""
        holder = self.holder_of(membership)
        return load_traits(
            self._state,
            holder.keys,
            partial(lens_allows, lens),
        )

    def may(self, membership: Membership, purpose: str, at: int) -> tuple[bool, int]:
        """Say whether somebody may be used for a purpose at an instant, and until when."""
        root = identifier_of(membership.profile_id) or 0
        return Permissions(policy_in_force(self._state), self._adult_age)(self._state, root, purpose, at)


class _Replayed:
    """One person, as their events tell."""

    def __init__(self, answers: Answers, membership: Membership, node: Condition | Value, lens: Lens, at: int) -> None:
        self._answers = answers
        self._membership = membership
        self._lens = lens
        self._documents = answers.replay(membership, inputs_of(node).tapes, lens, at)
        self._traits: dict[str, Any] | None = None
        self.circles: Circles | None = None
        self.profile_id = membership.profile_id

    def documents(self, tape_id: int) -> Sequence[Document]:
        return [self._documents[tape_id]]

    def trait(self, name: str) -> Any:
        if self._traits is None:
            self._traits = self._answers.traits_of(self._membership, self._lens)
        return self._traits.get(name)

    def may(self, purpose: str, at: int) -> tuple[bool, int]:
        return self._answers.may(self._membership, purpose, at)

    def relations(self) -> OfPerson:
        assert self.circles is not None, "circles are drawn for audiences that ask about groups"
        return self.circles.of(self._answers.holder_of(self._membership), self)

    def is_member(self, audience: str, at: int) -> tuple[bool, int]:
        raise AssertionError(f"{audience} was to be put in its place before {at}")

    def feature(self, name: str, at: int) -> tuple[Any, int]:
        raise AssertionError(f"{name} was to be put in its place before {at}")


def _said(
    definition: Any, purpose: str, after: Sequence[str], holdout: float | str | Holdout | None, name: str
) -> Condition:
    return condition_of(
        Audience(audience=name, purpose=purpose, definition=definition, after=tuple(after), holdout=holdout)
    )


def _when(until: int | None) -> str | None:
    return rfc3339(until) if until is not None and until < 1 << 61 else None


def _leaves(reason: Reason, epoch: int, depth: int, joined_by: str) -> Iterable[dict[str, Any]]:
    yield {
        "kind": reason.kind,
        "sentence": reason.sentence,
        "holds": reason.holds,
        "value": reason.told or None,
        "wanted": reason.threshold or None,
        "events": [{"event_id": event_id(one.position, epoch), "at": rfc3339(one.at)} for one in reason.deciding],
        "changes_at": _when(reason.until),
        "flip": reason.change.words if reason.change is not None else None,
        "depth": depth,
        "joined_by": joined_by,
        "people": list(reason.people),
    }
    for part in reason.parts:
        yield from _leaves(part, epoch, depth + 1, reason.kind)


def _number_bars(numbers: Sequence[float]) -> list[dict[str, Any]]:
    if not numbers:
        return []
    # Round edges: the least and the most of a value are somebody's own.
    width = _round_up((max(numbers) - min(numbers)) / _BARS or abs(numbers[0]) or 1.0)
    counts = Counter(math.floor(one / width) for one in numbers)
    places = range(min(counts), max(counts) + 1)
    return [{"from": place * width, "until": (place + 1) * width, "n": counts.get(place, 0)} for place in places]


def _round_up(width: float) -> float:
    """Give the next of 1, 2, 5, 10, … times a power of ten."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= width)


def _value_bars(values: Sequence[Any]) -> tuple[list[dict[str, Any]], int]:
    counts = Counter(value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in values)
    shared = [(value, n) for value, n in counts.most_common() if n >= _FEWEST]
    told, rest = shared[:_MOST_VALUES], sum(n for _, n in shared[_MOST_VALUES:])
    bars = [{"value": value, "n": n} for value, n in [*told, *([("(others)", rest)] if rest else [])]]
    return bars, counts.total() - sum(n for _, n in shared)
