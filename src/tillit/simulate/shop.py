"""The shop: its customers' days put together in the order in which the door hears of them.

In:    a seed, a number of customers, the days of a history; for the present a clock.
Out:   `Said`: messages with their sources and the truth about each.
Never: reads a clock or an unseeded source; a customer who would be another in a larger shop.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, count
from operator import attrgetter, itemgetter
from random import Random

from tillit.clock import DAY, HOUR, SECOND
from tillit.simulate.catalogue import Message
from tillit.simulate.choices import Choices
from tillit.simulate.errands import play_booking, play_mail, play_preference, play_return, play_ticket
from tillit.simulate.lives import Life, Visit, plan_life
from tillit.simulate.parts import PARTS
from tillit.simulate.people import CAST, Customer, build_customer, random_uuid, seeding
from tillit.simulate.seasons import NEVER, Calendar
from tillit.simulate.traps import play_story
from tillit.simulate.visits import Play, kiosk_id, play_app, play_bot, play_shared, play_till, play_web
from tillit.simulate.voices import Held, Said, Scene, text_of

HISTORY_DAYS = 180
# Chosen so that a demo of some minutes shows each of them; no shop was measured.
_RESENT_SHARE = 0.08  # of visits: one message of it comes twice
_BAD_SHARE = 0.03  # of visits: one hasty message beside it
_SAMPLE = 300  # customers who are played to learn how much a customer says

PLAYS: dict[str, Play] = {
    "web": play_web,
    "app": play_app,
    "till": play_till,
    "bot": play_bot,
    "mail": play_mail,
    "ticket": play_ticket,
    "return": play_return,
    "booking": play_booking,
    "preference": play_preference,
}
_LIVE_KINDS = (("web", 0.72), ("app", 0.86), ("till", 0.94), ("kiosk", 0.97), ("bot", 1.0))


class Shop:
    """A shop and its customers."""

    def __init__(self, seed: int = 7, n_customers: int = 300, *, end: int, days: int = HISTORY_DAYS) -> None:
        """Open the shop. Units: end is UTC epoch microseconds; the history is the days before it."""
        if n_customers < 1:
            raise ValueError("n_customers must be at least 1")
        self.seed, self.n_customers, self.days = seed, n_customers, days
        self.calendar = Calendar(end - days * DAY, end)
        self._lives: dict[int, Life] = {}
        self._customers: dict[int, Customer] = {}

    def customer(self, number: int) -> Customer:
        """Give one customer by number."""
        found = self._customers.get(number)
        if found is None:
            planned = self._lives.get(number)
            found = planned.customer if planned is not None else build_customer(self.seed, number)
            self._customers[number] = found
        return found

    def life(self, number: int) -> Life:
        """Give what one customer does in the days of the history."""
        found = self._lives.get(number)
        if found is None:
            found = self._lives[number] = plan_life(self.seed, number, self.calendar)
        return found

    def days_of(self, scene: Scene, numbers: Iterable[int]) -> Iterator[list[Said]]:
        """Give, for each day, what the visits that begin on it lead to. Who held what meanwhile is in the scene."""
        visits = list(chain.from_iterable(self.life(number).visits for number in numbers))
        visits.sort(key=itemgetter(0, 1, 2))
        until = self.calendar.begin + DAY
        for visit in chain(visits, [Visit(NEVER, 0, 0, "")]):
            while visit.at >= until:
                yield scene.said.copy()
                scene.said.clear()
                if until >= self.calendar.end:
                    return
                until += DAY
            self.play(scene, visit, self.life(visit.number))

    def history(self, scene: Scene) -> Iterator[list[Said]]:
        """Give what the door heard, a day at a time, in the order of arrival.

        What happened on the last day and arrives later is left out: it is still on its way.
        """
        arrives_at = attrgetter("arrives_at")
        waiting: list[Said] = []
        for day, said in enumerate(self.days_of(scene, range(self.n_customers)), 1):
            waiting += said
            waiting.sort(key=arrives_at)
            n_arrived = bisect_left(waiting, self.calendar.begin + day * DAY, key=arrives_at)
            yield waiting[:n_arrived]
            waiting = waiting[n_arrived:]

    def play(self, scene: Scene, visit: Visit, life: Life, run: str = "") -> None:
        """Play one visit. What is said follows from the shop's seed, the visit and the run, and from nothing else."""
        scene.rng.seed(seeding(self.seed, visit.number, visit.index, run or "visit"))
        first = len(scene.said)
        play = PLAYS.get(visit.kind)
        if play is not None:
            play(scene, life, visit)
        elif visit.kind == "kiosk":
            play_shared(scene, life, visit, kiosk_id(self.seed, visit.number), "kiosk")
        else:
            play_story(scene, life, visit, self.customer)
        chance = scene.rng.random()
        if chance < _RESENT_SHARE and len(scene.said) > first:
            # An answer was lost: the same message again, with the same id.
            again = scene.said[first + int(chance / _RESENT_SHARE * (len(scene.said) - first))]
            scene.said.append(again._replace(arrives_at=again.arrives_at + int(2 + chance * 1000) * SECOND))
        elif chance > 1 - _BAD_SHARE:
            scene.said.append(_bad(scene.rng, visit))

    def live(self, scene: Scene, *, now: Callable[[], int], run: str, n_at_once: int = 12) -> Iterator[Said]:
        """Give what happens now, without end: visits side by side, each message dated when it is asked for."""
        rng = Random(f"tillit live {self.seed} {run}")
        visits: list[list[Said]] = []
        new = count(self.n_customers)
        n_visits = 0
        while True:
            while len(visits) < n_at_once:
                at = now()
                if rng.random() < 0.08:
                    number = next(n for n in new if n % CAST not in PARTS)
                    life = _newcomer(plan_life(self.seed, number, self.calendar), at)
                    self._lives[number] = life
                    kind = "web"
                else:
                    life, kind = self._comes_again(rng)
                visit = Visit(at, life.customer.number, 1_000_000 + n_visits, kind, buys=rng.random() < 0.4)
                n_visits += 1
                scene.said.clear()
                self.play(scene, visit, life, run)
                if scene.said:
                    visits.append(list(reversed(scene.said)))
            chosen = rng.randrange(len(visits))
            said = visits[chosen].pop()
            if not visits[chosen]:
                visits.pop(chosen)
            if "timestamp" in said.message:
                # What arrives late is dated hours ago; the rest happens as it is said.
                at = now() - (said.arrives_at - said.at if said.arrives_at - said.at > HOUR else 0)
                said = said._replace(at=at, message={**said.message, "timestamp": text_of(at + said.skew)})
            yield said

    def _comes_again(self, rng: Random) -> tuple[Life, str]:
        """Choose who comes now: few often, most seldom, nobody who has left or is in a story."""
        kind = next(kind for kind, upto in _LIVE_KINDS if rng.random() < upto or upto >= 1)
        while True:
            number = min(int(rng.expovariate(1.0) * self.n_customers / 3), self.n_customers - 1)
            if self.n_customers > CAST and number % CAST in PARTS and kind != "bot":
                continue
            life = self.life(number)
            if kind in {"till", "kiosk"} and life.member_from == NEVER:
                kind = "web"
            if life.lapse is None or self.n_customers < CAST:
                return life, kind


def _newcomer(planned: Life, at: int) -> Life:
    """Let somebody who was planned for the past come for the first time now: only what they want stays."""
    choices = replace(
        planned.choices,
        newsletter_at=at if planned.marketing else NEVER,
        newsletter_how="account" if planned.marketing else "",
        newsletter_notice=2,
        newsletter_until=None,
        account_at=at if planned.choices.account_at != NEVER else NEVER,
        personalisation_until=NEVER,
        objects_at=NEVER,
    )
    if choices.is_child:
        choices = Choices(analytics=False, born_on=choices.born_on)
    return replace(planned, joined_at=at, member_from=at, marketing_until=NEVER, choices=choices, visits=[])


def count_customers(seed: int, n_events: int, *, end: int, days: int = HISTORY_DAYS) -> int:
    """Say how many customers say about so many things: the first hundreds are played and counted."""
    sample = Shop(seed, _SAMPLE, end=end, days=days)
    n_said = sum(map(len, sample.history(Scene())))
    return max(1, round(n_events * _SAMPLE / max(1, n_said)))


def _bad(rng: Random, visit: Visit) -> Said:
    """What a hasty integration sends: it belongs in quarantine, not in a profile."""
    at = visit.at
    message: Message = {"type": "track", "messageId": random_uuid(rng), "timestamp": text_of(at)}
    kind = int(rng.random() * 4)
    if kind == 0:
        message |= {"event": "Product Viewed", "properties": {"product_id": "tea-01"}}  # nobody's
    elif kind == 1:
        message |= {"anonymousId": random_uuid(rng), "properties": {"product_id": "tea-02"}}  # no name
    elif kind == 2:
        message |= {"userId": 2**60 + 1, "event": "Order Completed"}  # a number that was rounded on its way
    else:
        message |= {"anonymousId": random_uuid(rng), "event": "Product Viewed", "properties": "tea-03"}
    return Said(at, at + SECOND, "web", visit.number, 0, message)


def identifiers_of(life: Life) -> list[Held]:
    """List the identifiers that are a customer's own, and until when; those of shared things come with the visits."""
    person = life.customer
    number, since = person.number, min(life.joined_at, life.visits[0].at if life.visits else NEVER)
    if since == NEVER or (PARTS.get(number % CAST) or PARTS[10]).style == "bot":
        return []
    ends = {visit.kind: visit.at for visit in life.visits}
    own = [("user_id", person.user_id), ("email", person.email), ("card", person.card)]
    own += [("anonymous_id", device) for device in (*person.devices, person.app_device)]
    if person.phone is not None:
        own.append(("phone", person.phone))
    held = [Held(namespace, value, number, since, None, "own") for namespace, value in own]
    if life.email_changed_at != NEVER:
        held.append(Held("email", person.new_email, number, life.email_changed_at, None, "changed"))
    if "changed-phone" in ends and person.new_phone is not None:
        held.append(Held("phone", person.new_phone, number, ends["changed-phone"], None, "changed"))
    return held
