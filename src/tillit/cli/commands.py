"""The commands. Each fetches, then prints.

In:    arguments as typed.
Out:   results on stdout (JSON with --json), talk on stderr.
Never: fetching in a view, printing in a loader.
"""

import contextlib
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tillit.cli.consent import consent
from tillit.cli.definitions import apply, plan, purposes, rules
from tillit.cli.demo import run_demo_server
from tillit.cli.doctor import examine
from tillit.cli.groups import groups
from tillit.cli.identity import identity
from tillit.cli.lake import lake
from tillit.cli.ledger import ledger
from tillit.cli.operators import operators
from tillit.cli.privacy import privacy
from tillit.cli.receipts import validate
from tillit.cli.serve import Server
from tillit.cli.simulate import app as simulate_app
from tillit.cli.terminal import JsonOption, PurposeOption, WorkspaceOption, show, talk
from tillit.clock import rfc3339
from tillit.errors import BusyError, InputError, NotFound
from tillit.flow import is_husk
from tillit.records import KIND_EVENT
from tillit.settings import Settings, explain, sample_file
from tillit.workspace import Workspace, create_workspace, discard_unreadable_state

app = typer.Typer(
    name="tillit", help="A customer data platform in one package.", no_args_is_help=True, pretty_exceptions_enable=False
)
keys = typer.Typer(help="Keys of sources and programs.", no_args_is_help=True)
profile = typer.Typer(help="People.", no_args_is_help=True)
events = typer.Typer(help="What happened.", no_args_is_help=True)
quarantine = typer.Typer(help="Events that could not be taken.", no_args_is_help=True)
settings_app = typer.Typer(help="Settings and where they come from.", no_args_is_help=True)
console_app = typer.Typer(help="The pages for staff.", no_args_is_help=True)
for name, group in (
    ("keys", keys),
    ("profile", profile),
    ("group", groups),
    ("consent", consent),
    ("privacy", privacy),
    ("ledger", ledger),
    ("lake", lake),
    ("identity", identity),
    ("events", events),
    ("quarantine", quarantine),
    ("settings", settings_app),
    ("console", console_app),
    ("simulate", simulate_app),
    ("operators", operators),
):
    app.add_typer(group, name=name)

consent.command()(validate)
for command in (plan, apply, rules, purposes):
    app.command()(command)
identity.command("plan")(plan)

_TAIL_ROWS = 100  # log rows looked at in one go


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="The folder to make.")]) -> None:
    """Make a workspace."""
    create_workspace(folder)
    print(f"{folder} is a workspace. Next: tillit keys create --workspace {folder} --kind public --source web")


@app.command()
def serve(
    workspace: WorkspaceOption,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Web processes.")] = None,
) -> None:
    """Serve a workspace: tracking, API, console."""
    given = {"serve.host": host, "serve.port": port, "serve.workers": workers}
    with Workspace(workspace) as ws:  # says at once what is wrong with the workspace
        # Once somebody can sign in by themselves, a link in a server's output is one more way in for nothing.
        has_door = any(one.has_password or one.has_sso for one in ws.operators.list_all())
        link = "/console" if has_door else console_link(ws)
    settings = Settings.load(workspace, given={name: value for name, value in given.items() if value is not None}).serve
    server = Server(workspace, host=settings.host, port=settings.port, workers=settings.workers)

    def started() -> None:
        talk.print(f"Tillit serves [bold]{workspace}[/bold] at {server.url}  (Ctrl-C stops)", highlight=False)
        talk.print(f"Console: {server.url}{link}", highlight=False, soft_wrap=True)

    raise typer.Exit(server.run(started))


def console_link(ws: Workspace, login: str | None = None) -> str:
    """Make a link that signs in once: an operator by login, or the first admin, who is made if there is none."""
    if login is None:
        return f"/console/enter?token={ws.sessions.issue()}"
    return f"/console/enter?token={ws.sessions.issue(ws.operators.get_by_login(login).operator_id)}"


@console_app.command("link")
def console_link_command(
    workspace: WorkspaceOption,
    login: Annotated[
        str | None, typer.Option("--as", help="Whom it signs in; the first admin when nobody is named.")
    ] = None,
) -> None:
    """Print a link that opens the console once, within the hour."""
    with Workspace(workspace) as ws:
        link = console_link(ws, login)
        found = ws.operators.find(login) if login is not None else None
        ws.audit.note(operator_id="cli", action="operator.link", target=found.operator_id if found is not None else "")
        public = ws.settings.console.public_url
        url = public or (ws.paths.serve_url.read_text(encoding="utf-8") if ws.paths.serve_url.exists() else "")
    if not url:
        talk.print("Nothing serves this workspace now; put the address of the server in front.")
    print(url + link)


@app.command(name="import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV, JSONL or Parquet.")],
    workspace: WorkspaceOption,
    mapping: Annotated[Path | None, typer.Option(help="The mapping file.")] = None,
    suggest: Annotated[bool, typer.Option("--suggest", help="Draft a mapping from the data and print it.")] = False,
    json: JsonOption = False,
) -> None:
    """Import a file. Importing it again changes nothing."""
    from tillit.cli.import_file import import_command  # readers load only where they are needed

    raise typer.Exit(import_command(workspace, file, mapping, suggest=suggest, json=json))


@keys.command("create")
def keys_create(
    workspace: WorkspaceOption,
    kind: Annotated[
        str, typer.Option(help="public (browsers, apps), secret (servers), api (reading) or identity (signing).")
    ],
    source: Annotated[str, typer.Option(help="The source that speaks with this key.")],
    scope: Annotated[list[str] | None, typer.Option(help="What an api key may do; several may follow.")] = None,
    origin: Annotated[list[str] | None, typer.Option(help="Pages a public key may be used from.")] = None,
    purpose: Annotated[
        list[str] | None,
        typer.Option(help="What an api key may read for; several may follow, the first holds when none is named."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a key. It is shown once."""
    with Workspace(workspace) as ws:
        purposes = purpose or ["service"]
        for one in purposes:
            ws.scope(one)
        scopes = [s for word in scope or () for s in word.replace(",", " ").split()]
        plain, key = ws.keys.create(kind, source, scopes=scopes, purposes=purposes, origins=origin or ())
    if json:
        show({"key": plain, **_key_document(key)})
    else:
        print(plain)
        talk.print(f"{kind} key {key.key_id} of source {source}. It is not kept and cannot be shown again.")


def _key_document(key: Any) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "kind": key.kind,
        "source": key.source,
        "scopes": key.scopes,
        "purpose": key.purpose,
        "purposes": key.purposes,
        "origins": key.origins,
        "created_at": rfc3339(key.created_at),
        "revoked_at": rfc3339(key.revoked_at) if key.revoked_at is not None else None,
    }


@keys.command("list")
def keys_list(workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """List the keys, the revoked too."""
    with Workspace(workspace) as ws:
        found = [_key_document(key) for key in ws.keys.list_all()]
    if json:
        show({"keys": found})
        return
    table = Table("key", "kind", "source", "scopes", "made", "revoked")
    for key in found:
        table.add_row(
            key["key_id"],
            key["kind"],
            key["source"],
            " ".join(key["scopes"]),
            key["created_at"][:10],
            (key["revoked_at"] or "")[:10],
        )
    Console().print(table)


@keys.command("revoke")
def keys_revoke(key_id: Annotated[str, typer.Argument()], workspace: WorkspaceOption) -> None:
    """Stop a key, at once."""
    with Workspace(workspace) as ws:
        ws.keys.revoke(key_id)
    print(f"{key_id} is revoked.")


@profile.command("show")
def profile_show(
    who: Annotated[str, typer.Argument(help="namespace:value, or a profile id.")],
    workspace: WorkspaceOption,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Show one person."""
    with Workspace(workspace) as ws:
        ws.flush()
        document = ws.profiles.get(who, purpose=purpose)
        ws.journal.note(
            asked_by="cli", route="tillit profile show", purpose=purpose or "service", profile_id=document["id"]
        )
    if json:
        show(document)
        return
    out = Console()
    out.print(
        f"[bold]{document['id']}[/bold]  first seen {document['first_seen_at']}, last {document['last_seen_at']}",
        soft_wrap=True,
    )
    table = Table("identifier", "value", "trust", "last seen")
    for ident in document["identifiers"]:
        table.add_row(ident["namespace"], ident["value"], ident["trust"], ident["last_seen_at"])
    out.print(table)
    table = Table("trait", "value", "at", "source")
    for trait, held in document["traits"].items():
        table.add_row(trait, msgspec.json.encode(held["value"]).decode(), held["at"], held["source"])
    out.print(table)
    table = Table("event", "times")
    for event, n in document["counts"].items():
        table.add_row(event, f"{n:,}")
    out.print(table)


@profile.command("search")
def profile_search(
    text: Annotated[str, typer.Argument(help="The beginning of an identifier or a name.")],
    workspace: WorkspaceOption,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Find people."""
    with Workspace(workspace) as ws:
        ws.flush()
        found = ws.profiles.search(text, purpose=purpose)
        ws.journal.note(
            asked_by="cli", route="tillit profile search", purpose=purpose or "service", n_profiles=len(found)
        )
    if json:
        show({"profiles": found})
        return
    for document in found:
        print(document["id"], "  ".join(f"{i['namespace']}:{i['value']}" for i in document["identifiers"][:4]))


@profile.command("count")
def profile_count(
    workspace: WorkspaceOption,
    purpose: PurposeOption = None,
    channel: Annotated[str, typer.Option(help="One of the purpose's channels.")] = "",
    jurisdiction: Annotated[str, typer.Option(help="Whose law counts, such as US-CA.")] = "",
    json: JsonOption = False,
) -> None:
    """Count everybody, and those of them whom a purpose may use now."""
    with Workspace(workspace) as ws:
        ws.flush()
        scope = ws.scope(purpose, asked_by="cli", channel=channel, jurisdiction=jurisdiction)
        found = ws.permissions.count(scope)
    if json:
        show({"purpose": scope.purpose, **found._asdict(), "withheld": found.withheld})
        return
    print(
        f"{found.permitted:,} of {found.people:,} people may be used for {scope.purpose}; {found.withheld:,} may not."
    )


@events.command("tail")
def events_tail(
    workspace: WorkspaceOption,
    n: Annotated[int, typer.Option("-n", help="How many past events to begin with.")] = 10,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f", help="Wait for more.")] = True,
    json: JsonOption = False,
) -> None:
    """Print events as they arrive, one a line."""
    with Workspace(workspace) as ws:
        scope = ws.scope(asked_by="cli")
        ws.journal.note(asked_by="cli", route="tillit events tail", purpose=scope.purpose, n_profiles=0)
        position = _before_last(ws, n)
        while True:
            with contextlib.suppress(BusyError):
                ws.flush()  # what is not applied yet is nobody's, and nobody can have agreed to it
            # Leave is asked for again at each look: somebody may have withdrawn it.
            found, position = ws.events.applied(position, ws.scope(asked_by="cli"), limit=_TAIL_ROWS)
            for _, event in found:
                _print_event(event, json=json)
            if position < ws.log.head():
                continue
            if not follow:
                return
            sys.stdout.flush()
            time.sleep(0.1)


def _before_last(ws: Workspace, n: int) -> int:
    """Give the position after which there are `n` events, or all of them."""
    floor = ws.log.first_position() - 1
    end, n_left = ws.log.head(), n
    while end > floor and n_left > 0:
        start = max(end - _TAIL_ROWS, floor)
        places = [row.position for row in ws.log.read(start, end - start) if row.kind == KIND_EVENT]
        if len(places) >= n_left:
            return places[-n_left] - 1
        end, n_left = start, n_left - len(places)
    return end


def _print_event(event: dict[str, Any], *, json: bool) -> None:
    if json:
        print(msgspec.json.encode(event).decode())
    else:
        print(f"{event['event_at']}  {event['source']:<12} {event['type']:<9} {event['name'] or ''}")


@quarantine.command("list")
def quarantine_list(
    workspace: WorkspaceOption,
    limit: Annotated[int, typer.Option(help="Most rows.")] = 50,
    json: JsonOption = False,
) -> None:
    """List events that could not be taken, newest first."""
    with Workspace(workspace) as ws:
        found = [_quarantine_document(kept) for kept in ws.quarantine.rows(limit=limit)]
    if json:
        show({"quarantine": found})
        return
    for row in found:
        print(
            f"{row['quarantine_id']}  {row['received_at'][:19]}Z  {row['source']}  {row['code']}  {row['reason']}"
            + ("  (replayed)" if row["replayed"] else "")
        )


def _quarantine_document(kept: Any) -> dict[str, Any]:
    return {
        "quarantine_id": kept.quarantine_id,
        "received_at": rfc3339(kept.received_at),
        "source": kept.source,
        "code": kept.code,
        "reason": kept.reason,
        "message_id": kept.message_id,
        "n_bytes": len(kept.raw),
        "replayed": kept.replayed_position is not None,
    }


@quarantine.command("replay")
def quarantine_replay(
    workspace: WorkspaceOption,
    ids: Annotated[
        list[int] | None, typer.Argument(help="Which; all that were not replayed when none is named.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Judge quarantined events again under today's rules; those that pass go into the log."""
    with Workspace(workspace) as ws:
        outcome = ws.quarantine.replay(ids)
        ws.flush()
    if json:
        show({"replayed": outcome.n_replayed, "still_refused": outcome.n_refused})
    else:
        print(f"+{outcome.n_replayed:,} events, {outcome.n_refused:,} still refused")


@app.command()
def doctor(workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """Say how the workspace is, and when the disk will be full."""
    with Workspace(workspace) as ws:
        report = examine(ws)
    if json:
        show(report.as_document())
    else:
        for line in report.lines():
            print(line)
    raise typer.Exit(0 if report.is_well else 1)


@app.command()
def rebuild(
    workspace: WorkspaceOption,
    check: Annotated[bool, typer.Option("--check", help="Only compare with the live state.")] = False,
    json: JsonOption = False,
) -> None:
    """Fold the log anew; with --check, compare and change nothing."""
    if not check and discard_unreadable_state(workspace):
        talk.print("The state could not be read and was thrown away.")
    with Workspace(workspace) as ws:
        if not check:
            with _progress(ws) as bar:
                position = ws.folding.rebuild(bar)
            print(f"State folded anew up to position {position:,}.")
            return
        ws.flush()
        with _progress(ws) as bar:
            found = ws.folding.check(bar)
    if json:
        show({"differences": [str(d) for d in found]})
    elif found:
        print(f"The live state differs from the fold of the log, first in {len(found)} rows:")
        for difference in found:
            print(f"  {difference}")
    else:
        print("No difference: the live state equals the fold of the log.")
    raise typer.Exit(1 if found else 0)


class _progress:  # noqa: N801 -- reads as a verb in `with`
    """A bar over log rows with rate and time left, on stderr."""

    def __init__(self, ws: Workspace) -> None:
        self._total = ws.folding.position() or ws.log.head()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]} rows/s"),
            TimeRemainingColumn(),
            console=talk,
        )
        self._n = 0

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task("folding", total=self._total, rate="-")
        return self

    def __call__(self, applied: Any) -> None:
        self._n += applied.n_rows
        speed = self._bar.tasks[0].speed
        self._bar.update(self._task, completed=self._n, rate=f"{speed:,.0f}" if speed else "-")

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


@app.command()
def forget(
    workspace: WorkspaceOption,
    event_ids: Annotated[list[str], typer.Argument(help="Event ids, such as e1-42.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this only what would happen is said.")] = False,
) -> None:
    """Forget events: no byte of them stays in log, state or lake."""
    positions = []
    for event_id in event_ids:
        _, dash, position = event_id.partition("-")
        if not dash or not position.isdigit():
            raise InputError(f"{event_id[:32]!r} is not an event id. They look like e1-42.", code="cli.bad-event-id")
        positions.append(int(position))
    with Workspace(workspace) as ws:
        rows = ws.folding.rows(positions)
        n_unknown = len(set(positions)) - len(rows)
        if n_unknown:
            raise NotFound(
                f"{n_unknown:,} of these event ids are not in this workspace. Nothing was forgotten.",
                code="cli.unknown-event",
            )
        known = [position for position, row in rows.items() if row.kind == KIND_EVENT and not is_husk(row)]
        told = f"{len(known):,} event{'' if len(known) == 1 else 's'}"
        if not yes:
            print(f"Would forget {told}. Say --yes to do it; it cannot be undone.")
            return
        if known:
            ws.forget(known)
    print(f"{told} forgotten.")


@settings_app.command("explain")
def settings_explain(
    name: Annotated[str, typer.Argument(help="Such as collect.max_event_bytes.")],
    workspace: Annotated[Path | None, typer.Option("--workspace", "-w")] = None,
) -> None:
    """Say what a setting is, where it was looked for, and which place won."""
    print(explain(name, workspace))


@settings_app.command("sample")
def settings_sample() -> None:
    """Print a settings file with every setting and its default."""
    print(sample_file())


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
    customers: Annotated[int, typer.Option(help="How many customers the shop has.")] = 3_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same shop.")] = 1,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the console.")] = True,
) -> None:
    """Show a shop with six months of past, live, in a workspace that is thrown away at the end."""
    raise typer.Exit(run_demo_server(port=port, n_customers=customers, seed=seed, browser=browser, talk=talk))


@app.command()
def version() -> None:
    """Print the version."""
    print(metadata.version("tillit"))
