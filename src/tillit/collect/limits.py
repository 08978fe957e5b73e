"""How much the door takes.

In:    the settings of [collect].
Out:   one frozen record that every check reads.
Never: a limit that cannot be changed by a setting, apart from what the protocol itself fixes.
"""

from typing import NamedTuple

from tillit.clock import MINUTE, SECOND
from tillit.settings import Collect


class Limits(NamedTuple):
    """What one request and one event may hold. The defaults are Segment's sizes."""

    event_bytes: int = 32_768
    batch_bytes: int = 512_000
    batch_events: int = 2_500
    decompressed_ratio: int = 100
    depth: int = 32
    keys: int = 512
    key_bytes: int = 128
    string_bytes: int = 8_192
    id_bytes: int = 256
    oldest_event_at: int = 315_532_800 * SECOND  # 1980-01-01
    future_tolerance_us: int = 5 * MINUTE
    ip: str = "truncate"
    # A whole body within this time, or the connection is given up: 30 s is twice what the slowest SDK itself waits.
    body_read_s: float = 30.0
    rate_per_key_per_s: int = 0  # requests; 0 is no limit


def limits_from(settings: Collect) -> Limits:
    """Take the limits out of the settings of [collect]."""
    return Limits(
        event_bytes=settings.max_event_bytes,
        batch_bytes=settings.max_batch_bytes,
        batch_events=settings.max_batch_events,
        decompressed_ratio=settings.max_decompressed_ratio,
        depth=settings.max_depth,
        keys=settings.max_keys,
        key_bytes=settings.max_key_bytes,
        string_bytes=settings.max_string_bytes,
        id_bytes=settings.max_id_bytes,
        oldest_event_at=settings.oldest_event_at,
        future_tolerance_us=settings.future_tolerance_s * SECOND,
        ip=settings.ip,
        rate_per_key_per_s=settings.rate_per_key_per_s,
    )
