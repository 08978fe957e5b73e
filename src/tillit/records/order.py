"""Order numbers: what shops call them in the properties of an event.

In:    nothing.
Out:   `OrderNumbers`, read with every event.
Never: a guess at what else may be a number of an order.
"""

from typing import Any

import msgspec


class OrderNumbers(msgspec.Struct, gc=False):
    """What the fold reads of an event's properties."""

    order_id: Any = None
    orderId: Any = None
    order_number: Any = None
    orderNumber: Any = None
    order_no: Any = None
    orderNo: Any = None
    order_name: Any = None
    orderName: Any = None


NO_ORDER = OrderNumbers()
