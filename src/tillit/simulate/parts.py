"""Who plays which part in the planted stories: it follows from the last two digits of a customer's number.

In:    nothing.
Out:   `PARTS`: for each number below a hundred that has one, how they live and when their story happens.
Never: what happens in a story (traps.py).
"""

from typing import NamedTuple


class Part(NamedTuple):
    """One part in a story."""

    style: str  # member: an ordinary customer from early on, who stays; guest: is seen in the story alone
    acts: tuple[tuple[float, str], ...] = ()  # when, as a share of the days, and which story


_MEMBER = Part("member")

PARTS: dict[int, Part] = {
    10: _MEMBER,  # gets a gift
    11: Part("member", ((0.50, "gift-to-member"),)),
    12: Part("guest", ((0.20, "newsletter-only"),)),  # gets a gift, too, and has no account
    13: Part("member", ((0.55, "gift-to-guest"),)),
    14: _MEMBER,  # has the address that another types by mistake
    15: Part("guest", ((0.50, "typo-taken"),)),
    16: Part("guest", ((0.30, "typo-mended"),)),
    17: Part("member", ((0.50, "changed-email"),)),
    18: Part("member", ((0.50, "changed-phone"),)),
    19: _MEMBER,  # gives a telephone number up
    20: Part("member", ((0.60, "recycled-phone"),)),
    21: Part("guest", ((0.30, "test-address"),)),
    22: Part("guest", ((0.50, "test-address"),)),
    23: Part("guest", ((0.70, "test-address"),)),
    24: Part("guest", ((0.30, "guest-then-member"),)),
    25: Part("guest", ((0.25, "card-then-account"),)),
    26: Part("member", ((0.60, "two-accounts"),)),
    27: _MEMBER,  # is whom a stranger claims to be
    28: Part("member", ((0.65, "claimed-by-stranger"),)),
    29: Part("member", ((0.35, "placeholder-id"),)),
    30: Part("member", ((0.45, "placeholder-id"),)),
    31: Part("member", ((0.55, "email-spelling"),)),
    32: _MEMBER,  # sells a telephone
    33: Part("guest", ((0.50, "passed-on-device"),)),
    34: Part("member", ((0.30, "family-tablet"), (0.52, "family-tablet"))),
    35: Part("member", ((0.40, "family-tablet"), (0.60, "family-tablet"))),
    36: Part("member", ((0.46, "family-tablet"),)),
    37: Part("member", ((0.35, "shared-email"),)),
    38: Part("member", ((0.45, "shared-email"),)),
    39: _MEMBER,  # has a namesake in the same town
    40: _MEMBER,
    41: Part("member", ((0.30, "kiosk"), (0.60, "kiosk"))),
    42: Part("member", ((0.40, "kiosk"),)),
    44: Part("bot"),
}
