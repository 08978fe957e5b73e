"""The demo: some weeks of a shop's past in a few seconds, then its present at a pace that eyes can follow.

In:    a served workspace and its two keys.
Out:   traffic through the real protocol until told to stop.
Never: a past told twice: a workspace that has events already is given only the present.
"""

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

from tillit import clock
from tillit.simulate.send import Sender
from tillit.simulate.shop import Shop
from tillit.store import Log
from tillit.workspace import Paths

HISTORY_DAYS = 21
_START_S = 60.0  # the web processes may still be starting
_HISTORY_BUDGET_S = 12.0  # a newcomer waits for the first page this long at most
_MOST_VISITS = 2_400  # about 20,000 events: some seconds on two cores
_BLOCK = 400  # messages per request or two
# Events per second, swinging between the two: 10 on the whole, never a metronome.
_RATE = (5.0, 18.0)
_SWING_S = 40.0


def run_demo(
    workspace_dir: Path,
    *,
    base_url: str,
    public_key: str,
    secret_key: str,
    n_customers: int = 300,
    seed: int = 7,
    stop: threading.Event,
    told: Callable[[str], None] | None = None,
    now: Callable[[], int] = clock.now_us,
) -> int:
    """Send the shop's past, then its present until `stop` is set; say how many events were taken.

    `told` is given one line when the past is in.
    Raises: DemoRefused when a key is not taken; ServerGone when nothing answers for some seconds.
    """
    began_at = now()
    shop = Shop(seed, n_customers, run=str(began_at))
    with closing(Sender(base_url, public_key=public_key, secret_key=secret_key, now=now, stop=stop)) as sender:
        sender.wait(_START_S)
        n_taken = 0
        if not _has_events(workspace_dir):
            n_taken = _send_history(shop, sender, now=began_at, stop=stop)
            if told is not None:
                told(f"{n_taken:,} events of the last {HISTORY_DAYS} days are in; the shop is open")
        return n_taken + _send_live(shop, sender, now=now, stop=stop, seed=seed)


def _has_events(workspace_dir: Path) -> bool:
    with closing(Log.open(Paths(workspace_dir).log, read_only=True)) as log:
        return any(row.kind == 1 for row in log.read(0, 100))


def _send_history(shop: Shop, sender: Sender, *, now: int, stop: threading.Event) -> int:
    deadline = clock.monotonic_s() + _HISTORY_BUDGET_S
    n_visits = min(_MOST_VISITS, max(60, shop.n_customers * 4))
    said = list(shop.history(HISTORY_DAYS, now=now, n_visits=n_visits))
    n_taken = n_sent = 0
    while n_sent < len(said) and not stop.is_set():
        if clock.monotonic_s() >= deadline:
            # A slow machine misses some of the past, but not the last hours: they join up with the present.
            n_taken += sender.send(said[-_BLOCK:])
            break
        n_taken += sender.send(said[n_sent : n_sent + _BLOCK])
        n_sent += _BLOCK
    return n_taken


def _send_live(shop: Shop, sender: Sender, *, now: Callable[[], int], stop: threading.Event, seed: int) -> int:
    rng = Random(f"tillit pace {seed}")
    happening = shop.live(now=now)
    low, high = _RATE
    rate = low
    n_taken = 0
    swing_at = clock.monotonic_s()
    for said in happening:
        if clock.monotonic_s() >= swing_at:
            rate = rng.uniform(low, high)
            swing_at = clock.monotonic_s() + rng.uniform(0.2, 0.5) * _SWING_S
        if stop.wait(min(rng.expovariate(rate), 1.0)):
            break
        n_taken += sender.send_one(said)
    return n_taken
