"""`tillit events`: what happens, as it arrives.

In:    how many past events to begin with.
Out:   events, one a line.
Never: an event of somebody who did not give leave.
"""

import contextlib
import sys
import time
from typing import Annotated, Any

import msgspec
import typer

from tillit.cli.terminal import JsonOption, PurposeOption, WorkspaceOption, reader
from tillit.errors import BusyError
from tillit.records import KIND_EVENT
from tillit.workspace import Workspace

events = typer.Typer(help="What happened.", no_args_is_help=True)

_TAIL_ROWS = 100  # log rows looked at in one go


@events.command("tail")
def events_tail(
    workspace: WorkspaceOption,
    n: Annotated[int, typer.Option("-n", help="How many past events to begin with.")] = 10,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f", help="Wait for more.")] = True,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Print events as they arrive, one a line."""
    with Workspace(workspace) as ws:
        position = _before_last(ws, n)
        while True:
            with contextlib.suppress(BusyError):
                ws.flush()  # what is not applied yet is nobody's, and nobody can have agreed to it
            # Leave is asked for again at each look: somebody may have withdrawn it.
            scope = ws.scope(purpose, asked_by=reader())
            found, position = ws.events.applied(position, scope, limit=_TAIL_ROWS)
            people = ws.events.people([place for place, _ in found], scope)
            ws.journal.note_flow(people, asked_by=scope.asked_by, route="tillit events tail", purpose=scope.purpose)
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
