"""Pages for staff: what arrives, who customers are, what was turned away, where events come from.

In:    an open workspace, and the sessions of whoever was let in.
Out:   one ASGI application for everything under /console.
Never: a page without a session; a personal value in an address; a script, a style or a font from elsewhere.
"""

from tillit.console.app import create_console
from tillit.console.sessions import Sessions

__all__ = ["Sessions", "create_console"]
