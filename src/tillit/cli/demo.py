"""`tillit demo`: a shop that lives in a folder of its own and goes when it ends.

In:    how large a shop, which seed.
Out:   a served workspace with traffic through the real protocol.
Never: anything in a folder that was there before.
"""

import secrets
import shutil
import tempfile
import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from tillit.cli.serve import Server
from tillit.cli.terminal import talk
from tillit.errors import TillitError
from tillit.simulate import SOURCES, run_demo
from tillit.workspace import MARK, Workspace, create_workspace


def demo(
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
    customers: Annotated[int, typer.Option(help="How many customers the shop has.")] = 3_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same shop.")] = 1,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the console.")] = True,
) -> None:
    """Show a shop with six months of past, live, in a workspace that is thrown away at the end."""
    raise typer.Exit(_run(port=port, n_customers=customers, seed=seed, browser=browser))


def _run(*, port: int, n_customers: int, seed: int, browser: bool) -> int:
    """Serve a throw-away workspace and send it a shop's events until told to stop."""
    outer = Path(tempfile.mkdtemp(prefix="tillit-demo-"))
    folder = outer / "shop"  # the truth lies beside it
    try:
        create_workspace(folder)
        with Workspace(folder) as ws:
            keys = {source: ws.keys.create(kind, source)[0] for source, kind in SOURCES.items()}
            # With a password, so that nobody is asked to choose one for a shop that is gone in an hour.
            owner = ws.operators.create(login="owner", name="Owner", role="admin", password=secrets.token_urlsafe(24))
            link = f"/console/enter?token={ws.sessions.issue(owner.operator_id)}"
        server = Server(folder, host="127.0.0.1", port=port, workers=1)
        mails = outer / "mail"  # nobody receives them
        (folder / MARK).write_text(
            f'[deliver]\npublic_url = "{server.url}"\nallow_private = ["127.0.0.1"]\n', encoding="utf-8"
        )

        def open_shop() -> None:
            try:
                run_demo(
                    folder,
                    base_url=server.url,
                    keys=keys,
                    n_customers=n_customers,
                    seed=seed,
                    stop=server.stop,
                    mails=mails,
                    told=lambda line: talk.print(line, highlight=False),
                )
            except TillitError as error:
                if not server.stop.is_set():
                    talk.print(f"The shop closed: {error.message}", highlight=False)

        shop = threading.Thread(target=open_shop, name="tillit-shop", daemon=True)

        def started() -> None:
            shop.start()
            talk.print(
                f"A shop with {n_customers:,} customers opens at {server.url}  (Ctrl-C closes it)", highlight=False
            )
            talk.print(f"Console: {server.url}{link}", highlight=False, soft_wrap=True)
            talk.print(f"Mails to customers lie in {mails}, and go nowhere.", highlight=False, soft_wrap=True)
            if browser:
                threading.Thread(target=webbrowser.open, args=(server.url + link,), daemon=True).start()

        code = server.run(started)
        shop.join(5)
        return code
    finally:
        shutil.rmtree(outer, ignore_errors=True)
