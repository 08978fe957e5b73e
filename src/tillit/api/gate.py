"""The gate: which key knocks, whether it may, and how much it has asked already.

In:    the Authorization header, the scope that the route names.
Out:   the living api key, noted on the request; the key's remaining budget.
Never: a route without a named scope, unless it is marked as open; a read with a key that cannot read.
"""

import base64
import binascii
import math
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from litestar.connection import ASGIConnection, Request
from litestar.handlers import HTTPRouteHandler

from tillit.access import Key, Keys
from tillit.api.refusals import KeyNeeded, MethodNotAllowed, MissingScope, RateLimited, UnknownParameter, WrongKind

Connection = ASGIConnection[Any, Any, Any, Any]


class Asked:
    """What is known of one request beside its ASGI scope."""

    __slots__ = ("budget", "key", "plain", "who")

    def __init__(self, who: str | None) -> None:
        """Begin with the identifier that stood in the path."""
        self.who = who
        self.key: Key | None = None
        self.plain = ""
        self.budget: tuple[int, int, int] | None = None  # limit, remaining, seconds until full


ASKED = "tillit.asked"


def asked(connection: Connection) -> Asked:
    """Give what is known of a request."""
    scope: Any = connection.scope
    found: Asked = scope[ASKED]
    return found


def key_of(connection: Connection) -> Key:
    """Give the key that the gate let through."""
    key = asked(connection).key
    if key is None:
        raise KeyNeeded
    return key


class Budget:
    """A bucket per key that holds one minute's worth and fills steadily. Each process counts for itself."""

    def __init__(self, per_minute: int, monotonic_s: Callable[[], float]) -> None:
        """Units: per_minute is requests a minute; 0 is no limit."""
        self._per_minute = per_minute
        self._monotonic_s = monotonic_s
        self._buckets: dict[str, tuple[float, float]] = {}  # level, when it was so

    def spend(self, key_id: str) -> tuple[int, int, int] | None:
        """Take one request; give (limit, remaining, seconds until full), or None when there is no limit.

        Raises: RateLimited when the bucket is empty.
        """
        most = self._per_minute
        if not most:
            return None
        now = self._monotonic_s()
        level, at = self._buckets.get(key_id, (float(most), now))
        level = min(float(most), level + (now - at) * most / 60)
        if level < 1:
            self._buckets[key_id] = (level, now)
            raise RateLimited(max(1, math.ceil((1 - level) * 60 / most)), most)
        level -= 1
        self._buckets[key_id] = (level, now)
        return most, int(level), math.ceil((most - level) * 60 / most)

    def empty(self, key_id: str) -> tuple[int, int, int]:
        """Say how a key stands that has nothing left."""
        level, _ = self._buckets.get(key_id, (0.0, 0.0))
        return self._per_minute, 0, math.ceil((self._per_minute - level) * 60 / self._per_minute)


class Gate:
    """Lets a request through to its handler, or raises."""

    def __init__(self, keys: Keys, budget: Budget) -> None:
        """Know the keys and how much each may ask."""
        self._keys = keys
        self._budget = budget
        self._parameters: dict[str, list[str]] = {}

    async def check(self, connection: Request[Any, Any, Any]) -> None:
        """Find the key, spend its budget, hold it against the route's scope. Deny is the default."""
        scope: Any = connection.scope
        handler: HTTPRouteHandler = scope["route_handler"]
        told = asked(connection)
        if not handler.opt.get("is_open"):
            self._let_in(told, connection, handler.opt.get("scope"))
        if scope["query_string"]:
            self._check_parameters(scope["query_string"], handler)
        if told.who is not None:
            # The router saw a stand-in; handlers see what was asked for.
            scope["path_params"] = {**scope["path_params"], "who": told.who}

    def living(self, told: Asked) -> bool:
        """Say whether the key of a long answer still lives."""
        return self._keys.find(told.plain) is not None

    def _let_in(self, told: Asked, connection: Connection, wanted: str | None) -> None:
        plain = _sent_key(connection.scope["headers"])
        key = self._keys.find(plain) if plain else None
        if key is None:
            raise KeyNeeded
        try:
            told.budget = self._budget.spend(key.key_id)
        except RateLimited:
            told.budget = self._budget.empty(key.key_id)
            raise
        if key.kind != "api":
            raise WrongKind(key.kind)
        if wanted is None:
            raise MethodNotAllowed([])
        if wanted not in key.scopes:
            raise MissingScope([wanted])
        told.key, told.plain = key, plain

    def _check_parameters(self, query: bytes, handler: HTTPRouteHandler) -> None:
        # A misspelt `purpose` must not be read as "none named".
        name = str(handler)
        known = self._parameters.get(name)
        if known is None:
            known = sorted(
                set(handler.parsed_fn_signature.parameters)
                - {"who", "request", "data", "key_id", "number", "idempotency_key"}
            )
            self._parameters[name] = known
        for sent, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            if sent not in known:
                raise UnknownParameter(known)


def _sent_key(headers: Any) -> str:
    for name, value in headers:
        if name == b"authorization":
            form, _, rest = value.partition(b" ")
            form = form.lower()
            if form == b"bearer":
                return str(rest.strip().decode("latin-1"))
            if form == b"basic":
                try:
                    return base64.b64decode(rest.strip(), validate=True).partition(b":")[0].decode("latin-1")
                except binascii.Error:
                    return ""
    return ""
