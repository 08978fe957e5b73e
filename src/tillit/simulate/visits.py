"""What happens in a visit: on the web, in the app, at the till, at the tablet on the counter; and what robots do.

In:    a customer's life, one visit of it, a scene to play it in.
Out:   what was said, added to the scene.
Never: a decision that matters to the truth: who buys and who signs up stands in the plan (lives.py).
"""

from collections.abc import Callable
from functools import lru_cache

from tillit.clock import SECOND
from tillit.simulate.catalogue import ADVERTS, CATALOGUE, CATEGORIES, Message, Product, shown, total
from tillit.simulate.lives import Life, Visit, order_id
from tillit.simulate.people import Customer, mistyped, random_uuid, seeding
from tillit.simulate.purposes import notice_of
from tillit.simulate.seasons import NEVER
from tillit.simulate.voices import (
    App,
    Browser,
    Held,
    Scene,
    Server,
    app_context,
    browser_context,
    delayed,
    text_of,
)

CHOSEN = "Consent Updated"  # by which a server says what somebody chose
BOT = -1  # all robots are one person in the truth, and no person at all
KIOSK_REACH = 500  # customers who share one tablet on a counter
_METHODS = ("password", "passkey", "link")
_ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
_TABLET = "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5"
_OFFLINE_SHARE = 0.12
_WRONG_CLOCK_SHARE = 0.03

Play = Callable[[Scene, Life, Visit], None]


@lru_cache(maxsize=8)
def _consent(analytics: bool, marketing: bool | None, personalisation: bool) -> Message:
    answers = {"analytics": analytics, "personalisation": personalisation}
    if marketing is not None:
        answers["marketing"] = marketing
    return {"categoryPreferences": answers}


def consent_at(life: Life, at: int) -> Message:
    """Give what they have agreed to, as of then. A browser that says no by itself is not asked about advertising."""
    choices = life.choices
    advertising = None if choices.sends_gpc else choices.advertising
    return _consent(choices.analytics, advertising, life.personalisation and at < choices.personalisation_until)


def traits_of(life: Life, at: int) -> Message:
    """Give what somebody tells when they sign up."""
    person = life.customer
    traits: Message = {
        "email": life.email_at(at),
        "firstName": person.first_name,
        "lastName": person.last_name,
        "language": person.language.locale,
        "address": {"street": person.address, "city": person.language.city, "country": person.language.country},
    }
    if person.phone is not None:
        traits["phone"] = person.phone
    if life.choices.born_on:
        traits["birthday"] = life.choices.born_on
    return traits


def browser_of(scene: Scene, life: Life, visit: Visit, *, device: str = "", agent: str = "") -> Browser:
    """Open a browser: one of the customer's own, or a given one."""
    person = life.customer
    own = int(scene.rng.random() * len(person.devices))
    campaign: Message | None
    if visit.mark == "moved":
        campaign = {"name": visit.about, "source": "newsletter", "medium": "email"}
    else:
        campaign = ADVERTS[int(scene.rng.random() * len(ADVERTS))]
    context = browser_context(
        agent or person.user_agents[own],
        person.language.locale,
        person.language.timezone,
        consent_at(life, visit.at),
        campaign,
    )
    browser = Browser(scene, person.number, device or person.devices[own], context)
    browser.gpc = life.choices.sends_gpc and not agent  # a shared tablet asks nobody's browser
    return browser


def play_web(scene: Scene, life: Life, visit: Visit) -> None:
    """Look around; perhaps sign up, sign in, buy."""
    rng, person = scene.rng, life.customer
    browser = browser_of(scene, life, visit)
    is_member = visit.at > life.member_from
    if is_member and rng.random() < 0.6:
        browser.ids["userId"] = person.user_id  # the browser still remembers
    browser.page(visit.at, "Home", "/")
    at, basket = _look_around(scene, browser, visit, person)
    if visit.at == life.choices.newsletter_at and life.choices.newsletter_how == "footer":
        at = _newsletter(scene, browser, life, at)
    if visit.at == life.member_from:
        browser.ids["userId"] = person.user_id
        at = scene.after(at, 10, 60)
        browser.track(at, "Signed Up", {"method": _METHODS[int(rng.random() * 3)]})
        browser.identify(at + 300_000, traits_of(life, at))
        _say_account(scene, life, at + SECOND)
    elif is_member and "userId" not in browser.ids and (visit.buys or rng.random() < 0.4):
        browser.ids["userId"] = person.user_id
        at = scene.after(at, 5, 30)
        browser.track(at, "Signed In", {"method": _METHODS[int(rng.random() * 3)]})
        browser.identify(at + 300_000, {"email": life.email_at(at)})
    if visit.buys:
        _check_out(scene, browser, life, visit, scene.after(at, 8, 40), basket)


def _look_around(scene: Scene, browser: Browser, visit: Visit, person: Customer) -> tuple[int, list[Product]]:
    random, locale, at = scene.rng.random, person.language.locale, visit.at
    basket: list[Product] = []
    n_looks = 1 + int(random() * (3 if visit.buys else 2.5))
    for look in range(n_looks):
        product = CATALOGUE[int(random() * len(CATALOGUE))]
        at = scene.after(at, 5, 40)
        if random() < 0.15:
            browser.track(at, "Products Searched", {"query": CATEGORIES[int(random() * len(CATEGORIES))].lower()})
            at = scene.after(at, 4, 20)
        browser.page(at, product.name, f"/products/{product.product_id}")
        browser.track(at + 700_000, "Product Viewed", shown(product, locale))
        if random() < 0.25 or (visit.buys and look == n_looks - 1 and not basket):
            basket.append(product)
            at = scene.after(at, 3, 30)
            browser.track(at, "Product Added", {**shown(product, locale), "quantity": 1})
    return at, basket


def _newsletter(scene: Scene, browser: Browser, life: Life, at: int) -> int:
    at = scene.after(at, 4, 25)
    if scene.rng.random() < 0.2:
        wrong = mistyped(life.customer.email, scene.rng)
        browser.identify(at, {"email": wrong})
        scene.held.append(Held("email", wrong, life.customer.number, at, None, "mistyped"))
        at = scene.after(at, 5, 20)
    browser.identify(at, {"email": life.customer.email})
    browser.track(at + 400_000, "Newsletter Subscribed", {"list": "slow mornings", "place": "footer"})
    if life.choices.is_confirmed:
        # What anybody can type is no yes yet: the link in the mail comes back to the shop's own server.
        at = scene.after(at, 60, 600)
        ids: Message = {"anonymousId": browser.ids["anonymousId"]}
        say_newsletter(scene, life, at, ids, "double opt-in", {"traits": {"email": life.customer.email}})
    return at


def _check_out(scene: Scene, browser: Browser, life: Life, visit: Visit, at: int, basket: list[Product]) -> None:
    person = life.customer
    locale, currency = person.language.locale, person.language.currency
    browser.track(at, "Checkout Started", {"value": total(basket, locale), "currency": currency})
    at = scene.after(at, 20, 120)
    ids: Message = {"userId": person.user_id}
    context: Message | None = None
    if "userId" not in browser.ids:
        # A guest: the shop's server knows the browser's cookie and the address for the parcel.
        browser.identify(at, {"email": life.email_at(at)})
        ids, context = {"anonymousId": browser.ids["anonymousId"]}, {"traits": {"email": life.email_at(at)}}
    order = Server(scene, "shop", person.number, ids, context)
    order.track(at + 200_000, "Order Completed", ordered(life, visit, basket, "web"))
    if visit.at == life.choices.newsletter_at and life.choices.newsletter_how == "checkout":
        say_newsletter(scene, life, at + 300_000, ids, "checkbox at checkout", context)
    browser.page(at + 1_200_000, "Thank you", "/checkout/thanks")


def say_newsletter(
    scene: Scene, life: Life, at: int, ids: Message, method: str, context: Message | None = None, by: str = "self"
) -> None:
    """Let the shop's server say that somebody wants the newsletter, by which ways and after which notice."""
    choices = life.choices
    told: Message = {
        "purposes": {"newsletter": True},
        "channels": ["email", "sms"] if choices.newsletter_sms else ["email"],
        "method": method,
        "by": by,
        "notice": f"{notice_of(life.customer.language.locale)}@{choices.newsletter_notice}",
    }
    if choices.newsletter_until is not None:
        told["valid_until"] = text_of(choices.newsletter_until)
    if by != "self":
        told["evidence"] = f"form g-{life.customer.number:05d}"
    Server(scene, "shop", life.customer.number, ids, context).track(at, CHOSEN, told)


def _say_account(scene: Scene, life: Life, at: int) -> None:
    """Let the shop's server say what stands beside a new account."""
    choices, ids = life.choices, {"userId": life.customer.user_id}
    if choices.account_at != NEVER:
        said = {"personalisation": life.personalisation, "advertising": choices.account_advertising}
        server = Server(scene, "shop", life.customer.number, ids)
        server.track(at, CHOSEN, {"purposes": said, "method": "page of the account"})
    if choices.newsletter_how in {"account", "child"}:
        say_newsletter(scene, life, at + SECOND, ids, "checkbox when signing up")
    elif choices.newsletter_how == "guardian":
        say_newsletter(scene, life, choices.newsletter_at, ids, "paper form", by="guardian")


def ordered(life: Life, visit: Visit, basket: list[Product], channel: str) -> Message:
    """Give what an order says of itself."""
    locale = life.customer.language.locale
    return {
        "order_id": order_id(visit),
        "channel": channel,
        "products": [{**shown(product, locale), "quantity": 1} for product in basket],
        "revenue": total(basket, locale),
        "currency": life.customer.language.currency,
    }


def app_of(scene: Scene, life: Life, visit: Visit) -> App:
    """Open the customer's app."""
    person = life.customer
    language = person.language
    consent = consent_at(life, visit.at)
    context = app_context(person.model, person.app_device, language.locale, language.timezone, consent)
    return App(scene, person.number, person.app_device, context)


def play_app(scene: Scene, life: Life, visit: Visit) -> None:
    """Look around in the app; some telephones are offline, some have a wrong clock."""
    random, person = scene.rng.random, life.customer
    first = len(scene.said)
    app = app_of(scene, life, visit)
    if random() < _WRONG_CLOCK_SHARE:
        app.skew = int((random() - 0.5) * 48) * 3_600_000_000
    is_member = visit.at >= life.member_from
    if visit.at > life.member_from:
        app.ids["userId"] = person.user_id
    at = visit.at
    app.track(at, "Application Opened", {"from_background": random() < 0.5, "version": "4.2.0"})
    basket: list[Product] = []
    for _ in range(1 + int(random() * 3)):
        product = CATALOGUE[int(random() * len(CATALOGUE))]
        at = scene.after(at, 4, 30)
        app.screen(at, product.category)
        app.track(at + 600_000, "Product Viewed", shown(product, person.language.locale))
        basket.append(product)
    if is_member and "userId" not in app.ids:
        app.ids["userId"] = person.user_id
        at = scene.after(at, 10, 50)
        app.track(at, "Signed Up", {"method": "passkey"})
        app.identify(at + 300_000, traits_of(life, at))
        _say_account(scene, life, at + SECOND)
    if visit.buys:
        at = scene.after(at, 20, 90)
        product = basket[-1]
        app.track(at, "Product Added", {**shown(product, person.language.locale), "quantity": 1})
        ids: Message = {"userId": person.user_id} if is_member else {"anonymousId": person.app_device}
        order = Server(scene, "shop", person.number, ids)
        order.track(scene.after(at, 20, 60), "Order Completed", ordered(life, visit, [product], "app"))
    elif random() < _OFFLINE_SHARE:
        delayed(scene.said, first, 1 + random() * 8)


def play_till(scene: Scene, life: Life, visit: Visit) -> None:
    """Buy in the shop and show the card."""
    person = life.customer
    basket = [CATALOGUE[int(scene.rng.random() * len(CATALOGUE))] for _ in range(1 + int(scene.rng.random() * 3))]
    card = {"id": person.card, "type": "card", "collection": "users", "encoding": "none"}
    till = Server(scene, "till", person.number, {"userId": person.user_id}, {"externalIds": [card]})
    till.track(visit.at, "Order Completed", ordered(life, visit, basket, "till"))


def kiosk_id(seed: int, number: int) -> str:
    """Give the anonymous id of the tablet in a customer's shop."""
    scene = Scene()
    scene.rng.seed(seeding(seed, number // KIOSK_REACH, 0, "kiosk"))
    return random_uuid(scene.rng)


def play_shared(scene: Scene, life: Life, visit: Visit, device: str, why: str) -> None:
    """Use a tablet that is others' too: look, sign in, look again."""
    person = life.customer
    first = len(scene.said)
    browser = browser_of(scene, life, visit, device=device, agent=_TABLET)
    browser.page(visit.at, "In the shop" if why == "kiosk" else "Home", "/kiosk" if why == "kiosk" else "/")
    product = CATALOGUE[int(scene.rng.random() * len(CATALOGUE))]
    at = scene.after(visit.at, 3, 30)
    browser.track(at, "Product Viewed", shown(product, person.language.locale))
    if why != "kiosk" or scene.rng.random() < 0.7:
        browser.ids["userId"] = person.user_id
        at = scene.after(at, 10, 40)
        browser.identify(at, {"email": life.email_at(at), "firstName": person.first_name})
        browser.track(scene.after(at, 5, 40), "Store Stock Checked", {"product_id": product.product_id})
    scene.held.append(Held("anonymous_id", device, person.number, scene.said[first].at, scene.said[-1].at + 1, why))


def play_bot(scene: Scene, _: Life, visit: Visit) -> None:
    """Read a few pages, without a cookie from the last time."""
    device = random_uuid(scene.rng)
    bot = Browser(scene, BOT, device, browser_context(_ROBOT, "en-US", "UTC", None, None))
    at = visit.at
    for _page in range(2 + int(scene.rng.random() * 3)):
        product = CATALOGUE[int(scene.rng.random() * len(CATALOGUE))]
        bot.page(at, product.name, f"/products/{product.product_id}")
        at += 400_000
    scene.held.append(Held("anonymous_id", device, BOT, visit.at, None, "bot"))
