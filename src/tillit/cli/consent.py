"""`tillit consent`: what somebody's data may be used for, and what they said of it.

In:    a person as `namespace:value` or a profile id; purposes and states.
Out:   decisions with their ground; the id of the event that a choice became.
Never: a yes that a colleague writes down without naming where it can be seen.
"""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tillit.cli.receipts import validate
from tillit.cli.terminal import ACTOR, JsonOption, WorkspaceOption, find_colleague, reader, show
from tillit.clock import instant
from tillit.consent import OWN_DATA, STATES, Choice, StatementInvalid
from tillit.workspace import Workspace

consent = typer.Typer(help="What people's data may be used for, and what they said of it.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(help="namespace:value, or a profile id.")]


@consent.command("show")
def consent_show(
    who: Who,
    workspace: WorkspaceOption,
    at: Annotated[str | None, typer.Option(help="As of a day or an instant; now when not named.")] = None,
    json: JsonOption = False,
) -> None:
    """Show for each purpose whether it may use somebody's data, and on whose word."""
    with Workspace(workspace) as ws:
        ws.flush()
        told = ws.consent.state(who, at=_instant(at))
        ws.journal.note([told["id"]], asked_by=reader(), route="tillit consent show", purpose=OWN_DATA)
    if json:
        show(told)
        return
    out = Console()
    table = Table("purpose", "may", "why", "ground", "record", "until")
    for one in told["purposes"]:
        why = one["words"] or ("" if one["record"] else "nothing said against it")
        may = "yes" if one["permitted"] else "no"
        told_row = (one["purpose"], may, why, one["basis"] or "", one["record"] or "", one["until"] or "")
        table.add_row(*map(escape, told_row))
    out.print(table)
    if told["statements"]:
        said = Table("said", "about", "what", "by", "trust", "event")
        for one in told["statements"]:
            said.add_row(*map(escape, _said(one)))
        out.print(said)
    else:
        print("Nothing was said by or of this person.")


@consent.command("set")
def consent_set(
    who: Who,
    workspace: WorkspaceOption,
    choice: Annotated[list[str], typer.Argument(help=f"purpose=state; a state is {', '.join(sorted(STATES))}.")],
    channel: Annotated[list[str] | None, typer.Option(help="Only for this channel; several may follow.")] = None,
    by: Annotated[str, typer.Option(help="Who chose: self, parent, guardian, agent, staff, controller.")] = "self",
    method: Annotated[str, typer.Option(help="How: by telephone, paper form.")] = "",
    notice: Annotated[str, typer.Option(help="What they were shown, as name@version.")] = "",
    evidence: Annotated[str, typer.Option(help="Where it can be seen; a yes needs it.")] = "",
    until: Annotated[str | None, typer.Option(help="When a yes ends: a day or an instant.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever looks at it later.")] = "",
    operator: Annotated[str, typer.Option("--operator", help="Who writes it down: a login, or a name.")] = ACTOR,
    json: JsonOption = False,
) -> None:
    """Write down what somebody chose."""
    valid_until = _instant(until)
    choices = [_choice(one, tuple(channel or ()), valid_until) for one in choice]
    with Workspace(workspace) as ws:
        ws.flush()
        colleague = find_colleague(ws, operator)
        event_id = ws.consent.set(
            who,
            choices,
            by=by,
            method=method,
            notice=notice,
            evidence=evidence,
            reason=reason,
            operator=colleague.operator,
        )
        ws.audit.note(operator_id=colleague.actor, action="choice.set", target=event_id)
        told = ws.consent.state(who)
        ws.journal.note([told["id"]], asked_by=colleague.reader, route="tillit consent set", purpose=OWN_DATA)
    asked = {one.purpose for one in choices}
    after = [one for one in told["purposes"] if one["purpose"] in asked]
    if json:
        show({"event_id": event_id, "purposes": after})
        return
    print(f"It counts now, as event {event_id}.")
    for line in after:
        print(_outcome(line))


@consent.command("export")
def consent_export(
    who: Who,
    purpose: Annotated[str, typer.Argument(help="Of which purpose.")],
    workspace: WorkspaceOption,
    form: Annotated[str, typer.Option("--form", help="dpv (ISO/IEC TS 27560, signed) or kantara (1.1).")] = "dpv",
) -> None:
    """Print what somebody said of a purpose as a consent record that anybody can check."""
    if form not in ("dpv", "kantara"):
        raise StatementInvalid("form", "is dpv or kantara.")
    with Workspace(workspace) as ws:
        ws.flush()
        told = ws.papers.record(who, purpose) if form == "dpv" else ws.papers.kantara(who, purpose)
        people = ws.profiles.holders([who])
        ws.journal.note(people, asked_by=reader(), route="tillit consent export", purpose=purpose)
    show(told)


def _outcome(one: dict[str, Any]) -> str:
    return f"{one['purpose']}: {'may be used' if one['permitted'] else one['words']}"


def _choice(text: str, channels: tuple[str, ...], valid_until: int | None) -> Choice:
    purpose, equals, state = text.partition("=")
    if not equals:
        raise StatementInvalid("choice", "is written as purpose=state, such as newsletter=given.")
    return Choice(purpose.strip(), state.strip(), channels, valid_until)


def _instant(text: str | None) -> int | None:
    if text is None:
        return None
    at = instant(text)
    if at is None:
        raise StatementInvalid("instant", "must be a day or an instant, such as 2026-11-22 or 2026-11-22T10:00:00Z.")
    return at


def _said(one: dict[str, Any]) -> tuple[str, str, str, str, str, str]:
    return one["said_at"], one["about"], one["state"], one["by"], one["trust"], one["event_id"]


consent.command()(validate)
