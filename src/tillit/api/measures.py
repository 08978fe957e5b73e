"""Measures of this process, as Prometheus reads them.

In:    one observation per answered request: route template, method, status, seconds.
Out:   text of the exposition format.
Never: a path, a parameter, a value: a label is a template or a word of ours.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)
_METHODS = frozenset({"GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"})
NO_ROUTE = "(none)"


class Gauge(NamedTuple):
    """One number that goes up and down."""

    name: str
    help: str
    value: float


class Measures:
    """Counts what this process answered."""

    def __init__(self) -> None:
        """Count from nothing."""
        self._requests: dict[tuple[str, str, int], int] = {}
        self._seconds: dict[str, list[float]] = {}  # per template: one count per bound, one beyond, the sum

    def note(self, template: str, method: str, status: int, seconds: float) -> None:
        """Note one answered request."""
        key = (template, method if method in _METHODS else "OTHER", status)
        self._requests[key] = self._requests.get(key, 0) + 1
        held = self._seconds.get(template)
        if held is None:
            held = self._seconds[template] = [0.0] * (len(_BOUNDS_S) + 2)
        place = 0
        for bound in _BOUNDS_S:
            if seconds <= bound:
                break
            place += 1
        held[place] += 1
        held[-1] += seconds

    def text(self, gauges: Sequence[Gauge], *, process: int) -> str:
        """Give everything in the exposition format. `process` tells web processes behind one address apart."""
        return "\n".join([*self._request_lines(process), *_gauge_lines(gauges), ""])

    def _request_lines(self, process: int) -> Iterable[str]:
        yield "# HELP tillit_api_requests_total Requests answered by this process."
        yield "# TYPE tillit_api_requests_total counter"
        for (template, method, status), n in sorted(self._requests.items()):
            labels = f'process="{process}",route="{template}",method="{method}",status="{status}"'
            yield f"tillit_api_requests_total{{{labels}}} {n}"
        yield "# HELP tillit_api_seconds Time to an answer; of a stream, until it ended."
        yield "# TYPE tillit_api_seconds histogram"
        for template, held in sorted(self._seconds.items()):
            labels = f'process="{process}",route="{template}"'
            total: float = 0
            for bound, n_within in zip((*_BOUNDS_S, "+Inf"), held[:-1], strict=True):
                total += n_within
                yield f'tillit_api_seconds_bucket{{{labels},le="{bound}"}} {total:.0f}'
            yield f"tillit_api_seconds_sum{{{labels}}} {held[-1]:.6f}"
            yield f"tillit_api_seconds_count{{{labels}}} {total:.0f}"


def _gauge_lines(gauges: Sequence[Gauge]) -> Iterable[str]:
    for gauge in gauges:
        yield f"# HELP {gauge.name} {gauge.help}"
        yield f"# TYPE {gauge.name} gauge"
        yield f"{gauge.name} {gauge.value:g}" if gauge.value < 1e6 else f"{gauge.name} {gauge.value:.0f}"
