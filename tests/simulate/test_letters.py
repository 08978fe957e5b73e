"""The simulated shop writes to its customers: into a folder, asked of the same gate as every message."""

from __future__ import annotations

import asyncio
from contextlib import closing
from email import message_from_bytes, policy
from itertools import islice
from pathlib import Path

from tests.still_clock import Clock
from tillit.settings import Settings
from tillit.simulate import Scene, Shop, Truth, truth_path, write_history
from tillit.simulate.letters import Letters
from tillit.workspace import Workspace, create_workspace

END = 1_790_000_000_000_000


def test_the_shop_writes_withholds_and_is_left_with_a_dead_letter(tmp_path: Path) -> None:
    folder, mails = tmp_path / "shop", tmp_path / "mail"
    create_workspace(folder)
    given = {"deliver.public_url": "http://127.0.0.1:8000", "deliver.allow_private": ("127.0.0.1",)}
    clock = Clock(END)
    with Workspace(folder, settings=Settings.load(folder, environ={}, given=given), now=clock.now) as ws:
        shop = Shop(3, 60, end=END, days=60)
        with closing(Truth.begin(truth_path(folder), shop)) as truth:
            write_history(ws, shop, truth)
        ws.flush()
        letters = Letters(ws, mails, shop)
        letters.open()
        for said in islice(shop.live(Scene(), now=clock.now, run="1"), 400):
            clock.at += 1_000_000
            if said.message.get("event") == "Order Completed":
                ws.append([said.message], source=said.source)
            letters.hear(said)
        for _ in range(3):
            ws.flush()
            asyncio.run(ws.deliveries.courier("courier").run(until_idle=True))
            clock.at += 60_000_000
        counts = {name: ws.deliveries.queue.history.counts(name) for name in ("mail", "parcels")}

    subjects = {
        str(message_from_bytes(path.read_bytes(), policy=policy.default)["Subject"]).split()[0]
        for path in mails.glob("*.eml")
    }
    assert {"Your", "The"} <= subjects
    assert counts["mail"]["delivered"] == len(list(mails.glob("*.eml")))
    assert counts["mail"]["withheld"] > 0
    assert counts["parcels"]["dead"] > 0
