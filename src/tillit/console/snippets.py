"""Snippets: how each SDK is pointed at this server.

In:    this server's address, a key (or a word in its place), the key's kind.
Out:   text to copy.
Never: a key that was not made for the place: a secret one in a page's source.
"""

from typing import NamedTuple

_BROWSER = """import { AnalyticsBrowser } from "@segment/analytics-next"

const analytics = AnalyticsBrowser.load({
  writeKey: "KEY",
  cdnURL: "BASE",
})
analytics.track("Hello")"""
_NODE = """import { Analytics } from "@segment/analytics-node"

const analytics = new Analytics({ writeKey: "KEY", host: "BASE" })
analytics.track({ userId: "customer-1", event: "Hello" })
await analytics.closeAndFlush()"""
_PYTHON = """import segment.analytics as analytics

analytics.write_key = "KEY"
analytics.host = "BASE"
analytics.track("customer-1", "Hello")
analytics.flush()"""
_RUDDER = """const Analytics = require("@rudderstack/rudder-sdk-node")

const analytics = new Analytics("KEY", { dataPlaneUrl: "BASE", flushAt: 1 })
analytics.track({ userId: "customer-1", event: "Hello" })"""
_KOTLIN = """val analytics = Analytics("KEY", applicationContext) {
    apiHost = "HOST/v1"
    cdnHost = "HOST/v1"
}
analytics.track("Hello")"""
_SWIFT = """let analytics = Analytics(configuration: Configuration(writeKey: "KEY")
    .apiHost("HOST/v1")
    .cdnHost("HOST/v1"))
analytics.track(name: "Hello")"""
_CURL = """curl -u KEY: BASE/v1/track \\
  -d '{"userId": "customer-1", "event": "Hello"}'"""
_PIXEL = """<img alt="" width="1" height="1"
  src="BASE/pixel/v1/track?writeKey=KEY&anonymousId=reader-1&event=Mail+Opened">"""


class Snippet(NamedTuple):
    """One way to send."""

    id: str
    name: str
    needs: str
    kind: str  # of the key that it is for
    text: str


_ALL = (
    Snippet("browser", "Browser", "npm install @segment/analytics-next", "public", _BROWSER),
    Snippet("node", "Node", "npm install @segment/analytics-node", "secret", _NODE),
    Snippet("python", "Python", "pip install segment-analytics-python", "secret", _PYTHON),
    Snippet("rudder", "RudderStack, Node", "npm install @rudderstack/rudder-sdk-node", "secret", _RUDDER),
    Snippet("kotlin", "Android, Kotlin", "com.segment.analytics.kotlin:android (https only)", "public", _KOTLIN),
    Snippet("swift", "iOS, Swift", "segmentio/analytics-swift (https only)", "public", _SWIFT),
    Snippet("curl", "Anything", "curl", "secret", _CURL),
    Snippet("pixel", "Pixel, for mail", "nothing", "public", _PIXEL),
)


def list_snippets(base_url: str, *, kind: str = "", key: str = "") -> list[Snippet]:
    """Give the snippets; with a kind only those that its keys are for, with a key filled in."""
    host = base_url.partition("://")[2]
    return [
        one._replace(
            text=one.text.replace("BASE", base_url)
            .replace("HOST", host)
            .replace("KEY", key or ("YOUR_PUBLIC_KEY" if one.kind == "public" else "YOUR_SECRET_KEY"))
        )
        for one in _ALL
        if kind in {"", one.kind}
    ]
