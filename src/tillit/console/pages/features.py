"""Features: values of each person, how they are spread over everybody, where they are used, one person's value.

In:    a feature's name; from a form whom to tell the value of.
Out:   pages.
Never: a value of somebody whom the feature's purpose may not use; a text that only few people have, among the bars.
"""

from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from tillit.audience import FEATURE
from tillit.console.belonging import read_applied, retired_names, users_of, value_bars, version_rows, written
from tillit.console.desk import Asking, Desk, Form
from tillit.console.pages.audiences import offers_for, titles_of
from tillit.errors import NotFound, RefusedError
from tillit.workspace import is_refused, name_of

_VERSIONS = 30
_LONGEST_WHO = 320
_TOLD = {"applied": "In force.", "unchanged": "This is in force already: nothing changed."}


class _UnknownFeature(NotFound):
    """A feature was named that never was."""

    code = "console.unknown-feature"

    def __init__(self) -> None:
        super().__init__("There is no feature of that name. The list of features shows those that there are.")


def features_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    @get("/console/features", opt={"role": "reader"}, sync_to_thread=True)
    def list_features(request: Asking, told: FromQuery[str] = "") -> Response[str]:
        definitions = ws.audiences.definitions()
        newest = {one.name: one for one in reversed(ws.audiences.history(FEATURE))}
        rows = []
        for name, applied in sorted(newest.items()):
            read = read_applied(applied)
            broken = definitions.broken.get(f"{FEATURE} {name}", "")
            if name in definitions.features or broken:
                rows.append(
                    {
                        "name": name,
                        "title": (read.title if read is not None else "") or name,
                        "sentence": read.sentence if read is not None else "",
                        "purpose": read.purpose if read is not None else "",
                        "broken": broken,
                        "users": users_of(ws, FEATURE, name),
                    }
                )
        return desk.page(
            request,
            "features.html",
            here="audiences",
            told=_TOLD.get(told, ""),
            features=rows,
            retired=retired_names(ws, FEATURE),
            purposes=titles_of(desk),
            may_edit=desk.session(request).may("editor"),
        )

    def show(request: Asking, name: str, *, status: int = 200, told: str = "", fault: str = "", who: str = "",
             asked: Any = None) -> Response[str]:  # fmt: skip
        history = ws.audiences.history(FEATURE, name)
        if not history:
            raise _UnknownFeature
        definitions = ws.audiences.definitions()
        defined, read = definitions.features.get(name), read_applied(history[0])
        purpose = read.purpose if read is not None else ""
        spread, n_rare = None, 0
        is_ours = desk.acting(request).name == purpose
        # The least and the most of a value are somebody's own.
        if defined is not None and is_ours:
            spread = dict(ws.audiences.distribution(name, desk.scope(request)))
            n_rare = spread["rare"]
            spread["bars"] = value_bars(spread)
        return desk.page(
            request,
            "feature.html",
            status=status,
            here="audiences",
            slug=name,
            title=(read.title if read is not None else "") or name,
            description=defined.feature.description if defined is not None else "",
            text=history[0].text,
            sentence=read.sentence if read is not None else "",
            broken=definitions.broken.get(f"{FEATURE} {name}", ""),
            is_retired=read is not None and read.is_retired,
            purpose=purpose,
            purposes=titles_of(desk),
            is_ours=is_ours,
            offers=offers_for(desk, request, purpose),
            spread=spread,
            n_rare=n_rare,
            users=users_of(ws, FEATURE, name),
            versions=version_rows(history[: _VERSIONS + 1])[:_VERSIONS],
            may_edit=desk.session(request).may("editor"),
            told=told,
            fault=fault,
            who=who,
            asked=asked,
        )

    @get("/console/features/{name:str}", opt={"role": "reader"}, sync_to_thread=True)
    def show_feature(request: Asking, name: FromPath[str], told: FromQuery[str] = "") -> Response[str]:
        return show(request, name, told=_TOLD.get(told, ""))

    # Whom it is asked of travels in the body: an address may stand there.
    @post("/console/features/{name:str}/value", opt={"role": "reader"}, status_code=200, sync_to_thread=True)
    def show_value(request: Asking, name: FromPath[str], data: Form) -> Response[str]:
        defined, who = ws.audiences.feature(name), data.get("who", "").strip()[:_LONGEST_WHO]
        if desk.acting(request).name != defined.feature.purpose:
            return show(request, name, status=403, who=who, fault="Act for the purpose of the feature to see a value.")
        membership = ws.profiles.membership(who) if who else None
        if membership is None:
            return show(request, name, status=404, who=who, fault="Nobody is known by that.")
        scope = desk.scope(request)
        try:
            value = ws.audiences.value_of(name, membership, scope)["value"]
        except RefusedError as exc:
            return show(request, name, status=exc.status, who=who, fault=exc.message)
        desk.note(request, [membership.profile_id])
        document = ws.profiles.find(membership.profile_id, scope)
        person = name_of(document) if document is not None and not is_refused(document) else ""
        asked = {"value": written(value), "profile_id": membership.profile_id, "person": person}
        return show(request, name, who=who, asked=asked)

    return [list_features, show_feature, show_value]
