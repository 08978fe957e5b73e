"""`tillit plan`, `apply`, `rules`, `purposes`: what other definitions would change, and putting them in force.

In:    files of identity rules, purposes, features, audiences, destinations, templates.
Out:   a report with sampled cases; definitions in the log, with how far they are folded.
Never: a definition in force that nobody was shown the effect of, unless they say `--yes`.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tillit.audience import AUDIENCE, FEATURE, AudienceInvalid, read_audience, read_feature
from tillit.audience import KINDS as AUDIENCE_KINDS
from tillit.cli.destinations import dry_lines
from tillit.cli.terminal import (
    ACTOR,
    JsonOption,
    PurposeOption,
    WorkspaceOption,
    evidence_line,
    find_colleague,
    print_lines,
    reader,
    show,
    talk,
)
from tillit.consent import OWN_DATA, REASONS, SECTIONS, join_policies
from tillit.deliver import DESTINATION, TEMPLATE, Destination, read_destination
from tillit.deliver.definitions import KINDS as DELIVERY_KINDS
from tillit.errors import BusyError, InputError, TillitError
from tillit.identity import RulesInvalid
from tillit.language.live import inputs_of
from tillit.profile import event_id
from tillit.records import NotReadable, read_yaml
from tillit.workspace import Workspace, people_shown
from tillit.workspace.consent import PurposesUnchanged
from tillit.workspace.rules import RulesUnchanged

FileArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A file of identity rules, a feature, an audience, a destination or a template, or a file or folder of "
        "purposes, features, audiences, destinations or templates. Without one: identity.yaml, purposes/, features/, "
        "audiences/, destinations/ and templates/ of the workspace."
    ),
]
_LOOK_S = 0.2
_DEFAULT_FILE, _DEFAULT_FOLDER = "identity.yaml", "purposes"
_OF_EACH = (
    "features",
    "audiences",
    "destinations",
    "templates",
)  # folders in which each file is a definition of its own
RULES, PURPOSES = "identity rules", "purposes"


class Definition(NamedTuple):
    """What somebody wrote, of what, under which name."""

    kind: str
    text: str
    name: str = ""
    file: str = ""


class NoDefinition(InputError):
    """There is no file of rules where it was looked for."""

    code = "definition.not-found"

    def __init__(self, path: Path) -> None:
        """Name the file, and how one comes to one."""
        super().__init__(
            f"There is no file {path.name!r} to read rules from. `tillit rules --workspace …` prints those in force: "
            "begin with them.",
            file=path.name,
        )


class Asking(NamedTuple):
    """How a plan is asked for."""

    cases: int
    purpose: str | None  # for which sampled people are shown
    is_offline: bool  # destinations are not reached
    planned: dict[str, Destination]  # destinations that come before what is planned
    texts: dict[str, str]  # and features and audiences, by kind and name


def plan(
    workspace: WorkspaceOption,
    file: FileArgument = None,
    cases: Annotated[int, typer.Option(min=0, max=200, help="How many sampled cases to show.")] = 20,
    offline: Annotated[bool, typer.Option("--offline", help="Do not try to reach destinations.")] = False,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Say what other definitions would change, on the real history; change nothing.

    Of audiences it says who would enter and who would leave.
    """
    definitions = _read(workspace, file)
    asking = Asking(cases, purpose, offline, {}, {})
    with Workspace(workspace) as ws:
        ws.flush()
        found = [(one, KINDS[one.kind].plan(ws, one, asking)) for one in definitions]
    if json:
        show(_by_kind(found))
        return
    for one, told in found:
        print_lines(KINDS[one.kind].lines(told))


def apply(
    workspace: WorkspaceOption,
    file: FileArgument = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Apply what was in force before; all but identity rules: name them too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not plan and ask first.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever looks at it later.")] = "",
    operator: Annotated[str, typer.Option("--operator", help="Who decides: a login, or a name.")] = ACTOR,
    offline: Annotated[bool, typer.Option("--offline", help="Do not try to reach destinations.")] = False,
    purpose: PurposeOption = None,
    json: JsonOption = False,
) -> None:
    """Put identity rules in force for all of history, or all else from now on, while everything goes on."""
    definitions = _to_undo(file) if undo else _read(workspace, file)
    asking = Asking(5, purpose, offline, {}, {})
    outcomes = []
    with Workspace(workspace) as ws:
        ws.flush()
        colleague = find_colleague(ws, operator)
        for one in definitions:
            kind = KINDS[one.kind]
            wanted = one._replace(text=kind.before(ws, one.name)) if undo else one
            if kind.is_in_force(ws, wanted):
                talk.print(f"{wanted.kind} {wanted.name} is in force already.")
                continue
            if not yes:
                print_lines(kind.lines(kind.plan(ws, wanted, asking)))
                typer.confirm(f"Put {kind.these} in force?", abort=True)
            try:
                status = kind.apply(ws, wanted.text, reason, colleague.operator)
            except (PurposesUnchanged, RulesUnchanged):
                if len(definitions) == 1:
                    raise
                talk.print(f"{wanted.kind} are in force already.")  # of several the others go on
                continue
            target = wanted.name or status["action"] or ""
            ws.audit.note(operator_id=colleague.actor, action=kind.action, target=target)
            outcomes.append((wanted, kind.wait(ws, status)))
    if json:
        show([status for _, status in outcomes] if len(outcomes) != 1 else outcomes[0][1])
        return
    for one, _ in outcomes:
        again = f" {one.file}" if one.name else " purposes" if one.kind == PURPOSES else ""
        print(f"In force. To go back: tillit apply{again} --undo")


def purposes(
    workspace: WorkspaceOption,
    history: Annotated[bool, typer.Option("--history", help="All that were ever applied.")] = False,
    json: JsonOption = False,
) -> None:
    """Print the purposes in force, whole; with --history, all that were ever applied."""
    with Workspace(workspace) as ws:
        ws.flush()
        if not history:
            text = ws.consent.text()
            if json:
                show({"hash": ws.consent.declared().hash, "text": text})
            else:
                print(text, end="")
            return
        told = ws.consent.history()
        names = {one.operator_id: one.login for one in ws.operators.list_all()}
    if json:
        show({"history": told})
    else:
        print_lines(_history_lines([{**one, "in_force": place == 0} for place, one in enumerate(told)], names))


def rules(workspace: WorkspaceOption, history: bool = False, json: JsonOption = False) -> None:
    """Print the identity rules, whole; with --history, all that were ever applied."""
    with Workspace(workspace) as ws:
        ws.flush()
        if history:
            told = ws.rules.history()
            names = {one.operator_id: one.login for one in ws.operators.list_all()}
            if json:
                show({"history": told})
            else:
                print_lines(_history_lines(told, names))
        elif json:
            show(ws.rules.status() | {"text": ws.rules.text()})
        else:
            print(ws.rules.text(), end="")


# -- at work


def _read(workspace: Path, file: Path | None) -> list[Definition]:
    if file is not None:
        return _ordered(_definitions(file))
    names = (_DEFAULT_FILE, _DEFAULT_FOLDER, *_OF_EACH)
    found = [path for path in (workspace / name for name in names) if path.exists()]
    if not found:
        raise NoDefinition(workspace / _DEFAULT_FILE)
    return _ordered([one for path in found for one in _definitions(path)])


def _ordered(found: list[Definition]) -> list[Definition]:
    """Put first what others name: a destination its purpose, an audience the features and audiences in it.

    What is retired comes last, whoever names it before it.
    """
    named = {(one.kind, one.name): one for one in found if one.kind in AUDIENCE_KINDS}
    told = {key: _names_of(one) for key, one in named.items()}
    depths = {key: _depth(key, {each: names for each, (names, _) in told.items()}, ()) for key in named}

    def place(one: Definition) -> tuple[bool, int, int]:
        key, kind = (one.kind, one.name), list(KINDS).index(one.kind)
        if key in told and told[key][1]:
            return True, -kind, -depths[key]
        return False, kind, depths.get(key, 0)

    return sorted(found, key=place)


Key = tuple[str, str]


def _names_of(one: Definition) -> tuple[set[Key], bool]:
    """Say what a feature or an audience names, and whether it is retired; of one that cannot be read, nothing."""
    try:
        told, node = read_audience(one.text) if one.kind == AUDIENCE else read_feature(one.text)
    except AudienceInvalid:
        return set(), False  # whoever judges it says why
    inputs = inputs_of(node)
    return {*((AUDIENCE, name) for name in inputs.audiences), *((FEATURE, name) for name in inputs.features)}, (
        told.retired
    )


def _depth(key: Key, names: dict[Key, set[Key]], within: tuple[Key, ...]) -> int:
    if key in within:
        return 0  # a circle, which whoever judges it refuses
    return 1 + max((_depth(one, names, (*within, key)) for one in names[key] & names.keys()), default=0)


def _to_undo(file: Path | None) -> list[Definition]:
    # What was in force before stands in the log; a file only says of what.
    if file is None:
        return [Definition(RULES, "")]
    if file.name == _DEFAULT_FOLDER:
        return [Definition(PURPOSES, "")]
    return _definitions(file)


def _definitions(path: Path) -> list[Definition]:
    if not path.is_dir():
        return [_definition(path)]
    files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
    if not files:
        raise NoDefinition(path)
    found = [_definition(one) for one in files]
    if all(one.name for one in found):
        return found
    return [Definition(PURPOSES, join_policies({one.name: _text(one) for one in files}))]


def _definition(path: Path) -> Definition:
    if not path.is_file():
        raise NoDefinition(path)
    text = _text(path)
    try:
        told = read_yaml(text)
    except NotReadable:
        told = None  # the rules say where
    # A template names its destination, a destination may name an audience: these are looked for first.
    kinds = (TEMPLATE, DESTINATION, AUDIENCE, FEATURE)
    kind = next((kind for kind in kinds if isinstance(told, dict) and kind in told), None)
    if kind is not None:
        return Definition(kind, text, str(told[kind]), str(path))
    is_policy = isinstance(told, dict) and bool(told.keys() & set(SECTIONS))
    return Definition(PURPOSES if is_policy else RULES, text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RulesInvalid(f"{path.name} is not written in UTF-8.") from None


def _by_kind(found: list[tuple[Definition, dict[str, Any]]]) -> Any:
    if len(found) == 1:
        return found[0][1]
    told: dict[str, Any] = {}
    for one, planned in found:
        if one.name:
            told.setdefault(f"{one.kind}s", []).append(planned)
        else:
            told[one.kind] = planned
    return told


def _plan_purposes(ws: Workspace, one: Definition, asking: Asking) -> dict[str, Any]:
    with _bar() as bar:
        task = bar.add_task("looking at everybody", total=None)
        told = ws.consent.plan(
            one.text, n_cases=asking.cases, progress=lambda at, of: bar.update(task, completed=at, total=of)
        )
    people = (case["id"] for case in told["cases"])
    ws.journal.note(people, asked_by=reader(), route="tillit plan", purpose=OWN_DATA)
    return told


def _plan_rules(ws: Workspace, one: Definition, asking: Asking) -> dict[str, Any]:
    scope = ws.scope(asking.purpose, asked_by=reader())
    with _bar() as bar:
        task = bar.add_task("folding under these rules", total=ws.folding.position())
        told = ws.rules.plan(
            one.text, scope, n_cases=asking.cases, progress=lambda at: bar.update(task, completed=at.done)
        )
    ws.journal.note(people_shown(told), asked_by=reader(), route="tillit plan", purpose=scope.purpose)
    return told


def _plan_delivery(ws: Workspace, one: Definition, asking: Asking) -> dict[str, Any]:
    with _bar() as bar:
        task = bar.add_task("looking at everybody", total=None)
        told = ws.deliveries.plan(
            one.text,
            n_cases=asking.cases,
            planned=asking.planned,
            progress=lambda at, of: bar.update(task, completed=at, total=of),
        )
    people = (case["profile_id"] or "" for case in told["cases"])
    ws.journal.note(people, asked_by=reader(), route="tillit plan", purpose=told["purpose"])
    if one.kind == DESTINATION:
        asking.planned[one.name] = destination = read_destination(one.text)
        told["check"] = None if asking.is_offline or destination.retired else _checked(ws, destination)
    return told


def _plan_audience(ws: Workspace, one: Definition, asking: Asking) -> dict[str, Any]:
    with _bar() as bar:
        bar.add_task("asking everybody's history", total=None)
        told = ws.audiences.plan(one.text, n_cases=asking.cases, planned=asking.texts)
    people = (case["profile_id"] for case in told["cases"])
    ws.journal.note(people, asked_by=reader(), route="tillit plan", purpose=told["purpose"])
    asking.texts[f"{one.kind} {one.name}"] = one.text
    return told


def _checked(ws: Workspace, destination: Destination) -> dict[str, Any]:
    try:
        checked = asyncio.run(ws.deliveries.check(destination))
    except TillitError as error:
        return {"is_well": False, "words": error.message}
    return {"is_well": checked.is_well, "words": checked.words}


def _apply_purposes(ws: Workspace, text: str, reason: str, operator: str) -> dict[str, Any]:
    return ws.consent.apply(text, reason=reason, operator=operator)


def _apply_rules(ws: Workspace, text: str, reason: str, operator: str) -> dict[str, Any]:
    return ws.rules.apply(text, reason=reason, operator=operator)


def _apply_delivery(ws: Workspace, text: str, reason: str, operator: str) -> dict[str, Any]:
    applied = ws.deliveries.apply(text, reason=reason, operator=operator)
    return {"kind": applied.kind, "name": applied.name, "action": event_id(applied.position, ws.log.epoch())}


def _apply_audience(ws: Workspace, text: str, reason: str, operator: str) -> dict[str, Any]:
    applied = ws.audiences.apply(text, reason=reason, operator=operator)
    return {"kind": applied.kind, "name": applied.name, "action": event_id(applied.position, ws.log.epoch())}


def _is_audience_in_force(ws: Workspace, one: Definition) -> bool:
    return any(told.text == one.text for told in ws.audiences.history(one.kind, one.name)[:1])


def _wait_audience(ws: Workspace, status: dict[str, Any]) -> dict[str, Any]:
    """Wait until everybody was asked under a new definition."""
    name = status["name"]
    if status["kind"] != AUDIENCE or name not in ws.audiences.definitions().audiences:
        return status
    with _bar() as bar:
        task = bar.add_task("asking everybody's history", total=None)
        while (health := ws.audiences.health(name)).state == "filling":
            bar.update(task, completed=health.done, total=health.of)
            time.sleep(_LOOK_S)
            with contextlib.suppress(BusyError):
                ws.flush()  # whoever folded may be gone: then it is done here
    return {**status, "state": health.state, "members": ws.memberships.count(name)}


def _is_delivery_in_force(ws: Workspace, one: Definition) -> bool:
    return any(told.text == one.text for told in ws.deliveries.history(one.kind, one.name)[:1])


def _wait(ws: Workspace, status: dict[str, Any]) -> dict[str, Any]:
    if status["in_force"]:
        return status
    with _bar() as bar:
        task = bar.add_task("folding under these rules", total=status["of"])
        while not status["in_force"]:
            time.sleep(_LOOK_S)
            with contextlib.suppress(BusyError):
                ws.flush()  # whoever folded may be gone: then it is done here
            status = ws.rules.status()
            bar.update(task, completed=status["done"], total=status["of"])
    return status


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=talk
    )


def plan_lines(told: dict[str, Any]) -> Iterator[str]:
    """Write a plan for a terminal."""
    before, after = told["people"]["before"], told["people"]["after"]
    yield f"Looked at {told['position']:,} rows of history."
    yield f"People: {before:,} now, {after:,} under these rules; {told['affected_people']:,} of them would change."
    yield f"  {told['merged_people']:,} would become {told['merges']:,}; {told['splits']:,} would part."
    if told["devices_changing_hands"]:
        yield f"  {told['devices_changing_hands']:,} devices would be somebody else's."
    for words, counts in (("no longer stand for", "no_longer_counting"), ("begin to stand for", "beginning_to_count")):
        for namespace, n in told[counts].items():
            yield f"  {n:,} of {namespace} would {words} a person."
    for what in ("soft", "refused"):
        links = told[f"{what}_links"]
        yield f"Links that are {what}: {links['before']:,} now, {links['after']:,} under these rules."
    if told["largest"]:
        yield "Largest people made of several:"
        for one in told["largest"]:
            yield f"  {one['identifiers']:,} identifiers of {one['people']:,} people: {_people(one['of'])}"
    if told["cases"]:
        yield f"{len(told['cases'])} cases, sampled:"
    for case in told["cases"]:
        if case["kind"] == "merge":
            yield f"  + {case['people_before']} people would become one: {_people(case['of'])}"
        else:
            parts = ", ".join(case["identifiers"])
            yield f"  - {_people(case['of'])} would become {case['people_after']} people: {parts}"
        for one in case["evidence"]:
            yield f"      {evidence_line(one['a'], one['b'], one)}" + (f": {one['reason']}" if one["reason"] else "")


def purpose_lines(told: dict[str, Any]) -> Iterator[str]:
    """Write a plan of purposes for a terminal."""
    yield f"Looked at {told['people']:,} people."
    for one in told["purposes"]:
        mark = " (new)" if one["is_new"] else " (no longer declared)" if one["is_gone"] else ""
        yield f"  {one['purpose']}{mark}: {one['before']:,} people may be reached now, {one['after']:,} then" + (
            f"; {one['gained']:,} more, {one['lost']:,} no longer" if one["gained"] or one["lost"] else ""
        )
    if told["cases"]:
        yield f"{len(told['cases'])} cases, sampled:"
    for case in told["cases"]:
        yield f"  {case['id']}  {case['purpose']}: {case['before']} now, {case['after']} then"


def _people(told: list[dict[str, Any]]) -> str:
    return "; ".join(f"{one['name'] or (one['identifiers'] or ['nobody named'])[0]} ({one['id']})" for one in told)


def _history_lines(told: list[dict[str, Any]], names: dict[str, str]) -> Iterator[str]:
    for one in told:
        force = "  in force" if one["in_force"] else ""
        if one["action"] is None:
            yield f"default{force}"
        else:
            why = f": {one['reason']}" if one["reason"] else ""
            yield f"{one['action']}  {one['at']}  {names.get(one['operator'], one['operator'])}{why}{force}"


def delivery_lines(told: dict[str, Any]) -> Iterator[str]:
    """Write a plan of a destination or a template for a terminal."""
    if not told["diff"]:
        yield f"{told['kind']} {told['name']}: as it is in force."
    else:
        yield f"{told['kind']} {told['name']}, " + ("new:" if told["is_new"] else "changed:")
        yield from (f"  {line}" for line in told["diff"][0 if told["is_new"] else 2 :] if not line.startswith("@@"))
    if told["kind"] == DESTINATION:
        yield f"To {told['recipient']} for {told['purpose']} leave:"
        for theirs, ours in told["fields"].items():
            yield f"  {ours} as {theirs}"
        if told["people"] is not None:
            yield f"{told['people']:,} people would be there."
        for reason, n in told["withheld"].items():
            yield f"  {n:,} not: {reason}"
        if told["check"] is not None:
            yield f"Reached: {'yes' if told['check']['is_well'] else 'NO'}. {told['check']['words']}"
    else:
        yield f"Through {told['destination']} to {told['recipient']} for {told['purpose']}, {told['class']}, it shows:"
        yield f"  of the person {', '.join(told['fields']) or 'nothing'}"
        yield f"  of the request {', '.join(told['asks_for']) or 'nothing'}"
    if told["cases"]:
        yield f"{len(told['cases'])} cases, sampled:"
    for case in told["cases"]:
        yield from dry_lines(case)


def audience_lines(told: dict[str, Any]) -> Iterator[str]:
    """Write a plan of a feature or an audience for a terminal."""
    if not told["diff"]:
        yield f"{told['kind']} {told['name']}: as it is in force."
    else:
        yield f"{told['kind']} {told['name']}, " + ("new:" if told["is_new"] else "changed:")
        # The first two lines name the texts, the third the place.
        yield from (f"  {line}" for line in told["diff"][2:] if not line.startswith("@@"))
    yield f"It reads: {told['sentence']}"
    people = told["people"]
    if people is not None:
        yield f"{people['entering']:,} would enter, {people['leaving']:,} would leave."
        yield f"Members: {people['before']:,} now, {people['after']:,} then."
        if told["held_out"] is not None:
            yield f"Held out: {told['held_out']:,} who would be in it are left alone."
    for reason, n in told["withheld"].items():
        yield f"  {n:,} of these may not be used: {REASONS.get(reason, reason)}"
    if told["cases"]:
        yield f"{len(told['cases'])} cases, sampled:"
    for case in told["cases"]:
        yield f"  {'+' if case['change'] == 'enters' else '-'} {case['profile_id']} {case['change']}"


class Kind(NamedTuple):
    """What can be done with definitions of one kind."""

    these: str
    action: str  # as the audit names it
    plan: Callable[[Workspace, Definition, Asking], dict[str, Any]]
    lines: Callable[[dict[str, Any]], Iterator[str]]
    apply: Callable[[Workspace, str, str, str], dict[str, Any]]  # text, reason, operator
    before: Callable[[Workspace, str], str]
    is_in_force: Callable[[Workspace, Definition], bool] = lambda _, __: False  # what is applied again says so itself
    wait: Callable[[Workspace, dict[str, Any]], dict[str, Any]] = lambda _, status: status


def _delivery_kind(kind: str) -> Kind:
    return Kind(
        f"this {kind}",
        f"{kind}.apply",
        _plan_delivery,
        delivery_lines,
        _apply_delivery,
        lambda ws, name: ws.deliveries.before_last(kind, name),
        _is_delivery_in_force,
    )


def _audience_kind(kind: str) -> Kind:
    return Kind(
        f"this {kind}",
        f"{kind}.apply",
        _plan_audience,
        audience_lines,
        _apply_audience,
        lambda ws, name: ws.audiences.before_last(kind, name),
        _is_audience_in_force,
        _wait_audience,
    )


# In the order in which they are applied.
KINDS = {
    RULES: Kind(
        "these rules",
        "rules.apply",
        _plan_rules,
        plan_lines,
        _apply_rules,
        lambda ws, _: ws.rules.before_last(),
        wait=_wait,
    ),
    PURPOSES: Kind(
        "these purposes",
        "purposes.apply",
        _plan_purposes,
        purpose_lines,
        _apply_purposes,
        lambda ws, _: ws.consent.before_last(),
    ),
    **{kind: _audience_kind(kind) for kind in AUDIENCE_KINDS},
    **{kind: _delivery_kind(kind) for kind in DELIVERY_KINDS},
}
