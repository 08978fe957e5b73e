"""The settings that a browser or a phone asks for before it sends anything.

In:    a write key, and the host and scheme the request came to.
Out:   the JSON document of Segment's CDN, pointing back at us.
Never: more than one integration (each further one makes the browser fetch code from elsewhere); a metrics sample
       rate above 0 (the browser would report to Segment).
"""

import msgspec


def settings_document(write_key: str, *, host: str, scheme: str) -> bytes:
    """Give the settings document of one source as JSON."""
    return msgspec.json.encode(
        {
            "integrations": {
                "Segment.io": {
                    "apiKey": write_key,
                    "apiHost": f"{host}/v1",
                    "protocol": scheme,
                    "unbundledIntegrations": [],
                    "addBundledMetadata": True,
                    "maybeBundledConfigIds": {},
                    "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
                }
            },
            "plan": {
                "track": {"__default": {"enabled": True, "integrations": {}}},
                "identify": {"__default": {"enabled": True}},
                "group": {"__default": {"enabled": True}},
            },
            "metrics": {"sampleRate": 0},
            "edgeFunction": {},
            "middlewareSettings": {},
            "enabledMiddleware": {},
            "remotePlugins": [],
            "legacyVideoPluginsEnabled": False,
            "analyticsNextEnabled": True,
            "consentSettings": {"allCategories": [], "hasUnmappedDestinations": False},
        }
    )
