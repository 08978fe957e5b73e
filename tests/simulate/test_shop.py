"""The simulated shop is the same for the same seed, a small one begins a large one, and nobody in it is real."""

from collections import Counter
from collections.abc import Callable
from itertools import islice

import msgspec
import pytest

from tillit.clock import DAY, HOUR, SECOND
from tillit.collect.limits import Limits
from tillit.simulate import CAMPAIGNS, SOURCES, Said, Scene, Shop, list_languages
from tillit.simulate.catalogue import HOLDOUT_SHARE
from tillit.simulate.history import take_all
from tillit.simulate.seasons import Calendar

NOW = 1_795_312_000 * SECOND


def past(seed: int, n_customers: int, *, days: int = 180) -> list[Said]:
    return [said for day in Shop(seed, n_customers, end=NOW, days=days).history(Scene()) for said in day]


def ticking() -> Callable[[], int]:
    moments = iter(range(NOW, NOW + DAY, SECOND))
    return lambda: next(moments)


def present(seed: int, n_said: int) -> list[Said]:
    return list(islice(Shop(seed, 120, end=NOW).live(Scene(), now=ticking(), run="one"), n_said))


def test_the_same_seed_tells_the_same_past_to_the_byte() -> None:
    first = msgspec.json.encode(past(5, 60))

    assert first == msgspec.json.encode(past(5, 60))
    assert first != msgspec.json.encode(past(6, 60))


def test_the_same_seed_and_clock_tell_the_same_present() -> None:
    assert present(5, 300) == present(5, 300)


def test_the_present_has_no_message_of_the_past() -> None:
    ids = [{said.message["messageId"] for said in told} for told in (past(5, 120), present(5, 300))]

    assert ids[0].isdisjoint(ids[1])


def test_a_small_shop_is_the_beginning_of_a_large_one() -> None:
    small, large = past(5, 70), past(5, 230)

    assert [said for said in large if said.person < 70 and said.person >= 0] == [
        said for said in small if said.person >= 0
    ]


def test_days_are_as_many_as_asked_for() -> None:
    told = past(5, 60, days=30)

    assert all(NOW - 31 * DAY <= said.at < NOW and said.arrives_at < NOW for said in told)
    assert any(said.at < NOW - 20 * DAY for said in told)


def test_what_is_handed_over_as_read_becomes_the_rows_that_bytes_become() -> None:
    told = past(5, 120)

    quick = take_all(Limits(), told, end=NOW)

    assert quick == take_all(Limits(), told, end=NOW, as_bytes=True)
    assert 0 < len(quick[1]) < len(told) * 0.02
    assert {row.code for row in quick[1]} <= {
        "no_user_anon_id",
        "event_not_defined",
        "id_out_of_range",
        "properties_not_object",
    }


def test_the_door_dates_every_event_as_it_happened() -> None:
    told = past(5, 300)
    happened = sorted(said.at // 1000 for said in told if "context" in said.message)

    rows, _, _ = take_all(Limits(), told, end=NOW)

    assert any(said.skew for said in told), "a wrong clock"
    assert sorted(row.event_at // 1000 for row in rows) == happened


def test_the_past_has_what_real_traffic_has() -> None:
    told = past(5, 400)
    names = Counter(str(said.message.get("event")) for said in told)
    users_per_device: dict[str, set[str]] = {}
    for said in told:
        if "anonymousId" in said.message and "userId" in said.message:
            users_per_device.setdefault(said.message["anonymousId"], set()).add(str(said.message["userId"]))

    assert {said.source for said in told} == set(SOURCES)
    assert max(map(len, users_per_device.values())) > 3, "a tablet on a counter"
    assert any(said.arrives_at > said.at + HOUR for said in told), "late events"
    assert any("bot" in said.message.get("context", {}).get("userAgent", "").lower() for said in told)
    assert {said.message["type"] for said in told} >= {"track", "page", "screen", "identify", "alias"}
    assert names.keys() >= {
        *("Email Delivered", "Email Opened", "Email Link Clicked", "Unsubscribed"),
        *("Ticket Opened", "Ticket Answered", "Ticket Closed"),
        *("Return Requested", "Return Received", "Order Refunded"),
        *("Booking Created", "Booking Changed", "Booking Cancelled", "Booking Attended"),
        *("Order Completed", "Segment Consent Preference Updated"),
    }


def test_returns_and_tickets_name_an_order_that_was_made() -> None:
    told = past(5, 400)
    about = [
        (said.at, str(said.message["properties"]["order_id"]), said.message["event"])
        for said in told
        if isinstance(said.message.get("properties"), dict) and "order_id" in said.message["properties"]
    ]
    ordered = {order: at for at, order, event in about if event == "Order Completed"}
    others = [(at, order) for at, order, event in about if event != "Order Completed"]

    assert len(others) > 20
    assert [order for at, order in others if order not in ordered or ordered[order] > at] == []


def test_a_resend_is_the_same_message() -> None:
    told = past(5, 120)
    by_id: dict[str, list[Said]] = {}
    for said in told:
        by_id.setdefault(said.message["messageId"], []).append(said)
    resent = [sent for sent in by_id.values() if len(sent) > 1]

    assert 0 < len(resent) < len(told) * 0.05
    assert all(sent[0].message == again.message for sent in resent for again in sent[1:])


def test_december_is_busier_and_nights_are_quiet_by_the_customers_own_clock() -> None:
    christmas = NOW + 30 * DAY  # 22 December
    told = [said for day in Shop(5, 500, end=christmas).history(Scene()) for said in day if said.source == "web"]
    by_day = Counter((christmas - said.at) // DAY for said in told if said.person >= 0)
    tokyo = [
        (said.at + 9 * HOUR) % DAY // HOUR
        for said in told
        if said.message.get("context", {}).get("timezone") == "Asia/Tokyo"
    ]

    assert sum(by_day[day] for day in range(1, 15)) > 1.5 * sum(by_day[day] for day in range(61, 75))
    assert len(tokyo) > 50
    assert sum(hour < 6 for hour in tokyo) < 0.12 * len(tokyo)


def test_nobody_can_be_reached() -> None:
    people = [Shop(5, 2_000, end=NOW).customer(number) for number in range(2_000)]
    phones = [phone for person in people for phone in (person.phone, person.new_phone) if phone is not None]

    assert {person.email.rpartition("example.")[2] for person in people} <= {"org", "com", "net"}
    assert len({address for person in people for address in (person.email, person.new_email)}) == 2 * len(people)
    assert len(set(phones)) == len(phones)
    # The ranges that Ofcom, PTS and ARCEP keep for films.
    kept = (
        *("+447700900", "+441134960", "+441144960", "+441174960", "+441414960", "+441514960"),
        *("+467017406", "+463139006", "+464062804", "+468465004", "+469803192"),
        *("+3319900", "+3326191", "+3335301", "+3346571", "+3353649", "+3363998"),
    )
    assert [phone for phone in phones if not phone.startswith(kept)] == []
    assert {person.language.locale for person in people} == set(list_languages())


def test_nothing_that_is_said_names_a_place_outside_the_reserved_domains() -> None:
    words = msgspec.json.encode([said.message for said in past(5, 200)]).decode()
    hosts = {word.split("/")[0].split('"')[0] for word in words.split("https://")[1:]}
    mails = {word.split('"')[0].strip().lower() for word in words.split("@")[1:]}
    mails -= {"1", "2"}  # a notice is named with its version

    assert hosts == {"shop.example.com"}
    assert mails <= {"example.org", "example.com", "example.net", "mail.example.org", "post.example.com"}


def test_households_share_an_address_and_a_name() -> None:
    shop = Shop(5, 100, end=NOW)
    homes: dict[int, list[tuple[str, str]]] = {}
    for number in range(100):
        person = shop.customer(number)
        homes.setdefault(person.household, []).append((person.address, person.last_name))

    assert sorted(len(people) for people in homes.values() if len(people) > 1) == [2] * 11 + [3]
    assert all(len(set(people)) == 1 for people in homes.values())


def test_a_planted_effect_is_what_an_experiment_finds() -> None:
    shop = Shop(5, 4_000, end=NOW)
    treatments = [told for number in range(4_000) for told in shop.life(number).treatments]
    for campaign in CAMPAIGNS:
        told = [one for one in treatments if one.campaign_id == campaign.campaign_id]
        mailed, held_out = [[one for one in told if one.is_treated is is_mailed] for is_mailed in (True, False)]
        caused = sum(one.buys_with - one.buys_without for one in mailed) / len(mailed)
        measured = sum(one.buys_with for one in mailed) / len(mailed) - sum(one.buys_with for one in held_out) / len(
            held_out
        )

        assert len(held_out) / len(told) == pytest.approx(HOLDOUT_SHARE, abs=0.04)
        # Of those it moves some were to buy anyway, and some of the annoyed would have bought.
        assert caused == pytest.approx(campaign.moved_share, abs=0.025)
        # Four standard errors of a difference of two shares near 0.07, one of some 250 people.
        assert measured == pytest.approx(caused, abs=4 * (0.07 * 0.93 / len(held_out)) ** 0.5)
        assert all(one.buys_with == one.buys_without for one in held_out)


def test_who_has_left_is_not_heard_of_again() -> None:
    shop = Shop(5, 600, end=NOW)
    left = {n: lapse.at for n in range(600) if (lapse := shop.life(n).lapse) is not None}
    whys = Counter(lapse.why for n in range(600) if (lapse := shop.life(n).lapse) is not None)
    # Errands take their time: the desk closes a ticket, a parcel comes back, a booked tasting passes.
    seen = [
        said
        for day in shop.history(Scene())
        for said in day
        if said.source in {"web", "app", "till"} and said.at > left.get(said.person, NOW) + HOUR
    ]

    assert seen == []
    assert whys.keys() == {"price", "bad-service", "moved", "lost-interest", "campaign-fatigue"}


def test_days_are_weighed_from_the_first_to_the_last() -> None:
    calendar = Calendar(NOW - 10 * DAY, NOW)
    scene = Scene()
    scene.rng.seed(1)

    picked = [calendar.pick(scene.rng, NOW - 10 * DAY, "Europe/Stockholm") for _ in range(500)]

    assert len({(at - NOW) // DAY for at in picked}) >= 10
    assert all(NOW - 11 * DAY < at < NOW + 2 * DAY for at in picked)


def test_a_shop_needs_a_customer() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Shop(5, 0, end=NOW)
