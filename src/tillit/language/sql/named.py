"""Named: what a definition calls by its name is written in the place of the name.

In:    the audiences and features that are there.
Out:   each as it is written, wherever it is named.
Never: a circle.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from tillit.errors import InputError
from tillit.language.nodes import Condition, Value

_T = TypeVar("_T")
_W = TypeVar("_W")


class UnknownName(InputError):
    """A definition names an audience or a feature that is not there, or is part of itself."""

    code = "language.unknown-name"

    def __init__(self, kind: str, name: str, why: str) -> None:
        """Say which, and why it cannot be asked."""
        super().__init__(f"The {kind} {name[:64]!r} {why}.", name=name)


class Named:
    """The audiences and features that a question may name."""

    def __init__(self, audiences: Mapping[str, Condition], features: Mapping[str, Value]) -> None:
        """Know them."""
        self._audiences = audiences
        self._features = features
        self._within: list[tuple[str, str]] = []  # what is being written, outermost first

    def audience(self, name: str, write: Callable[[Condition], _W]) -> _W:
        """Write the audience of a name. Raises UnknownName."""
        return self._inside("audience", name, self._audiences, write)

    def feature(self, name: str, write: Callable[[Value], _W]) -> _W:
        """Write the feature of a name. Raises UnknownName."""
        return self._inside("feature", name, self._features, write)

    def _inside(self, kind: str, name: str, known: Mapping[str, _T], write: Callable[[_T], _W]) -> _W:
        if (kind, name) in self._within:
            raise UnknownName(kind, name, "is part of itself")
        if name not in known:
            raise UnknownName(kind, name, "is not defined")
        self._within.append((kind, name))
        said = write(known[name])
        self._within.pop()
        return said
