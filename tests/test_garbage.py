"""What a process that folds hides from the garbage collector is not gone through again, and is not kept for ever."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# In a process of its own: what a collector sees, and what it finds left over, is all that a process ever did.
LIFE = """
import gc, json, weakref
from tillit.flow import fold, quiet_garbage_collector

class Knot:
    def __init__(self):
        self.itself = self

def is_seen(one):
    return any(each is one for each in gc.get_objects())

told = {}
with quiet_garbage_collector():
    gc.collect()
    garbage = fold.Garbage()
    few = [[i] for i in range(100)]
    garbage.hide()
    told["few"] = is_seen(few[-1])

    many = [[i] for i in range(fold._WORTH_HIDING + 100)]
    told["many"] = is_seen(many[-1])
    knot = Knot()
    left = weakref.ref(knot)
    garbage.hide()
    told["hidden"] = is_seen(many[-1])

    del knot
    gc.collect()
    told["knot, when all that is seen was collected"] = left() is not None
    garbage.look_through()
    told["knot, when too little was hidden to look"] = left() is not None
    fold._WORTH_A_LOOK = fold._WORTH_HIDING
    garbage.look_through()
    told["knot, when all was looked through"] = left() is not None
    told["hidden, when all was looked through"] = is_seen(many[-1])

    knot = Knot()
    left = weakref.ref(knot)
    gc.freeze()
    del knot
    garbage.look_through()
    told["knot, when nothing was hidden since"] = left() is not None
told["hidden, at the end"] = is_seen(many[-1])
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told() -> dict[str, bool]:
    """What the collector sees, and whether what holds itself is still there, at each moment of a process."""
    done = subprocess.run([sys.executable, "-c", LIFE], capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, bool] = json.loads(done.stdout)
    return found


def test_what_is_hidden_is_not_gone_through_again(told: dict[str, bool]) -> None:
    assert told["many"]
    assert not told["hidden"]
    assert not told["hidden, when all was looked through"]
    assert told["hidden, at the end"]


def test_a_few_are_not_worth_hiding(told: dict[str, bool]) -> None:
    assert told["few"]


def test_what_holds_itself_is_freed_when_all_is_looked_through(told: dict[str, bool]) -> None:
    # It was hidden while somebody held it: the collector passes it by until then.
    assert told["knot, when all that is seen was collected"]
    assert not told["knot, when all was looked through"]


def test_nothing_is_looked_through_while_little_was_hidden(told: dict[str, bool]) -> None:
    assert told["knot, when too little was hidden to look"]
    assert told["knot, when nothing was hidden since"]
