"""Identity traps: stories in which a system is tempted to join two people, or to miss that two are one.

In:    the customers who play in a story.
Out:   what was said in it, and the `Trap` that says what a right system does.
Never: a part for a number that is not below the actor's own (a smaller shop is the beginning of a larger one).
"""

from collections.abc import Callable
from random import Random
from typing import Literal, NamedTuple

from tillit.clock import DAY, MINUTE, SECOND
from tillit.simulate.catalogue import CATALOGUE, Message, shown
from tillit.simulate.lives import Life, Visit
from tillit.simulate.people import CAST, Customer, mistyped, random_uuid, seeding
from tillit.simulate.visits import app_of, browser_of, ordered, play_shared, traits_of
from tillit.simulate.voices import Held, Scene, Server

Handle = tuple[str, str]  # namespace, value
TEST_ADDRESS = "test@example.com"
KIOSK = "shared-kiosk"
PASSED_ON = "passed on"  # from then on it is no longer the last holder's


class Trap(NamedTuple):
    """One planted trap. Joined: all sides are one person. Apart: no two sides are."""

    kind: str
    expected: Literal["joined", "apart"]
    should: str  # what a right system does
    sides: tuple[tuple[Handle, ...], ...]
    shared: tuple[Handle, ...] = ()  # what tempts: it stands for more than one side, or for none


class Story(NamedTuple):
    """One kind of trap: who plays in it, and what it is made of."""

    kind: str
    positions: tuple[int, ...]
    expected: Literal["joined", "apart"]
    should: str
    sides: Callable[[list[Customer]], tuple[tuple[Handle, ...], ...]]
    shared: Callable[[list[Customer]], tuple[Handle, ...]] = lambda _: ()


def user(person: Customer) -> Handle:
    """Name somebody's account."""
    return "user_id", person.user_id


def email(person: Customer) -> Handle:
    """Name somebody's address."""
    return "email", person.email


def first_device(person: Customer) -> Handle:
    """Name the browser on somebody's telephone."""
    return "anonymous_id", person.devices[0]


def typo_of(person: Customer) -> str:
    """Give the address that somebody types instead of their own."""
    return mistyped(person.email, Random(seeding(0, person.number, 0, "typo")))


def second_account(person: Customer) -> str:
    """Give the account that somebody opens because they forgot the first."""
    return f"{person.user_id}-2"


def tablet_of(person: Customer) -> str:
    """Give the anonymous id of a household's tablet."""
    return random_uuid(Random(seeding(0, person.household, 0, "tablet")))


def family_email(person: Customer) -> str:
    """Give the address that a household shares."""
    return f"family.{person.household}@example.org"


def _accounts(people: list[Customer]) -> tuple[tuple[Handle, ...], ...]:
    return tuple((user(person),) for person in people)


STORIES: tuple[Story, ...] = (
    Story(
        "gift-to-member",
        (10, 11),
        "apart",
        "keep giver and receiver apart: an order may name another person's address",
        _accounts,
        lambda p: (email(p[0]),),
    ),
    Story(
        "gift-to-guest",
        (12, 13),
        "apart",
        "keep giver and receiver apart, though the address has no account yet",
        lambda p: ((email(p[0]), first_device(p[0])), (user(p[1]),)),
    ),
    Story(
        "typo-taken",
        (14, 15),
        "apart",
        "leave the guest's browser alone: an address that somebody typed proves nothing",
        lambda p: ((user(p[0]),), (first_device(p[1]),)),
        lambda p: (email(p[0]),),
    ),
    Story(
        "typo-mended",
        (16,),
        "joined",
        "join account and right address; the wrong one is nobody else's and may stay alone",
        lambda p: ((user(p[0]),), (email(p[0]),), (first_device(p[0]),)),
    ),
    Story(
        "changed-email",
        (17,),
        "joined",
        "keep one profile with both addresses",
        lambda p: ((user(p[0]),), (email(p[0]),), (("email", p[0].new_email),)),
    ),
    Story(
        "changed-phone",
        (18,),
        "joined",
        "keep one profile with both numbers",
        lambda p: ((user(p[0]),), (("phone", str(p[0].phone)),), (("phone", str(p[0].new_phone)),)),
    ),
    Story(
        "recycled-phone",
        (19, 20),
        "apart",
        "keep the old and the new holder of the number apart",
        _accounts,
        lambda p: (("phone", str(p[0].phone)),),
    ),
    Story(
        "test-address",
        (21, 22, 23),
        "apart",
        "see that an address of so many browsers stands for nobody, and join nothing by it",
        lambda p: tuple((first_device(person),) for person in p),
        lambda _: (("email", TEST_ADDRESS),),
    ),
    Story(
        "guest-then-member",
        (24,),
        "joined",
        "bring the guest's order into the account that is opened with the same address",
        lambda p: ((user(p[0]),), (email(p[0]),), (first_device(p[0]),)),
    ),
    Story(
        "card-then-account",
        (25,),
        "joined",
        "bring the receipts of the card into the account that names the card",
        lambda p: ((user(p[0]),), (("card", p[0].card),), (email(p[0]),)),
    ),
    Story(
        "two-accounts",
        (26,),
        "joined",
        "join the two accounts, for the shop's own server says so",
        lambda p: ((user(p[0]),), (("user_id", second_account(p[0])),)),
    ),
    Story(
        "claimed-by-stranger",
        (27, 28),
        "apart",
        "not believe a public key that ties one customer's account to another's address",
        lambda p: ((user(p[0]),), (user(p[1]), email(p[1]))),
        lambda p: (("anonymous_id", _strange_device(p[1])),),
    ),
    Story(
        "placeholder-id",
        (29, 30),
        "apart",
        "know that 'undefined' is no account",
        _accounts,
        lambda _: (("user_id", "undefined"),),
    ),
    Story(
        "email-spelling",
        (31,),
        "joined",
        "see one address behind capitals and spaces",
        lambda p: ((user(p[0]),), (email(p[0]),), (("anonymous_id", p[0].app_device),)),
    ),
    Story(
        "passed-on-device",
        (32, 33),
        "apart",
        "let the telephone change hands on the day it was sold, and join nobody by it",
        _accounts,
        lambda p: (first_device(p[0]),),
    ),
    Story(
        "family-tablet",
        (34, 35, 36),
        "apart",
        "let the tablet be each one's in turn",
        _accounts,
        lambda p: (("anonymous_id", tablet_of(p[0])),),
    ),
    Story(
        "shared-email",
        (37, 38),
        "apart",
        "keep two accounts of one household apart, though they give one address",
        _accounts,
        lambda p: (("email", family_email(p[0])),),
    ),
    Story("same-name", (39, 40), "apart", "join nobody by a name and a town", _accounts),
)


_EACH_ALONE = frozenset({"test-address", "placeholder-id", "family-tablet", "shared-email"})


def kiosk_trap(device: str, people: list[Customer]) -> Trap:
    """Give the trap that a tablet on a counter is for those who signed in on it."""
    should = "let the tablet be each one's from their signing in, and join nobody by it"
    return Trap(KIOSK, "apart", should, _accounts(people), (("anonymous_id", device),))


def list_traps(n_customers: int, customer: Callable[[int], Customer]) -> list[Trap]:
    """List the traps planted in a shop of this size; the tablets on counters come from what was played."""
    traps = []
    for block in range(0, n_customers, CAST):
        for kind, positions, expected, should, sides, shared in STORIES:
            people = [customer(block + place) for place in positions if block + place < n_customers]
            # Where each plays for themselves the story begins with the first; else it is the last who makes it happen.
            if not people or (len(people) < len(positions) and kind not in _EACH_ALONE):
                continue
            # Numbers for films run out in large shops; then there is no such story.
            if kind.endswith("-phone") and (people[0].phone is None or (kind[0] == "c" and not people[0].new_phone)):
                continue
            traps.append(Trap(kind, expected, should, sides(people), shared(people)))
    return traps


def play_story(scene: Scene, life: Life, visit: Visit, customer: Callable[[int], Customer]) -> None:
    """Play one act of a story: the actor's own part. The other's customer number is below the actor's."""
    person = life.customer
    number = person.number
    browser = browser_of(scene, life, visit, device=person.devices[0])
    at = visit.at
    kind = visit.kind
    if kind in {"gift-to-member", "gift-to-guest"}:
        receiver = customer(number - 1)
        # The hasty part: the receiver's address stands where the buyer's belongs.
        order = Server(scene, "shop", number, {"userId": person.user_id}, {"traits": {"email": receiver.email}})
        order.track(at, "Order Completed", {**ordered(life, visit, [CATALOGUE[-1]], "web"), "is_gift": True})
    elif kind in {"newsletter-only", "typo-taken", "test-address"}:
        told = {"newsletter-only": person.email, "test-address": TEST_ADDRESS}.get(kind) or customer(number - 1).email
        browser.page(at, "Home", "/")
        browser.track(at + 20 * SECOND, "Product Viewed", _some_product(scene, person))
        if told == TEST_ADDRESS:
            scene.held.append(Held("email", told, None, at, None, "nobody's"))
        browser.identify(at + 50 * SECOND, {"email": told})
        browser.track(at + 51 * SECOND, "Newsletter Subscribed", {"list": "slow mornings", "place": "footer"})
    elif kind == "typo-mended":
        wrong = typo_of(person)
        browser.page(at, "Home", "/")
        browser.identify(at + 20 * SECOND, {"email": wrong})
        scene.held.append(Held("email", wrong, number, at, None, "mistyped"))
        browser.identify(at + 50 * SECOND, {"email": person.email})
        _sign_up(browser.ids, browser.identify, life, at + DAY)
    elif kind == "changed-email":
        browser.ids["userId"] = person.user_id
        browser.identify(at, {"email": person.new_email})
    elif kind == "changed-phone" and person.new_phone is not None:
        browser.ids["userId"] = person.user_id
        browser.identify(at, {"phone": person.new_phone})
    elif kind == "recycled-phone":
        browser.ids["userId"] = person.user_id
        phone = customer(number - 1).phone
        if phone is not None:
            scene.held.append(Held("phone", phone, number, at, None, PASSED_ON))
        browser.identify(at, {"phone": phone})
    elif kind == "guest-then-member":
        browser.page(at, "Home", "/")
        browser.identify(at + 30 * SECOND, {"email": person.email})
        order = Server(scene, "shop", number, {"anonymousId": person.devices[0]}, {"traits": {"email": person.email}})
        order.track(at + MINUTE, "Order Completed", ordered(life, visit, [CATALOGUE[0]], "web"))
        _sign_up(browser.ids, browser.identify, life, at + 3 * DAY)
    elif kind == "card-then-account":
        card = {"id": person.card, "type": "card", "collection": "users", "encoding": "none"}
        for days in (0, 9):
            receipt = random_uuid(scene.rng)
            scene.held.append(Held("anonymous_id", receipt, number, at + days * DAY, None, "receipt"))
            till = Server(scene, "till", number, {"anonymousId": receipt}, {"externalIds": [card]})
            bought = {**ordered(life, visit, [CATALOGUE[2]], "till"), "order_id": f"o-{visit.key}-{days}"}
            till.track(at + days * DAY, "Order Completed", bought)
        shop = Server(scene, "shop", number, {"userId": person.user_id}, {"externalIds": [card]})
        shop.say(at + 20 * DAY, {"type": "identify", "traits": {"email": person.email}, "context": shop.context})
    elif kind == "two-accounts":
        other = second_account(person)
        scene.held.append(Held("user_id", other, number, at, None, "second account"))
        browser.ids["userId"] = other
        browser.track(at, "Signed Up", {"method": "password"})
        desk = Server(scene, "support", number, {"userId": person.user_id})
        desk.say(at + 2 * DAY, {"type": "alias", "previousId": other, "context": desk.context})
    elif kind == "claimed-by-stranger":
        device = _strange_device(person)
        scene.held.append(Held("anonymous_id", device, number, at, None, "stranger"))
        stranger = browser_of(scene, life, visit, device=device)
        stranger.ids["userId"] = customer(number - 1).user_id
        stranger.identify(at, {"email": person.email})
    elif kind == "placeholder-id":
        browser.ids["userId"] = "undefined"
        browser.page(at, "Home", "/")
    elif kind == "email-spelling":
        app = app_of(scene, life, visit)
        app.screen(at, "Welcome")
        app.identify(at + 20 * SECOND, {"email": f" {person.email.upper()} "})
    elif kind == "passed-on-device":
        seller = customer(number - 1)
        device = seller.devices[0]
        scene.held.append(Held("anonymous_id", device, number, at, None, PASSED_ON))
        used = browser_of(scene, life, visit, device=device)
        _sign_up(used.ids, used.identify, life, at)
        used.page(at + MINUTE, "Home", "/")
    elif kind == "family-tablet":
        play_shared(scene, life, visit, tablet_of(person), "family tablet")
    elif kind == "shared-email":
        browser.ids["userId"] = person.user_id
        shared = family_email(person)
        scene.held.append(Held("email", shared, number, at, None, "shared"))
        browser.identify(at, {"email": shared})


def _sign_up(ids: Message, identify: Callable[[int, Message], None], life: Life, at: int) -> None:
    ids["userId"] = life.customer.user_id
    identify(at, traits_of(life, at))


def _some_product(scene: Scene, person: Customer) -> Message:
    return shown(CATALOGUE[int(scene.rng.random() * len(CATALOGUE))], person.language.locale)


def _strange_device(person: Customer) -> str:
    return random_uuid(Random(seeding(0, person.number, 0, "stranger")))
