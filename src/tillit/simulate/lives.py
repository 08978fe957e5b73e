"""What one customer does in the days of a history, planned before a word of it is said.

In:    a seed, a customer's number, the calendar.
Out:   a `Life`: visits and errands with what they lead to, campaigns with and without, when and why they leave.
Never: anything that depends on how many customers there are, or on what another customer does.
"""

from dataclasses import dataclass, field, replace
from math import exp
from operator import attrgetter
from random import Random
from typing import NamedTuple

from tillit.clock import DAY, HOUR, MINUTE, SECOND
from tillit.simulate.catalogue import CAMPAIGN_DAYS, CAMPAIGNS, HOLDOUT_SHARE, PRICE_RISE_SHARE
from tillit.simulate.choices import Choice, Choices, Planned, plan_choices
from tillit.simulate.parts import PARTS, Part
from tillit.simulate.people import CAST, Customer, build_customer, seeding
from tillit.simulate.seasons import NEVER, Calendar


class Visit(NamedTuple):
    """One thing a customer sets out to do."""

    at: int
    number: int
    index: int  # type: ignore[assignment]  # of this customer's: seeds what happens in it
    kind: str
    buys: bool = False
    about: str = ""  # an order or a campaign
    mark: str = ""  # what is particular about it

    @property
    def key(self) -> str:
        """Give the ending that its order, ticket or booking has in its number."""
        return f"{self.number:05d}-{self.index}"


class Treatment(NamedTuple):
    """One campaign and one customer who may be mailed."""

    campaign_id: str
    number: int
    is_treated: bool  # False: held out
    buys_without: bool  # within the days that count, had nothing been sent
    buys_with: bool  # what they do


class Effect(NamedTuple):
    """One thing that happens because of another."""

    number: int
    at: int
    cause: str  # campaign, order, ticket, return, price-rise, move, habit
    cause_key: str
    effect: str  # order, return, ticket, lapse, unsubscribe
    effect_key: str
    without: str  # what would have happened


class Lapse(NamedTuple):
    """When a customer leaves, and why."""

    number: int
    at: int
    why: str
    n_visits_lost: int  # within the history, had they stayed


@dataclass(slots=True)
class Life:
    """One customer in the days of a history."""

    customer: Customer
    joined_at: int = NEVER
    member_from: int = NEVER  # when they sign up
    email_changed_at: int = NEVER
    marketing: bool = False  # wants the newsletter
    marketing_until: int = NEVER
    personalisation: bool = False  # what they answer in the banner and beside the account
    choices: Choices = field(default_factory=Choices)
    lapse: Lapse | None = None
    visits: list[Visit] = field(default_factory=list)
    treatments: list[Treatment] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    def email_at(self, at: int) -> str:
        """Give their address as of then."""
        return self.customer.email if at < self.email_changed_at else self.customer.new_email


# How they shop: (of a hundred, the kind of visit they prefer). Chosen, not measured.
_HABITS = (("web", 0.46), ("app", 0.68), ("till", 0.90), ("guest", 1.0))
_LEAVE_SHARE = 0.2
_WHYS = (("price", 0.3), ("bad-service", 0.55), ("moved", 0.7), ("lost-interest", 1.0))
_RETURNS = ("broken", "late", "wrong")
_TOPICS = ("where is my order", "a question about a tea", "my account", "an invoice")


def plan_life(seed: int, number: int, calendar: Calendar) -> Life:
    """Plan one customer's days: the same for the same seed, number and calendar."""
    life = Life(build_customer(seed, number))
    rng = Random(seeding(seed, number, 0, "life"))
    part = PARTS.get(number % CAST)
    if part is not None and part.style == "bot":
        _plan_bot(life, rng, calendar)
        return life
    if part is None or part.style == "member":
        _plan_visits(life, rng, calendar, part)
        if part is None and rng.random() < _LEAVE_SHARE:
            _plan_lapse(life, rng, calendar)
        _plan_choices(life, seed, calendar)
        _plan_errands(life, rng, calendar)
        _plan_campaigns(life, rng, calendar, may_leave=part is None)
    for share, act in part.acts if part is not None else ():
        zone = life.customer.language.timezone
        at = calendar.moment(rng, _share(calendar, share) + int(rng.random() * 2 * DAY), zone)
        life.visits.append(Visit(at, number, 0, act))
        if act == "changed-email":
            life.email_changed_at = at
    life.visits.sort(key=attrgetter("at"))
    life.visits = [
        Visit(v.at, v.number, i, v.kind, v.buys, v.about, v.mark)
        for i, v in enumerate(life.visits)
        if v.at < calendar.end - HOUR
    ]
    _settle(life)
    _keep_what_happens(life)
    return life


def order_id(visit: Visit) -> str:
    """Give the number of the order that a buying visit ends in."""
    return f"o-{visit.key}"


def _share(calendar: Calendar, share: float) -> int:
    return calendar.begin + int((calendar.end - calendar.begin) * share)


def _pick(table: tuple[tuple[str, float], ...], chance: float) -> str:
    return next(name for name, upto in table if chance < upto)


def _plan_bot(life: Life, rng: Random, calendar: Calendar) -> None:
    n_visits = max(3, (calendar.end - calendar.begin) // (6 * DAY))
    starts = sorted(calendar.begin + int(rng.random() * (calendar.end - calendar.begin)) for _ in range(n_visits))
    life.visits = [Visit(at, life.customer.number, i, "bot") for i, at in enumerate(starts)]


def _plan_visits(life: Life, rng: Random, calendar: Calendar, part: Part | None) -> None:
    span = calendar.end - calendar.begin
    number, zone = life.customer.number, life.customer.language.timezone
    habit = _pick(_HABITS, rng.random())
    if part is not None or rng.random() < 0.4:  # were customers before the history begins
        joined_at = max(calendar.begin, calendar.moment(rng, calendar.begin + int(span * rng.random() * 0.06), zone))
    else:
        joined_at = calendar.pick(rng, calendar.begin, zone)
    chance = min(40.0, exp(rng.gauss(-0.8, 0.95))) * max(0, calendar.end - joined_at) / (180 * DAY)
    n_more = int(chance + rng.random()) + (2 if part is not None else 0)
    life.joined_at = joined_at
    life.marketing = part is not None or rng.random() < 0.55
    life.personalisation = rng.random() < 0.6
    ats = sorted(calendar.pick(rng, joined_at, zone, in_shop=habit == "till") for _ in range(n_more))
    random = rng.random
    for at in (joined_at, *ats):
        buys = random() < 0.34
        kind = "web" if habit in {"guest", "till"} else habit
        if life.member_from != NEVER:
            chance = random()
            if habit == "till" and chance < 0.6:
                kind, buys = "till", True
            elif chance < 0.05:
                kind, buys = "kiosk", False
            elif number % CAST == 32 and at > _share(calendar, 0.45):
                kind = "app"  # the telephone with the browser was sold
        elif part is not None or (habit != "guest" and (buys or random() < 0.45)):
            life.member_from = at
        life.visits.append(Visit(at, number, 0, kind, buys))


def _plan_lapse(life: Life, rng: Random, calendar: Calendar) -> None:
    """Cut what comes after they leave, and remember what it would have been."""
    why = _pick(_WHYS, rng.random())
    number = life.customer.number
    at = life.joined_at + int((calendar.end - life.joined_at) * (0.15 + 0.75 * rng.random()))
    if why == "price":
        at = _share(calendar, PRICE_RISE_SHARE) + int(rng.random() * 12 * DAY)
        cause, key = "price-rise", "price-rise"
    elif why == "bad-service":
        bought = [visit for visit in life.visits if visit.buys and visit.at < at]
        if not bought or life.member_from > bought[-1].at:
            return
        order = bought[-1]
        at = order.at + 12 * DAY
        if at >= calendar.end - HOUR:
            return
        # The parcel was late, the answer was rude: marked here, told by the errand that follows.
        life.visits[life.visits.index(order)] = order._replace(mark="ends-badly")
        cause, key = "ticket", ""
    else:
        cause, key = ("move", "move") if why == "moved" else ("habit", "habit")
    if at <= life.joined_at:
        return
    _leave(life, at, why, cause, key, number)


def _leave(life: Life, at: int, why: str, cause: str, key: str, number: int) -> None:
    n_before = len(life.visits)
    life.visits = [visit for visit in life.visits if visit.at < at]
    n_lost = n_before - len(life.visits)
    life.lapse = Lapse(number, at, why, n_lost)
    life.effects.append(Effect(number, at, cause, key, "lapse", f"c-{number:06d}", f"{n_lost} more visits"))


def _plan_choices(life: Life, seed: int, calendar: Calendar) -> None:
    """Plan what they choose, by a chance of its own: nothing else of the life hangs on it."""
    number = life.customer.number
    happens = [visit for visit in life.visits if visit.at < calendar.end - HOUR]
    signs_up_at = life.member_from if any(visit.at == life.member_from for visit in happens) else NEVER
    told = Planned(number, life.marketing, signs_up_at, [(visit.at, visit.kind, visit.buys) for visit in happens])
    life.choices = plan_choices(Random(seeding(seed, number, 0, "choices")), told, calendar)
    if life.choices.is_child:
        life.personalisation = False
        life.marketing = life.choices.newsletter_how == "guardian"
    until = life.choices.personalisation_until
    if life.personalisation and until < (life.lapse.at if life.lapse is not None else NEVER):
        life.visits.append(Visit(until, number, 0, "preference", mark="personalisation"))


def _keep_what_happens(life: Life) -> None:
    """Let go of what was to be chosen on visits that were cut since."""
    choices = life.choices
    kept = {visit.at for visit in life.visits if visit.kind == "preference" and visit.mark == "personalisation"}
    if choices.personalisation_until not in kept:
        choices = replace(choices, personalisation_until=NEVER)
    if choices.objects_at > (life.lapse.at if life.lapse is not None else NEVER - 1):
        choices = replace(choices, objects_at=NEVER)
    if not any(visit.at <= choices.newsletter_at for visit in life.visits):
        choices = replace(choices, newsletter_at=NEVER)
    if not any(visit.kind in {"web", "preference"} for visit in life.visits):
        choices = replace(choices, sends_gpc=False)  # an app has no such header
    life.choices = choices


def choices_of(life: Life) -> list[Choice]:
    """List what they truly choose, each time they do."""
    number, choices = life.customer.number, life.choices
    since = min(life.joined_at, life.visits[0].at if life.visits else NEVER)
    if since == NEVER:
        return []
    rows = [
        Choice(number, "analytics", since, choices.analytics, "banner", None),
        Choice(number, "personalisation", since, life.personalisation, "banner", None),
        Choice(number, "advertising", since, choices.advertising, "banner", None),
    ]
    if choices.sends_gpc:
        rows.append(Choice(number, "advertising", since, False, "gpc", None))
    if choices.account_at != NEVER:
        rows.append(Choice(number, "advertising", choices.account_at, choices.account_advertising, "account", None))
    if choices.newsletter_at != NEVER:
        how, until = choices.newsletter_how, choices.newsletter_until
        rows.append(Choice(number, "newsletter", choices.newsletter_at, True, how, until))
    if choices.objects_at != NEVER:
        rows.append(Choice(number, "analytics", choices.objects_at, False, "telephone", None))
    for visit in life.visits:
        if visit.kind == "preference":
            about = visit.mark or "newsletter"
            rows.append(Choice(number, about, visit.at, False, "page of choices", None))
        elif visit.kind == "mail" and visit.mark == "unsubscribes":
            rows.append(Choice(number, "newsletter", visit.at + 2 * HOUR - SECOND, False, "link in a mailing", None))
    return rows


def _plan_errands(life: Life, rng: Random, calendar: Calendar) -> None:
    """Let returns, tickets, tastings and changes of mind follow."""
    number, random = life.customer.number, rng.random
    more: list[Visit] = []
    for visit in life.visits:
        if visit.at < life.member_from:
            continue
        if visit.mark == "ends-badly":
            more.append(Visit(visit.at + 5 * DAY, number, 0, "return", about="", mark="late"))
            more.append(Visit(visit.at + 6 * DAY, number, 0, "ticket", about="", mark="bad"))
        elif visit.buys:
            chance = random()
            if chance < 0.06:
                reason = _RETURNS[int(random() * 3)]
                more.append(Visit(visit.at + 4 * DAY + int(random() * 9 * DAY), number, 0, "return", mark=reason))
                if random() < 0.4:
                    more.append(Visit(visit.at + 3 * DAY, number, 0, "ticket", mark="good"))
        elif random() < 0.03:
            more.append(Visit(visit.at + HOUR, number, 0, "ticket", about=_TOPICS[int(random() * 4)], mark="good"))
        if random() < 0.05:
            more.append(Visit(visit.at + 20 * MINUTE, number, 0, "booking"))
    # An errand is about the last order before it.
    life.visits += [visit for visit in more if life.lapse is None or visit.at < life.lapse.at]
    subscribed_at = life.choices.newsletter_at
    if life.choices.newsletter_until is not None:
        life.marketing_until = life.choices.newsletter_until
    elif life.marketing and life.member_from <= subscribed_at < NEVER and random() < 0.06:
        life.marketing_until = subscribed_at + int(random() * (calendar.end - subscribed_at))
        if life.marketing_until < (life.lapse.at if life.lapse is not None else calendar.end):
            life.visits.append(Visit(life.marketing_until, number, 0, "preference"))
        else:
            life.marketing_until = NEVER


def _plan_campaigns(life: Life, rng: Random, calendar: Calendar, *, may_leave: bool) -> None:
    """Mail each campaign to whom it may be mailed, and let it do what it does. Without is judged before with."""
    number, random = life.customer.number, rng.random
    for campaign in CAMPAIGNS:
        sent_at = _share(calendar, campaign.at_share) // MINUTE * MINUTE
        until = sent_at + CAMPAIGN_DAYS * DAY
        is_gone = life.lapse is not None and life.lapse.at < sent_at
        may_be_mailed = life.marketing and life.member_from <= life.choices.newsletter_at <= sent_at
        if not may_be_mailed or life.marketing_until < sent_at or is_gone:
            continue
        buys_without = any(visit.buys and sent_at <= visit.at < until for visit in life.visits)
        if random() < HOLDOUT_SHARE:
            life.treatments.append(Treatment(campaign.campaign_id, number, False, buys_without, buys_without))
            continue
        chance = random()
        if may_leave and chance < campaign.annoyed_share and (life.lapse is None or life.lapse.at > until):
            at = sent_at + 2 * HOUR
            life.visits = [visit for visit in life.visits if visit.at < at or visit.kind != "preference"]
            # Whatever was to make them leave later does not come to it.
            life.effects = [effect for effect in life.effects if effect.effect != "lapse"]
            _leave(life, at, "campaign-fatigue", "campaign", campaign.campaign_id, number)
            life.marketing_until = at
            mark = "unsubscribes"
        elif not buys_without and chance > 1 - campaign.moved_share:
            at = sent_at + HOUR + int(random() * 4 * DAY)
            if life.lapse is None or at < life.lapse.at:
                life.visits.append(Visit(at, number, 0, "web", buys=True, about=campaign.campaign_id, mark="moved"))
            mark = "clicks"
        else:
            mark = "clicks" if chance > 0.94 else "opens" if chance > 0.62 else ""
        life.visits.append(Visit(sent_at, number, 0, "mail", about=campaign.campaign_id, mark=mark))
        buys_with = any(visit.buys and sent_at <= visit.at < until for visit in life.visits)
        life.treatments.append(Treatment(campaign.campaign_id, number, True, buys_without, buys_with))


def _settle(life: Life) -> None:
    """Name what errands are about, now that every visit has its place, and note what caused what."""
    number, last_order = life.customer.number, ""
    last_return = ""
    for place, visit in enumerate(life.visits):
        if visit.buys:
            last_order = order_id(visit)
            if visit.mark == "moved":
                life.effects.append(
                    Effect(number, visit.at, "campaign", visit.about, "order", last_order, "no order in these days")
                )
        elif visit.kind == "return" and last_order:
            last_return = f"r-{visit.key}"
            life.visits[place] = visit._replace(about=last_order)
            without = "the order is kept"
            life.effects.append(Effect(number, visit.at, "order", last_order, "return", last_return, without))
        elif visit.kind == "ticket":
            ticket = f"t-{visit.key}"
            if not visit.about:
                life.visits[place] = visit._replace(about=last_order)
                cause = ("return", last_return) if visit.mark == "bad" and last_return else ("order", last_order)
                life.effects.append(Effect(number, visit.at, *cause, "ticket", ticket, "no ticket"))
            if visit.mark == "bad":
                life.effects = [
                    effect._replace(cause_key=ticket) if effect.cause == "ticket" else effect for effect in life.effects
                ]
        elif visit.kind == "mail" and visit.mark == "unsubscribes":
            at = visit.at + 2 * HOUR - SECOND
            life.effects.append(
                Effect(number, at, "campaign", visit.about, "unsubscribe", life.customer.user_id, "stays subscribed")
            )
