"""The object a caller holds: one part per room, no logic of its own.

In:    a folder.
Out:   `profiles`, `groups`, `events`, `quarantine`, `keys`, `lake`, and calls that append to the log.
Never: a rule. Rooms know; this file opens stores and hands over what rooms need.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tillit import clock
from tillit.access import (
    Audit,
    ConsoleSessions,
    IdentityTokens,
    Keys,
    Openings,
    Operators,
    Passwords,
    SignIn,
    Sources,
)
from tillit.audience import Memberships
from tillit.collect.door import Refuses, take
from tillit.collect.files import forget_uploads
from tillit.collect.limits import limits_from
from tillit.consent import SERVICE, PurposeUnnamed, break_glass_scope, own_scope, policy_in_force, scope_for
from tillit.errors import InputError, SettingsError
from tillit.flow import History, forget_act, prepare
from tillit.identity import read_provable
from tillit.ledger import Accesses, Ledger, LedgerKeys
from tillit.privacy import RequestJournal, RetentionNotes
from tillit.privacy.erasure import load_signing_bytes
from tillit.records import TRUST_SERVER, Membership, NewRow, QuarantineRow, Scope
from tillit.settings import Settings
from tillit.store import Log
from tillit.store.lake import Lake
from tillit.workspace.audiences import Audiences
from tillit.workspace.consent import Consent
from tillit.workspace.deliveries import Deliveries
from tillit.workspace.erasure import Erasures
from tillit.workspace.events import Events
from tillit.workspace.exports import Exports, founding_ids
from tillit.workspace.folder import (
    NoWorkspace,
    Paths,
    open_audiences,
    open_deliveries,
    open_erasures,
    open_journal,
    open_registry,
    open_state,
)
from tillit.workspace.folding import Folding
from tillit.workspace.groups import Groups
from tillit.workspace.identity import Identity
from tillit.workspace.ledger import subjects_of
from tillit.workspace.messages import Messages
from tillit.workspace.outside import Outside
from tillit.workspace.papers import Papers
from tillit.workspace.permissions import Permissions
from tillit.workspace.plans import Plans, forget_plans
from tillit.workspace.profiles import Profiles
from tillit.workspace.quarantine import Quarantine
from tillit.workspace.reads import Reads
from tillit.workspace.requests import Requests
from tillit.workspace.retention import Retention
from tillit.workspace.rights import checks_of, others_of, ways_of
from tillit.workspace.rules import Rules
from tillit.workspace.shares import Shares

_WAIT_S = 5.0
_MOST_HELD = 1_000_000  # open requests that are looked at for a hold; none may be missed


class Workspace:
    """One workspace, open in this process."""

    def __init__(self, path: Path, *, settings: Settings | None = None, now: Callable[[], int] = clock.now_us) -> None:
        """Open the stores; nothing is folded yet."""
        self.paths = Paths(path)
        if not self.paths.settings.exists():
            raise NoWorkspace(path)
        self.settings = settings if settings is not None else Settings.load(path)
        self.now = now
        self.limits = limits_from(self.settings.collect)
        self.log = Log.open(self.paths.log, synchronous=self.settings.log.synchronous)
        self._registry = open_registry(self.paths)
        self._journal_store = open_journal(self.paths)
        self.state = open_state(self.paths, self.settings)
        prepare(self.state)
        self.keys = Keys(self._registry, now=now)
        self.identity_tokens = IdentityTokens(self.keys, read=read_provable)
        self._ledger_keys = LedgerKeys.open(self.paths.ledger_keys, now=now)
        self.ledger = Ledger(self._journal_store, self._ledger_keys)
        self.accesses = Accesses(self.ledger, now=now)
        self.journal = Reads(self.accesses)
        self.audit = Audit(self._journal_store, now=now)
        self.openings = Openings(self._journal_store, now=now)
        passwords = Passwords()
        self.operators = Operators(self._registry, now=now, passwords=passwords)
        self.sessions = ConsoleSessions(self._registry, now=now, place=self.paths.run)
        self.sign_in = SignIn(self._registry, now=now, passwords=passwords, sessions=self.sessions)
        self.sources = Sources(self.log, self.keys, now=now)
        self._deliveries_store = open_deliveries(self.paths)
        self._audiences_store = open_audiences(self.paths)
        self.memberships = Memberships(self._audiences_store)
        self.folding = Folding(
            self.log,
            self.state,
            self.paths,
            settings=self.settings.engine,
            adult_age=self.settings.people.adult_age,
            lake=lambda: self.lake,
            taken=lambda: self.deliveries.taken(),  # noqa: PLW0108 -- it is made after what asks for it
            memberships=self.memberships,
            is_as_on_disk=self._is_as_on_disk,
            now=now,
        )
        self.permissions = Permissions(self.state, self.folding, adult_age=self.settings.people.adult_age)
        self.groups = Groups(
            self.log, self.state, adult_age=self.settings.people.adult_age, append=self.append_rows, now=now
        )
        self.profiles = Profiles(
            self.log,
            self.state,
            self.folding,
            groups=self.groups,
            audiences=self._audiences_of,
            scope=self.scope,
            append=self.append_rows,
            now=now,
        )
        self.consent = Consent(
            self.log,
            self.state,
            self.folding,
            adult_age=self.settings.people.adult_age,
            append=self.append_rows,
            now=now,
        )
        self.papers = Papers(self.state, secret=lambda: load_signing_bytes(self._registry), epoch=self.log.epoch)
        self.rules = Rules(
            self.log,
            self.state,
            self.folding,
            self.paths,
            self.profiles,
            lake=lambda: self.lake,
            append=self.append_rows,
            now=now,
        )
        self.plans = Plans(self.paths.plans, now=now)
        self.identity = Identity(
            self.log,
            self.state,
            self.folding,
            scope=self.scope,
            leave=self.profiles.leave,
            append=self.append_rows,
            now=now,
        )
        self.events = Events(self.log, self.state, self.folding, leave=self.profiles.leave)
        self._lake: Lake | None = None
        self.shares = Shares(
            self.paths.shared,
            self.paths.share_lock,
            self.log,
            self.state,
            lake=lambda: self.lake,
            leave=self.profiles.leave,
            scope=self.scope,
            ledger=self.ledger,
            now=now,
        )
        self.erasure = Erasures(
            self.log,
            self.state,
            self.folding,
            self.paths,
            registry=self._registry,
            store=open_erasures(self.paths),
            lake=lambda: self.lake,
            append=self.append_rows,
            let_go=self._let_go,
            unshare=self.shares.let_go,
            now=now,
        )
        self.exports = Exports(
            self.paths.exports,
            self.profiles,
            scope=self.own_scope,
            epoch=self.log.epoch,
            token=self.erasure.token,
            now=now,
            others=others_of(self.consent, self.ledger),
        )
        self.requests = Requests(
            RequestJournal(self._journal_store, now=now, new_id=lambda: "r" + secrets.token_hex(8)),
            self.profiles,
            self.exports,
            token=self.erasure.token,
            ways=ways_of(self.consent, self.erasure),
            checks=checks_of(self.erasure),
        )
        self.retention = Retention(
            self.log,
            self.state,
            self.folding,
            self.paths,
            notes=RetentionNotes(self._journal_store),
            lake=lambda: self.lake,
            held=lambda: self.requests.list(only_open=True, limit=_MOST_HELD),
            append=self.append_rows,
            unshare=self.shares.let_go,
            adult_age=self.settings.people.adult_age,
            now=now,
        )
        self.outside = Outside(self.settings, self._registry, root=self.paths.root, now=now)
        self._history: History | None = None
        self.audiences = Audiences(
            self.log,
            self.state,
            self.folding,
            self.memberships,
            history=lambda: self.history,
            scope=self.scope,
            leave=self.profiles.leave,
            append=self.append_rows,
            adult_age=self.settings.people.adult_age,
            now=now,
        )
        self.deliveries = Deliveries(
            self.log,
            self.state,
            self.folding,
            self._deliveries_store,
            scope=self.scope,
            leave=self.profiles.leave,
            ledger=self.ledger,
            append=self.append_rows,
            outside=self.outside,
            consent=self.consent,
            audiences=self.audiences,
            lease_s=self.settings.deliver.lease_s,
            now=now,
        )
        self.messages = Messages(
            self.log,
            self.state,
            self.deliveries.queue,
            self.deliveries.asked,
            self.deliveries.suppressions,
            definitions=self.deliveries.definitions,
            destination=self.deliveries.destination,
            leave=self.profiles.leave,
            now=now,
        )
        self.quarantine = Quarantine(self.log, limits=lambda: self.limits, append=self.append_rows, erased=self.door)
        # Nothing is served before a log that was restored has let go of whom it still knew.
        self.erasure.resume()

    @property
    def lake(self) -> Lake:
        """Give the whole history as open tables, for reading."""
        if self._lake is None:
            self._lake = Lake.open(self.paths.lake, read_only=True)
        return self._lake

    @property
    def history(self) -> History:
        """Give what answers a definition for everybody, over all that happened."""
        if self._history is None:
            self._history = History(
                self.log,
                open_state(self.paths, self.settings, read_only=True),
                lambda: self.lake,
                self.paths.history,
                permits=lambda reading, purpose, at: self.permissions.permit(
                    reading, self.scope(purpose)._replace(at=at)
                ),
            )
        return self._history

    # -- saying what happened (as the Segment specification names it)

    def track(self, *, event: str, properties: Mapping[str, Any] | None = None, **who: Any) -> None:
        """Say that somebody did something. `who`: user_id, anonymous_id, timestamp, message_id, context."""
        self.append([_message("track", who, event=event, properties=dict(properties or {}))])

    def identify(self, *, traits: Mapping[str, Any] | None = None, **who: Any) -> None:
        """Say who somebody is and what is known of them."""
        self.append([_message("identify", who, traits=dict(traits or {}))])

    def page(self, *, name: str | None = None, properties: Mapping[str, Any] | None = None, **who: Any) -> None:
        """Say that somebody saw a page."""
        self.append([_message("page", who, name=name, properties=dict(properties or {}))])

    def screen(self, *, name: str | None = None, properties: Mapping[str, Any] | None = None, **who: Any) -> None:
        """Say that somebody saw a screen of an app."""
        self.append([_message("screen", who, name=name, properties=dict(properties or {}))])

    def group(self, *, group_id: str, traits: Mapping[str, Any] | None = None, **who: Any) -> None:
        """Say that somebody belongs to a group."""
        self.append([_message("group", who, groupId=group_id, traits=dict(traits or {}))])

    def alias(self, *, previous_id: str, **who: Any) -> None:
        """Say that somebody had another id before."""
        self.append([_message("alias", who, previousId=previous_id)])

    def append(
        self, messages: Sequence[Mapping[str, Any]], *, source: str = "python", trust: int = TRUST_SERVER
    ) -> None:
        """Check messages as the HTTP door does and put them in the log; return once they are on disk.

        Raises: InputError naming the first message that could not be taken; the good ones are in the log, the bad
                ones in quarantine.
        """
        now = self.now()
        told = [dict(message) for message in messages]
        taken = take(
            told,
            route_type=None,
            source=source,
            trust=trust,
            received_at=now,
            limits=self.limits,
            prove=self.identity_tokens.judge,
            refuses=self.door(),
        )
        self.append_rows(taken.rows, taken.quarantine)
        if taken.quarantine:
            first = taken.quarantine[0]
            raise InputError(
                f"{len(taken.quarantine)} of {len(messages)} events went to quarantine. The first: {first.reason}",
                code=f"collect.{first.code}",
                n_quarantined=len(taken.quarantine),
            )

    def append_rows(self, rows: Sequence[NewRow], quarantine: Sequence[QuarantineRow] = ()) -> tuple[int, int]:
        """Put checked rows in the log; return their positions once they are on disk."""
        return self.log.append(rows, quarantine, now=self.now())

    # -- keeping up

    def _is_as_on_disk(self) -> bool:
        """Say whether a process that opens this folder goes by the settings that hold here."""
        try:
            return Settings.load(self.paths.root) == self.settings
        except SettingsError:
            return False

    def flush(self) -> None:
        """Return when everything appended so far is applied. Folds here when nobody else does, else waits."""
        self.folding.reach(self.log.head(), _WAIT_S)

    def forget(self, event_positions: Sequence[int]) -> None:
        """Take events out of log and state so that no byte of them stays; the lake follows.

        Files that were uploaded and wait go too, and plans with their samples: nobody knows whom they name, and
        importing a file would bring them back.
        """
        forget_uploads(self.paths.uploads, reason="somebody was forgotten since it was uploaded")
        self.folding.clear_checks()
        forget_plans(self.paths.plans)
        self.append_rows([forget_act(event_positions, now=self.now())])
        self.flush()
        # What was asked for meanwhile looked at a moment in which they were still there.
        forget_plans(self.paths.plans)
        # What the lake still has is no more in what is made of it, from the next round on.
        self.shares.let_go()

    def scope(
        self,
        purpose: str | None = None,
        *,
        asked_by: str = "process",
        channel: str = "",
        recipient: str = "",
        jurisdiction: str = "",
    ) -> Scope:
        """Ask for leave to use values for a purpose, of each person as far as it holds for them.

        For `service` when none is named.

        Raises: UnknownPurpose, PurposeUnnamed; FoldOutdated when what is known was derived by another version.
        """
        declared, named, now = policy_in_force(self.state), purpose or SERVICE, self.now()
        if not purpose and SERVICE not in declared.purposes:
            raise PurposeUnnamed(declared.purposes)
        return scope_for(
            named,
            declared=declared,
            position=self.folding.trusted_position(),
            asked_by=asked_by,
            at=now,
            kept_after=self.retention.kept_after(declared.purposes.get(named), now),
            channel=channel,
            recipient=recipient,
            jurisdiction=jurisdiction,
        )

    def door(self) -> Refuses | None:
        """Give what the doors ask of each event: what is kept in its place, if not the event. None: nothing is.

        Asked once a request.
        """
        asked = [one for one in (self.erasure.door(), self.consent.door()) if one is not None]
        if not asked:
            return None
        return lambda row: next((instead for one in asked if (instead := one(row)) is not None), None)

    def own_scope(self, *, asked_by: str = "process") -> Scope:
        """Ask for leave to use everything about a person for their own request about it. Raises FoldOutdated."""
        return own_scope(
            declared=policy_in_force(self.state),
            position=self.folding.trusted_position(),
            asked_by=asked_by,
            at=self.now(),
        )

    def break_glass_scope(self, profile_id: str, *, asked_by: str) -> Scope:
        """Ask to see everything about one person without their leave; whoever asks has noted it."""
        return break_glass_scope(
            declared=policy_in_force(self.state),
            position=self.folding.trusted_position(),
            asked_by=asked_by,
            at=self.now(),
            profile_id=profile_id,
        )

    def _audiences_of(
        self, membership: Membership, scope: Scope, *, at: int | None = None
    ) -> dict[str, dict[str, Any]]:
        """Give the audiences of somebody; whoever composes documents is made before the audiences are."""
        return self.audiences.of_person(membership, scope, at=at)

    def _let_go(self, membership: Membership) -> None:
        """Let go of what is kept about somebody who is being erased, beside the log."""
        self.requests.forget(founding_ids(membership))
        self.deliveries.forget(membership)
        self.openings.forget(subjects_of(membership))
        self.accesses.flush()
        self.ledger.shred(subjects_of(membership))

    def close(self) -> None:
        """Apply what is left, let the lake follow when nobody else keeps it, and let go of everything."""
        self.folding.close()
        self.accesses.close()
        self.quarantine.close()
        self.erasure.close()
        if self._history is not None:
            self._history.close()
        if self._lake is not None:
            self._lake.close()
        self._ledger_keys.close()
        for store in (
            self.state,
            self._registry,
            self._journal_store,
            self._deliveries_store,
            self._audiences_store,
            self.log,
        ):
            store.close()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def _message(kind: str, who: dict[str, Any], **fields: Any) -> dict[str, Any]:
    names = {
        "user_id": "userId",
        "anonymous_id": "anonymousId",
        "message_id": "messageId",
        "timestamp": "timestamp",
        "context": "context",
        "integrations": "integrations",
    }
    unknown = sorted(set(who) - set(names))
    if unknown:
        raise InputError(
            f"Unknown argument {', '.join(unknown)}. There are: {', '.join(names)}.", code="collect.unknown-argument"
        )
    message = {"type": kind, **{names[name]: value for name, value in who.items() if value is not None}}
    message.update((name, value) for name, value in fields.items() if value is not None)
    return message
