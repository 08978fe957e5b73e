"""`tillit operators`: who may open the console, from the machine that serves it.

In:    logins and roles as arguments; a password from a prompt or from stdin.
Out:   operators; notes in the audit in the name of the command line.
Never: a password as an argument: it would stand in the shell's history and in the list of processes.
"""

import sys
from getpass import getpass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tillit.access import Detail, Operator
from tillit.cli.terminal import JsonOption, WorkspaceOption, show
from tillit.clock import rfc3339
from tillit.errors import InputError
from tillit.workspace import Workspace

operators = typer.Typer(help="Staff who may open the console.", no_args_is_help=True)

LoginArgument = Annotated[str, typer.Argument(help="Their login.")]

ACTOR = "cli"


@operators.command("create")
def operators_create(
    login: Annotated[str, typer.Argument(help="An e-mail address or a name, without spaces.")],
    workspace: WorkspaceOption,
    name: Annotated[str, typer.Option(help="What colleagues see; the login when it is not given.")] = "",
    role: Annotated[str, typer.Option(help="reader, editor or admin.")] = "reader",
    password: Annotated[bool, typer.Option("--password", help="Ask for a password, or read it from stdin.")] = False,
    json: JsonOption = False,
) -> None:
    """Make an operator. Without a password they sign in with a link or with single sign-on."""
    secret = read_password() if password else None
    with Workspace(workspace) as ws:
        made = ws.operators.create(login=login, name=name, role=role, password=secret)
        _note(ws, "operator.create", made, role=made.role)
    if json:
        show(_document(made))
    else:
        print(f"{made.operator_id} is {_article(made.role)} {made.role}.")
        if secret is None:
            told = f"tillit console link --workspace {workspace} --as {made.login}"
            print(f"To let them in: {told}", file=sys.stderr)


@operators.command("list")
def operators_list(workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """List the operators, the disabled too."""
    with Workspace(workspace) as ws:
        found = [_document(one) for one in ws.operators.list_all()]
    if json:
        show({"operators": found})
        return
    table = Table("operator", "login", "name", "role", "signs in with", "disabled")
    for one in found:
        ways = [word for word, has in (("password", one["has_password"]), ("sso", one["has_sso"])) if has]
        table.add_row(
            one["operator_id"],
            one["login"],
            one["name"],
            one["role"],
            ", ".join(ways) or "link",
            (one["disabled_at"] or "")[:10],
        )
    Console().print(table)


@operators.command("role")
def operators_role(
    login: LoginArgument,
    role: Annotated[str, typer.Argument(help="reader, editor or admin.")],
    workspace: WorkspaceOption,
) -> None:
    """Give an operator another role; their sessions end."""
    with Workspace(workspace) as ws:
        changed = ws.operators.set_role(ws.operators.get_by_login(login).operator_id, role)
        _note(ws, "operator.role", changed, role=changed.role)
    print(f"{changed.operator_id} is now {_article(changed.role)} {changed.role}.")


@operators.command("disable")
def operators_disable(login: LoginArgument, workspace: WorkspaceOption) -> None:
    """Let an operator in no more; their sessions end at once."""
    with Workspace(workspace) as ws:
        changed = ws.operators.disable(ws.operators.get_by_login(login).operator_id)
        _note(ws, "operator.disable", changed)
    print(f"{changed.operator_id} is disabled.")


@operators.command("enable")
def operators_enable(login: LoginArgument, workspace: WorkspaceOption) -> None:
    """Let a disabled operator in again."""
    with Workspace(workspace) as ws:
        changed = ws.operators.enable(ws.operators.get_by_login(login).operator_id)
        _note(ws, "operator.enable", changed)
    print(f"{changed.operator_id} is enabled.")


@operators.command("password")
def operators_password(login: LoginArgument, workspace: WorkspaceOption) -> None:
    """Set an operator's password, asked for or read from stdin; their sessions end."""
    secret = read_password()
    with Workspace(workspace) as ws:
        found = ws.operators.get_by_login(login)
        ws.operators.set_password(found.operator_id, secret)
        _note(ws, "operator.password", found)
    print(f"{found.operator_id} has a new password.")


def read_password() -> str:
    """Ask for a password twice at a terminal; else take the first line of stdin. Raises InputError."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass("Password: ")
    if getpass("Once more: ") != first:
        raise InputError("The two passwords differ. Type them once more.", code="access.passwords-differ")
    return first


def _note(ws: Workspace, action: str, operator: Operator, **details: Detail) -> None:
    ws.audit.note(operator_id=ACTOR, action=action, target=operator.operator_id, details=details)


def _article(role: str) -> str:
    return "a" if role == "reader" else "an"


def _document(operator: Operator) -> dict[str, Any]:
    return {
        **operator._asdict(),
        "created_at": rfc3339(operator.created_at),
        "disabled_at": rfc3339(operator.disabled_at) if operator.disabled_at is not None else None,
    }
