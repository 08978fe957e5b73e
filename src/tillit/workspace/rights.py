"""How each part of a customer's request is done here, and what goes into their package beside their profile.

In:    the parts of the workspace that know.
Out:   ways, checks and rows, as `Requests` and `Exports` ask for them.
Never: success that was not seen: an erasure is complete when a search finds nothing.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tillit.clock import rfc3339
from tillit.consent import EVERYTHING, Choice
from tillit.errors import NotFound
from tillit.ledger import Ledger
from tillit.privacy import ERASURE, Request
from tillit.workspace.consent import Consent
from tillit.workspace.erasure import Erasures
from tillit.workspace.exports import Others
from tillit.workspace.requests import Outcome, Way, Work

_MOST_ENTRIES = 10_000  # of each ledger, in one package


def ways_of(consent: Consent, erasure: Erasures) -> dict[str, Way]:
    """Give what does each part of a request."""

    def say(work: Work, purpose: str, state: str) -> Outcome:
        evidence = f"request {work.request.request_id}"
        event_id = consent.set(
            work.request.profile_id,
            [Choice(purpose, state)],
            method="request",
            evidence=evidence,
            operator=work.by_whom,
        )
        return Outcome(1 if event_id else 0)

    def withdraw(work: Work) -> Outcome:
        return _each(work, consent, lambda name: say(work, name, "withdrawn"), bases=("consent",))

    def object_to(work: Work) -> Outcome:
        return _each(work, consent, lambda name: say(work, name, "objected"), bases=("legitimate_interest",))

    def restrict(work: Work) -> Outcome:
        return say(work, EVERYTHING, "restricted")

    def erase(work: Work) -> Outcome:
        done = erasure.erase(work.request.profile_id, operator=work.by_whom)
        return Outcome(done.n_events)

    return {"withdraw": withdraw, "object": object_to, "restrict": restrict, "erase": erase}


def _each(work: Work, consent: Consent, say: Callable[[str], Outcome], *, bases: Collection[str]) -> Outcome:
    """Say it of the purpose that the request names, else of all of its kind."""
    declared = consent.declared().purposes
    named = work.told.get("purpose")
    names = [str(named)] if named else [name for name, told in declared.items() if told.basis in bases]
    return Outcome(sum(say(name).n_rows for name in names))


def checks_of(erasure: Erasures) -> dict[str, Callable[[Request], Sequence[str]]]:
    """Give what looks whether a part that was done is true."""

    def is_gone(request: Request) -> Sequence[str]:
        try:
            erasure.outline(request.profile_id)
        except NotFound:
            return []
        return ["person.found"]

    return {ERASURE: is_gone}


def others_of(consent: Consent, ledger: Ledger) -> Others:
    """Give what goes into a package beside the profile and the events."""

    def said(ids: Collection[str]) -> list[Mapping[str, Any]]:
        return _first(ids, lambda who: list(consent.state(who)["statements"]))

    def purposes(ids: Collection[str]) -> list[Mapping[str, Any]]:
        return _first(ids, lambda who: list(consent.state(who)["purposes"]))

    def entries(ids: Collection[str], kind: str) -> Iterator[Mapping[str, Any]]:
        for one in ledger.read(list(ids), limit=_MOST_ENTRIES).entries:
            if one.kind == kind and one.entry is not None:
                yield {**msgspec.to_builtins(one.entry), "at": rfc3339(one.at)}

    return Others(
        consent=said,
        purposes=purposes,
        disclosures=lambda ids: entries(ids, "disclosure"),
        accesses=lambda ids: entries(ids, "access"),
    )


def _first(ids: Collection[str], ask: Callable[[str], list[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    for who in ids:
        try:
            return ask(who)
        except NotFound:
            continue
    return []
