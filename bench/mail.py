"""Mail: how fast letters are filled, written and signed, on one core."""

import time
from collections.abc import Callable

import dkim

from bench.figure import Figure
from tillit.deliver.definitions import read_template
from tillit.deliver.dkim import Key, make_key, read_key, sign
from tillit.deliver.mime import write_mail
from tillit.deliver.templates import render
from tillit.deliver.wire import Mail

_AT = 1_795_000_000_000_000
_DOMAIN = "shop.example"
_NEWS = """
template: news
purpose: newsletter
class: marketing
destination: mail
from: Shop <shop@shop.example>
subject: "News for {{ profile.traits.first_name | default: 'you' }}"
mjml: |
  <mjml><mj-body><mj-section><mj-column>
    <mj-text>Dear {{ profile.traits.first_name }}</mj-text>
    <mj-raw>{% for item in message.items %}</mj-raw>
    <mj-text>{{ item.name }}: {{ item.price }}</mj-text>
    <mj-raw>{% endfor %}</mj-raw>
    <mj-button href="{{ unsubscribe_url }}">Stop</mj-button>
  </mj-column></mj-section></mj-body></mjml>
"""


def mails(*, n_mails: int = 600) -> list[Figure]:
    """Sign with RSA-2048, beside dkimpy; then fill, write and sign a letter of MJML with ten things in it."""
    template = read_template(_NEWS)
    message = {"items": [{"name": f"Tea {n}", "price": "3.50"} for n in range(10)]}

    def filled(number: int) -> Mail:
        return render(
            template,
            profile={"traits": {"first_name": f"Ana {number}"}, "identifiers": {}},
            message=message,
            unsubscribe_url="https://shop.example/unsubscribe/abc",
            sender_default="",
            recipient=f"ana{number}@shop.example",
        )

    def signed(key: Key, raw: bytes) -> None:
        sign(raw, domain=_DOMAIN, selector="s1", key=key, at=_AT)

    pem = make_key()
    rsa, ed25519 = read_key(pem), read_key(make_key("ed25519"))
    raw = write_mail(filled(0), message_id="0" * 32, at=_AT, dkim_domain=_DOMAIN)

    def whole(number: int) -> None:
        signed(rsa, write_mail(filled(number), message_id=f"{number:032x}", at=_AT, dkim_domain=_DOMAIN))

    def theirs(_: int) -> None:
        dkim.sign(raw, b"s1", _DOMAIN.encode(), pem.encode(), canonicalize=(b"relaxed", b"relaxed"))

    ours = _rate(lambda _: signed(rsa, raw), n_mails)
    quick = _rate(lambda _: signed(ed25519, raw), n_mails)
    plain = _rate(theirs, n_mails // 10)
    alone = _rate(filled, n_mails)
    note = f"{len(raw):,} bytes; Ed25519 {quick:,.0f}/s"
    return [
        Figure("sign mails (DKIM, RSA-2048)", ours, "mails/s", 300, True, "dkimpy", plain, note),
        Figure("fill, write and sign mails", _rate(whole, n_mails), "mails/s", 150, True, "filled alone", alone),
    ]


def _rate(call: Callable[[int], object], n_times: int) -> float:
    began = time.process_time()
    for number in range(n_times):
        call(number)
    return n_times / (time.process_time() - began)
