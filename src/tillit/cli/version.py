"""`tillit version`.

In:    nothing.
Out:   the version.
Never: a room loaded for it.
"""

from importlib import metadata


def version() -> None:
    """Print the version."""
    print(metadata.version("tillit"))
