"""What happens in the simulated shop: visits, sign-ups, orders, the till, a shared tablet, and what goes wrong.

In:    a seed, a number of customers, the time.
Out:   `Said`: messages in the form of Segment's libraries, each with the kind of key that its sender holds.
Never: reads a clock or an unseeded source; the same seed and the same clock give the same messages.
"""

from collections.abc import Callable, Generator, Iterator
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any, Literal, NamedTuple

from tillit.clock import DAY, HOUR, MINUTE, SECOND, rfc3339
from tillit.simulate.people import Customer, build_customer, mistyped, random_uuid

Message = dict[str, Any]
KeyKind = Literal["public", "secret"]


class Said(NamedTuple):
    """One message on its way to the door."""

    key: KeyKind  # browsers hold the public key, the shop's own server and till the secret one
    message: Message


class _Step(NamedTuple):
    """One thing a visit does, and how long after the last."""

    after_s: float
    key: KeyKind
    message: Message
    is_late: bool = False  # the telephone had no network: it arrives hours later, dated rightly


class Product(NamedTuple):
    """One thing the shop sells."""

    product_id: str
    name: str
    category: str
    price_minor: int  # euro cents


CATALOGUE: tuple[Product, ...] = (
    Product("tea-01", "Earl Grey, loose, 250 g", "Tea", 1290),
    Product("tea-02", "Sencha, first harvest, 100 g", "Tea", 1850),
    Product("tea-03", "Nettle and mint, 80 g", "Tea", 690),
    Product("pot-01", "Cast iron teapot, 0.8 l", "Pots", 6400),
    Product("pot-02", "Glass teapot, 1.2 l", "Pots", 3900),
    Product("cup-01", "Stoneware cup, moss", "Cups", 1450),
    Product("cup-02", "Stoneware cup, slate", "Cups", 1450),
    Product("cup-03", "Travel cup, steel", "Cups", 2490),
    Product("jam-01", "Cloudberry jam", "Pantry", 890),
    Product("jam-02", "Bitter orange marmalade", "Pantry", 620),
    Product("hon-01", "Heather honey", "Pantry", 980),
    Product("cak-01", "Spice cake, whole", "Pantry", 1190),
    Product("tow-01", "Linen tea towel", "Linen", 1600),
    Product("tow-02", "Waffle napkins, four", "Linen", 2800),
    Product("boo-01", "The patient kettle (book)", "Books", 2200),
    Product("gif-01", "Gift card", "Gifts", 5000),
)
CATEGORIES = tuple(dict.fromkeys(product.category for product in CATALOGUE))
_CAMPAIGNS: tuple[Message | None, ...] = (
    None,
    None,
    None,
    {"name": "autumn-tea", "source": "newsletter", "medium": "email"},
    {"name": "brand", "source": "search", "medium": "cpc"},
    {"name": "slow-mornings", "source": "social", "medium": "paid"},
)
_METHODS = ("password", "passkey", "link")
_SITE = "https://shop.example.com"
_BROWSER = {"name": "analytics.js", "version": "npm:next-1.84.3"}
_SERVER = {"name": "analytics-python", "version": "2.4.0"}
_ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

# Of a hundred visits. Chosen so that a demo of some minutes shows each of them; no shop was measured.
_VISITS: tuple[tuple[str, int], ...] = (("web", 72), ("till", 14), ("tablet", 6), ("bot", 8))
_DUPLICATE_SHARE = 0.012
_BAD_SHARE = 0.006
_LATE_SHARE = 0.02
# Hours of the day, by how many visits begin in them: quiet nights, a lunch, a long evening.
_HOURS = (1, 1, 1, 1, 1, 2, 4, 7, 8, 8, 9, 10, 12, 10, 8, 8, 9, 11, 14, 17, 18, 15, 9, 4)


class Shop:
    """A shop and its customers.

    `run` keeps message ids of two runs with one seed apart; a resend within a run keeps its id.
    """

    def __init__(self, seed: int = 7, n_customers: int = 300, *, run: str = "") -> None:
        """Open the shop."""
        if n_customers < 1:
            raise ValueError("n_customers must be at least 1")
        self.seed = seed
        self.n_customers = n_customers
        self._rng = Random(f"tillit shop {seed} {n_customers} {run}")
        self._people: dict[int, Customer] = {}
        self._members: set[int] = set()  # who has signed up
        self._tablet = random_uuid(Random(f"tillit tablet {seed}"))
        self._orders = count(self._rng.randrange(10_000, 90_000))

    def customer(self, number: int) -> Customer:
        """Give one customer by number."""
        found = self._people.get(number)
        if found is None:
            found = self._people[number] = build_customer(self.seed, number)
        return found

    def history(self, days: int, *, now: int, n_visits: int | None = None) -> Iterator[Said]:
        """Give what happened in the last days, oldest first but for what was late.

        Units: now is UTC epoch microseconds; all events are dated before it.
        """
        rng = self._rng
        n_visits = n_visits if n_visits is not None else max(1, self.n_customers * 3)
        begin = now - days * DAY
        starts = sorted(
            begin + rng.randrange(days) * DAY + rng.choices(range(24), weights=_HOURS)[0] * HOUR + rng.randrange(HOUR)
            for _ in range(n_visits)
        )
        order = count()
        waiting: list[tuple[int, int, Said]] = []  # (when it arrives, tie, message)
        for start in starts:
            while waiting and waiting[0][0] <= start:
                yield heappop(waiting)[2]
            at = start
            for step in self._visit():
                at += int(step.after_s * SECOND)
                if at >= now:
                    break
                said = _dated(step, at)
                arrives = at + rng.randrange(HOUR, 9 * HOUR) if step.is_late else at
                heappush(waiting, (arrives, next(order), said))
                if rng.random() < _DUPLICATE_SHARE:
                    heappush(waiting, (arrives + rng.randrange(2, 90) * SECOND, next(order), said))
                if rng.random() < _BAD_SHARE:
                    heappush(waiting, (arrives, next(order), self._bad(at)))
        while waiting:
            yield heappop(waiting)[2]

    def live(self, *, now: Callable[[], int], n_at_once: int = 12) -> Iterator[Said]:
        """Give what happens now, without end: a few visits side by side, each step dated when it is asked for."""
        rng = self._rng
        visits: list[Generator[_Step, None, None]] = []
        late: list[Said] = []
        while True:
            while len(visits) < n_at_once:
                visits.append(self._visit())
            chosen = rng.randrange(len(visits))
            step = next(visits[chosen], None)
            if step is None:
                visits.pop(chosen)
                continue
            at = now()
            if step.is_late:
                late.append(_dated(step, at - rng.randrange(10 * MINUTE, 5 * HOUR)))
            else:
                said = _dated(step, at)
                yield said
                if rng.random() < _DUPLICATE_SHARE:
                    yield said
            if rng.random() < _BAD_SHARE:
                yield self._bad(at)
            if late and rng.random() < 0.2:
                yield late.pop(0)

    # -- visits

    def _visit(self) -> Generator[_Step, None, None]:
        rng = self._rng
        kind = rng.choices([k for k, _ in _VISITS], weights=[w for _, w in _VISITS])[0]
        if kind == "bot":
            return self._bot()
        # A few customers come often, most seldom.
        person = self.customer(min(int(rng.expovariate(1.0) * self.n_customers / 3), self.n_customers - 1))
        if kind == "till" and person.is_regular and person.number in self._members:
            return self._till(person)
        if kind == "tablet":
            return self._tablet_visit(person)
        return self._web(person)

    def _web(self, person: Customer) -> Generator[_Step, None, None]:
        rng = self._rng
        device = rng.randrange(len(person.devices))
        browser = _Browser(self, person, person.devices[device], person.user_agents[device], rng.choice(_CAMPAIGNS))
        is_member = person.number in self._members
        is_known = is_member and rng.random() < 0.6  # the browser still remembers
        is_late = rng.random() < _LATE_SHARE
        if is_known:
            browser.user_id = person.user_id
        yield browser.page("Home", "/", 0.5)
        basket: list[Product] = []
        for _ in range(rng.randrange(1, 5)):
            if rng.random() < 0.18:
                yield browser.track("Products Searched", {"query": rng.choice(CATEGORIES).lower()}, rng.uniform(4, 20))
            product = rng.choice(CATALOGUE)
            yield browser.page(product.name, f"/products/{product.product_id}", rng.uniform(5, 40))
            yield browser.track("Product Viewed", _shown(product, person), rng.uniform(0.2, 1.5), is_late=is_late)
            if rng.random() < 0.38:
                basket.append(product)
                added = {**_shown(product, person), "quantity": rng.choice((1, 1, 1, 2, 4))}
                yield browser.track("Product Added", added, rng.uniform(3, 30))
        if person.wants_newsletter and rng.random() < 0.15:
            yield from self._newsletter(person, browser)
        if not is_member and (basket or rng.random() < 0.1):
            self._members.add(person.number)
            browser.user_id = person.user_id
            yield browser.track("Signed Up", {"method": rng.choice(_METHODS)}, rng.uniform(10, 60))
            yield browser.identify(_traits(person), 0.3)
        elif is_member and not is_known and (basket or rng.random() < 0.4):
            browser.user_id = person.user_id
            yield browser.track("Signed In", {"method": rng.choice(_METHODS)}, rng.uniform(5, 30))
            yield browser.identify({"email": person.email}, 0.3)
        if basket and browser.user_id is not None:
            yield browser.track(
                "Checkout Started", {"value": _total(basket, person), "currency": person.language.currency}, 8
            )
            if rng.random() < 0.72:
                yield self._order(person, basket, "web", rng.uniform(20, 120))
                yield browser.page("Thank you", "/checkout/thanks", 1.0)
            if rng.random() < 0.06:
                yield self._server(person, "Order Refunded", {"reason": rng.choice(("broken", "late", "wrong"))}, 90)

    def _newsletter(self, person: Customer, browser: "_Browser") -> Iterator[_Step]:
        rng = self._rng
        if rng.random() < 0.2:
            yield browser.identify({"email": mistyped(person.email, rng)}, rng.uniform(5, 20))
        yield browser.identify({"email": person.email}, rng.uniform(4, 25))
        yield browser.track("Newsletter Subscribed", {"list": "slow mornings", "place": "footer"}, 0.4)

    def _till(self, person: Customer) -> Generator[_Step, None, None]:
        basket = self._rng.choices(CATALOGUE, k=self._rng.randrange(1, 4))
        yield self._order(person, basket, "till", 1.0)

    def _tablet_visit(self, person: Customer) -> Generator[_Step, None, None]:
        """The tablet on the counter: everybody's and nobody's."""
        agent = "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5"
        browser = _Browser(self, person, self._tablet, agent, None)
        yield browser.page("In the shop", "/kiosk", 1.0)
        product = self._rng.choice(CATALOGUE)
        yield browser.track("Product Viewed", _shown(product, person), self._rng.uniform(3, 30))
        if self._rng.random() < 0.6:
            self._members.add(person.number)
            browser.user_id = person.user_id
            yield browser.identify({"email": person.email, "firstName": person.first_name}, 15)
            yield browser.track("Store Stock Checked", {"product_id": product.product_id, "in_stock": True}, 6)

    def _bot(self) -> Generator[_Step, None, None]:
        browser = _Browser(self, None, random_uuid(self._rng), _ROBOT, None)
        for product in self._rng.sample(CATALOGUE, k=self._rng.randrange(2, 5)):
            yield browser.page(product.name, f"/products/{product.product_id}", 0.4)

    def _order(self, person: Customer, basket: list[Product], channel: str, after_s: float) -> _Step:
        products = [{**_shown(product, person), "quantity": 1} for product in basket]
        return self._server(
            person,
            "Order Completed",
            {
                "order_id": f"o-{next(self._orders)}",
                "channel": channel,
                "products": products,
                "revenue": _total(basket, person),
                "currency": person.language.currency,
            },
            after_s,
        )

    def _server(self, person: Customer, event: str, properties: Message, after_s: float) -> _Step:
        message: Message = {
            "type": "track",
            "messageId": random_uuid(self._rng),
            "userId": person.user_id,
            "event": event,
            "properties": properties,
            "context": {"library": _SERVER},
        }
        return _Step(after_s, "secret", message)

    def _bad(self, at: int) -> Said:
        """What a hasty integration sends: it belongs in quarantine, not in a profile."""
        message: Message = {"type": "track", "messageId": random_uuid(self._rng), "timestamp": rfc3339(at)}
        kind = self._rng.randrange(4)
        if kind == 0:
            message |= {"event": "Product Viewed", "properties": {"product_id": "tea-01"}}  # nobody's
        elif kind == 1:
            message |= {"anonymousId": random_uuid(self._rng), "properties": {"product_id": "tea-02"}}  # no name
        elif kind == 2:
            message |= {"userId": 2**60 + 1, "event": "Order Completed"}  # a number that was rounded on its way
        else:
            message |= {"anonymousId": random_uuid(self._rng), "event": "Product Viewed", "properties": "tea-03"}
        return Said("public", message)


class _Browser:
    """One browser during one visit."""

    def __init__(self, shop: Shop, person: Customer | None, device: str, agent: str, campaign: Message | None) -> None:
        self._shop = shop
        self._person = person
        self._device = device
        self._agent = agent
        self._campaign = campaign
        self._path = "/"
        self.user_id: str | None = None

    def page(self, name: str, path: str, after_s: float) -> _Step:
        self._path = path
        about = {"name": name, "path": path, "url": _SITE + path, "title": f"{name} · Kettle and Moss"}
        return self._step("page", {"name": name, "properties": about}, after_s)

    def track(self, event: str, properties: Message, after_s: float, *, is_late: bool = False) -> _Step:
        return self._step("track", {"event": event, "properties": properties}, after_s, is_late=is_late)

    def identify(self, traits: Message, after_s: float) -> _Step:
        return self._step("identify", {"traits": traits}, after_s)

    def _step(self, kind: str, told: Message, after_s: float, *, is_late: bool = False) -> _Step:
        context: Message = {
            "library": _BROWSER,
            "userAgent": self._agent,
            "page": {"path": self._path, "url": _SITE + self._path},
        }
        if self._person is not None:
            context["locale"] = self._person.language.locale
            context["timezone"] = self._person.language.timezone
        if self._campaign is not None:
            context["campaign"] = self._campaign
        message: Message = {
            "type": kind,
            "messageId": f"ajs-next-{random_uuid(self._shop._rng)}",
            "anonymousId": self._device,
            **({"userId": self.user_id} if self.user_id is not None else {}),
            **told,
            "context": context,
        }
        return _Step(after_s, "public", message, is_late)


def _dated(step: _Step, at: int) -> Said:
    return Said(step.key, {**step.message, "timestamp": rfc3339(at // 1000 * 1000)})


def _traits(person: Customer) -> Message:
    traits: Message = {
        "email": person.email,
        "firstName": person.first_name,
        "lastName": person.last_name,
        "language": person.language.locale,
        "address": {"city": person.language.city, "country": person.language.country},
    }
    if person.phone is not None:
        traits["phone"] = person.phone
    return traits


def _shown(product: Product, person: Customer) -> Message:
    return {
        "product_id": product.product_id,
        "name": product.name,
        "category": product.category,
        "price": _price(product, person),
        "currency": person.language.currency,
    }


def _price(product: Product, person: Customer) -> float:
    return product.price_minor * person.language.price_share // 100 / 100


def _total(basket: list[Product], person: Customer) -> float:
    return round(sum(_price(product, person) for product in basket), 2)
