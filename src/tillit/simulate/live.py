"""The demo's shop: its past written straight in, then its present through the protocol, at a pace eyes can follow.

In:    a served workspace and a key for each source.
Out:   history, then traffic through the real protocol until told to stop; the truth of both.
Never: a past told twice: a workspace that has events already is given only the present.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random

from tillit import clock
from tillit.simulate.circles import keep_circles
from tillit.simulate.desk import file_requests
from tillit.simulate.history import has_events, write_history
from tillit.simulate.letters import Letters
from tillit.simulate.send import Sender
from tillit.simulate.shop import HISTORY_DAYS, Shop
from tillit.simulate.truth import Truth, rows_of, truth_path
from tillit.simulate.voices import Said, Scene
from tillit.workspace import Workspace

_START_S = 60.0  # the web processes may still be starting
# Events per second, swinging between the two: 10 on the whole, never a metronome.
_RATE = (5.0, 18.0)
_SWING_S = 40.0
_NOTED = 20  # messages between two notes in the truth


def run_demo(
    workspace_dir: Path,
    *,
    base_url: str,
    keys: Mapping[str, str],
    n_customers: int = 3_000,
    seed: int = 7,
    stop: threading.Event,
    mails: Path | None = None,
    told: Callable[[str], None] | None = None,
    now: Callable[[], int] = clock.now_us,
) -> int:
    """Give the shop its past, then its present until `stop` is set; say how many events were taken.

    `told` is given one line when the past is in. With a folder for `mails` the shop writes to its customers.
    Raises: DemoRefused when a key is not taken; ServerGone when nothing answers for some seconds.
    """
    began_at = now()
    n_taken = 0
    path = truth_path(workspace_dir)
    with ExitStack() as held:
        ws = held.enter_context(Workspace(workspace_dir))
        past: int | None = None  # where the log ends with a past at whose desk nobody has asked yet
        if has_events(ws):
            truth = Truth(path) if path.exists() else Truth.begin(path, Shop(seed, n_customers, end=began_at))
        else:
            truth = Truth.begin(path, Shop(seed, n_customers, end=began_at))
            n_taken = write_history(ws, truth.shop(), truth, at_once=True).n_events
            if told is not None:
                told(f"{n_taken:,} events of the last {HISTORY_DAYS} days are in; the shop is open")
            past = ws.log.head()
        held.enter_context(closing(truth))
        sender = held.enter_context(closing(Sender(base_url, keys=keys, now=now, stop=stop)))
        sender.wait(_START_S)
        shop = truth.shop()
        letters = Letters(ws, mails, shop) if mails is not None else None

        def look_up() -> None:
            """Let customers ask at the desk once the past is folded: nobody is known before."""
            nonlocal past
            if past is not None and ws.folding.position() >= past:
                past = None
                file_requests(ws, shop)
                keep_circles(ws)
                if letters is not None:
                    letters.open()

        def hear(said: Said) -> None:
            if letters is not None and past is None:
                letters.hear(said)

        return n_taken + _send_live(truth, sender, shop, look_up, hear, now=now, stop=stop, run=str(began_at))


def _send_live(
    truth: Truth,
    sender: Sender,
    shop: Shop,
    look_up: Callable[[], None],
    hear: Callable[[Said], None],
    *,
    now: Callable[[], int],
    stop: threading.Event,
    run: str,
) -> int:
    rng = Random(f"tillit pace {shop.seed}")
    scene = Scene()
    low, high = _RATE
    rate = low
    n_taken = 0
    swing_at = clock.monotonic_s()
    noted: list[Said] = []
    newcomers: set[int] = set()
    try:
        for said in shop.live(scene, now=now, run=run):
            if clock.monotonic_s() >= swing_at:
                rate = rng.uniform(low, high)
                swing_at = clock.monotonic_s() + rng.uniform(0.2, 0.5) * _SWING_S
            if stop.wait(min(rng.expovariate(rate), 1.0)):
                break
            if said.person >= shop.n_customers and said.person not in newcomers:
                truth.add_lives(rows_of([shop.life(said.person)]))
                newcomers.add(said.person)
            # Noted even when the server fails us now: it may have taken it.
            noted.append(said)
            n_taken += sender.send_one(said)
            hear(said)
            if len(noted) >= _NOTED:
                _note(truth, noted, scene)
                look_up()
    finally:
        _note(truth, noted, scene)
    return n_taken


def _note(truth: Truth, noted: list[Said], scene: Scene) -> None:
    truth.add_said(noted, scene.held)
    noted.clear()
    scene.held.clear()
