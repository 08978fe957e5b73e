"""What every folder and every table must keep, whatever comes: one model for both."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st

from tillit.deliver.definitions import Destination
from tillit.deliver.wire import DELIVERED, UPSERT, Answer, Outgoing, Wire

Found = TypeVar("Found")
FIELDS = {"email": "traits.email", "age": "traits.age"}
AT = 1_764_000_000_123_456


class Step(NamedTuple):
    """One call: records with their values, or keys to take out."""

    is_removal: bool
    items: tuple[tuple[str, str | None], ...]


keys = st.sampled_from([f"p{n}" for n in range(6)])
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
steps = st.lists(
    st.builds(
        Step,
        st.booleans(),
        st.lists(st.tuples(keys, texts), min_size=1, max_size=8).map(tuple),
    ),
    max_size=8,
)


def destination(kind: str, to: dict[str, Any], **more: Any) -> Destination:
    return Destination(
        **{
            "destination": "people",
            "kind": kind,
            "purpose": "news",
            "send": "people",
            "to": to,
            "fields": FIELDS,
            **more,
        }
    )


def outgoing(key: str, payload: dict[str, Any], at: int = AT) -> Outgoing:
    return Outgoing("0" * 32, UPSERT, key, "", payload, at)


def run(doing: Coroutine[Any, Any, Found]) -> Found:
    return asyncio.run(doing)


async def anywhere(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def outcomes(answers: Sequence[Answer]) -> list[str]:
    return [answer.outcome for answer in answers]


async def keeps_the_model(
    wire: Wire, history: Sequence[Step], look: Callable[[], dict[str, str | None]] | Callable[[], Awaitable[Any]]
) -> None:
    """Walk through the steps; after each one the destination has the model's rows and no other."""
    model: dict[str, str | None] = {}
    for step in history:
        if step.is_removal:
            answers = await wire.remove([outgoing(key, {}) for key, _ in step.items])
            for key, _ in step.items:
                model.pop(key, None)
        else:
            answers = await wire.send([outgoing(key, {"email": value}) for key, value in step.items])
            model.update(step.items)

        assert outcomes(answers) == [DELIVERED] * len(step.items)
        assert look() == model
