"""The crash matrix: a courier, an engine, a receiver killed at every step, and what became of each message.

In:    `python -m tests.deliver.crash_matrix [ROUNDS]`.
Out:   a table: for each step and receiver how much was lost, doubled, and named.
Never: a kill that is only played: each is SIGKILL to a real process.

Lost: somebody's message that reached no receiver and that no list names. Doubled: one that a receiver which compares
keys would have applied twice; at a mail server, which compares nothing, one that it took twice. Named: one of which the
queue says that it may be twice, or that nobody knows whether it arrived.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.deliver.far_end import FarEnd
from tests.deliver.shop import Shop
from tillit.deliver import MESSAGE, Delivery
from tillit.deliver.courier import STEPS
from tillit.workspace import Workspace

N_PEOPLE = 6
CLASSES = ("transactional", "service", "marketing")
HTTP, SMTP = "webhook", "e-mail"


class Cell(NamedTuple):
    """What came of one kill at one kind of receiver."""

    step: str
    peer: str
    n_sent: int
    n_lost: int
    n_doubled: int
    n_named: int
    faults: list[str]


class Matrix:
    """A shop that sends everything that can be sent, to receivers in processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.hooks = FarEnd("http", folder / "hooks")
        self.mails = FarEnd("smtp", folder / "mails")
        self.folder = folder / "shop"
        self.hooks.start()
        self.mails.start()
        self.shop = Shop(self.folder)
        self._n = 0
        self._since = 0
        url = f"http://127.0.0.1:{self.hooks.port}/"
        limits = {"timeout_s": 2.0, "at_once": 4}
        for name, send in (("orders", "events"), ("people", "people"), ("notes", "messages")):
            events = {"events": ["Order Completed"]} if send == "events" else {}
            self.shop.destination(name, url, send, limits=limits, **events)
        to = {"host": "127.0.0.1", "port": self.mails.port, "tls": "none", "sender": "Shop <shop@shop.example>"}
        self.shop.apply(
            {"destination": "mail", "kind": "email", "purpose": "newsletter", "recipient": "mailer"}
            | {"send": "messages", "to": to, "limits": limits}
        )
        body = {"number": "{{ message.number }}"}
        self.shop.apply(_template("note", "service", "notes", body=body))
        for one in CLASSES:
            url = "{{ unsubscribe_url }}" if one == "marketing" else ""
            texts = {"subject": "Number {{ message.number }}", "text": f"Hello. {url}"}
            self.shop.apply(_template(f"mail-{one}", one, "mail", **texts))
        self.shop.people(range(N_PEOPLE))
        self.shop.run()

    def close(self) -> None:
        """End what runs."""
        self.shop.ws.close()
        self.hooks.__exit__(None, None, None)
        self.mails.__exit__(None, None, None)

    def ask(self, n: int, *, flush: bool = True) -> list[str]:
        """Let `n` of everything be asked for; give their numbers."""
        numbers = [f"n{self._n + i}" for i in range(n)]
        self._n += n
        self._since = max(
            (one.delivery_id for one in self.shop.ws.deliveries.queue.history.list_newest(limit=1)), default=0
        )
        for i, number in enumerate(numbers):
            person = i % N_PEOPLE
            self.shop.buy(person, total=number)
            for template in ("note", *(f"mail-{one}" for one in CLASSES)):
                data = {"number": f"{number}-{template}"}
                self.shop.ws.deliveries.send(template, f"user_id:u{person}", data, key=f"{number}-{template}")
        for person in range(N_PEOPLE):
            self.shop.ws.identify(user_id=f"u{person}", traits={"email": f"u{person}@example.org", "city": numbers[-1]})
        if flush:
            self.shop.ws.flush()
        return numbers

    def kill_courier(self, step: str, nth: int) -> bool:
        """Let a courier run in a process of its own until it kills itself at the n-th passing of a step."""
        command = [sys.executable, "-m", "tests.deliver.crash_matrix", "courier", str(self.folder), step, str(nth)]
        done = subprocess.run(command, check=False, timeout=120)
        assert done.returncode in (0, -signal.SIGKILL), done.returncode
        return done.returncode != 0

    def judge(self, step: str, numbers: list[str], open_before: set[str]) -> list[Cell]:
        """Run until nothing is due, and say what became of what was asked for."""
        self.hooks.start()
        self.mails.start()
        self._run_out()
        return [self._judge_hooks(step, numbers), self._judge_mails(step, numbers, open_before)]

    def _run_out(self) -> None:
        store = self.shop.ws.deliveries.queue.store
        for _ in range(30):
            # Nobody waits for the next try.
            with store.transaction() as tx:
                tx.execute("UPDATE delivery SET due_at = 0 WHERE state = 'waiting'")
                tx.execute("UPDATE destination_standing SET resting_until = 0")
            asyncio.run(self.shop.carry_once())
            if not store.read("SELECT 1 FROM delivery WHERE state IN ('waiting', 'claimed')"):
                return
        raise AssertionError("it does not come to an end")

    def open_attempts(self) -> set[str]:
        """Give the keys of what was on the wire: an attempt that began and has no end."""
        rows = self.shop.ws.deliveries.queue.store.read(
            "SELECT d.delivery_key FROM attempt a JOIN delivery d ON d.delivery_id = a.delivery_id "
            "WHERE a.ended_at IS NULL"
        )
        return {bytes(key).hex() for (key,) in rows}

    def _judge_hooks(self, step: str, numbers: list[str]) -> Cell:
        wanted = {*numbers, *(f"{number}-note" for number in numbers)}
        keys: dict[str, set[str]] = defaultdict(set)
        for key, kind, number in self.hooks.taken():
            if kind in ("event", "message") and number in wanted:
                keys[number].add(key)
        lost = sorted(wanted - set(keys))
        doubled = sorted(number for number, some in keys.items() if len(some) > 1)
        lost += [f"person {number}" for number in range(N_PEOPLE) if not self._has_person(number, numbers[-1])]
        named = [
            one
            for one in self._deliveries("orders", "notes", "people")
            if one.is_again and one.delivery_id > self._since
        ]
        faults = [f"{step}: lost {one}" for one in lost] + [f"{step}: doubled {one}" for one in doubled]
        return Cell(step, HTTP, len(wanted), len(lost), len(doubled), len(named), faults)

    def _has_person(self, number: int, city: str) -> bool:
        profile = self.shop.profile(number)
        record = self.shop.ws.deliveries.queue.copies.find("people", profile["id"])
        return record is not None and record.state == "acknowledged" and profile["traits"]["city"]["value"] == city

    def _judge_mails(self, step: str, numbers: list[str], on_wire: set[str]) -> Cell:
        taken = Counter(key for key, _, _ in self.mails.taken())
        deliveries = [one for one in self._deliveries("mail") if self._number_of(one) in set(numbers)]
        lost, doubled, named, faults = [], [], [], []
        for one in deliveries:
            n, is_named = taken[one.key], one.is_again or one.state == "unknown"
            if is_named:
                named.append(one)
            if n == 0 and not is_named:
                lost.append(one)
            if n > 1:
                doubled.append(one)
                if not is_named:
                    faults.append(f"{step}: doubled and not named: {one.template}")
                if one.key not in on_wire:
                    faults.append(f"{step}: doubled, and was not on the wire: {one.template}")
                if one.message_class == "marketing" or n > 2:
                    faults.append(f"{step}: {n} times: {one.template}")
        if len(deliveries) != len(numbers) * len(CLASSES):
            faults.append(f"{step}: {len(deliveries)} mails were made of {len(numbers) * len(CLASSES)}")
        faults += [f"{step}: lost {one.template} {one.state} {one.code}" for one in lost]
        return Cell(step, SMTP, len(deliveries), len(lost), len(doubled), len(named), faults)

    def _number_of(self, one: Delivery) -> str:
        row = self.shop.ws.folding.rows([one.position])[one.position]
        return (row.body or b"").decode().partition('"number":"')[2].partition("-mail")[0]

    def _deliveries(self, *destinations: str) -> list[Delivery]:
        history = self.shop.ws.deliveries.queue.history
        return [one for name in destinations for one in history.list_newest(destination=name, limit=100_000)]

    def ledger_faults(self) -> list[str]:
        """Hold the ledger against the attempts: each in which values left is told of, once."""
        told = Counter(one.delivery for one in self.shop.disclosures())
        rows = self.shop.ws.deliveries.queue.store.read(
            "SELECT d.delivery_key, a.attempt FROM attempt a JOIN delivery d ON d.delivery_id = a.delivery_id "
            "WHERE a.what <> 'remove' AND a.outcome <> 'stopped'"
        )
        wanted = {f"{bytes(key).hex()}/{n}" for key, n in rows}
        left = {f"{key}/" for key, _, _ in [*self.hooks.taken(), *self.mails.taken()]}
        faults = [f"{one} stands {n} times in the ledger" for one, n in told.items() if n > 1 or one not in wanted]
        told_keys = {one.partition("/")[0] + "/" for one in told}
        kinds = {key + "/": kind for key, kind, _ in self.hooks.taken()}
        return faults + [
            f"{one} left and is not in the ledger" for one in left - told_keys if "removed" not in kinds.get(one, "")
        ]

    def told_faults(self) -> list[str]:
        """Hold the log against the messages: each that ended is told of, once."""
        ended = [one for one in self._deliveries("notes", "mail") if one.kind == MESSAGE]
        told: Counter[str] = Counter()
        fates = {int(p) for (p,) in self.shop.ws.state.read("SELECT position FROM fate")}
        for row in self.shop.ws.log.read(0, 1_000_000):
            if row.source == "deliver" and row.body and b'"message":"' in row.body and row.position not in fates:
                told[row.body.decode().partition('"message":"')[2][:32]] += 1
        return [f"{one.template} is told of {told[one.key]} times" for one in ended if told[one.key] != 1]


def _template(name: str, message_class: str, destination: str, **texts: Any) -> dict[str, Any]:
    purpose = "newsletter" if message_class == "marketing" else "service"
    about = {"template": name, "purpose": purpose, "class": message_class, "destination": destination}
    return about | texts


def kills(matrix: Matrix, *, n: int, chance: Random) -> list[Cell]:
    """Kill a courier at each step, once."""
    cells: list[Cell] = []
    for step in STEPS:
        numbers = matrix.ask(n)
        nth = 1 if step in ("outbox read", "work taken", "outbox cleared") else chance.randint(1, 2)
        assert matrix.kill_courier(step, nth), f"no courier came to {step!r} {nth} times"
        cells += matrix.judge(f"courier at: {step}", numbers, matrix.open_attempts())
    return cells


def deaths_far_away(matrix: Matrix, *, n: int) -> list[Cell]:
    """Kill the receivers before they take something, and after they took it and before they answer."""
    cells: list[Cell] = []
    for when in ("before", "after"):
        numbers = matrix.ask(n)
        for far in (matrix.hooks, matrix.mails):
            far.die(when)
        asyncio.run(matrix.shop.carry_once())
        # An attempt that came back unanswered is as open as one that nobody ended.
        rows = matrix.shop.ws.deliveries.queue.store.read(
            "SELECT d.delivery_key FROM attempt a JOIN delivery d ON d.delivery_id = a.delivery_id "
            "WHERE a.outcome = 'unknown'"
        )
        cells += matrix.judge(f"receiver dies {when} it takes", numbers, {bytes(key).hex() for (key,) in rows})
    return cells


def engine_deaths(matrix: Matrix, *, n: int, chance: Random) -> list[Cell]:
    """Kill the engine while it folds what is to be sent."""
    matrix.shop.ws.close()
    with Workspace(matrix.folder) as ws:
        matrix.shop.ws = ws
        numbers: list[str] = []
        command = [sys.executable, "-m", "tillit.cli.processes", "engine", str(matrix.folder), str(os.getpid())]
        for _ in range(3):
            engine = subprocess.Popen(command)
            before = ws.folding.position()
            numbers += matrix.ask(n, flush=False)
            while ws.folding.position() == before:
                pass
            _wait(chance.random() * 0.02)
            engine.kill()
            engine.wait()
        matrix.shop.run()
        cells = matrix.judge("engine while it folds", numbers, set())
        ws.flush()
        ws.folding.release()
    matrix.shop.ws = Workspace(matrix.folder)
    return cells


def _wait(seconds: float) -> None:
    asyncio.run(asyncio.sleep(seconds))


def table(cells: list[Cell]) -> str:
    """Write the table, the same steps together."""
    lines = [f"{'killed':<40} {'receiver':<9} {'sent':>6} {'lost':>5} {'doubled':>8} {'named':>6}"]
    sums: dict[tuple[str, str], list[int]] = {}
    for one in cells:
        sums[one.step, one.peer] = [
            a + b for a, b in zip(sums.get((one.step, one.peer), [0] * 4), one[2:6], strict=True)
        ]
    for (step, peer), (n_sent, n_lost, n_doubled, n_named) in sums.items():
        lines.append(f"{step:<40} {peer:<9} {n_sent:>6} {n_lost:>5} {n_doubled:>8} {n_named:>6}")
    return "\n".join(lines)


def run_matrix(folder: Path, *, rounds: int, n: int, seed: int) -> tuple[list[Cell], list[str]]:
    """Kill everything everywhere; give the cells, and what was wrong."""
    chance = Random(seed)
    matrix = Matrix(folder)
    try:
        cells: list[Cell] = []
        for _ in range(rounds):
            cells += kills(matrix, n=n, chance=chance)
            cells += deaths_far_away(matrix, n=n)
            cells += engine_deaths(matrix, n=n, chance=chance)
        faults = [fault for one in cells for fault in one.faults]
        return cells, faults + matrix.ledger_faults() + matrix.told_faults()
    finally:
        matrix.close()


def run_courier(folder: Path, step: str, nth: int) -> None:
    """Be a courier that kills itself at the n-th passing of a step."""
    n = 0

    def at_step(passed: str) -> None:
        nonlocal n
        n += passed == step
        if n == nth and passed == step:
            os.kill(os.getpid(), signal.SIGKILL)

    with Workspace(folder) as ws:
        ws.folding.leave_to_others()
        asyncio.run(ws.deliveries.courier("courier", at_step=at_step).run(until_idle=True))


def main(arguments: list[str]) -> int:
    """Run the matrix so many rounds, and print it."""
    if arguments[:1] == ["courier"]:
        run_courier(Path(arguments[1]), arguments[2], int(arguments[3]))
        return 0
    rounds = int(arguments[0]) if arguments else 1
    with tempfile.TemporaryDirectory() as folder:
        cells, faults = run_matrix(Path(folder), rounds=rounds, n=8, seed=rounds)
    print(table(cells))
    print("\n".join(faults) or "nothing lost, nothing doubled that is not named")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
