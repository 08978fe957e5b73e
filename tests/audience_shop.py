"""A shop with audiences: Ana and Cem want news, Bo said nothing; Ana and Bo buy often.

In:    an empty folder, a clock.
Out:   `make_shop`, `buy`, definitions as files hold them.
Never: a double: what is asked is the workspace as it is.
"""

from __future__ import annotations

from pathlib import Path

from tests.still_clock import Clock
from tillit.clock import rfc3339
from tillit.consent import Choice
from tillit.workspace import Workspace, create_workspace

PURPOSES = """
purposes:
  service: {title: Service, basis: contract, fields: all}
  newsletter: {title: News, basis: consent, fields: [identifiers, events, traits.firstName]}
"""
SPEND = """
feature: spend
title: Spent so far
purpose: newsletter
definition: {event: Order Completed, sum: total}
"""
REGULARS = """
audience: regulars
title: Regulars
description: Ordered twice or more.
purpose: newsletter
definition: {event: Order Completed, count: {at_least: 2}}
"""
BIG = """
audience: big
purpose: newsletter
definition:
  all:
    - audience: regulars
    - {feature: spend, at_least: 30}
"""
QUIET = """
audience: quiet
purpose: newsletter
definition:
  all:
    - audience: regulars
    - {event: Order Completed, within: 30d, count: {equals: 0}}
"""
CALLERS = """
audience: callers
purpose: service
definition: {event: Order Completed}
"""
WHO = ("ana", "bo", "cem")


def make_shop(folder: Path, clock: Clock) -> Workspace:
    """Open a workspace with people in it, and no definition yet."""
    create_workspace(folder)
    ws = Workspace(folder, now=clock.now)
    ws.consent.apply(PURPOSES, reason="", operator="kim")
    for name in WHO:
        ws.identify(user_id=name, traits={"firstName": name.title(), "email": f"{name}@example.org"})
    ws.flush()
    for name in ("ana", "cem"):
        ws.consent.set(f"user_id:{name}", [Choice("newsletter", "given")], evidence="form-1")
    for name, n in (("ana", 3), ("bo", 2), ("cem", 1)):
        for _ in range(n):
            buy(ws, clock, name)
    return ws


def buy(ws: Workspace, clock: Clock, who: str, total: float = 10.0) -> None:
    """Let somebody order; a second passes."""
    clock.go_on(1_000_000)
    ws.track(user_id=who, event="Order Completed", properties={"total": total}, timestamp=rfc3339(clock.at))
    ws.flush()


def let_pass(ws: Workspace, clock: Clock, microseconds: int) -> None:
    """Let time go by, and the engine notice."""
    clock.go_on(microseconds)
    ws.folding.engine().tick()
    ws.flush()


def apply(ws: Workspace, *texts: str) -> None:
    """Put definitions in force."""
    for text in texts:
        ws.audiences.apply(text, reason="", operator="kim")
    ws.flush()


def id_of(ws: Workspace, who: str) -> str:
    """Give somebody's profile id."""
    return ws.audiences.membership(f"user_id:{who}").profile_id
