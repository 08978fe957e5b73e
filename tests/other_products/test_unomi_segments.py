"""What Apache Unomi's integration tests hold of segments, scores and conditions, by number (14 to 32).

What is alike and what differs, and why, is in docs/reference/differences.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.still_clock import Clock
from tillit.audience import AudienceInvalid
from tillit.clock import DAY, MINUTE, SECOND, instant, rfc3339
from tillit.identity import profile_id
from tillit.language.nodes import Condition
from tillit.language.nodes import Test as Comparison
from tillit.language.reading import read_condition
from tillit.language.values import holds, passes
from tillit.workspace import Workspace, create_workspace


class Site:
    """One workspace whose visitors are counted into audiences."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        create_workspace(folder)
        self.clock = clock
        self.ws = Workspace(folder, now=clock.now)

    def apply(self, name: str, definition: Any, **more: Any) -> None:
        told = {"audience": name, "purpose": "service", "definition": definition, **more}
        self.ws.audiences.apply(json.dumps(told), reason="", operator="kim")

    def say(self, user: str, event: str = "view", *, ago: int = 0, **properties: Any) -> None:
        self.clock.go_on(SECOND)
        at = rfc3339(self.clock.at - ago)
        self.ws.track(user_id=user, event=event, properties=properties, timestamp=at)
        self.ws.flush()

    def know(self, user: str, **traits: Any) -> None:
        self.clock.go_on(SECOND)
        self.ws.identify(user_id=user, traits=traits)
        self.ws.flush()

    def wait(self, by: int) -> None:
        self.clock.go_on(by)
        self.ws.flush()

    def members(self, name: str) -> set[str]:
        """Give the members' user ids; live and batch must agree on them."""
        found = self.ws.audiences.check(name)
        assert (found["only_live"], found["only_batch"]) == (0, 0)
        told: set[str] = set()
        for member in self.ws.memberships.members(name, limit=1_000):
            document = self.ws.profiles.get(profile_id(member.root_id))
            told.update(one["value"] for one in document["identifiers"] if one["namespace"] == "user_id")
        return told


@pytest.fixture
def site(tmp_path: Path, clock: Clock) -> Iterator[Site]:
    site = Site(tmp_path / "site", clock)
    yield site
    site.ws.close()


VIEWS = {"event": "view", "within": "10d"}


def test_unomi_14_a_segment_without_a_condition_is_refused(site: Site) -> None:
    empty: list[Any] = [None, {}, {"all": []}]
    for nothing in empty:
        with pytest.raises(AudienceInvalid):
            site.apply("empty", nothing)
    # Theirs may stand disabled without one; what is retired here still says what it was.
    with pytest.raises(AudienceInvalid):
        site.apply("empty", None, retired=True)


@pytest.mark.parametrize(
    ("definition", "where"),
    [
        ({"evnt": "view"}, "Did you mean 'event'"),
        ({"event": "view", "count": {"at_least": "two"}}, "definition.count.at_least"),
        ({"event": "view", "within": "ten days"}, "definition.within"),
        ({"trait": "age", "between": [3, 1]}, "definition.between"),
    ],
)
def test_unomi_15_an_invalid_condition_is_refused_where_it_is_wrong(site: Site, definition: Any, where: str) -> None:
    with pytest.raises(AudienceInvalid) as refused:
        site.apply("wrong", definition)
    assert where in refused.value.message
    assert refused.value.status == 400


def test_unomi_16_a_new_segment_takes_in_who_matches_and_a_deleted_one_holds_nobody(site: Site) -> None:
    site.know("ana", plan="pro")
    site.know("bo", plan="free")
    site.apply("pro", {"trait": "plan", "equals": "pro"})
    before = site.members("pro")
    site.apply("pro", {"trait": "plan", "equals": "pro"}, retired=True)

    assert before == {"ana"}
    assert site.ws.memberships.count("pro") == 0
    assert site.ws.profiles.get("user_id:ana").get("audiences", {}) == {}


def test_unomi_17_past_events_count_from_the_first_moment(site: Site) -> None:
    site.say("ana", ago=5 * DAY)
    site.say("bo", ago=50 * DAY)
    site.apply("viewers", VIEWS)
    assert site.members("viewers") == {"ana"}


def test_unomi_18_who_did_not_is_in_until_they_do(site: Site) -> None:
    site.know("ana")
    site.apply("quiet", {"event": "view", "within": "10d", "count": 0})
    before = site.members("quiet")
    site.say("ana")
    assert (before, site.members("quiet")) == ({"ana"}, set())


def test_unomi_19_needs_a_recalculation_for_what_slides_out_and_here_it_leaves_at_its_second(site: Site) -> None:
    site.apply("viewers", VIEWS)
    site.say("ana")
    site.wait(10 * DAY - 1)
    before = site.members("viewers")
    site.wait(1)
    assert (before, site.members("viewers")) == ({"ana"}, set())


def test_unomi_20_from_least_to_most_and_in_a_span_of_years_ago(site: Site) -> None:
    site.apply("some", {"event": "view", "count": {"between": [1, 2]}})
    site.apply("then", {"event": "view", "from": "2000-01-01", "until": "2001-01-01"})
    told = []
    for _ in range(3):
        site.say("ana")
        told.append(site.members("some"))
    site.say("bo", ago=site.clock.at - (instant("2000-06-01T00:00:00Z") or 0))
    assert told == [{"ana"}, {"ana"}, set()]
    assert site.members("then") == {"bo"}


def test_unomi_21_an_event_from_before_the_window_adds_nobody(site: Site) -> None:
    site.apply("viewers", VIEWS)
    site.say("ana", ago=11 * DAY)
    assert site.members("viewers") == set()


def test_unomi_22_an_event_from_the_future_adds_nobody_and_here_counts_once_its_time_comes(site: Site) -> None:
    site.apply("viewers", VIEWS)
    # Further ahead the door takes the sender's clock for wrong, and sets the event to when it came.
    site.say("ana", ago=-4 * MINUTE)
    before = site.members("viewers")
    site.wait(4 * MINUTE)
    assert (before, site.members("viewers")) == (set(), {"ana"})


def test_unomi_23_a_relative_date_is_recalculated_daily_and_here_at_its_second(site: Site) -> None:
    site.know("ana", renewal=rfc3339(site.clock.at)[:10] + "T00:00:00Z")
    site.apply("recent", {"trait": "renewal", "within_last": "5d"})
    before = site.members("recent")
    site.wait(6 * DAY)
    assert (before, site.members("recent")) == ({"ana"}, set())


def test_unomi_24_adds_scores_up_and_here_a_number_of_events_or_a_sum_is_a_feature(site: Site) -> None:
    feature = {"feature": "points", "purpose": "service", "definition": {"event": "view", "sum": "points"}}
    site.ws.audiences.apply(json.dumps(feature), reason="", operator="kim")
    site.apply("keen", {"feature": "points", "at_least": 10})
    site.say("ana", points=4)
    before = site.members("keen")
    site.say("ana", points=6)
    membership = site.ws.audiences.membership("user_id:ana")

    assert (before, site.members("keen")) == (set(), {"ana"})
    assert site.ws.audiences.value_of("points", membership, site.ws.scope())["value"] == 10


def test_unomi_25_segments_come_with_the_profile(site: Site) -> None:
    site.apply("viewers", VIEWS)
    site.say("ana")
    assert set(site.ws.profiles.get("user_id:ana")["audiences"]) == {"viewers"}


# -- conditions


def answer(clause: Any, properties: Any) -> bool:
    matcher = _matcher(read_condition({"event": "view", "where": clause}))
    return holds(matcher.where, properties)


def _matcher(node: Condition) -> Any:
    return node.value.matcher  # type: ignore[union-attr]


def test_unomi_26_and_or_and_not() -> None:
    both = {"a": 1, "b": 2}
    assert answer(both, {"a": 1, "b": 2})
    assert not answer(both, {"a": 1})
    assert answer({"any": [{"a": 1}, {"b": 2}]}, {"b": 2})
    assert answer({"not": {"a": 1}}, {"a": 2})


def test_unomi_27_numbers_dates_and_texts() -> None:
    at = instant("2026-03-02T00:00:00Z") or 0
    before = instant("2026-03-03T00:00:00Z") or 0
    assert answer({"n": {"greater": 1, "at_most": 2.5}}, {"n": 2.5})
    assert not answer({"n": {"greater": 1}}, {"n": "2"}), "a number in quotes is a text"
    assert answer({"name": {"starts_with": "Å", "contains": "ngs", "ends_with": "m"}}, {"name": "Ångström"})
    assert answer({"name": {"matches": "^a.*z$"}}, {"name": "abcz"})
    assert passes(Comparison("before", before), "2026-03-02", at)


def test_unomi_28_what_is_missing_is_not_equal_and_not_there() -> None:
    for test in ({"not_equals": 1}, {"none_of": [1]}, {"not_contains": "x"}, {"is_set": False}):
        assert answer({"n": test}, {}), test
    for test in ({"equals": 1}, {"one_of": [1]}, {"less": 5}, {"is_set": True}):
        assert not answer({"n": test}, {}), test


def test_unomi_29_several_values_in_none_of_and_all() -> None:
    tags = {"tags": ["red", "blue"]}
    assert answer({"tags": {"one_of": ["red", "green"]}}, tags)
    assert answer({"tags": {"none_of": ["green"]}}, tags)
    assert answer({"tags": {"all_of": ["red", "blue"]}}, tags)
    assert not answer({"tags": {"all_of": ["red", "green"]}}, tags)


def test_unomi_30_a_nested_condition_holds_within_one_element_and_of_no_empty_list() -> None:
    wanted = {"items": {"some": {"sku": "a", "price": {"at_least": 10}}}}
    assert answer(wanted, {"items": [{"sku": "a", "price": 10}]})
    assert not answer(wanted, {"items": [{"sku": "a", "price": 5}, {"sku": "b", "price": 20}]})
    assert not answer({"items": {"some": {"sku": {"not_equals": "a"}}}}, {"items": []})


def test_unomi_31_a_day_is_that_of_a_zone_also_when_clocks_change(site: Site) -> None:
    # The night in which Stockholm puts its clocks forward: the day has 23 hours.
    site.clock.at = instant("2027-03-27T22:30:00Z") or 0
    site.apply("today", {"event": "view", "calendar": {"unit": "day", "zone": "Europe/Stockholm"}})
    site.say("ana")
    before = site.members("today")
    site.clock.at = (instant("2027-03-27T23:00:00Z") or 0) - 1
    site.ws.flush()
    still = site.members("today")
    site.wait(1)
    over = site.members("today")
    site.say("bo")
    site.clock.at = (instant("2027-03-28T22:00:00Z") or 0) - 1
    site.ws.flush()
    assert (before, still, over, site.members("today")) == ({"ana"}, {"ana"}, set(), {"bo"})
    site.wait(1)
    assert site.members("today") == set()


def test_unomi_32_the_same_answers_in_memory_and_as_a_query_of_the_store(site: Site) -> None:
    definitions = {
        "all": {"all": [VIEWS, {"trait": "plan", "equals": "pro"}]},
        "none": {"not": VIEWS},
        "sum": {"event": "view", "sum": {"of": "n", "at_least": 3}},
    }
    for name, definition in definitions.items():
        site.apply(f"x-{name}", definition)
    for number in range(6):
        site.know(f"u{number}", plan=("pro", "free")[number % 2])
        site.say(f"u{number}", ago=(number % 3) * 6 * DAY, n=number)
    assert all(site.members(f"x-{name}") for name in definitions)
