"""What is loaded late: templates where one is rendered, couriers where one runs. What they need is heavy.

In:    nothing.
Out:   the module `deliver/templates.py`; the class of `deliver/courier.py`.
Never: loaded by whoever only folds, lists or asks.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from tillit.deliver.definitions import Template
from tillit.deliver.wire import Mail


class Needs(Protocol):
    """What a template uses."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Name the fields of a person, as purposes name them."""
        ...

    @property
    def has_unsubscribe(self) -> bool:
        """Say whether it shows the link to unsubscribe by."""
        ...

    @property
    def message(self) -> tuple[str, ...]:
        """Name what is shown of the data that a request brings."""
        ...


class Templates(Protocol):
    """What `deliver/templates.py` offers."""

    def check_template(self, template: Template) -> Needs:
        """Judge what is in a template's texts, and say what it uses. Raises DefinitionInvalid."""
        ...

    def render(
        self,
        template: Template,
        *,
        profile: Mapping[str, Any],
        message: Mapping[str, Any],
        unsubscribe_url: str,
        sender_default: str,
        recipient: str,
    ) -> Mail:
        """Fill a template of an e-mail for one person. Raises TemplateFailed."""
        ...

    def render_body(
        self, template: Template, *, profile: Mapping[str, Any], message: Mapping[str, Any], unsubscribe_url: str
    ) -> dict[str, str]:
        """Fill a template of a webhook for one person. Raises TemplateFailed."""
        ...


def load_templates() -> Templates:
    """Load what renders."""
    return cast("Templates", import_module("tillit.deliver.templates"))


def load_courier() -> Any:
    """Load what carries: the class `Courier`."""
    return import_module("tillit.deliver.courier").Courier
