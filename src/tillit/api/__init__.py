"""HTTP for programs: profiles, events, quarantine, keys, health.

In:    requests with a key that has the route's scope.
Out:   JSON documents, the same as from Python and the command line; a live stream; OpenAPI.
Never: a personal value without a scope and a note in the journal; logic of a room.
"""

from tillit.api.app import Api, api_reference_page, create_api

__all__ = ["Api", "api_reference_page", "create_api"]
