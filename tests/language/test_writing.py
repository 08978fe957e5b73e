"""What is written is read as the same nodes."""

import json

import yaml
from hypothesis import given

from tests.language.small_world import conditions, event_values
from tillit.language import nodes
from tillit.language.nodes import AllOf, Condition
from tillit.language.reading import read_condition, read_value
from tillit.language.writing import stopped_spans, to_plain


@given(node=conditions)
def test_what_is_written_is_read_as_the_same_nodes(node: Condition) -> None:
    plain = to_plain(node)

    assert read_condition(plain) == node
    assert read_condition(yaml.safe_load(yaml.safe_dump(plain, sort_keys=False))) == node
    assert read_condition(json.loads(json.dumps(plain))) == node


@given(plain=event_values())
def test_a_value_is_read_as_the_same_nodes(plain: dict[str, object]) -> None:
    node = read_value(plain)

    assert read_value(to_plain(node)) == node


def test_what_stopped_is_written_as_it_was_said() -> None:
    # Together 90 days and 1 second: no span of time is written like that.
    plain = {"stopped": {"event": "Order Completed", "quiet": "1s", "active": "90d"}}

    assert to_plain(read_condition(plain)) == plain


def test_a_text_in_place_of_nothing_is_not_taken_for_stopped() -> None:
    said = {"stopped": {"event": "Order Completed", "quiet": "30d", "active": "90d"}}
    node = read_condition(said)
    assert isinstance(node, AllOf)
    before, after = node.all_of
    assert isinstance(after, nodes.Compare)
    other = AllOf((before, after._replace(tests=(nodes.Test("equals", False),))))

    assert stopped_spans(node) is not None
    assert stopped_spans(other) is None
    assert stopped_spans(AllOf((after, before))) is None
