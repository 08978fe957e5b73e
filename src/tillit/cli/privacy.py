"""`tillit privacy`: what customers ask about their data, erasing them with proof, and what is too old.

In:    nothing.
Out:   the commands, gathered.
Never: a command of its own.
"""

import typer

from tillit.cli.erasure import erase, verify_erasure
from tillit.cli.requests import export, requests
from tillit.cli.retention import retention

privacy = typer.Typer(help="What customers ask of us about their data.", no_args_is_help=True)
privacy.command("export")(export)
privacy.command("erase")(erase)
privacy.command("verify-erasure")(verify_erasure)
privacy.command("retention")(retention)
privacy.add_typer(requests, name="requests")
