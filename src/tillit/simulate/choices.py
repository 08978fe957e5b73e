"""What each customer wants done with their data, and by which act they say so.

In:    a seeded source, what is planned of one customer.
Out:   `Choices`, which plays (visits.py, errands.py) say and the truth keeps.
Never: a share that was measured: each is chosen, and says why it is as large as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

from tillit.clock import DAY, MINUTE, rfc3339
from tillit.simulate.people import CAST
from tillit.simulate.purposes import notice_version
from tillit.simulate.seasons import NEVER, Calendar


class Rate(NamedTuple):
    """How many of them do something."""

    share: float
    why: str


# Taste: chosen so that a shop of a few hundred customers shows each of them. No shop was measured.
RATES: dict[str, Rate] = {
    "refuses_analytics": Rate(0.35, "taste: a banner whose refusal is as near as its consent"),
    "allows_advertising": Rate(0.30, "taste"),
    "sends_gpc": Rate(0.08, "taste: browsers and extensions that send Sec-GPC"),
    "keeps_account_page": Rate(0.75, "taste: who fills in the choices beside their new account"),
    "tempted": Rate(0.05, "taste: refused in the banner, ticked it in the account"),
    "at_checkout": Rate(0.45, "taste: ticks the newsletter at the till of the site, not when signing up"),
    "by_sms_too": Rate(0.35, "taste"),
    "footer": Rate(0.20, "taste: of visits of guests who want it"),
    "confirms": Rate(0.70, "taste: follows the link in the mail that confirms"),
    "for_a_season": Rate(0.06, "taste: a yes with an end"),
    "personalisation_back": Rate(0.06, "taste"),
    "objects_by_telephone": Rate(0.02, "taste"),
}
SEASON = 60 * DAY
# Children of households: the first with a parent who agrees, the second without.
CHILD_WITH_GUARDIAN, CHILD_ALONE = 61, 63
_CHILD_YEARS = 13


@dataclass(frozen=True, slots=True)
class Choices:
    """What one customer wants. Units: UTC epoch microseconds; NEVER where it does not happen."""

    # In the banner, on every browser and in the app.
    analytics: bool = True
    advertising: bool = False
    sends_gpc: bool = False
    # Beside the account, through the shop's server.
    account_at: int = NEVER
    account_advertising: bool = False
    newsletter_at: int = NEVER
    newsletter_how: str = ""  # account, checkout, footer, guardian, child
    newsletter_notice: int = 1  # the version they were shown
    newsletter_sms: bool = False
    newsletter_until: int | None = None  # they said until when
    is_confirmed: bool = True  # of the footer: they followed the link
    personalisation_until: int = NEVER
    objects_at: int = NEVER  # to analytics, by telephone
    born_on: str = ""  # of children

    @property
    def is_child(self) -> bool:
        """Say whether a guardian must speak for them."""
        return bool(self.born_on)


class Planned(NamedTuple):
    """What is planned of one customer, as far as choices hang on it."""

    number: int
    marketing: bool  # wants the newsletter
    signs_up_at: int  # NEVER: does not
    visits: Sequence[tuple[int, str, bool]]  # at, kind, buys: of those that happen


def plan_choices(rng: Random, told: Planned, calendar: Calendar) -> Choices:
    """Plan what one customer chooses: the same for the same seed, number and calendar."""
    chances = {name: rng.random() < rate.share for name, rate in RATES.items()}
    when, is_member = rng.random(), told.signs_up_at != NEVER
    role = told.number % CAST
    if role in (CHILD_WITH_GUARDIAN, CHILD_ALONE):
        return _child(told, role, calendar)
    gpc = chances["sends_gpc"]
    # Where the browser has said no already, the banner does not ask.
    advertising = chances["allows_advertising"] and not gpc
    later = told.signs_up_at + int(when * (calendar.end - told.signs_up_at)) if is_member else NEVER
    choices = Choices(
        analytics=not chances["refuses_analytics"],
        advertising=advertising,
        sends_gpc=gpc,
        account_at=told.signs_up_at if chances["keeps_account_page"] else NEVER,
        account_advertising=advertising or chances["tempted"],
        personalisation_until=later if chances["personalisation_back"] else NEVER,
        objects_at=later if chances["objects_by_telephone"] else NEVER,
    )
    if not told.marketing:
        return choices
    at, how = _newsletter(rng, told, at_checkout=chances["at_checkout"])
    until = at + SEASON if chances["for_a_season"] and at != NEVER else None
    return replace(
        choices,
        newsletter_at=at,
        newsletter_how=how,
        newsletter_notice=notice_version(at, calendar),
        newsletter_sms=chances["by_sms_too"],
        newsletter_until=until,
        is_confirmed=how != "footer" or chances["confirms"],
    )


def _newsletter(rng: Random, told: Planned, *, at_checkout: bool) -> tuple[int, str]:
    """Give when and how they say that they want it."""
    orders = [at for at, kind, buys in told.visits if buys and kind == "web" and at >= told.signs_up_at]
    if told.signs_up_at != NEVER:
        return (orders[0], "checkout") if at_checkout and orders else (told.signs_up_at, "account")
    footers = [at for at, kind, _ in told.visits if kind == "web" and rng.random() < RATES["footer"].share]
    return (footers[0], "footer") if footers else (NEVER, "")


def _child(told: Planned, role: int, calendar: Calendar) -> Choices:
    """Let children refuse what browsers are asked, since a browser that names nobody tells no age."""
    born_on = f"{int(rfc3339(calendar.end)[:4]) - _CHILD_YEARS}-01-15"
    child = Choices(analytics=False, born_on=born_on)
    if told.signs_up_at == NEVER:
        return child
    at, how = (told.signs_up_at, "child") if role == CHILD_ALONE else (told.signs_up_at + 30 * MINUTE, "guardian")
    return replace(child, newsletter_at=at, newsletter_how=how, newsletter_notice=notice_version(at, calendar))


class Choice(NamedTuple):
    """One thing that one customer truly chose, as the truth keeps it."""

    number: int
    purpose: str
    at: int
    is_given: bool
    how: str
    until_at: int | None
