"""Templates: what they may use, what is refused, and that a value stays a value."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deliver.letters import NEWS, WAY_OUT, fill, letter, news
from tillit.deliver.definitions import DefinitionInvalid, Template, read_template
from tillit.deliver.templates import (
    Needed,
    TemplateFailed,
    check_template,
    read_address,
    render_body,
    text_of_html,
    write_address,
)

MJML_AROUND = "<mjml><mj-body><mj-section><mj-column>{}</mj-column></mj-section></mj-body></mjml>"
HOSTILE = "</p><script>x</script><mj-text>{{ profile.traits.secret }}</mj-text>{% if %}&\"'"


def test_what_a_template_uses_is_named_as_purposes_name_it() -> None:
    used = letter(
        subject="{{ profile.identifiers.email }}",
        text="{% assign name = profile.traits.first_name %}{{ name }} {{ message['order id'] }}",
    )

    assert check_template(NEWS) == Needed(("traits.first_name",), ("items", "total"), True)
    assert check_template(used) == Needed(("identifiers.email", "traits.first_name"), ("order id",), False)


def test_a_name_that_hides_a_root_hides_nothing_from_the_judge() -> None:
    hidden = letter(text="{% if message.x %}{% assign profile = message.x %}{% endif %}{{ profile.traits.iban }}")

    assert "traits.iban" in check_template(hidden).fields


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{ ''.__class__ }}", "expected"),
        ("{{ profile.__class__ }}", "cannot be used"),
        ("{{ profile }}", "cannot be used"),
        ("{{ profile.traits }}", "cannot be used"),
        ("{% for one in profile.traits %}{{ one }}{% endfor %}", "cannot be used"),
        ("{{ message[message.which] }}", "cannot be used"),
        ("{{ shop.name }}", "nothing called 'shop'"),
        ("{% for x in message.list %}{% endfor %}{{ x }}", "nothing called 'x'"),
        ("{{ message.a | safe }}", "no filter 'safe'"),
        ("{{ message.a | split: '' }}", "no filter 'split'"),
        ("{% for x in (1..1000000000) %}{% endfor %}", "loop over numbers"),
        ("{% include 'a' %}", "include"),
        ("{% render 'a' %}", "render"),
        ("{% tablerow x in message.a %}{% endtablerow %}", "tablerow"),
        ("{{ message.a", "}}"),
        ("{% if message.a %}", "endif"),
    ],
)
def test_what_is_not_in_the_language_is_refused_when_it_is_saved(text: str, says: str) -> None:
    with pytest.raises(DefinitionInvalid, match=re.escape(says)):
        check_template(letter(text=text))


@pytest.mark.parametrize("part", ["text", "html"])
def test_a_fault_is_named_by_part_and_line(part: str) -> None:
    with pytest.raises(DefinitionInvalid, match=f"`{part}`, line 3"):
        check_template(letter(**{part: "a\nb\n{{ shop.name }}"}))


def test_a_fault_in_mjml_is_named_by_the_line_that_was_written() -> None:
    lacking = {"total": 1, "items": [{"name": "Tea"}]}

    with pytest.raises(TemplateFailed) as told:
        fill(NEWS, traits={"first_name": "Ana"}, message=lacking)

    assert (told.value.part, told.value.line, told.value.reason) == ("mjml", 6, "undefined")
    assert "{{ item.price }}" in told.value.message


@pytest.mark.parametrize(
    ("html", "says"),
    [
        ("<script>1</script>", "<script>"),
        ("<link rel=stylesheet href='https://x.example/a.css'>", "<link>"),
        ("<iframe src='https://x.example'></iframe>", "<iframe>"),
        ("<style>@import url(https://x.example/a.css)</style>", "load nothing"),
        ("<style>p { color: {{ message.colour }} }</style>", "no mark"),
        ("<p style='color: {{ message.colour }}'>a</p>", "no mark"),
        ("<p onclick='a()'>a</p>", "onclick"),
        ("<p title={{ message.title }}>a</p>", "quotes"),
        ("<p {{ message.title }}>a</p>", "quotes"),
        ("<a href='javascript:1'>a</a>", "link"),
        ("<meta http-equiv='refresh' content='0;url=https://x.example'>", "http-equiv"),
    ],
)
def test_html_that_loads_or_runs_something_is_refused(html: str, says: str) -> None:
    with pytest.raises(DefinitionInvalid, match=re.escape(says)):
        check_template(letter(html=html))


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("<mj-include path='/etc/passwd' />", "mj-include"),
        (
            "<mj-social><mj-social-element name='facebook' href='https://x.example'>a</mj-social-element></mj-social>",
            "src",
        ),
        ("<mj-text>a", "no MJML"),
    ],
)
def test_mjml_that_loads_something_is_refused(inside: str, says: str) -> None:
    with pytest.raises(DefinitionInvalid, match=says):
        check_template(letter(mjml=MJML_AROUND.format(inside)))


def test_mjml_names_nobody_elses_address() -> None:
    html = news().html

    assert set(re.findall(r"https?://[^\"' )<]+", html)) == {"http://www.w3.org/1999/xhtml", WAY_OUT}
    assert "@import" not in html
    assert "<link" not in html


@pytest.mark.parametrize("part", ["mjml", "html"])
def test_a_value_with_marks_of_any_language_is_shown_as_text(part: str) -> None:
    inside = "<p>{{ profile.traits.first_name }}</p>"
    source = inside if part == "html" else MJML_AROUND.format(f"<mj-text>{inside}</mj-text>")

    mail = fill(letter(**{part: source}), traits={"first_name": HOSTILE})

    assert "<script" not in mail.html
    assert "<mj-text" not in mail.html
    assert "{{ profile.traits.secret }}" in mail.html
    assert mail.text.strip() == HOSTILE


def test_in_plain_text_a_value_stays_as_it_is() -> None:
    assert fill(letter(text="{{ profile.traits.first_name }}"), traits={"first_name": HOSTILE}).text == HOSTILE


@given(value=st.text(max_size=40))
def test_no_filter_lets_a_tag_of_a_value_through(value: str) -> None:
    dressed = f"<b>{value}</b>"
    html = "".join(
        f"<p>{{{{ message.v | {one} }}}}</p>"
        for one in (
            "append: message.v", "capitalize", "default: message.v", "downcase", "escape", "newline_to_br",
            "prepend: message.v", "replace: 'x', message.v", "strip", "truncate: 30", "upcase", "url_encode",
        )
    )  # fmt: skip
    html += (
        "<p>{{ 'a' | append: message.v }}{{ 'abc' | replace: 'b', message.v }}{{ message.list | join: message.v }}</p>"
    )
    html += "{% capture said %}{{ message.v }}{% endcapture %}{{ said }}{{ said | append: message.v }}"

    mail = fill(letter(html=html), message={"v": dressed, "list": [dressed, dressed]})

    assert set(re.findall(r"<[^>]*>", mail.html)) <= {"<p>", "</p>", "<br />"}


@pytest.mark.parametrize(
    "value", ["a\r\nBcc: bo@shop.example", "a\nb", "a\rb", "a\0b", "a\x85b", "a\u2028b", "a" * 999]
)
def test_a_value_that_would_break_a_header_is_refused_and_not_named(value: str) -> None:
    with pytest.raises(TemplateFailed) as told:
        fill(letter(subject="Hi {{ profile.traits.first_name }}", text="a"), traits={"first_name": value})

    assert (told.value.part, told.value.reason) == ("subject", "header")
    assert "Bcc" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{% for a in message.l %}{% for b in message.l %}{{ b }}{% endfor %}{% endfor %}", {"l": list(range(1_000))}),
        ("{% for a in message.l %}{% endfor %}" * 100, {"l": list(range(1_000))}),
        ("{% for a in message.l %}{{ message.s }}{% endfor %}", {"l": list(range(1_000)), "s": "x" * 90_000}),
        ("{{ message.s | replace: 'x', message.s }}", {"s": "x" * 1_000}),
        ("{% assign t = message.s %}" + "{% assign t = t | append: t %}" * 20, {"s": "x" * 1_000}),
        ("{% for a in message.l %}" + "{{ a | plus: 1 | minus: 1 }}" * 9 + "{% endfor %}", {"l": list(range(9_000))}),
        ("{% assign t = message.s" + " | upcase | downcase" * 9_000 + " %}", {"s": "x" * 90_000}),
        ("{% assign t = 99 %}" + "{% assign t = t | times: t %}" * 20, {}),
        ("{% capture a %}{% capture b %}{{ message.s }}{% endcapture %}" + "{{ b }}" * 12 + "{% endcapture %}{{ a }}",
         {"s": "x" * 90_000}),
    ],
    ids=["nested", "side by side", "output", "replace", "append", "filters", "long filters", "numbers", "captures"],
)  # fmt: skip
def test_a_template_that_grows_without_end_is_cut(text: str, message: dict[str, Any]) -> None:
    with pytest.raises(TemplateFailed) as told:
        fill(letter(text=text), message=message)

    assert told.value.reason == "limit"


def test_a_loop_of_a_hundred_rows_is_no_trouble() -> None:
    rows = [{"name": f"thing {n}"} for n in range(100)]

    assert (
        "thing 99" in fill(letter(text="{% for r in message.l %}{{ r.name }}\n{% endfor %}"), message={"l": rows}).text
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ profile.traits.first_name }}", "undefined"),
        ("{{ profile.traits.nothing }}", "undefined"),
        ("{{ message.when | date: '%d' }}", "value"),
        ("{{ message.when | date: '%999999999d' }}", "value"),
        ("{{ message.zero | divided_by: 0 }}", "value"),
        ("{{ message.rows }}", "value"),
    ],
)
def test_what_cannot_be_filled_in_is_named_without_values(text: str, reason: str) -> None:
    said = {"when": "a secret day", "zero": 1, "rows": ["a secret row"]}

    with pytest.raises(TemplateFailed) as told:
        fill(letter(text=f"\n{text}"), traits={"nothing": None}, message=said)

    assert (told.value.reason, told.value.line) == (reason, 2)
    assert "secret" not in str(told.value)


def test_what_is_not_there_may_be_asked_for_and_replaced() -> None:
    text = "{% if profile.traits.a %}no{% else %}yes{% endif %} {{ profile.traits.a | default: 'friend' }}"

    assert fill(letter(text=text)).text == "yes friend"


def test_a_date_is_written_in_a_form() -> None:
    assert fill(letter(text="{{ message.at | date: '%d.%m.%Y' }}"), message={"at": "2026-11-18T11:06:40Z"}).text == (
        "18.11.2026"
    )


def test_a_value_that_becomes_a_link_elsewhere_is_refused() -> None:
    linked = letter(html="<a href='{{ message.link }}'>a</a>")

    assert "https://shop.example/a" in fill(linked, message={"link": "https://shop.example/a"}).html
    with pytest.raises(TemplateFailed) as told:
        fill(linked, message={"link": "javascript:alert(1)"})
    assert told.value.reason == "link"


def test_text_is_made_of_html_with_its_links() -> None:
    html = (
        "<html><head><title>t</title><style>p {}</style></head><body><h1>Hi</h1><p>Tea &amp;  cake,\n<a href='https://a.example/'>here</a>."
        "</p><!-- not this --><ul><li>one<li>two</ul><img src='https://a.example/b.png' alt='a cup'></body></html>"
    )

    assert text_of_html(html) == "Hi\n\nTea & cake, here (https://a.example/).\n\n- one\n- two\n[a cup]\n"


def test_the_texts_of_a_webhook_are_filled() -> None:
    sms = read_template(
        "template: sms\npurpose: p\nclass: service\ndestination: d\n"
        "body:\n  to: '{{ profile.identifiers.phone }}'\n  text: 'Hi {{ message.n }}'"
    )

    filled = render_body(sms, profile={"identifiers": {"phone": "+1"}}, message={"n": 3}, unsubscribe_url="")

    assert check_template(sms) == Needed(("identifiers.phone",), ("n",), False)
    assert filled == {"to": "+1", "text": "Hi 3"}


def test_who_sends_is_the_template_or_else_the_destination() -> None:
    plain = letter(text="a")
    nameless = letter(text="a", sender="", reply_to="")

    assert fill(plain).sender == '"Shop, Ltd" <shop@shop.example>'
    assert (fill(nameless).sender, fill(nameless).reply_to) == ('"Shop" <shop@shop.example>', "")
    with pytest.raises(DefinitionInvalid, match="`from`"):
        check_template(letter(text="a", sender="{{ profile.traits.name }} <a@b.example>\r\nBcc: c@d.example"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anabel",
        "a@b@c",
        "a b@c.example",
        "<a@b.example",
        "a@b.example\r\nBcc: c@d.example",
        "jörg@b.example",
        "a@b.example, c@d.example",
    ],
)
def test_what_is_no_address_is_refused_without_naming_it(text: str) -> None:
    with pytest.raises(TemplateFailed) as told:
        fill(letter(text="a"), recipient=text)

    assert (told.value.part, told.value.reason) == ("recipient", "address")
    assert not text or text not in str(told.value)


def test_a_domain_of_other_letters_is_written_in_ascii() -> None:
    assert fill(letter(text="a"), recipient="ana@bücher.example").recipient == "ana@xn--bcher-kva.example"


@given(name=st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=60))
def test_a_name_before_an_address_is_read_as_it_was_written(name: str) -> None:
    assert read_address(write_address(name, "a@b.example")) == (name, "a@b.example")


def test_a_template_of_the_news_needs_no_second_judge() -> None:
    assert isinstance(NEWS, Template)
    assert news().subject == "News for Ana"
    assert "Dear Ana, hi" in news().text
