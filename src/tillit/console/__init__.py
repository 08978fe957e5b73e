"""Pages for staff: what arrives, who customers are, what was turned away, where events come from.

In:    an open workspace, with its operators and their sessions.
Out:   one ASGI application for everything under /console.
Never: a page without a session; a personal value in an address; a script, a style or a font from elsewhere.
"""

from tillit.console.app import create_console

__all__ = ["create_console"]
