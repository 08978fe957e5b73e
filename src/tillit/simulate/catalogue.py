"""What the simulated shop sells and does: products, tastings, campaigns, and the sources that speak for it.

In:    nothing.
Out:   plain tables.
Never: a figure about a person.
"""

from typing import Any, NamedTuple

from tillit.simulate.languages import LANGUAGES

Message = dict[str, Any]

SITE = "https://shop.example.com"
# Who speaks, and with which kind of key: what runs at a customer's holds a public one, the shop's own a secret one.
SOURCES: dict[str, str] = {
    "web": "public",
    "app": "public",
    "shop": "secret",
    "till": "secret",
    "mail": "secret",
    "support": "secret",
}


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
TASTINGS = ("Green teas", "Tea and cheese", "First flush", "Tea for children")


class Campaign(NamedTuple):
    """One mailing, and what it does to people. The shares are planted: they are what a measurement should find."""

    campaign_id: str
    subject: str
    at_share: float  # of the history's days: when it is sent
    moved_share: float  # of those it reaches and who would not have bought: they buy because of it
    annoyed_share: float  # they had enough, unsubscribe and leave


HOLDOUT_SHARE = 0.2  # of those who may be mailed: left alone, so that the effect can be measured
CAMPAIGN_DAYS = 7  # what is bought later is not counted
CAMPAIGNS: tuple[Campaign, ...] = (
    Campaign("late-summer", "Iced tea, slowly", 0.10, 0.05, 0.004),
    Campaign("new-harvest", "The new harvest is in", 0.27, 0.10, 0.004),
    Campaign("slow-mornings", "Slow mornings", 0.44, 0.00, 0.006),  # moves nobody: not every campaign works
    Campaign("autumn-tea", "Tea against the rain", 0.58, 0.08, 0.010),
    Campaign("last-call", "Last call! Last call!", 0.72, 0.03, 0.080),  # does more harm than good
    Campaign("gifts", "Gifts that steep", 0.85, 0.12, 0.010),
)
# The other ways in, as advertisements mark them.
ADVERTS: tuple[Message | None, ...] = (
    *(None,) * 4,
    {"name": "brand", "source": "search", "medium": "cpc"},
    {"name": "kettle-clips", "source": "social", "medium": "paid"},
)
PRICE_RISE_SHARE = 0.4  # of the history's days: some leave over it


def shown(product: Product, locale: str) -> Message:
    """Give a product as an event names it to people of one language."""
    return _SHOWN[locale][product.product_id]


def total(basket: list[Product], locale: str) -> float:
    """Give the price of a basket."""
    prices = _SHOWN[locale]
    return round(sum(float(prices[product.product_id]["price"]) for product in basket), 2)


def _priced() -> dict[str, dict[str, Message]]:
    return {
        language.locale: {
            product.product_id: {
                "product_id": product.product_id,
                "name": product.name,
                "category": product.category,
                "price": product.price_minor * language.price_share // 100 / 100,
                "currency": language.currency,
            }
            for product in CATALOGUE
        }
        for language in LANGUAGES
    }


_SHOWN = _priced()
