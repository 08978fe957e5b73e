"""A device that was nobody's comes to somebody: what both did is judged as one person's, and nothing else is asked."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audience.shop import Town
from tests.still_clock import Clock
from tillit.clock import DAY, HOUR, SECOND

A, B = "Order Completed", "Product Viewed"
# None of them asks what somebody may be used for, or about groups: where one does, everything is asked again.
DEFINITIONS: dict[str, Any] = {
    "twice": {"event": A, "within": "7d", "count": {"at_least": 2}},
    "few": {"all": [{"event": A}, {"event": A, "within": "7d", "count": {"less": 3}}]},
    "ever": {"event": B, "count": {"at_least": 3}},
    "dear": {"event": A, "sum": {"of": "total", "at_least": 5}},
    "cheap": {"event": A, "sum": {"of": "total", "less": 2}},
    "mean": {"event": A, "within": "7d", "average": {"of": "total", "greater": 1}},
    "new": {"first_time": {"event": A, "within": "7d"}},
    "led": {"sequence": {"steps": [{"event": B}, {"event": A, "within": "1d"}], "within": "7d", "same": "sku"}},
    "apart": {"sequence": {"steps": [{"event": B}, {"event": A, "without": {"event": "Cart Viewed"}}], "within": "7d"}},
    "quiet": {"all": [{"event": "*", "within": "1h", "count": 0}, {"event": "*"}]},
    "pro": {"all": [{"trait": "plan", "equals": "pro"}, {"event": A}]},
    "nameless": {"all": [{"not": {"trait": "plan", "is_set": True}}, {"not": {"event": A}}]},
    "often": {"event": A, "most_frequent": {"of": "sku", "equals": "a"}},
}
AGO = st.sampled_from([0, 0, SECOND, HOUR, 3 * HOUR, 2 * DAY, 6 * DAY, 8 * DAY, 40 * DAY, -HOUR])
SAID = st.one_of(
    st.builds(
        lambda name, total, sku: {"type": "track", "event": name, "properties": {"total": total, "sku": sku}},
        st.sampled_from([A, A, B, B, "Cart Viewed"]),
        st.sampled_from([-4, -1, 1, 2, 4]),
        st.sampled_from("ab"),
    ),
    st.builds(lambda plan: {"type": "identify", "traits": {"plan": plan}}, st.sampled_from(["pro", "free", None])),
)
# What a device did, what somebody did, whether a moment passes between, and what is said by both.
LIVES = st.tuples(
    st.lists(st.tuples(SAID, AGO), max_size=4),
    st.lists(st.tuples(SAID, AGO), max_size=4),
    st.booleans(),
    SAID,
    AGO,
)


@settings(max_examples=12)
@given(st.lists(LIVES, min_size=8, max_size=8))
def test_what_a_device_did_before_it_was_somebodys_counts_as_theirs(lives: list[Any]) -> None:
    with TemporaryDirectory() as folder, Town(Path(folder) / "town", Clock()) as town:
        for name, definition in DEFINITIONS.items():
            town.put(name, definition)
        for number, (of_device, of_person, is_apart, both, ago) in enumerate(lives):
            for said, back in of_device:
                town.say({**said, "anonymousId": f"device-{number}-4wq"}, back)
            for said, back in of_person:
                town.say({**said, "userId": f"user-{number}-7f3kq9"}, back)
            if is_apart:
                town.clock.go_on(SECOND)
                town.ws.flush()
            town.say({**both, "anonymousId": f"device-{number}-4wq", "userId": f"user-{number}-7f3kq9"}, ago)
            if is_apart:
                town.ws.flush()
        town.look()
        for by in (HOUR, 3 * DAY):
            town.wait(by)
            town.look()
