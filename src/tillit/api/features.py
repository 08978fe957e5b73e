"""Routes about features: what each is made of, how its values are spread, and each person's.

In:    a feature's name; a person in the body.
Out:   definitions, counts, values.
Never: a value of somebody whom the feature's purpose may not use; a feature whose purpose the key was not made for.
"""

from typing import Any, cast

from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from tillit.api.audience_documents import (
    FeatureDocument,
    FeaturesDocument,
    LookupValue,
    PathFeature,
    QueryAfterPerson,
    ValueOfFeatureDocument,
    ValuesDocument,
    WholeFeatureDocument,
)
from tillit.api.desk import Desk
from tillit.api.documents import QueryLimit
from tillit.api.profiles import who_of
from tillit.records import Scope

Asking = Request[Any, Any, Any]
_READS: dict[str, Any] = {"scope": "audiences:read"}
_PATH = "/api/features/{name:str}"
_TAGS = ["audiences"]


def feature_routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Make the routes."""
    ws = desk.ws

    async def leave(request: Asking, name: str) -> Scope:
        defined = await desk.slowly(lambda: ws.audiences.feature(name))
        return desk.scope(request, defined.feature.purpose)

    @get("/api/features", opt=_READS, tags=_TAGS)
    async def list_features() -> FeaturesDocument:
        """List features: what each is made of."""
        return {"features": cast(list[FeatureDocument], await desk.slowly(ws.audiences.list_features))}

    @get(_PATH, opt=_READS, tags=_TAGS)
    async def read_feature(request: Asking, name: PathFeature) -> WholeFeatureDocument:
        """Give a feature, and how its values are spread over the people whom its purpose may use."""
        scope = await leave(request, name)

        def look() -> dict[str, Any]:
            said = next(one for one in ws.audiences.list_features() if one["feature"] == name)
            return {**said, **ws.audiences.distribution(name, scope)}

        return cast(WholeFeatureDocument, await desk.slowly(look))

    @get(f"{_PATH}/values", opt=_READS, tags=_TAGS)
    async def list_feature_values(
        request: Asking, name: PathFeature, limit: QueryLimit = None, after: QueryAfterPerson = None
    ) -> ValuesDocument:
        """Give the value of each person whom the feature's purpose may use, in the order in which they came to us."""
        scope = await leave(request, name)
        rows = desk.limit(limit)
        found = await desk.slowly(
            lambda: ws.audiences.values(name, scope, after=-1 if after is None else after, limit=rows)
        )
        desk.note(request, scope, (one["profile_id"] for one in found.values))
        return cast(
            ValuesDocument,
            {
                "feature": name,
                "purpose": scope.purpose,
                "values": found.values,
                "withheld": dict(sorted(found.withheld.items())),
                "next": found.after,
            },
        )

    @post(f"{_PATH}/values/lookup", opt=_READS, status_code=200, tags=_TAGS)
    async def look_up_feature_value(
        request: Asking, name: PathFeature, data: JSONBody[LookupValue]
    ) -> ValueOfFeatureDocument:
        """Give one person's value."""
        scope = await leave(request, name)
        membership = await desk.slowly(lambda: ws.audiences.membership(who_of(data)))
        found = await desk.slowly(lambda: ws.audiences.value_of(name, membership, scope))
        desk.note(request, scope, [membership.profile_id])
        return cast(ValueOfFeatureDocument, found)

    return [list_features, read_feature, list_feature_values, look_up_feature_value]
