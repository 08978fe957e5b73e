"""Packages of people's data: gathered from all rooms, kept a week, then gone.

In:    who is meant; what other parts say of them (consent, purposes, ledgers).
Out:   a zip in the folder `exports/`, which nobody else may enter.
Never: a package under somebody's name; one that outlives its week or its person.
"""

import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tillit.clock import DAY, rfc3339
from tillit.identity import profile_id
from tillit.privacy import Dossier, Packed, check_package, write_package
from tillit.profile import event_document, event_id
from tillit.records import ACT_TYPES, IDENTITY_ACT_TYPES, TRUST_NAMES, TRUST_OPERATOR, LogRow, Membership, Scope
from tillit.workspace.people import unknown_profile
from tillit.workspace.profiles import Profiles

# The reference asks for a short time to fetch it; a week has a weekend in it.
KEPT = 7 * DAY
_PAGE = 2_000  # events at once: some megabytes
_FAR = 253_402_300_800_000_000  # the year 10000: a span that reaches there does not end
_OURS = ACT_TYPES | IDENTITY_ACT_TYPES
# What the event's document says under names of its own.
_TOLD = {"type", "messageId", "event", "name", "properties", "traits", "context", "timestamp", "receivedAt"}

Rows = Iterable[Mapping[str, Any]]


class Exported(NamedTuple):
    """A package that was written."""

    path: Path
    profile_id: str
    packed: Packed


class Others(NamedTuple):
    """What other parts say of one person; each is asked for the ids that their profile ever had."""

    consent: Callable[[Collection[str]], Rows] = lambda _: ()
    purposes: Callable[[Collection[str]], Rows] = lambda _: ()
    disclosures: Callable[[Collection[str]], Rows] = lambda _: ()
    accesses: Callable[[Collection[str]], Rows] = lambda _: ()


class Exports:
    """Writes packages, finds them, and lets them go."""

    def __init__(
        self,
        folder: Path,
        profiles: Profiles,
        *,
        scope: Callable[[], Scope],
        epoch: Callable[[], int],
        token: Callable[[str], str],
        now: Callable[[], int],
        others: Others | None = None,
    ) -> None:
        """Use a folder; nothing is written yet. `token`: the keyed hash of a profile id."""
        self._folder = folder
        self._profiles = profiles
        self._scope = scope
        self._epoch = epoch
        self._token = token
        self._now = now
        self._others = others if others is not None else Others()

    def write(self, who: str, kind: str, *, request_id: str = "") -> Exported:
        """Write everything about a person, or what they may take along, into a zip. Raises NotFound."""
        scope = self._scope()
        membership = self._profiles.membership(who)
        profile = self._profiles.find(who, scope) if membership is not None else None
        if membership is None or profile is None:
            raise unknown_profile()
        ids = founding_ids(membership)
        request_id = request_id or "x" + secrets.token_hex(8)
        words: list[dict[str, Any]] = []
        dossier = Dossier(
            kind=kind,
            request_id=request_id,
            made_at=self._now(),
            profile=profile,
            profile_ids=ids,
            events=self._events(profile["id"], scope, words),
            staff_words=words,
            consent=self._others.consent(ids),
            purposes=self._others.purposes(ids),
            disclosures=self._others.disclosures(ids),
            accesses=self._others.accesses(ids),
        )
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{_mark(self._token(membership.profile_id))}-{request_id}.zip"
        packed = self._fill(path, dossier)
        return Exported(path, membership.profile_id, packed)

    def find(self, request_id: str) -> Path | None:
        """Give the package that was made for a request, while it is kept."""
        return next(self._folder.glob(f"*-{request_id}.zip"), None) if request_id.isalnum() else None

    def check(self, request_id: str) -> list[str]:
        """Read a package back; say what is wrong with it."""
        path = self.find(request_id)
        if path is None:
            return ["file.gone"]
        with path.open("rb") as file:
            return check_package(file)

    def forget(self, tokens: Collection[str]) -> int:
        """Delete the packages of a person, by the keyed hashes of all their profile's ids; say how many."""
        marks = {_mark(one) for one in tokens}
        return sum(_remove(path) for path in self._folder.glob("*.zip") if path.name.partition("-")[0] in marks)

    def _fill(self, path: Path, dossier: Dossier) -> Packed:
        part = self._folder / f".{path.name}"
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                packed = write_package(file, dossier, scratch=self._folder)
            # Its age is told by the workspace's clock, as everything's here.
            os.utime(part, ns=(dossier.made_at * 1_000, dossier.made_at * 1_000))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return packed

    def _events(self, who: str, scope: Scope, words: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Give a person's events with all that their senders said; what colleagues wrote goes to `words`."""
        epoch, before = self._epoch(), None
        while True:
            page = self._profiles.rows(who, scope, limit=_PAGE, before=before)
            if page is None:  # they were forgotten meanwhile
                raise unknown_profile()
            for row in page.rows:
                if row.body is None:
                    continue
                said = msgspec.json.decode(row.body)
                if row.trust == TRUST_OPERATOR and said.get("type") in _OURS:
                    words.append(_word(row, said, epoch))
                elif said.get("type") and (document := event_document(row, scope, epoch=epoch)) is not None:
                    yield {
                        **document,
                        "trust": TRUST_NAMES[row.trust],
                        "context": said.get("context"),
                        "also": {key: value for key, value in said.items() if key not in _TOLD},
                    }
            if page.next is None:
                return
            before = page.next


def founding_ids(membership: Membership) -> list[str]:
    """Give every id that a person's profile ever had: one for each identifier that was always theirs alone."""
    always = [
        one.identifier_id
        for one in membership.identifiers
        if len(one.spans) == 1 and one.spans[0][1] <= 0 and one.spans[0][2] > _FAR
    ]
    return sorted({membership.profile_id, *map(profile_id, always)})


def forget_exports(folder: Path, *, before: int) -> int:
    """Delete packages that were made before an instant, and what a crash left of one; say how many."""
    old = [path for path in folder.glob("*.zip") if _made_at(path) < before]
    left = [path for path in folder.glob(".*.zip") if _made_at(path) < before + KEPT - DAY]
    return sum(map(_remove, [*old, *left]))


def _word(row: LogRow, said: Mapping[str, Any], epoch: int) -> dict[str, Any]:
    """Write what a colleague said of a person; who the colleague is, is not told."""
    told = {
        "at": rfc3339(row.event_at),
        "type": said["type"],
        "text": said.get("text"),
        "traits": said.get("traits"),
        "reason": said.get("reason"),
        "group": said.get("groupId"),
        "takes_back": said.get("of"),
        "event_id": event_id(row.position, epoch),
    }
    return {key: value for key, value in told.items() if value not in (None, "")}


def _mark(token: str) -> str:
    return "".join(one for one in token if one.isalnum())[:32]


def _made_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns // 1_000
    except FileNotFoundError:
        return 1 << 62


def _remove(path: Path) -> bool:
    with suppress(FileNotFoundError):
        path.unlink()
        return True
    return False
