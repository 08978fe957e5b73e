"""The console's pages: how long the server takes for each, on the demo's shop."""

import http.client
import re
import time
from urllib.parse import urlencode

from bench.baselines import raw_server
from bench.figure import Figure, percentile
from bench.served import Served
from bench.traffic import get

_CUSTOMERS = 3_000  # as many as the demo has
_TIMES = 30  # each page is asked for
_MOST_OF_A_KIND = 6  # addresses looked at for each kind of page: customers and events differ


def console_pages() -> list[Figure]:
    """Ask for every page that links lead to, and tell of the slowest."""
    with Served(n_customers=_CUSTOMERS) as served:
        browser = Browser(served)
        addresses = browser.walk()
        slowest = ("", 0.0)
        medians = []
        for kind, paths in addresses.items():
            took = [browser.ask(path)[0] for _ in range(_TIMES) for path in paths]
            medians.append(percentile(took, 0.5))
            slowest = max(slowest, (kind, percentile(took, 0.95)), key=lambda told: told[1])
        raw = raw_server([get("/console", "x")] * 500, connections=1)
    return [
        Figure(
            "console page, server time, p95 of the slowest",
            slowest[1],
            "ms",
            100,
            False,
            "answers only",
            percentile(raw.latencies_ms, 0.95),
            f"{slowest[0]} of {len(addresses)} kinds of pages; median of medians {percentile(medians, 0.5):.1f} ms",
        )
    ]


class Browser:
    """One connection that holds a session."""

    def __init__(self, served: Served) -> None:
        """Open the console with a printed link."""
        told = served.tillit("console", "link", "--workspace", str(served.folder))
        token = re.search(r"token=([\w-]+)", told)
        assert token is not None, "the command prints a link"
        self._connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
        form = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        self._connection.request("POST", "/console/enter", urlencode({"token": token[1]}), form)
        answer = self._connection.getresponse()
        answer.read()
        self._cookie = answer.getheader("set-cookie", "").partition(";")[0]

    def ask(self, path: str) -> tuple[float, str]:
        """Give how long the answer took, in milliseconds, and the page."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers={"Cookie": self._cookie})
        answer = self._connection.getresponse()
        page = answer.read().decode()
        took = (time.perf_counter() - began) * 1_000
        assert answer.status == 200, f"{path} answered {answer.status}"
        return took, page

    def walk(self) -> dict[str, list[str]]:
        """Follow links; give some addresses of each kind of page, ids taken out of the kind's name."""
        found: dict[str, list[str]] = {}
        waiting, seen = ["/console"], set[str]()
        while waiting:
            path = waiting.pop(0)
            kind = re.sub(r"/(p[0-9a-z]{13}|e\d+-\d+|[a-z]+_[\w-]+|\d+)(?=/|$)", "/…", path)
            if path in seen or len(found.get(kind, [])) >= _MOST_OF_A_KIND:
                continue
            seen.add(path)
            found.setdefault(kind, []).append(path)
            links = re.findall(r'href="(/console[^"#?]*)', self.ask(path)[1])
            waiting += [link for link in dict.fromkeys(links) if "/static/" not in link]
        return found
