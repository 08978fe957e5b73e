"""Templates and mails that the tests of e-mail share."""

from typing import Any

import msgspec

from tillit.deliver.definitions import Template, read_template
from tillit.deliver.templates import render
from tillit.deliver.wire import MESSAGE, Mail, Outgoing

KEY = "0123456789abcdef0123456789abcdef"
AT = 1_795_000_000_000_000  # 2026-11-18T11:06:40Z
WAY_OUT = "https://shop.example/unsubscribe/abc"

MJML = """<mjml>
  <mj-head><mj-title>News</mj-title></mj-head>
  <mj-body><mj-section><mj-column>
    <mj-text font-family="Lato">Dear {{ profile.traits.first_name }}{% if message.total > 3 %}, hi{% endif %}</mj-text>
    <mj-raw>{% for item in message.items %}</mj-raw>
    <mj-text>{{ item.name }}: {{ item.price }}</mj-text>
    <mj-raw>{% endfor %}</mj-raw>
    <mj-button href="{{ unsubscribe_url }}">Stop</mj-button>
  </mj-column></mj-section></mj-body>
</mjml>
"""

NEWS = read_template(
    msgspec.json.encode(
        {
            "template": "news",
            "purpose": "newsletter",
            "class": "marketing",
            "destination": "mail",
            "from": "Shop, Ltd <shop@shop.example>",
            "reply_to": "answers@shop.example",
            "subject": "News for {{ profile.traits.first_name | default: 'you' }}",
            "mjml": MJML,
        }
    ).decode()
)


def letter(**texts: Any) -> Template:
    """Give a template with these texts alone."""
    bare = {"subject": "A letter", "mjml": "", "html": "", "text": ""} | texts
    return msgspec.structs.replace(NEWS, **bare)


def fill(template: Template, *, recipient: str = "ana@shop.example", traits: Any = None, message: Any = None) -> Mail:
    return render(
        template,
        profile={"traits": traits or {}, "identifiers": {"email": recipient}},
        message=message or {},
        unsubscribe_url=WAY_OUT,
        sender_default="Shop <shop@shop.example>",
        recipient=recipient,
    )


def news(first_name: str = "Ana") -> Mail:
    return fill(
        NEWS, traits={"first_name": first_name}, message={"total": 4, "items": [{"name": "Tea", "price": "3.50"}]}
    )


def outgoing(mail: Mail | None = None, key: str = KEY) -> Outgoing:
    return Outgoing(key, MESSAGE, "p1", "news", {}, AT, mail if mail is not None else news())
