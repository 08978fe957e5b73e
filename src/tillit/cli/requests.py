"""`tillit privacy export` and `tillit privacy requests`: what customers ask of us about their data.

In:    a person as `namespace:value` or a profile id; a request by its id.
Out:   the path of a package; requests with their clocks.
Never: a name, an address or a value of the person's: the package alone holds them.
"""

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from tillit.cli.terminal import ACTOR, JsonOption, WorkspaceOption, find_colleague, reader, show
from tillit.clock import instant, rfc3339
from tillit.consent import OWN_DATA
from tillit.errors import InputError
from tillit.privacy import ACCESS, OPERATOR, PORTABILITY, Proof, Request, clock_of, days_left
from tillit.workspace import Workspace
from tillit.workspace.requests import request_document

requests = typer.Typer(help="What customers ask of us about their data.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(help="namespace:value, or a profile id.")]
RequestId = Annotated[str, typer.Argument(help="The request's id; `list` shows it.")]
OperatorOption = Annotated[str, typer.Option("--operator", help="Who does it: a login.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why. It goes when the person is forgotten.")]
EvidenceOption = Annotated[str, typer.Option("--evidence", help="Where the customer's word is kept, as ticket-4711.")]


class BadArgument(InputError):
    """An argument of a privacy command is not one of those that there are."""

    code = "privacy.bad-argument"

    def __init__(self, name: str, wanted: str) -> None:
        """Name the argument and what it may be."""
        super().__init__(f"{name} must be {wanted}.", argument=name)


def export(
    who: Who,
    workspace: WorkspaceOption,
    kind: Annotated[str, typer.Option(help="access (everything) or portability (what they gave).")] = ACCESS,
    format_: Annotated[str, typer.Option("--format", help="zip: data.json, tables as CSV, a page to read.")] = "zip",
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Write a person's data into a package that is kept for seven days; print where."""
    if kind not in {ACCESS, PORTABILITY}:
        raise BadArgument("--kind", f"{ACCESS} or {PORTABILITY}")
    if format_ != "zip":
        raise BadArgument("--format", "zip")
    with Workspace(workspace) as ws:
        ws.flush()
        colleague = find_colleague(ws, operator)
        done = ws.exports.write(who, kind)
        ws.journal.note([done.profile_id], asked_by=colleague.reader, route="tillit privacy export", purpose=OWN_DATA)
        ws.audit.note(
            operator_id=colleague.actor, action="package.write", target=done.profile_id, details={"kind": kind}
        )
    if json:
        show({"path": str(done.path), "profile_id": done.profile_id, **done.packed._asdict()})
    else:
        print(done.path)


@requests.command("list")
def requests_list(
    workspace: WorkspaceOption,
    all_: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    who: Annotated[str | None, typer.Option(help="Only of this person.")] = None,
    json: JsonOption = False,
) -> None:
    """List requests, due soonest first."""
    with Workspace(workspace) as ws:
        ws.flush()
        found = ws.requests.list(who=who, only_open=not all_)
        _note(ws, "list", found)
        now = ws.now()
    if json:
        show([request_document(one, now) for one in found])
        return
    # The id is what the other commands ask for: it stands whole in the narrowest terminal.
    table = Table(
        Column("request", no_wrap=True, min_width=_ID_WIDTH),
        "kind",
        "state",
        "due",
        "days left",
        "law",
        "profile",
        "missing",
    )
    for one in found:
        clock = clock_of(one, now)
        marks = [word for key, word in _MARKS if clock[key]]
        table.add_row(
            one.request_id,
            one.kind,
            " ".join([one.state, *marks]),
            rfc3339(one.due_at),
            f"{days_left(one.due_at, now):.1f}" if one.is_open else "",
            one.regime,
            one.profile_id,
            ", ".join(one.missing),
        )
    Console().print(table)


@requests.command("show")
def requests_show(request_id: RequestId, workspace: WorkspaceOption) -> None:
    """Show a request with every step, as JSON."""
    with Workspace(workspace) as ws:
        one = ws.requests.get(request_id)
        _note(ws, "show", [one])
        path = ws.exports.find(request_id)
        document = request_document(one, ws.now())
    steps = [{**step._asdict(), "at": rfc3339(step.at), "until_at": _instant(step.until_at)} for step in one.steps]
    show({**document, "package": str(path) if path is not None else None, "steps": steps})


@requests.command("open")
def requests_open(
    who: Who,
    kind: Annotated[str, typer.Argument(help="access, portability, correction, restriction, objection, …")],
    workspace: WorkspaceOption,
    evidence: EvidenceOption = "",
    place: Annotated[str, typer.Option(help="Whose law's clock counts: DE, GB, US-CA, or a law's name.")] = "",
    level: Annotated[int, typer.Option(help="How well they proved who they are: 0 to 3.")] = 0,
    via: Annotated[str, typer.Option(help="By what means: email, phone, session, document, in_person.")] = "",
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """File a request that a customer told a colleague."""
    with Workspace(workspace) as ws:
        ws.flush()
        colleague = find_colleague(ws, operator)
        proof = Proof(level, via or "word", colleague.actor, evidence) if level or via else None
        one = ws.requests.open(
            who, kind, place=place, by_whom=colleague.actor, asked_by=OPERATOR, proof=proof, evidence=evidence
        )
        _finish(ws, "open", one, colleague.actor, json=json)


@requests.command("verify")
def requests_verify(
    request_id: RequestId,
    workspace: WorkspaceOption,
    level: Annotated[int, typer.Option(help="How well they proved who they are: 0 to 3.")],
    via: Annotated[str, typer.Option(help="By what means: email, phone, session, document, in_person.")],
    evidence: EvidenceOption = "",
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Note how a customer proved who they are; enough proof lets the request go on."""
    with Workspace(workspace) as ws:
        actor = find_colleague(ws, operator).actor
        one = ws.requests.prove(request_id, Proof(level, via, actor, evidence))
        _finish(ws, "verify", one, actor, json=json)


@requests.command("run")
def requests_run(
    request_id: RequestId,
    workspace: WorkspaceOption,
    trait: Annotated[str | None, typer.Option(help="Of a correction: the trait.")] = None,
    value: Annotated[str | None, typer.Option(help="Of a correction: what it truly is; empty: nothing.")] = None,
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Do what was asked, or what is still open of it."""
    with Workspace(workspace) as ws:
        ws.flush()
        colleague = find_colleague(ws, operator)
        told = {"trait": trait, "value": value or None} if trait is not None and value is not None else {}
        one = ws.requests.run(request_id, by_whom=colleague.actor, told=told)
        ws.flush()
        _finish(ws, "run", one, colleague.actor, json=json)


@requests.command("hold")
def requests_hold(
    request_id: RequestId,
    workspace: WorkspaceOption,
    until: Annotated[str, typer.Option(help="Until when: a day or an instant.")],
    basis: Annotated[str, typer.Option(help="legal_claim, legal_obligation or investigation.")],
    reason: ReasonOption,
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Keep data that a law makes us keep. The clock goes on."""
    until_at = instant(until)
    if until_at is None:
        raise BadArgument("--until", "a day such as 2027-01-31, or an instant")
    with Workspace(workspace) as ws:
        actor = find_colleague(ws, operator).actor
        one = ws.requests.hold(request_id, basis=basis, until_at=until_at, reason=reason, by_whom=actor)
        _finish(ws, "hold", one, actor, json=json)


@requests.command("release")
def requests_release(
    request_id: RequestId,
    workspace: WorkspaceOption,
    reason: ReasonOption,
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """End a hold."""
    with Workspace(workspace) as ws:
        actor = find_colleague(ws, operator).actor
        _finish(ws, "release", ws.requests.release(request_id, reason=reason, by_whom=actor), actor, json=json)


@requests.command("reject")
def requests_reject(
    request_id: RequestId,
    workspace: WorkspaceOption,
    ground: Annotated[str, typer.Option(help="identity_not_proved, mandate_not_proved, unfounded, excessive, …")],
    reason: ReasonOption = "",
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Refuse a request, on a ground that the person is told."""
    with Workspace(workspace) as ws:
        actor = find_colleague(ws, operator).actor
        one = ws.requests.reject(request_id, ground=ground, reason=reason, by_whom=actor)
        _finish(ws, "reject", one, actor, json=json)


@requests.command("withdraw")
def requests_withdraw(
    request_id: RequestId,
    workspace: WorkspaceOption,
    evidence: EvidenceOption = "",
    reason: ReasonOption = "",
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Take a request back on the customer's word: so an erasure is cancelled while it rests."""
    with Workspace(workspace) as ws:
        actor = find_colleague(ws, operator).actor
        one = ws.requests.withdraw(request_id, by_whom=actor, evidence=evidence, reason=reason)
        _finish(ws, "withdraw", one, actor, json=json)


@requests.command("extend")
def requests_extend(
    request_id: RequestId,
    workspace: WorkspaceOption,
    reason: ReasonOption,
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Take the longer time that the law gives, once, before the first is over."""
    with Workspace(workspace) as ws:
        actor = find_colleague(ws, operator).actor
        _finish(ws, "extend", ws.requests.extend(request_id, reason=reason, by_whom=actor), actor, json=json)


@requests.command("answer")
def requests_answer(
    request_id: RequestId,
    recipient: Annotated[str, typer.Argument(help="Who was told.")],
    answer: Annotated[str, typer.Argument(help="answered, no_api or failed.")],
    workspace: WorkspaceOption,
    evidence: EvidenceOption = "",
    operator: OperatorOption = ACTOR,
    json: JsonOption = False,
) -> None:
    """Note what a recipient said."""
    with Workspace(workspace) as ws:
        actor = find_colleague(ws, operator).actor
        one = ws.requests.answer(request_id, recipient, answer, by_whom=actor, evidence=evidence)
        _finish(ws, "answer", one, actor, json=json)


_ID_WIDTH = 17
_MARKS = (("is_overdue", "OVERDUE"), ("is_hold_over", "(hold is over)"), ("is_resting", "(rests)"))


def _note(ws: Workspace, verb: str, found: Iterable[Request]) -> None:
    """Note whose requests are shown; of somebody who was erased no key is made anew."""
    people = ws.profiles.holders(one.profile_id for one in found)
    ws.journal.note(people, asked_by=reader(), route=f"tillit privacy requests {verb}", purpose=OWN_DATA)


def _finish(ws: Workspace, verb: str, one: Request, actor: str, *, json: bool) -> None:
    ws.audit.note(operator_id=actor, action=f"request.{verb}", target=one.request_id, details={"state": one.state})
    if json:
        show(request_document(one, ws.now()))
    else:
        missing = f"; missing: {', '.join(one.missing)}" if one.missing else ""
        print(f"{one.request_id}: {one.kind} is {one.state}, due {rfc3339(one.due_at)}{missing}")


def _instant(at: int | None) -> str | None:
    return rfc3339(at) if at is not None else None
