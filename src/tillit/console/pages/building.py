"""Building an audience or a feature: rows that read as sentences, a count meanwhile, who would come and go, in force.

In:    the fields of the builder's form, or a text; what a button says; a reason.
Out:   the builder and its parts; definitions in the log.
Never: a definition in force that nobody was shown the effect of; a person whom the desk's purpose may not be shown.
"""

import re
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import yaml
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from tillit.audience import AUDIENCE, FEATURE, AudienceInvalid, Holdout
from tillit.console.belonging import changed_sentences, draw_trend, overlap_rows, reason_words
from tillit.console.desk import PART, Asking, Desk, Form
from tillit.console.drafts import (
    ROOT,
    Draft,
    Written,
    act_on,
    draft_of,
    draft_of_value,
    read_fields,
    tidy,
    tidy_value,
)
from tillit.console.leaving import changed_text
from tillit.console.naming import free_name, slug_of
from tillit.console.offered import Names
from tillit.console.pages.audiences import may_act, offers_for, titles_of
from tillit.console.pages.identity import reason_of
from tillit.errors import BusyError, InputError
from tillit.language.reading import LanguageInvalid, read_condition, read_value
from tillit.records import NotReadable, read_yaml
from tillit.workspace import find_names

_LARGEST_FORM = 700_000  # a text has at most 100,000 characters, three times over; or as many fields as rows have
_SAMPLE = 12
_CASES = 20
_OVERLAPS = 6
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_AFTER = "after."  # fields that name an audience
_TAKEN = "new"  # the address of the builder
_WEEKS = {"window": {"when": "within", "span": {"n": "90", "unit": "d"}}}

EXAMPLES: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "lapsing": (
        "Lapsing regulars",
        "Bought twice in 90 days, and nothing in the last 30",
        [
            {"kind": "event", "names": "Order Completed", "tests": [{"op": "at_least", "value": "2"}], **_WEEKS},
            {
                "kind": "event",
                "names": "Order Completed",
                "tests": [{"op": "equals", "value": "0"}],
                "window": {"when": "within", "span": {"n": "30", "unit": "d"}},
            },
        ],
    ),
    "left-cart": (
        "Left something in the cart",
        "Put something in the cart in the last 3 days, and did not buy within a day",
        [
            {
                "kind": "sequence",
                "steps": [{"names": "Product Added"}],
                "within": {"n": "3", "unit": "d"},
                "has_unless": "yes",
                "unless": {"names": "Order Completed"},
                "unless_within": {"n": "1", "unit": "d"},
            }
        ],
    ),
    "new-buyers": (
        "New this month",
        "Bought for the first time this month",
        [
            {
                "kind": "first_time",
                "names": "Order Completed",
                "window": {"when": "calendar", "unit": "month"},
            }
        ],
    ),
}


class _AudienceStale(InputError):
    """Another version was applied since a plan was made."""

    code = "console.audience-stale"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            "Somebody put another version in force since this was tried. Try it again to see what it changes."
        )


class _NameTaken(InputError):
    """A new definition would be the next version of another one."""

    code = "console.audience-name-taken"

    def __init__(self, kind: str) -> None:
        super().__init__(f"There is {'an audience' if kind == AUDIENCE else 'a feature'} of that name: choose another.")


class _NameInvalid(InputError):
    """A definition has no name, or one that is none."""

    code = "console.audience-name"

    def __init__(self) -> None:
        super().__init__(
            "Give it a title, or a name of small letters, digits and hyphens, a letter first, and not `new`."
        )


class _HalfDone(InputError):
    """Rows of a definition lack something."""

    code = "console.audience-half-done"

    def __init__(self) -> None:
        super().__init__("Something is missing yet: each row says what.")


class State(NamedTuple):
    """What somebody is building."""

    kind: str
    name: str
    title: str
    description: str
    purpose: str
    draft: Draft
    view: str = "rows"
    text: str = ""
    editing: str = ""  # the name of what is in force and edited; empty: it is new
    after: tuple[str, ...] = ()  # audiences whose members are not in it
    holdout: str = ""  # a share of everybody that is left alone, as people write it
    salt: str = ""  # by which it is drawn; empty: the name


def building_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace
    names = Names(ws.log, now=ws.now)

    def show(
        request: Asking,
        state: State,
        *,
        status: int = 200,
        fault: str = "",
        preview: Any = None,
        is_fresh: bool = False,
    ) -> Response[Any]:
        told = ws.audiences.definitions()
        written = Written(state.draft, is_value=state.kind == FEATURE)
        shown: dict[str, Any] = {
            "state": state,
            "faults": written.faults,
            "sentences": written.sentences,
            "offered": names.offered(),
            "audiences": {one: defined.audience.title or one for one, defined in sorted(told.audiences.items())
                          if one != state.editing},
            "features": {one: defined.feature.title or one for one, defined in sorted(told.features.items())},
            "purposes": titles_of(desk),
        }  # fmt: skip
        if PART in request.headers:
            return desk.page(request, "parts/builder_rows.html", **shown)
        return desk.page(
            request,
            "builder.html",
            status=status,
            here="audiences",
            fault=fault,
            preview=preview,
            is_fresh=is_fresh,
            mine=desk.acting(request).purposes,
            **shown,
        )

    def begin(request: Asking, kind: str, example: str = "") -> State:
        title, _, rows = EXAMPLES.get(example, ("", "", []))
        tidied = tidy({"rows": rows}) if kind == AUDIENCE else tidy_value()
        return State(kind, "", title, "", desk.acting(request).name, tidied)

    @get("/console/audiences/new", opt={"role": "editor"}, sync_to_thread=True)
    def new_audience(request: Asking, example: FromQuery[str] = "") -> Response[Any]:
        return show(request, begin(request, AUDIENCE, example), is_fresh=True)

    @get("/console/features/new", opt={"role": "editor"}, sync_to_thread=True)
    def new_feature(request: Asking) -> Response[Any]:
        return show(request, begin(request, FEATURE), is_fresh=True)

    def edit(request: Asking, kind: str, name: str) -> Response[Any]:
        history = ws.audiences.history(kind, name)
        if not history:
            # Says which there are.
            _ = ws.audiences.get(name) if kind == AUDIENCE else ws.audiences.feature(name)
        state = from_text(kind, history[0].text, editing=name)
        if isinstance(state, str):
            blank = State(kind, name, "", "", "", _blank(kind), "text", history[0].text, name)
            return show(request, blank, fault=state)
        return show(request, state)

    @get("/console/audiences/{name:str}/edit", opt={"role": "editor"}, sync_to_thread=True)
    def edit_audience(request: Asking, name: FromPath[str]) -> Response[Any]:
        return edit(request, AUDIENCE, name)

    @get("/console/features/{name:str}/edit", opt={"role": "editor"}, sync_to_thread=True)
    def edit_feature(request: Asking, name: FromPath[str]) -> Response[Any]:
        return edit(request, FEATURE, name)

    @post("/console/audiences/build", opt={"role": "editor"}, status_code=200, sync_to_thread=True,
          request_max_body_size=_LARGEST_FORM)  # fmt: skip
    def build(request: Asking, data: Form) -> Response[Any]:
        state, act = read_state(data), data.get("act", "")
        if act == "rows" and state.view == "text":
            found = from_text(state.kind, state.text, editing=state.editing)
            if isinstance(found, str):
                return show(request, state, status=400, fault=found)
            return show(request, found)
        if state.view == "rows":
            state = state._replace(draft=_tidied(state.kind, act_on(state.draft, act)))
        if act == "text" and state.view == "rows":
            return show(request, state._replace(view="text", text=text_of(state)))
        return show(request, state, preview=preview_of(request, state, is_whole=True) if act == "count" else None)

    # -- what it would be, meanwhile

    def rest_of(plain: Any, state: State) -> dict[str, Any]:
        """Give what takes longer than the count: the weeks before, and other audiences beside it."""
        told = ws.audiences.preview_rest(plain, state.purpose, **_beside(state))
        titles = {one: told.audience.title or one for one, told in ws.audiences.definitions().audiences.items()}
        return {
            "trend": draw_trend(told["trend"]),
            "overlaps": overlap_rows(_others(told["overlaps"], state), titles)[:_OVERLAPS],
            "near": [{**one, "title": titles.get(one["audience"], one["audience"])}
                     for one in _others(told["near"], state)],
        }  # fmt: skip

    def preview_of(request: Asking, state: State, *, is_whole: bool = False) -> dict[str, Any]:
        """Count, or say why it is not counted."""
        if state.view == "text":
            found = from_text(state.kind, state.text, editing=state.editing)
            if isinstance(found, str):
                return _uncounted(found, {})
            state = found
        written = Written(state.draft, is_value=state.kind == FEATURE)
        rows = {"faults": written.faults, "sentences": written.sentences}
        if written.faults:
            return _uncounted("", rows)
        if not may_act(desk, request, state.purpose):
            return _uncounted("Your role may not act for this purpose: choose another to see how many people it is.",
                              rows)  # fmt: skip
        if state.kind == FEATURE:
            return _uncounted("", rows) | {"is_feature": True}
        scope = ws.scope(state.purpose, asked_by=desk.session(request).asked_by)
        try:
            counts = ws.audiences.preview_count(written.plain, state.purpose, scope, sample=_SAMPLE, **_beside(state))
            rest = rest_of(written.plain, state) if is_whole else None
        except BusyError as exc:
            return _uncounted(exc.message, rows)
        except InputError as exc:
            place = written.place_of(str(exc.details.get("where", ""))) if isinstance(exc, LanguageInvalid) else ""
            if place and place != ROOT:
                rows["faults"] = {place: exc.message}
            return _uncounted(exc.message, rows)
        is_ours = desk.acting(request).name == state.purpose
        people = list(find_names(ws.profiles.find, counts["sample"] if is_ours else (), scope).items())
        # Counted anew with every change: whoever is shown again within the hour is noted once.
        desk.note(request, [one for one, _ in people], flows=True)
        return {
            **rows,
            **counts,
            "is_counted": True,
            "is_feature": False,
            "why": "",
            "sample": people,
            "withheld": reason_words(counts["withheld"]),
            "rest": rest,
            "offers": [] if is_ours else offers_for(desk, request, state.purpose),
            "is_ours": is_ours,
        }  # fmt: skip

    @post("/console/audiences/preview", opt={"role": "editor"}, status_code=200, sync_to_thread=True,
          request_max_body_size=_LARGEST_FORM)  # fmt: skip
    def preview(request: Asking, data: Form) -> Response[Any]:
        state = read_state(data)
        return desk.page(
            request, "parts/preview.html", preview=preview_of(request, state), state=state, address="/console/audiences"
        )

    @post("/console/audiences/preview/rest", opt={"role": "editor"}, status_code=200, sync_to_thread=True,
          request_max_body_size=_LARGEST_FORM)  # fmt: skip
    def preview_rest(request: Asking, data: Form) -> Response[Any]:
        state = read_state(data)
        if state.view == "text":
            found = from_text(state.kind, state.text, editing=state.editing)
            state = found if isinstance(found, State) else state
        written = Written(state.draft, is_value=state.kind == FEATURE)
        rest = None
        if not written.faults and state.kind == AUDIENCE and may_act(desk, request, state.purpose):
            # What cannot be asked was said to be so beside the count.
            with suppress(InputError, BusyError):
                rest = rest_of(written.plain, state)
        return desk.page(request, "parts/preview_rest.html", rest=rest)

    # -- before it is in force, and then

    @post("/console/audiences/plan", opt={"role": "editor"}, status_code=200, sync_to_thread=True,
          request_max_body_size=_LARGEST_FORM)  # fmt: skip
    def plan(request: Asking, data: Form) -> Response[Any]:
        state = read_state(data)
        try:
            state, text = _settled(state, ws.audiences.history)
            found = ws.audiences.plan(text, n_cases=_CASES)
        except (InputError, BusyError) as exc:
            return show(request, state, status=exc.status, fault=exc.message)
        kind, name, purpose = found["kind"], found["name"], found["purpose"]
        history = ws.audiences.history(kind, name)
        if not state.editing and history and "again" not in data:
            return show(request, state, status=400, fault=_NameTaken(kind).message)
        before = history[0].text if history else ""
        cases = []
        if desk.acting(request).name == purpose:
            scope = desk.scope(request)
            names = find_names(ws.profiles.find, [case["profile_id"] for case in found["cases"]], scope)
            cases = [
                {**case, "name": names[case["profile_id"]]} for case in found["cases"] if case["profile_id"] in names
            ]
            desk.note(request, [one["profile_id"] for one in cases])
        desk.audit(request, f"{kind}.plan", name)
        return desk.page(
            request,
            "audience_plan.html",
            here="audiences",
            kind=kind,
            slug=name,
            text=text,
            plan={**found, "withheld": reason_words(found["withheld"])},
            is_same=before == text,
            against=history[0].position if history else 0,
            said=changed_sentences(before, text, kind) if before else [],
            changes=changed_text(before, text) if before else [],
            cases=cases,
            offers=offers_for(desk, request, purpose),
            purposes=titles_of(desk),
            state=state,
        )

    @post("/console/audiences/apply", opt={"role": "editor"}, status_code=200, sync_to_thread=True,
          request_max_body_size=_LARGEST_FORM)  # fmt: skip
    def apply(request: Asking, data: Form) -> Response[Any]:
        text = _lines(data.get("text", ""))
        state = _of_text(_kind(data), text, data.get("editing", ""))
        try:
            kind, name = _kind_and_name(text)
            history = ws.audiences.history(kind, name)
            if data.get("against") != str(history[0].position if history else 0):
                raise _AudienceStale
            told = "unchanged"
            if not history or history[0].text != text:
                ws.audiences.apply(text, reason=reason_of(data), operator=desk.session(request).operator_id)
                told = "applied"
        except (InputError, BusyError) as exc:
            return show(request, state, status=exc.status, fault=exc.message)
        desk.audit(request, f"{kind}.apply", name)
        in_force = ws.audiences.definitions()
        is_there = name in (in_force.audiences if kind == AUDIENCE else in_force.features)
        return Redirect(f"/console/{kind}s{'/' + name if is_there else ''}?told={told}", status_code=303)

    return [
        new_audience, new_feature, edit_audience, edit_feature, build, preview, preview_rest, plan, apply,
    ]  # fmt: skip


def _others(rows: list[dict[str, Any]], state: State) -> list[dict[str, Any]]:
    return [one for one in rows if one["audience"] != state.editing]


def _settled(state: State, history: Any) -> tuple[State, str]:
    """Give the text that is tried. Raises InputError when rows lack something or there is no name for it."""
    if state.view == "text":
        return state, state.text
    if Written(state.draft, is_value=state.kind == FEATURE).faults:
        raise _HalfDone
    named = state.editing or state.name
    state = state._replace(name=named or free_name(slug_of(state.title), lambda one: bool(history(state.kind, one))))
    if not _NAME.fullmatch(state.name) or state.name == _TAKEN:
        raise _NameInvalid
    if not state.editing and history(state.kind, state.name):
        raise _NameTaken(state.kind)
    return state, text_of(state)


def text_of(state: State) -> str:
    """Write what is built as files have it."""
    told = {
        state.kind: state.name or slug_of(state.title),
        "title": state.title,
        "description": state.description,
        "purpose": state.purpose,
        "definition": Written(state.draft, is_value=state.kind == FEATURE).plain,
    }
    if state.kind == AUDIENCE and state.after:
        told["after"] = list(state.after)
    if state.kind == AUDIENCE and state.holdout:
        told["holdout"] = msgspec.to_builtins(_holdout(state))
    kept = {name: one for name, one in told.items() if one or name not in ("title", "description")}
    return str(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=100))


def _beside(state: State) -> dict[str, Any]:
    """Give what is said beside a definition, and the name by which a holdout is drawn."""
    name = state.editing or state.name or slug_of(state.title)
    return {"after": state.after, "holdout": _holdout(state), "name": name}


def _holdout(state: State) -> float | str | Holdout | None:
    """Give a holdout as files have it: "5" is five in a hundred."""
    told = state.holdout.strip()
    if not told:
        return None
    try:
        share: float | str = told if told.endswith("%") or "." in told else f"{int(told)}%"
        share = share if isinstance(share, str) and share.endswith("%") else float(share)
    except ValueError:
        share = told  # whoever reads it says what is wrong
    return Holdout(share=share, salt=state.salt) if state.salt else share


def _left_out(told: dict[str, Any]) -> tuple[tuple[str, ...], str, str]:
    """Give which audiences come before, the share that is held out, and by what it is drawn, from a file's values."""
    after, holdout = told.get("after"), told.get("holdout")
    names = tuple(one for one in after if isinstance(one, str)) if isinstance(after, list) else ()
    share, salt = (holdout.get("share"), holdout.get("salt")) if isinstance(holdout, dict) else (holdout, "")
    return names, "" if share is None else str(share), salt if isinstance(salt, str) else ""


def from_text(kind: str, text: str, *, editing: str) -> State | str:
    """Read a text into rows, or say why it cannot be."""
    try:
        told = read_yaml(text)
        if not isinstance(told, dict):
            return f"The text wants names with values behind them: `{kind}:`, `purpose:`, `definition:`."
        definition = told.get("definition")
        draft = draft_of(read_condition(definition)) if kind == AUDIENCE else draft_of_value(read_value(definition))
    except NotReadable as exc:
        return f"The text is {exc}"
    except InputError as exc:
        return exc.message
    name, title, description, purpose = (
        one if isinstance(one := told.get(key), str) else "" for key in (kind, "title", "description", "purpose")
    )
    after, holdout, salt = _left_out(told)
    return State(
        kind, name, title, description, purpose, _tidied(kind, draft), editing=editing, after=after, holdout=holdout,
        salt=salt,
    )  # fmt: skip


def read_state(data: Form) -> State:
    """Read what somebody builds from the fields of the form."""
    kind, editing = _kind(data), data.get("editing", "")[:63]
    texts = {key: data.get(key, "").strip() for key in ("name", "title", "description", "purpose")}
    if data.get("view") == "text":
        return _of_text(kind, _lines(data.get("text", "")), editing)
    after = tuple(sorted(one.removeprefix(_AFTER) for one in data if one.startswith(_AFTER)))
    holdout, salt = data.get("holdout", "").strip()[:20], data.get("salt", "").strip()[:200]
    draft = _tidied(kind, read_fields(data))
    return State(kind, **texts, draft=draft, editing=editing, after=after, holdout=holdout, salt=salt)


def _of_text(kind: str, text: str, editing: str) -> State:
    found = from_text(kind, text, editing=editing)
    blank = State(kind, editing, "", "", "", _blank(kind)) if isinstance(found, str) else found
    return blank._replace(view="text", text=text, editing=editing)


def _kind_and_name(text: str) -> tuple[str, str]:
    try:
        told = read_yaml(text)
    except NotReadable as exc:
        raise AudienceInvalid("This text", f"it is {exc}") from None
    for kind in (AUDIENCE, FEATURE):
        if isinstance(told, dict) and isinstance(told.get(kind), str):
            return kind, told[kind]
    raise AudienceInvalid("This text", f"it names neither `{AUDIENCE}:` nor `{FEATURE}:`.")


def _tidied(kind: str, draft: Any) -> Draft:
    return tidy(draft) if kind == AUDIENCE else tidy_value(draft)


def _blank(kind: str) -> Draft:
    return _tidied(kind, {})


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _kind(data: Form) -> str:
    return FEATURE if data.get("kind") == FEATURE else AUDIENCE


def _uncounted(why: str, rows: dict[str, Any]) -> dict[str, Any]:
    return {"is_counted": False, "is_feature": False, "why": why, "faults": {}, "sentences": {}, **rows}
