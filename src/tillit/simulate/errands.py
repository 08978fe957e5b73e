"""What happens beside the visits: mailings, tickets, returns, tastings, changes of mind.

In:    a customer's life, one errand of it, a scene to play it in.
Out:   what was said, added to the scene.
Never: a decision that matters to the truth; that stands in the plan (lives.py).
"""

from tillit.clock import DAY, HOUR, MINUTE, SECOND
from tillit.simulate.catalogue import CAMPAIGNS, TASTINGS
from tillit.simulate.lives import Life, Visit
from tillit.simulate.visits import CHOSEN, browser_of, consent_at
from tillit.simulate.voices import Scene, Server, text_of

_SUBJECTS = {campaign.campaign_id: campaign.subject for campaign in CAMPAIGNS}
_BOUNCE_SHARE = 0.01


def play_mail(scene: Scene, life: Life, visit: Visit) -> None:
    """Get a mailing: delivered, perhaps opened and clicked."""
    random = scene.rng.random
    mail = Server(scene, "mail", life.customer.number, {"userId": life.customer.user_id})
    about = {"campaign_id": visit.about, "email_subject": _SUBJECTS[visit.about]}
    at = scene.after(visit.at, 1, 240)
    if not visit.mark and random() < _BOUNCE_SHARE:
        mail.track(at, "Email Bounced", about)
        return
    mail.track(at, "Email Delivered", about)
    if not visit.mark:
        return
    at = min(at + int(random() * 20) * MINUTE + 30 * SECOND, visit.at + HOUR - 2 * MINUTE)
    mail.track(at, "Email Opened", about)
    if visit.mark == "clicks":
        mail.track(scene.after(at, 5, 40), "Email Link Clicked", {**about, "link_url": "https://shop.example.com/new"})
    elif visit.mark == "unsubscribes":
        mail.track(visit.at + 2 * HOUR - SECOND, "Unsubscribed", {**about, "list": "slow mornings"})
        told = {"purposes": {"newsletter": "withdrawn"}, "method": "link in the mailing"}
        mail.track(visit.at + 2 * HOUR - SECOND, CHOSEN, told)


def play_ticket(scene: Scene, life: Life, visit: Visit) -> None:
    """Ask for help: opened, answered, closed."""
    random = scene.rng.random
    desk = Server(scene, "support", life.customer.number, {"userId": life.customer.user_id})
    is_bad = visit.mark == "bad"
    about = {"ticket_id": f"t-{visit.key}", "channel": "email" if random() < 0.6 else "chat"}
    if visit.about.startswith("o-"):
        about["order_id"] = visit.about
    desk.track(visit.at, "Ticket Opened", {**about, "topic": "where is my order" if is_bad else visit.about})
    at = visit.at + int((40 + random() * 60 if is_bad else 0.5 + random() * 20) * HOUR)
    desk.track(at, "Ticket Answered", {**about, "answered_by": "desk", "after_hours": (at - visit.at) // HOUR})
    at += int(random() * 2 * DAY)
    desk.track(at, "Ticket Closed", {**about, "is_solved": not is_bad, "rating": 1 if is_bad else 4})


def play_return(scene: Scene, life: Life, visit: Visit) -> None:
    """Send something back: asked for, received, refunded."""
    shop = Server(scene, "shop", life.customer.number, {"userId": life.customer.user_id})
    about = {"return_id": f"r-{visit.key}", "order_id": visit.about, "reason": visit.mark}
    shop.track(visit.at, "Return Requested", about)
    at = visit.at + int((2 + scene.rng.random() * 5) * DAY)
    shop.track(at, "Return Received", about)
    shop.track(at + 3 * HOUR, "Order Refunded", {**about, "currency": life.customer.language.currency})


def play_booking(scene: Scene, life: Life, visit: Visit) -> None:
    """Book a tea tasting; move it, drop it or come."""
    random = scene.rng.random
    shop = Server(scene, "shop", life.customer.number, {"userId": life.customer.user_id})
    starts_at = visit.at // DAY * DAY + int(3 + random() * 12) * DAY + 17 * HOUR
    about = {"booking_id": f"b-{visit.key}", "tasting": TASTINGS[int(random() * len(TASTINGS))]}
    shop.track(visit.at, "Booking Created", {**about, "starts_at": text_of(starts_at)})
    chance = random()
    if chance < 0.15:
        starts_at += 7 * DAY
        shop.track(visit.at + DAY, "Booking Changed", {**about, "starts_at": text_of(starts_at)})
    if chance > 0.8:
        shop.track(starts_at - DAY, "Booking Cancelled", about)
    else:
        shop.track(starts_at, "Booking Attended", about)


def play_preference(scene: Scene, life: Life, visit: Visit) -> None:
    """Take a yes back, on the page for it."""
    browser = browser_of(scene, life, visit)
    browser.ids["userId"] = life.customer.user_id
    browser.page(visit.at - 20 * SECOND, "Your choices", "/privacy")
    browser.context = {**browser.context, "consent": consent_at(life, visit.at)}
    told = {"place": "/privacy", "purposes": {visit.mark or "newsletter": "withdrawn"}}
    browser.track(visit.at, "Segment Consent Preference Updated", told)
