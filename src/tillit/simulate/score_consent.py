"""Compare what a workspace permits with what people truly chose.

In:    a folded workspace that was simulated, its truth, who holds which identifier.
Out:   for each purpose that hangs on a choice: how often both say the same, how often the workspace permits less, and
       how often it permits more, which nobody ever chose.
Never: the rules of consent/ again: the truth knows one person's acts in order, and nothing of devices or trust.
"""

from collections.abc import Mapping
from typing import NamedTuple

from tillit.consent import decide, policy_in_force
from tillit.flow import read_subject
from tillit.simulate.traps import Handle
from tillit.simulate.truth import Truth
from tillit.workspace import Workspace
from tillit.workspace.people import iter_people


class Agreement(NamedTuple):
    """How one purpose is permitted, beside what people chose. Grain: profiles."""

    purpose: str
    n_profiles: int
    n_permitted: int
    n_agree: int
    n_less: int  # they said yes, and it does not count: nobody confirmed it, or a browser said it for somebody known
    n_more: int  # they did not say yes, and it is permitted: never
    n_more_joined: int  # the same, where the profile is two people's: a mistake of identity, which the traps count


def score_consent(ws: Workspace, truth: Truth, people: Mapping[Handle, frozenset[int]]) -> list[Agreement]:
    """Ask of every profile for each purpose, as of the log's end."""
    with ws.state.snapshot() as reading:
        declared = policy_in_force(reading)
        at = _log_time(ws)
        chosen = _Chosen(truth, at)
        bases = {name: purpose.basis for name, purpose in declared.purposes.items()}
        names = [name for name, basis in bases.items() if basis in {"consent", "legitimate_interest"}]
        counts = {name: [0, 0, 0, 0, 0, 0] for name in names}
        epoch, adult_age = ws.log.epoch(), ws.settings.people.adult_age
        for _, _, membership in iter_people(reading):
            # Of a tablet that many held no one can be named.
            holders = [people.get((one.namespace, one.value), frozenset()) for one in membership.identifiers]
            whose = frozenset().union(*(held for held in holders if len(held) == 1))
            if not whose or not all(person in chosen.people for person in whose):
                continue
            subject = read_subject(reading, membership, at=at, adult_age=adult_age, epoch=epoch)
            for name in names:
                is_permitted = decide(declared, subject, name, at=at).is_permitted
                is_chosen = all(
                    chosen.permits(person, name, basis=bases[name], is_known=subject.is_known) for person in whose
                )
                told = counts[name]
                told[0] += 1
                told[1] += is_permitted
                told[2] += is_permitted == is_chosen
                told[3] += is_chosen > is_permitted
                told[4 if len(whose) == 1 else 5] += is_permitted > is_chosen
    return [Agreement(name, *told) for name, told in counts.items()]


def _log_time(ws: Workspace) -> int:
    last = ws.log.read(max(0, ws.log.head() - 1), 1)
    return last[-1].logged_at if last else ws.now()


class _Chosen:
    """What each person truly chose, as of an instant."""

    def __init__(self, truth: Truth, at: int) -> None:
        self._at = at
        self.people: set[int] = set()
        self._latest: dict[tuple[int, str], tuple[bool, int | None]] = {}
        self._in_banner: dict[tuple[int, str], tuple[bool, int | None]] = {}
        self._never: set[tuple[int, str]] = set()
        rows = truth.read("SELECT person_id, purpose, at, is_given, how, until_at FROM true_choice ORDER BY at, rowid")
        for person, purpose, said_at, is_given, how, until_at in rows:
            assert isinstance(person, int)
            assert isinstance(said_at, int)
            assert until_at is None or isinstance(until_at, int)
            self.people.add(person)
            if said_at > at:
                continue
            key = (person, str(purpose))
            # What a browser sends stands, whatever is ticked elsewhere.
            if how == "gpc":
                self._never.add(key)
            self._latest[key] = (bool(is_given) and how != "child", until_at)
            if how == "banner":
                self._in_banner[key] = self._latest[key]

    def permits(self, person: int, purpose: str, *, basis: str, is_known: bool) -> bool:
        """Say whether they chose it. A browser that never said whose it is has its own answer, and no other."""
        key = (person, purpose)
        if key in self._never:
            return False
        is_given, until_at = (self._latest if is_known else self._in_banner).get(
            key, (basis == "legitimate_interest", None)
        )
        return is_given and (until_at is None or until_at > self._at)
