"""The desk: a few customers of the simulated shop ask what is kept of them, or ask to be forgotten.

In:    a folded workspace that was simulated, its shop.
Out:   requests in every state that somebody at a desk meets: done, ready to run, resting, waiting for a proof.
Never: an event: the truth beside the workspace knows all of them.
"""

from typing import NamedTuple

from tillit.privacy import ACCESS, OPERATOR, Proof
from tillit.simulate.shop import Shop
from tillit.workspace import Workspace

_COLLEAGUE = "maria"


class _Asked(NamedTuple):
    number: int  # of a customer who has an account from early on (parts.py)
    kind: str
    level: int  # of proof; 0: they only said so
    is_done: bool = False


_ASKED = (
    _Asked(10, ACCESS, 2, is_done=True),
    _Asked(14, "portability", 2),
    _Asked(27, "erasure", 1),  # a mailbox alone: it rests
    _Asked(32, "erasure", 0),
    _Asked(39, "correction", 0),
)


def file_requests(ws: Workspace, shop: Shop) -> int:
    """File what was asked at the desk; say how many requests."""
    n_filed = 0
    for asked in _ASKED:
        who = f"user_id:{shop.customer(asked.number).user_id}"
        if asked.number >= shop.n_customers or ws.profiles.membership(who) is None:
            continue
        ticket = f"ticket-{4_000 + asked.number}"
        via = "session" if asked.level > 1 else "email"
        proof = Proof(asked.level, via, _COLLEAGUE, ticket) if asked.level else None
        place = shop.customer(asked.number).language.country
        request = ws.requests.open(
            who,
            asked.kind,
            place=place if place in _PLACES else "",
            by_whom=_COLLEAGUE,
            asked_by=OPERATOR,
            proof=proof,
            evidence=ticket,
        )
        n_filed += 1
        if asked.is_done:
            ws.requests.run(request.request_id, by_whom=_COLLEAGUE)
    return n_filed


_PLACES = frozenset({"GB", "SE", "DE", "FR", "ES", "PT", "PL"})
