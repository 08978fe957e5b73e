"""The desk: what every page needs, and who sits at it.

In:    a request that the gate let through.
Out:   the operator who asks, what they act for, leave to read, rendered pages, notes in the ledger and in the audit.
Never: a page rendered for nobody in particular; a read of personal values without a note.
"""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, cast

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.enums import MediaType, RequestEncodingType
from litestar.params import Body

from tillit.access import ConsoleSessions, Detail, Opening, Provider
from tillit.clock import rfc3339
from tillit.console.acting import Acting, PurposeMissing, acting_of
from tillit.console.render import Pages
from tillit.console.sessions import Session
from tillit.console.views import operator_name
from tillit.records import BREAK_GLASS, Scope
from tillit.workspace import Workspace, subjects_of

BREAKS_GLASS = "admin"  # the role that may look without leave; taste
WHO = "tillit.session"  # where the gate leaves the session in an ASGI scope
# Where a request keeps what is open, for all of one answer is of one moment, and whether it looks by it.
OPENED, BROKEN = "tillit.opened", "tillit.broken"
PART = "x-part"  # a script of ours asks for a part of a page

Asking = Request[Any, Any, Any]
Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


def _nobody_works() -> None:
    """Leave what waits where it is."""


class Desk:
    """What every page needs."""

    def __init__(
        self,
        workspace: Workspace,
        pages: Pages,
        *,
        start_imports: Callable[[], None] | None = None,
        start_plans: Callable[[], None] | None = None,
    ) -> None:
        """Hold them, and the provider of single sign-on when one is set up.

        `start_imports` sees to it that uploaded files that wait are worked on, `start_plans` the same of plans.
        """
        self.workspace = workspace
        self.pages = pages
        self.start_imports = start_imports if start_imports is not None else _nobody_works
        self.start_plans = start_plans if start_plans is not None else _nobody_works
        self.sessions: ConsoleSessions = workspace.sessions
        oidc = workspace.settings.console_oidc
        self.provider: Provider | None = (
            Provider(oidc, now=workspace.now, folder=workspace.paths.root) if oidc.issuer else None
        )

    @property
    def provider_name(self) -> str:
        """Say what the provider of single sign-on is called; empty without one."""
        return self.provider.name if self.provider is not None else ""

    def session(self, request: ASGIConnection[Any, Any, Any, Any]) -> Session:
        """Give the open session of a request; pages behind the gate always have one."""
        return cast("Session", cast("dict[str, Any]", request.scope)[WHO])

    def address(self, request: ASGIConnection[Any, Any, Any, Any]) -> str:
        """Give the address that the browser knows us by: scheme and host, as set or as asked."""
        set_up = self.workspace.settings.console.public_url
        return set_up or f"{request.url.scheme}://{request.headers.get('host', '127.0.0.1:8000')}"

    def acting(self, request: ASGIConnection[Any, Any, Any, Any]) -> Acting:
        """Say what whoever sits at the desk acts for."""
        return acting_of(self.workspace.consent.declared(), self.session(request))

    def opened(self, request: ASGIConnection[Any, Any, Any, Any]) -> Opening | None:
        """Give what is open without leave in the session, and of whom it was opened: who changed since is not."""
        scope = cast("dict[str, Any]", request.scope)
        if OPENED not in scope:
            scope[OPENED] = self._find_opened(self.session(request))
        return cast("Opening | None", scope[OPENED])

    def _find_opened(self, session: Session) -> Opening | None:
        opening = self.workspace.openings.find_open(session.session_id) if session.may(BREAKS_GLASS) else None
        if opening is None:
            return None
        membership = self.workspace.profiles.membership(opening.profile_id)
        # Of whom they became one with since it was opened, nothing was said.
        return opening if membership is not None and opening.is_of(subjects_of(membership)) else None

    def opened_of(self, request: ASGIConnection[Any, Any, Any, Any], profile_id: str) -> Opening | None:
        """Give what is open now if it is this person's."""
        opening = self.opened(request) if profile_id and ":" not in profile_id else None
        if opening is None:
            return None
        membership = self.workspace.profiles.membership(profile_id)
        return opening if membership is not None and membership.profile_id == opening.profile_id else None

    def scope(self, request: Asking, profile_id: str = "") -> Scope:
        """Ask for leave to read, in the name of whoever sits at the desk, for what they act for.

        Of somebody whom they opened without leave, when a page about that person asks. Raises PurposeMissing.
        """
        session = self.session(request)
        opening = self.opened_of(request, profile_id)
        if opening is not None:
            cast("dict[str, Any]", request.scope)[BROKEN] = True
            return self.workspace.break_glass_scope(opening.profile_id, asked_by=session.asked_by)
        acting = self.acting(request)
        if not acting.name:
            raise PurposeMissing(session.role)
        return self.workspace.scope(acting.name, asked_by=session.asked_by)

    def page(self, request: Asking, name: str, status: int = 200, **shown: Any) -> Response[str]:
        """Render one page, or a part of one, for whoever asked."""
        me = self.session(request)
        opening = self.opened(request)
        # Where a form of the frame leads back to: what was not found is not repeated, what a form answered is no page.
        here = request.url.path if request.method == "GET" and status == 200 else "/console"
        html = self.pages.render(
            name,
            me=me,
            acting=self.acting(request) if me.operator_id else None,
            opening=opening,
            opened_until=rfc3339(opening.until) if opening is not None else "",
            colleague=self.colleague,
            theme=request.cookies.get("tillit_theme", ""),
            **{"address": here, **shown},
        )
        return Response(html, status_code=status, media_type=MediaType.HTML)

    def colleague(self, operator_id: str) -> str:
        """Say what to call an operator: their name, or what an act was signed with where it is no operator's id."""
        return operator_name(self.workspace, operator_id)

    def note(self, request: Asking, people: Iterable[str], *, flows: bool = False, purpose: str = "") -> None:
        """Note in the ledger, under the route's template, whose values are shown; of what flows by once an hour.

        For what they act for when no purpose is named.
        Raises: AccessesBehind, PurposeMissing: then they are not shown.
        """
        told = list(people)
        asked_by = self.session(request).asked_by
        route = cast("dict[str, Any]", request.scope)["path_template"]
        journal = self.workspace.journal
        opening = self.opened(request)
        if opening is not None and BROKEN in request.scope:
            opened = [one for one in told if self.opened_of(request, one) is not None]
            told = [one for one in told if one not in opened]
            journal.note(
                opened, asked_by=asked_by, route=route, purpose=BREAK_GLASS, break_glass=True, reason=opening.reason
            )
        purpose = purpose or self.acting(request).name
        if told and not purpose:
            raise PurposeMissing(self.session(request).role)
        (journal.note_flow if flows else journal.note)(told, asked_by=asked_by, route=route, purpose=purpose)

    def audit(
        self, request: Asking, action: str, target: str = "", *, outcome: str = "done", **details: Detail
    ) -> None:
        """Note what the operator did: a dotted action such as `key.revoke`, the id of what it was done to."""
        self.workspace.audit.note(
            operator_id=self.session(request).operator_id,
            action=action,
            target=target,
            outcome=outcome,
            details=details,
        )
