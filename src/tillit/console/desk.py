"""The desk: what every page needs, and who sits at it.

In:    a request that the gate let through.
Out:   the operator who asks, leave to read, rendered pages, notes in the ledger and in the audit.
Never: a page rendered for nobody in particular; a read of personal values without a note.
"""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, cast

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.enums import MediaType, RequestEncodingType
from litestar.params import Body

from tillit.access import ConsoleSessions, Detail, Provider
from tillit.console.render import Pages
from tillit.console.sessions import Session
from tillit.console.views import operator_name
from tillit.records import Scope
from tillit.workspace import Workspace

PURPOSE = "service"
WHO = "tillit.session"  # where the gate leaves the session in an ASGI scope
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

    def scope(self, request: Asking) -> Scope:
        """Ask for leave to read, in the name of whoever sits at the desk."""
        return self.workspace.scope(PURPOSE, asked_by=self.session(request).asked_by)

    def page(self, request: Asking, name: str, status: int = 200, **shown: Any) -> Response[str]:
        """Render one page, or a part of one, for whoever asked."""
        html = self.pages.render(
            name,
            me=self.session(request),
            colleague=self.colleague,
            theme=request.cookies.get("tillit_theme", ""),
            **shown,
        )
        return Response(html, status_code=status, media_type=MediaType.HTML)

    def colleague(self, operator_id: str) -> str:
        """Say what to call an operator: their name, or what an act was signed with where it is no operator's id."""
        return operator_name(self.workspace, operator_id)

    def note(self, request: Asking, people: Iterable[str], *, flows: bool = False) -> None:
        """Note in the ledger, under the route's template, whose values are shown; of what flows by once an hour.

        Raises: AccessesBehind: then they are not shown.
        """
        journal = self.workspace.journal
        (journal.note_flow if flows else journal.note)(
            people,
            asked_by=self.session(request).asked_by,
            route=cast("dict[str, Any]", request.scope)["path_template"],
            purpose=PURPOSE,
        )

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
