"""The portal: what people and providers reach without a key.

In:    a workspace.
Out:   the page to unsubscribe; what providers tell of our messages.
Never: a change by looking; a word about who somebody is.
"""

from tillit.portal.app import Portal, create_portal

__all__ = ["Portal", "create_portal"]
