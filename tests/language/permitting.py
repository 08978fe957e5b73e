"""What `permitted` says of a few people of a workspace, held against the second reading of consent.

In:    nothing.
Out:   `permits_of_a_town`, which says where the product's answer, or until when it says it holds, is wrong.
Never: a stand-in for the room of consent, or for whoever asks it: `tillit.flow.audiences.Permissions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.audience_model import DAY, HOUR
from tests.consent_model import may
from tests.model import Person, read_world
from tests.still_clock import START, Clock
from tillit.clock import rfc3339
from tillit.consent import policy_in_force
from tillit.flow.audiences import Permissions
from tillit.identity import identifier_of
from tillit.language.values import NEVER
from tillit.workspace import Workspace, create_workspace

PURPOSES = """
purposes:
  service: {title: Service, basis: contract, fields: all}
  news: {title: News, basis: consent, fields: all, valid_for: 30 days}
  study: {title: Study, basis: legitimate_interest, fields: all}
"""
UNHEARD = "unheard-of"
NAMES = ("service", "news", "study", UNHEARD)
# By user, what they said: when, of what, whether they agreed, until when.
SAID: dict[str, tuple[tuple[int, str, bool, int | None], ...]] = {
    "ana": ((0, "news", True, None),),
    "bo": ((0, "news", True, 5 * DAY), (0, "study", False, None)),
    "cem": ((0, "news", True, None), (2 * DAY, "news", False, None)),
    "dee": ((0, "study", False, None), (DAY, "study", True, 6 * DAY)),
    "eve": ((DAY, "news", True, 2 * DAY), (3 * DAY, "news", True, 9 * DAY)),
    "fay": (),
}
AT = (4 * DAY, 5 * DAY - 1, 5 * DAY, 6 * DAY, 6 * DAY + HOUR, 9 * DAY, 29 * DAY, 30 * DAY, 40 * DAY)
TURNS = [START + n * DAY for n in range(60)]  # everything is said at the same hour
_FAR = START + 1_000 * DAY


@contextmanager
def permits_of_a_town(folder: Path) -> Iterator[Callable[[], list[str]]]:
    """Give what asks of everybody and every purpose, and says where an answer is wrong or ends at another instant."""
    create_workspace(folder)
    clock = Clock()
    with Workspace(folder, now=clock.now) as ws:
        ws.consent.apply(PURPOSES, operator="kim", reason="")
        for user in SAID:
            ws.identify(user_id=user, traits={"x": 1})
        for ago in range(5):
            clock.at = START + ago * DAY
            for user, words in SAID.items():
                for said, purpose, is_yes, lasts in words:
                    if said == ago * DAY:
                        told = {"purposes": {purpose: "given" if is_yes else "withdrawn"}}
                        until = {} if lasts is None else {"valid_until": rfc3339(START + lasts)}
                        ws.track(user_id=user, event="Consent Updated", properties=told | until)
        ws.flush()
        people = read_world(ws.log.read(0, 1_000)).people
        yield lambda: _faults(ws, {user: people["user_id", user] for user in SAID})


def _faults(ws: Workspace, people: dict[str, Person]) -> list[str]:
    declared = policy_in_force(ws.state)
    permits = Permissions(declared, ws.settings.people.adult_age)
    faults = []
    for user, person in people.items():
        root = identifier_of(person.document["id"]) or 0
        for name in NAMES:

            def holds(at: int, name: str = name, person: Person = person) -> bool:
                # What a contract needs hangs on nobody's choice.
                return name == "service" or (name != UNHEARD and may(declared, name, person, at=at, joined_at=0))

            for at in (START + one for one in AT):
                turn = next((one for one in TURNS if one > at and holds(one) != holds(at)), NEVER)
                answer, until = permits(ws.state, root, name, at)
                if answer != holds(at) or min(until, _FAR) != min(turn, _FAR):
                    faults.append(
                        f"{user} {name} at {rfc3339(at)}: {answer} until {until}, not {holds(at)} until {turn}"
                    )
    # Nobody has this id.
    return faults if permits(ws.state, 1 << 40, "service", START) == (False, NEVER) else [*faults, "a stranger"]
