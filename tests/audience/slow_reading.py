"""Who is in audiences with an order, a waterfall or a holdout, read slowly from the log of a town.

In:    a town; audiences as their files have them.
Out:   the profile ids of those whom each takes at an instant.
Never: a line of the product's own reading of who is who, of what they did, or of who comes first.
"""

from __future__ import annotations

from typing import Any

from tests import audience_model
from tests.audience.known import Known, read_known
from tests.audience.shop import Town
from tillit.consent import policy_in_force
from tillit.records import LogRow

File = dict[str, Any]


def everybody(town: Town) -> list[Known]:
    """Give all people there are."""
    rows: list[LogRow] = []
    while found := town.ws.log.read(rows[-1].position if rows else 0, 10_000):
        rows += found
    world = read_known(rows, policy_in_force(town.ws.state))
    return [*{who.profile_id: who for who in world.values()}.values()]


def taken(files: dict[str, File], name: str, people: list[Known], at: int) -> set[str]:
    """Give those whom an audience takes at an instant. `people`: as `everybody` gives them."""
    file = files[name]
    audiences = {one: _condition(told) for one, told in files.items() if not _is_order(told)}
    known = [one.by_purpose[file["purpose"]]._replace(audiences=audiences) for one in people]
    if not _is_order(file):
        return {one.profile_id for one in known if audience_model.is_member(audiences[name], one, at)}
    ((word, said),) = file["definition"].items()
    ranked = {word: {**said, "of": {"all": [said.get("of", "everybody"), *_not_before(file)]}}}
    first = audience_model.chosen(ranked, known, at)
    return {one.profile_id for one in known if one.profile_id in first and not _is_held_out(file, one, at)}


def _is_order(file: File) -> bool:
    return isinstance(file["definition"], dict) and not file["definition"].keys().isdisjoint({"top", "limit"})


def _not_before(file: File) -> list[Any]:
    return [{"not": {"audience": one}} for one in file.get("after", ())]


def _held(file: File) -> Any:
    return {"sample": {"salt": file["audience"], "share": file["holdout"]}}


def _is_held_out(file: File, person: audience_model.Person, at: int) -> bool:
    return "holdout" in file and audience_model.is_member(_held(file), person, at)


def _condition(file: File) -> Any:
    left_out = [*_not_before(file), *([{"not": _held(file)}] if "holdout" in file else [])]
    return {"all": [file["definition"], *left_out]}
