"""Templates: what messages say, each version, and what one would be for a real person.

In:    a template's name; from a form a person and the data of a request.
Out:   pages; a message as it would leave, to the last byte, or why it would not.
Never: a message that leaves; a value that the page's own purpose withholds; a script or a picture from elsewhere.
"""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from tillit.consent import REASONS
from tillit.console.desk import Asking, Desk, Form
from tillit.console.leaving import history_rows, missing_words, unshown_fields
from tillit.deliver import TEMPLATE, Template
from tillit.errors import InputError
from tillit.workspace import UnknownTemplate

_HISTORY_ROWS = 30
_LARGEST_FORM = 131_072
# Mail styles itself in place, so this page alone takes such styles; pictures from elsewhere it loads none.
_OF_PREVIEW = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; object-src 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
# Beside the page's own: what is framed has no other source than itself.
_IN_FRAME = (
    '<meta http-equiv="content-security-policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
)


class _BadData(InputError):
    """The data of a message cannot be read."""

    code = "console.bad-message-data"

    def __init__(self) -> None:
        super().__init__('The data must be one JSON object, such as {"order_id": "17"}.')


def templates_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.workspace

    @get("/console/templates", opt={"role": "reader"}, sync_to_thread=True)
    def list_templates(request: Asking) -> Response[str]:
        told = ws.deliveries.definitions()
        return desk.page(
            request,
            "templates.html",
            here="deliveries",
            templates=[one for _, one in told.templates.values()],
            has_way=any(one.send == "messages" for _, one in told.destinations.values()),
            may_edit=desk.session(request).may("editor"),
        )

    def find(name: str) -> Template:
        told = ws.deliveries.definitions()
        found = told.template(name)
        if found is None:
            raise UnknownTemplate(name, sorted(told.templates))
        return found

    def show(request: Asking, name: str, *, status: int = 200, fault: str = "", told: str = "", preview: Any = None,
             who: str = "", data: str = "{}") -> Response[str]:  # fmt: skip
        one = find(name)
        declared = ws.consent.declared().purposes.get(one.purpose)
        page = desk.page(
            request,
            "template.html",
            status=status,
            here="deliveries",
            fault=fault,
            told=told,
            one=one,
            fields=ws.deliveries.renders.needed(one),
            purpose=declared.title if declared is not None else one.purpose,
            history=history_rows(ws.deliveries.history(TEMPLATE, name))[:_HISTORY_ROWS],
            preview=preview,
            who=who,
            data=data,
            may_edit=desk.session(request).may("editor"),
        )
        if preview is not None and preview.get("html"):
            page.headers["content-security-policy"] = _OF_PREVIEW
        return page

    @get("/console/templates/{name:str}", opt={"role": "reader"}, sync_to_thread=True)
    def show_template(request: Asking, name: str, told: str = "") -> Response[str]:
        words = "In force: what leaves from now on says this." if told == "applied" else ""
        return show(request, name, told=words)

    # Whom it is for and what it says besides are values: they travel in the body.
    @post("/console/templates/{name:str}/preview", opt={"role": "reader"}, status_code=200, sync_to_thread=True,
          request_max_body_size=_LARGEST_FORM)  # fmt: skip
    def preview_template(request: Asking, name: str, data: Form) -> Response[str]:
        one = find(name)
        who, text = data.get("who", "").strip()[:500], data.get("data", "").strip() or "{}"
        scope = desk.scope(request)
        document = ws.profiles.find(who, scope) if who else None
        membership = ws.profiles.membership(document["id"]) if document is not None else None
        if document is None or membership is None:
            return show(request, name, status=404, fault="Nobody is known by that.", who=who, data=text)
        try:
            said = _object(text)
            # By the identifier that was typed, as a request names it; else by the strongest.
            first = membership.identifiers[0]
            named = who if ":" in who else f"{first.namespace}:{first.value}"
            found = ws.deliveries.try_out(name, named, said)
        except InputError as exc:
            return show(request, name, status=exc.status, fault=exc.message, who=who, data=text)
        desk.note(request, [document["id"]])
        needed = (*ws.deliveries.renders.needed(one), *(() if one.body else ("identifiers.email",)))
        withheld = unshown_fields(document, scope.allows, needed)
        mail = found.outgoing.mail if found.outgoing is not None and not withheld else None
        preview = {
            "profile_id": document["id"],
            "would_leave": found.outgoing is not None,
            "why": found.words or found.code,
            "withheld": missing_words(document, withheld, REASONS),
            "fields": found.fields,
            "headers": _headers(mail),
            "text": mail.text if mail is not None else "",
            "html": f"{_IN_FRAME}{mail.html}" if mail is not None and mail.html else "",
            "body": dict(found.outgoing.payload)
            if found.outgoing is not None and mail is None and not withheld
            else {},
        }
        return show(request, name, preview=preview, who=who, data=text)

    return [list_templates, show_template, preview_template]


def _object(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        raise _BadData from None


def _headers(mail: Any) -> list[tuple[str, str]]:
    if mail is None:
        return []
    told = [("From", mail.sender), ("To", mail.recipient), ("Reply-To", mail.reply_to), ("Subject", mail.subject)]
    if mail.unsubscribe_url:
        told += [
            ("List-Unsubscribe", f"<{mail.unsubscribe_url}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ]
    return [(name, value) for name, value in told if value]
