"""`tillit serve`, `tillit console link`: a workspace served, and the way in for staff.

In:    an address; a login.
Out:   a served workspace until Ctrl-C or SIGTERM; a link that signs in once.
Never: a link in a server's output once somebody can sign in without it.
"""

from typing import Annotated

import typer

from tillit.cli.serve import Server
from tillit.cli.terminal import WorkspaceOption, talk
from tillit.settings import Settings
from tillit.workspace import Workspace

console = typer.Typer(help="The pages for staff.", no_args_is_help=True)


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


@console.command("link")
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
