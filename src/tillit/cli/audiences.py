"""`tillit audience`, `tillit feature`: which customers, since when and why; what is made of what they did.

In:    the name of an audience or a feature; a file that is tried; a person.
Out:   sizes, ids of members, reasons, differences between the live and the batch answer.
Never: somebody whom the purpose may not use: how many were withheld is told, who they are is not.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from tillit.audience import AudienceInvalid, read_audience
from tillit.cli.terminal import JsonOption, WorkspaceOption, print_lines, reader, show, talk
from tillit.consent import REASONS
from tillit.errors import NotFound
from tillit.workspace import Workspace, call_people, find_names, people_in

audience = typer.Typer(help="Which customers: who is in it, since when, and why.", no_args_is_help=True)
feature = typer.Typer(help="Values that are made of what customers did.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The audience's name.")]
FeatureName = Annotated[str, typer.Argument(help="The feature's name.")]
LimitOption = Annotated[int, typer.Option(min=1, max=100_000, help="How many people to show.")]
AfterOption = Annotated[int, typer.Option(min=-1, help="The `next` of the page before.")]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", help="Of then: a day or an instant that has passed, by the definition in force now."),
]
T = TypeVar("T")
_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 40


@audience.command("list")
def audience_list(workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """List audiences: how many are in each, what changed since yesterday, how it stands."""
    with Workspace(workspace) as ws:
        ws.flush()
        found = ws.audiences.overview()
    if json:
        show({"audiences": found})
        return
    table = Table(Column("audience", no_wrap=True), "purpose", "members", "since yesterday", "state", "why")
    for one in found:
        table.add_row(
            one["audience"],
            one["purpose"],
            f"{one['members']:,}",
            f"{one['change_since_yesterday']:+,}",
            one["state"],
            one["words"] if one["state"] != "live" else f"as of {one['as_of']}" if one["as_of"] else "",
        )
    Console().print(table)


@audience.command("count")
def audience_count(name: Name, workspace: WorkspaceOption, as_of: AsOfOption = None, json: JsonOption = False) -> None:
    """Count the members of an audience, those whom its purpose may use, and the others by the reason."""
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.audiences.scope_of(name, asked_by=reader())
        found = _while(
            "counting members",
            lambda: ws.audiences.count(name, scope, as_of=as_of),
        )
    if json:
        show(found)
        return
    then = f" at {found['as_of']}" if as_of is not None else f" as of {found['as_of']}" if found["as_of"] else ""
    print(f"{found['members']:,} members{then}; {found['permitted']:,} may be used for {found['purpose']}.")
    print_lines(_withheld_lines(found["withheld"]))


@audience.command("members")
def audience_members(
    name: Name,
    workspace: WorkspaceOption,
    limit: LimitOption = 100,
    after: AfterOption = -1,
    as_of: AsOfOption = None,
    json: JsonOption = False,
) -> None:
    """Print the ids of members whom the audience's purpose may use, in the order in which they came to us."""
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.audiences.scope_of(name, asked_by=reader())
        found = _while(
            "reading members",
            lambda: ws.audiences.list_members(name, scope, after=after, limit=limit, as_of=as_of),
        )
        people = (one["profile_id"] for one in found["members"])
        ws.journal.note(people, asked_by=reader(), route="tillit audience members", purpose=scope.purpose)
    if json:
        show(found)
        return
    print_lines(one["profile_id"] for one in found["members"])
    _talk_withheld(found["withheld"], found["next"])


@audience.command("preview")
def audience_preview(
    file: Annotated[Path, typer.Argument(help="An audience, as YAML; it need not be in force.")],
    workspace: WorkspaceOption,
    purpose: Annotated[str | None, typer.Option("--purpose", help="For what; the file's own when not named.")] = None,
    sample: Annotated[int, typer.Option(min=0, max=200, help="How many people to name.")] = 20,
    as_of: AsOfOption = None,
    json: JsonOption = False,
) -> None:
    """Say who would be in an audience now, how that changed in 90 days, and whom it shares with others."""
    told, _ = read_audience(_text(file))
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.scope(purpose or told.purpose, asked_by=reader())
        found = _while(
            "asking everybody's history",
            lambda: ws.audiences.preview(
                told.definition,
                scope.purpose,
                scope,
                sample=sample,
                after=told.after,
                holdout=told.holdout,
                name=told.audience,
                as_of=as_of,
            ),
        )
        ws.journal.note(found["sample"], asked_by=reader(), route="tillit audience preview", purpose=scope.purpose)
    if json:
        show({"audience": told.audience, "purpose": scope.purpose, **found})
    else:
        near = [one for one in found["near"] if one["audience"] != told.audience]
        print_lines(preview_lines({"purpose": scope.purpose, **found, "near": near}))


@audience.command("holdout")
def audience_holdout(name: Name, workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """Count who would be in an audience, and how many of them are held out of it to measure what is sent."""
    with Workspace(workspace) as ws:
        ws.flush()
        found = _while("asking everybody's history", lambda: ws.audiences.holdout(name))
    if json:
        show(found)
    elif found["held_out"] is None:
        print(f"Nobody is held out of {name}: its definition has no `holdout`.")
    else:
        print(
            f"{found['people']:,} people would be in {name}: {found['members']:,} are, and {found['held_out']:,} are "
            "held out."
        )


@audience.command("why")
def audience_why(
    name: Name,
    who: Annotated[str, typer.Argument(help="namespace:value, or a profile id.")],
    workspace: WorkspaceOption,
    json: JsonOption = False,
) -> None:
    """Say why somebody is in an audience or not, since when, and what would change it."""
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.audiences.scope_of(name, asked_by=reader())
        found = ws.audiences.why_of(name, who, scope)
        everybody = people_in(found)
        ws.journal.note(everybody, asked_by=reader(), route="tillit audience why", purpose=scope.purpose)
        names = {} if json else find_names(ws.profiles.find, everybody, scope)
    if json:
        show(found)
    else:
        print_lines(why_lines({**found, "leaves": call_people(found["leaves"], names)}))


@audience.command("check")
def audience_check(name: Name, workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """Hold the members against an answer from the whole history; a difference ends with exit code 1.

    Of an audience that ranks both are asked for the instant of its members. Where more came into the log since, that
    is said, and a difference is none of the answer.
    """
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.audiences.scope_of(name, asked_by=reader())
        found = _while("asking everybody's history", lambda: ws.audiences.check(name))
        cases, withheld = ws.audiences.permitted_of(found["cases"], scope)
        ws.journal.note(cases, asked_by=reader(), route="tillit audience check", purpose=scope.purpose)
    told = {**found, "cases": cases, "withheld": dict(sorted(withheld.items()))}
    # What came after a tick tells nothing of how people were ranked at it.
    is_same = found["is_stale"] or not (found["only_live"] or found["only_batch"])
    if json:
        show(told)
    else:
        print_lines(check_lines(told))
    raise typer.Exit(0 if is_same else 1)


@feature.command("list")
def feature_list(workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """List features: what each is made of."""
    with Workspace(workspace) as ws:
        ws.flush()
        found = ws.audiences.list_features()
    if json:
        show({"features": found})
        return
    table = Table(Column("feature", no_wrap=True), "purpose", "what it is", "state")
    for one in found:
        table.add_row(one["feature"], one["purpose"], one["sentence"] or one["words"], one["state"])
    Console().print(table)


@feature.command("values")
def feature_values(
    name: FeatureName,
    workspace: WorkspaceOption,
    who: Annotated[str | None, typer.Option("--who", help="Only of one person: namespace:value, or an id.")] = None,
    people: Annotated[bool, typer.Option("--people", help="The value of each person, page by page.")] = False,
    limit: LimitOption = 100,
    after: AfterOption = -1,
    json: JsonOption = False,
) -> None:
    """Say how a feature's values are spread; with --who that of one person, with --people that of each."""
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.scope(ws.audiences.feature(name).feature.purpose, asked_by=reader())
        named: list[str] = []
        if who is not None:
            membership = ws.audiences.membership(who)
            found = ws.audiences.value_of(name, membership, scope)
            named = [membership.profile_id]
        elif people:
            page = _while("reading values", lambda: ws.audiences.values(name, scope, after=after, limit=limit))
            named = [one["profile_id"] for one in page.values]
            found = {
                "feature": name,
                "purpose": scope.purpose,
                "values": page.values,
                "withheld": dict(sorted(page.withheld.items())),
                "next": page.after,
            }
        else:
            spread = _while("asking everybody's history", lambda: ws.audiences.distribution(name, scope))
            found = {"feature": name, "purpose": scope.purpose, **spread}
        ws.journal.note(named, asked_by=reader(), route="tillit feature values", purpose=scope.purpose)
    if json:
        show(found)
    elif who is not None:
        print_lines(iter([_written(found["value"])]))
    elif people:
        print_lines(f"{one['profile_id']}  {_written(one['value'])}" for one in found["values"])
        _talk_withheld(found["withheld"], found["next"])
    else:
        print_lines(spread_lines(found))


# -- printing


def preview_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Write a preview for a terminal."""
    yield f"It reads: {found['sentence']}"
    if found.get("as_of"):
        yield f"As of {found['as_of']}:"
    yield (
        f"{found['people']:,} of {found['of']:,} people ({found['share']:.1%}); "
        f"{found['permitted']:,} may be used for {found['purpose']}."
    )
    yield from _withheld_lines(found["withheld"])
    trend = [n for _, n in found["trend"]]
    if trend:
        when = "90 days before" if found.get("as_of") else "Last 90 days"
        yield f"{when}: {_line(trend)}  from {trend[0]:,} to {trend[-1]:,}"
    for one in found["overlaps"]:
        yield (
            f"{one['audience']}: {one['both']:,} in both, {one['here_only']:,} only here, "
            f"{one['there_only']:,} only there"
        )
    for one in found["near"]:
        yield f"Nearly the same as {one['audience']} ({one['similarity']:.0%})."
    cost = found["cost"]
    yield (
        f"It keeps {cost['tapes_new']:,} more records of each person's events and shares {cost['tapes_shared']:,}; "
        f"this took {cost['seconds']:.1f} s."
    )
    if found["sample"]:
        yield f"{len(found['sample']):,} of them, sampled:"
        yield from (f"  {one}" for one in found["sample"])


def why_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Write why somebody is in an audience for a terminal."""
    if found["is_member"]:
        since = f" since {found['since']}, by {found['cause']}" if found["since"] else ""
        yield f"{found['profile_id']} is in {found['audience']}{since}."
    else:
        yield f"{found['profile_id']} is not in {found['audience']}."
    for leaf in found["leaves"]:
        indent = "  " * (leaf["depth"] + 1)
        value = "" if leaf["value"] is None else f": {_written(leaf['value'])}"
        yield f"{indent}{'yes' if leaf['holds'] else 'no '}  {leaf['sentence']}{value}"
        for event in leaf["events"]:
            yield f"{indent}     {event['event_id']}  {event['at']}"
        if leaf["changes_at"]:
            yield f"{indent}     changes by itself at {leaf['changes_at']}"
    if found["flip"]:
        yield f"The other way round: {found['flip']}"
    if found["changes_at"]:
        yield f"With nothing new it may change at {found['changes_at']}."


def check_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Write a comparison for a terminal."""
    yield f"Live: {found['live']:,}. From the whole history: {found['batch']:,}. Both at {found['at']}."
    if not (found["only_live"] or found["only_batch"]):
        yield "No difference."
        return
    if found["is_stale"]:
        told = f"as of {found['as_of']}" if found["as_of"] else "not chosen yet"
        yield (
            f"Members are {told}: what came into the log since counts from the whole history, and for them at the "
            f"next tick. {found['only_live']:,} are only members, {found['only_batch']:,} only from the history."
        )
        return
    yield f"{found['only_live']:,} are members and should not be; {found['only_batch']:,} are not and should be."
    yield from _withheld_lines(found["withheld"])
    yield from (f"  {one}" for one in found["cases"])


def spread_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Write how values are spread for a terminal."""
    yield f"{found['n'] - found['missing']:,} people have a value, {found['missing']:,} have none."
    most = max((one["n"] for one in found["bars"]), default=0)
    for one in found["bars"]:
        name = _written(one["value"]) if "value" in one else f"{one['from']:,.6g} to {one['until']:,.6g}"
        # Few are seen, too.
        width = max(min(one["n"], 1), round(_WIDTH * one["n"] / most))
        yield f"  {name:>24}  {'█' * width} {one['n']:,}"


def _withheld_lines(withheld: Mapping[str, int]) -> Iterator[str]:
    for reason, n in withheld.items():
        yield f"  {n:,} not: {REASONS.get(reason, reason)}"


def _talk_withheld(withheld: Mapping[str, int], following: int | None) -> None:
    for line in _withheld_lines(withheld):
        talk.print(line, markup=False, highlight=False)
    if following is not None:
        talk.print(f"There are more: --after {following}", highlight=False)


def _line(counts: list[int]) -> str:
    most = max(counts) or 1
    return "".join(_BARS[round(n / most * (len(_BARS) - 1))] for n in counts)


def _written(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.12g}" if isinstance(value, float | int) else str(value)


# -- at work


def _while(words: str, work: Callable[[], T]) -> T:
    """Do long work with a moving bar on stderr: how far it is cannot be said."""
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=talk) as bar:
        bar.add_task(words, total=None)
        return work()


def _text(path: Path) -> str:
    if not path.is_file():
        raise NotFound(f"There is no file {path.name!r} to read an audience from.", code="cli.no-audience-file")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise AudienceInvalid("This audience", f"the file {path.name} is not written in UTF-8.") from None
