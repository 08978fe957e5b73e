"""The simulated shop is the same for the same seed, and what it says is taken at the door."""

from collections import Counter
from collections.abc import Callable
from itertools import islice, pairwise

import pytest

from tillit.clock import DAY, HOUR, SECOND
from tillit.collect.door import take
from tillit.collect.limits import Limits
from tillit.collect.stamp import instant
from tillit.records import TRUST_CLAIMED
from tillit.simulate import Shop, list_languages

NOW = 1_795_312_000 * SECOND


def ticking() -> Callable[[], int]:
    moments = iter(range(NOW, NOW + DAY, SECOND))
    return lambda: next(moments)


def test_the_same_seed_tells_the_same_past() -> None:
    first = list(Shop(5, 40).history(7, now=NOW, n_visits=120))
    again = list(Shop(5, 40).history(7, now=NOW, n_visits=120))

    assert first == again
    assert first != list(Shop(6, 40).history(7, now=NOW, n_visits=120))


def test_the_same_seed_and_clock_tell_the_same_present() -> None:
    first = list(islice(Shop(5, 40).live(now=ticking()), 300))

    assert first == list(islice(Shop(5, 40).live(now=ticking()), 300))


def test_two_runs_of_one_seed_share_customers_but_no_message_ids() -> None:
    one, other = Shop(5, 40, run="a"), Shop(5, 40, run="b")
    ids = [{said.message["messageId"] for said in shop.history(7, now=NOW, n_visits=120)} for shop in (one, other)]

    assert ids[0].isdisjoint(ids[1])
    assert [one.customer(n) for n in range(40)] == [other.customer(n) for n in range(40)]


def test_the_door_takes_all_but_the_events_that_are_bad_on_purpose() -> None:
    said = list(Shop(5, 60).history(7, now=NOW, n_visits=400))

    taken = take(
        [dict(one.message) for one in said],
        route_type=None,
        source="web",
        trust=TRUST_CLAIMED,
        received_at=NOW,
        limits=Limits(batch_events=100_000),
    )

    assert len(taken.rows) + len(taken.quarantine) == len(said)
    assert 0 < len(taken.quarantine) < len(said) * 0.02
    assert {row.code for row in taken.quarantine} <= {
        "no_user_anon_id",
        "event_not_defined",
        "id_out_of_range",
        "properties_not_object",
    }


def test_the_past_has_what_real_traffic_has() -> None:
    shop = Shop(5, 80)
    said = [one for one in shop.history(14, now=NOW, n_visits=700) if isinstance(one.message.get("userId", ""), str)]
    times = [instant(one.message["timestamp"]) or 0 for one in said]
    users_per_device: dict[str, set[str]] = {}
    for one in said:
        if "anonymousId" in one.message and "userId" in one.message:
            users_per_device.setdefault(one.message["anonymousId"], set()).add(one.message["userId"])

    assert all(NOW - 14 * DAY <= at < NOW for at in times)
    assert any(later < earlier - HOUR for earlier, later in pairwise(times)), "late events"
    assert max(Counter(one.message["messageId"] for one in said).values()) > 1, "resent events"
    assert max(len(users) for users in users_per_device.values()) > 1, "a shared tablet"
    assert any("bot" in one.message["context"].get("userAgent", "").lower() for one in said if "context" in one.message)
    assert any(one.key == "secret" and one.message["properties"].get("channel") == "till" for one in said)
    assert any("userId" not in one.message and one.message["type"] == "identify" for one in said), "newsletter"


def test_nobody_can_be_reached() -> None:
    people = [Shop(5, 2_000).customer(number) for number in range(2_000)]
    telephones = [person.phone for person in people if person.phone is not None]

    assert {person.email.rpartition("example.")[2] for person in people} <= {"org", "com", "net"}
    assert len({person.email for person in people}) == len(people)
    assert len(set(telephones)) == len(telephones)
    # The ranges that Ofcom, PTS and ARCEP keep for films.
    assert all(number.startswith(("+447700900", "+467017406", "+3319900")) for number in telephones)
    assert {person.language.locale for person in people} == set(list_languages())


def test_a_shop_needs_a_customer() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Shop(5, 0)
