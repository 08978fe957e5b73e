"""Circles: the audiences and features that the simulated shop keeps.

In:    a folded workspace.
Out:   definitions in force.
Never: one that is there already: whoever tries the demo may have changed it.
"""

from typing import Any

import yaml

from tillit.audience import AUDIENCE, FEATURE
from tillit.workspace import Workspace

_OPERATOR = "maria"
_REASON = "whom we look after"

_FEATURES: tuple[dict[str, Any], ...] = (
    {
        "feature": "spent",
        "title": "Spent in a year",
        "purpose": "service",
        "definition": {"event": "Order Completed", "within": "365d", "sum": "revenue"},
    },
    {
        "feature": "favourite-channel",
        "title": "Where they buy",
        "purpose": "service",
        "definition": {"event": "Order Completed", "most_frequent": "channel"},
    },
)
_AUDIENCES: tuple[dict[str, Any], ...] = (
    {
        "audience": "regulars",
        "title": "Regulars",
        "description": "They buy again and again.",
        "purpose": "newsletter",
        "definition": {"event": "Order Completed", "within": "180d", "count": {"at_least": 3}},
    },
    {
        "audience": "lapsing-regulars",
        "title": "Regulars who stopped",
        "description": "Worth a letter: they bought often, and not for two months.",
        "purpose": "newsletter",
        "definition": {
            "all": [
                {"event": "Order Completed", "within": "365d", "count": {"at_least": 3}},
                {"event": "Order Completed", "within": "60d", "count": 0},
            ]
        },
    },
    {
        "audience": "first-week",
        "title": "New customers",
        "purpose": "service",
        "definition": {"first_time": {"event": "Order Completed", "within": "7d"}},
    },
    {
        "audience": "left-the-cart",
        "title": "Left something in the cart",
        "description": "Put something in, and did not buy within the hour.",
        "purpose": "service",
        "definition": {
            "sequence": {
                "steps": [{"event": "Product Added"}],
                "within": "2d",
                "unless": {"event": "Order Completed", "within": "1h"},
            }
        },
    },
    {
        "audience": "here-now",
        "title": "Looking around now",
        "purpose": "service",
        "definition": {"event": "Product Viewed", "within": "15m", "count": {"at_least": 2}},
    },
)


def keep_circles(ws: Workspace) -> None:
    """Put the shop's audiences and features in force, unless there are any."""
    audiences = ws.audiences
    if audiences.history(AUDIENCE) or audiences.history(FEATURE):
        return
    for told in (*_FEATURES, *_AUDIENCES):
        audiences.apply(yaml.safe_dump(told, sort_keys=False), reason=_REASON, operator=_OPERATOR)
