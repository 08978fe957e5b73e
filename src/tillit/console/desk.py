"""The desk: what every page needs, and who sits at it.

In:    a request that the gate let through.
Out:   the operator who asks, leave to read, rendered pages, notes in the journal.
Never: a page rendered for nobody in particular; a read of personal values without a note.
"""

from typing import Annotated, Any, cast

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.enums import MediaType, RequestEncodingType
from litestar.params import Body

from tillit.console.render import Pages
from tillit.console.sessions import Session, Sessions
from tillit.records import Permit
from tillit.workspace import Workspace

PURPOSE = "service"
WHO = "tillit.session"  # where the gate leaves the session in an ASGI scope
PART = "x-part"  # a script of ours asks for a part of a page

Asking = Request[Any, Any, Any]
Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


class Desk:
    """What every page needs."""

    def __init__(self, workspace: Workspace, pages: Pages, sessions: Sessions) -> None:
        """Hold the three."""
        self.workspace = workspace
        self.pages = pages
        self.sessions = sessions

    def session(self, request: ASGIConnection[Any, Any, Any, Any]) -> Session:
        """Give the open session of a request; pages behind the gate always have one."""
        return cast("Session", cast("dict[str, Any]", request.scope)[WHO])

    def permit(self, request: Asking) -> Permit:
        """Ask for leave to read, in the name of whoever sits at the desk."""
        return self.workspace.permit(PURPOSE, asked_by=self.session(request).asked_by)

    def page(self, request: Asking, name: str, status: int = 200, **shown: Any) -> Response[str]:
        """Render one page, or a part of one, for whoever asked."""
        html = self.pages.render(name, me=self.session(request), theme=request.cookies.get("tillit_theme", ""), **shown)
        return Response(html, status_code=status, media_type=MediaType.HTML)

    def note(self, request: Asking, n_profiles: int, profile_id: str = "") -> None:
        """Note in the journal, under the route's template, that personal values were shown."""
        if n_profiles:
            self.workspace.journal.note(
                asked_by=self.session(request).asked_by,
                route=cast("dict[str, Any]", request.scope)["path_template"],
                purpose=PURPOSE,
                profile_id=profile_id,
                n_profiles=n_profiles,
            )

    def audit(self, request: Asking, act: str, *, target: str, **facts: Any) -> None:
        """Note what an operator did. Merge: the audit table brings the real one; this one notes nothing."""
