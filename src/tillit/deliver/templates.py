"""Templates: what a message says, judged when it is saved, filled with one person's values when it leaves.

In:    a template; what the purpose may know of one person; the data of the request.
Out:   what a template needs; one mail, or the texts of one webhook.
Never: a value in an error; a value that becomes Liquid, MJML, HTML or a header; a file or an address that is loaded.

The language is Liquid with few tags and few filters. How long a rendering may take is bounded by counts, not by a
clock, so that the same template with the same values always ends the same way: rounds of loops times the marks in the
template, filters called and values written, the length of what is written, and of each value in between.

MJML is made into HTML once per template, with the marks of Liquid held back; Liquid then runs on that HTML and escapes
each value. So a value meets neither the reader of MJML nor that of Liquid.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.utils import quote
from functools import lru_cache, wraps
from html.parser import HTMLParser
from typing import Any, NamedTuple, TextIO

from email_validator import EmailNotValidError, validate_email
from liquid import BoundTemplate, Environment, FalsyStrictUndefined, RenderContext, Token
from liquid.builtin import content, illegal, output
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.filters import math, misc, string
from liquid.builtin.filters.array import join
from liquid.builtin.tags import assign_tag, capture_tag, case_tag, comment_tag, for_tag, if_tag, unless_tag
from liquid.exceptions import LiquidError, LiquidTypeError, LoopIterationLimitError, ResourceLimitError, UndefinedError
from liquid.expression import Expression
from liquid.filter import liquid_filter
from liquid.stringify import to_liquid_string
from mjml import mjml2html

from tillit.deliver.definitions import DefinitionInvalid, Template
from tillit.deliver.wire import Mail
from tillit.errors import InputError

# All taste: many times what letters of shops hold, and together less than a second's work.
_MOST_MARKS = 100_000  # rounds of loops times marks in the template
_MOST_STEPS = 100_000  # filters called and values written
_CHARACTERS_A_STEP = 5_000  # measured: about as long as calling a filter takes
_MOST_ROUNDS = 10_000
_MOST_BYTES = 1_000_000  # of one part, rendered
_LONGEST_VALUE = 100_000  # characters that a filter may give
_GREATEST_NUMBER = 10**15

_LONGEST_LINE = 998  # octets; RFC 5322 section 2.1.1
_MARK = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_HELD = re.compile(r"TILLITMARK(\d+)X")
_ADDRESS = re.compile(r'\s*(?:(?:"((?:[^"\\]|\\.)*)"|([^"<>]*))\s*<([^<>\s]+)>|([^<>\s]+))\s*')
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_LINK = re.compile(r"""(?<![\w-])(?:href|src|background|action)\s*=\s*(["'])\s*([^"'>]{0,12})""", re.IGNORECASE)
_LINK_BEGINNINGS = ("http://", "https://", "mailto:", "tel:", "sms:", "cid:", "#")
_DATE_MARKS = re.compile(r"(?:[^%]|%-?[aAbBdeHIjlmMpSyY%])*")
# What loads something, runs something, or turns the addresses of others elsewhere.
_NO_ELEMENTS = frozenset("script link iframe frame object embed applet base form input button mj-include".split())
_NO_ICON = "tillit-no-icon:"  # where a social element of MJML names no picture of its own

_ROOTS = "There are: profile.traits.NAME, profile.identifiers.NAMESPACE, message.NAME, unsubscribe_url."


class TemplateFailed(InputError):
    """A template cannot be rendered with what is known of this person."""

    code = "deliver.template-failed"

    def __init__(self, template: str, part: str, line: int, reason: str, why: str) -> None:
        """Name the place and what is wrong there; never a value.

        `reason` is short and stable: undefined, limit, value, header, address, link.
        """
        self.part, self.line, self.reason = part, line, reason
        where = f"`{part}`, line {line}" if line else f"`{part}`"
        super().__init__(
            f"Template {template!r}, {where}: {why}", template=template, part=part, line=line, reason=reason
        )


class Needed(NamedTuple):
    """What a template uses."""

    fields: tuple[str, ...]  # as purposes name them: traits.first_name, identifiers.email
    message: tuple[str, ...]  # names in the data of the request
    has_unsubscribe: bool  # whether it shows unsubscribe_url


# Inside this file alone; it becomes one of the two errors above.
class _Fault(Exception):
    def __init__(self, line: int, reason: str, why: str) -> None:
        self.line, self.reason, self.why = line, reason, why


# -- Liquid, with few words


class _Missing(FalsyStrictUndefined):
    """What is not there: may be asked for, and given a default; never shown."""

    __slots__ = ()

    force_liquid_default = True


class _Context(RenderContext):
    n_rounds = 0
    n_steps = 0

    def raise_for_loop_limit(self, length: int = 1) -> None:
        # Every entered loop adds its rounds, so that loops side by side and loops in loops are bounded together.
        self.n_rounds += length
        if self.n_rounds > getattr(self.template, "most_rounds", _MOST_ROUNDS):
            raise LoopIterationLimitError("too many rounds", token=None)

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        """Find a filter that counts what it does."""
        call = super().filter(name, token)

        def counted(*given: Any, **named: Any) -> object:
            self.spend(sum(len(one) for one in given if isinstance(one, (str, list))))
            return call(*given, **named)

        return counted

    def spend(self, n_characters: int) -> None:
        """Count one step, more for a long text."""
        self.n_steps += 1 + n_characters // _CHARACTERS_A_STEP
        if self.n_steps > _MOST_STEPS:
            raise ResourceLimitError("too many steps", token=None)


class _Parsed(BoundTemplate):
    context_class = _Context
    most_rounds = _MOST_ROUNDS


class _OutputNode(output.OutputNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        try:
            value = self.expression.evaluate(context)
            if isinstance(value, (Mapping, list, tuple, range)) and not isinstance(value, _Missing):
                raise LiquidTypeError("not one value", token=self.token)
            text = to_liquid_string(value, context.autoescape)
            if isinstance(context, _Context):
                context.spend(len(text))
            return buffer.write(text)
        except LiquidError as exc:
            exc.token = exc.token or self.token  # limits do not know where they were passed
            raise


class _Output(output.Output):
    node_class = _OutputNode


@liquid_filter
def _date(value: object, form: str = "%Y-%m-%d") -> str:
    """Write an ISO 8601 date or instant in a form of strftime. It never reads the clock."""
    if not _DATE_MARKS.fullmatch(str(form)):
        raise LiquidTypeError("a form it does not know", token=None)
    return datetime.fromisoformat(str(value)).strftime(str(form))


@liquid_filter
def _replace(value: object, old: object, new: object = "") -> str:
    text, put = _text_of(value), _text_of(new)
    if (len(text) + 1) * len(put) > _LONGEST_VALUE:
        raise ResourceLimitError("a value too long", token=None)
    replaced: str = string.replace(text, _text_of(old), put)
    return replaced


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else str(value)


_TAGS = (
    content.Literal, _Output, illegal.Illegal, if_tag.IfTag, unless_tag.UnlessTag, case_tag.CaseTag, for_tag.ForTag,
    for_tag.BreakTag, for_tag.ContinueTag, assign_tag.AssignTag, capture_tag.CaptureTag, comment_tag.CommentTag,
)  # fmt: skip
_FILTERS: Mapping[str, Callable[..., Any]] = {
    "append": string.append,
    "at_least": math.at_least,
    "at_most": math.at_most,
    "capitalize": string.capitalize,
    "date": _date,
    "default": misc.default,
    "divided_by": math.divided_by,
    "downcase": string.downcase,
    "escape": string.escape,
    "join": join,
    "minus": math.minus,
    "newline_to_br": string.newline_to_br,
    "plus": math.plus,
    "prepend": string.prepend,
    "replace": _replace,
    "round": math.round_,
    "size": misc.size,
    "strip": string.strip,
    "times": math.times,
    "truncate": string.truncate,
    "upcase": string.upcase,
    "url_encode": string.url_encode,
}


def _bounded(call: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse what a filter is given, and what it gives, beyond the limits."""

    @wraps(call)
    def bounded(*given: Any, **named: Any) -> Any:
        for value in given:
            _bound(value)
        try:
            result = call(*given, **named)
        except (ValueError, ArithmeticError):
            raise LiquidTypeError("a value it cannot take", token=None) from None
        _bound(result)
        return result

    return bounded


def _bound(value: object) -> None:
    is_much = (
        len(value) > _LONGEST_VALUE
        if isinstance(value, (str, list))
        else isinstance(value, (int, float)) and abs(value) > _GREATEST_NUMBER
    )
    if is_much:
        raise ResourceLimitError("a value too long", token=None)


class _Liquid(Environment):
    output_stream_limit = _MOST_BYTES
    local_namespace_limit = _MOST_BYTES
    context_depth_limit = 20
    block_nesting_limit = 20
    template_class = _Parsed

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:  # noqa: ARG002 - Liquid's own signature
        for tag in _TAGS:
            self.add_tag(tag)
        for name, call in _FILTERS.items():
            self.add_filter(name, _bounded(call))


_PLAIN = _Liquid(undefined=_Missing)
_ESCAPED = _Liquid(undefined=_Missing, autoescape=True)


class _Part(NamedTuple):
    """One text of a template, ready to be filled."""

    liquid: BoundTemplate
    starts: tuple[int, ...]  # where each mark begins in what Liquid reads
    lines: tuple[int, ...]  # and on which line of what was written
    names: tuple[str, ...]  # and what was written there

    def render(self, values: Mapping[str, object]) -> str:
        """Fill in values. Raises _Fault."""
        try:
            return self.liquid.render(**values)
        except (LiquidError, ValueError, TypeError, ArithmeticError, RecursionError) as exc:
            raise self._fault(exc) from None

    def _fault(self, exc: Exception) -> _Fault:
        # What Liquid says may hold values: only where it was, and of which kind, is passed on.
        token = exc.token if isinstance(exc, LiquidError) else None
        nth = bisect_right(self.starts, token.start_index) - 1 if token is not None else -1
        line, name = (self.lines[nth], self.names[nth]) if nth >= 0 else (0, "")
        at = f"{name}: " if name else ""
        if isinstance(exc, UndefinedError):
            return _Fault(line, "undefined", f"{at}what it wants is not there. Give it a `default`, or ask with `if`.")
        if isinstance(exc, (ResourceLimitError, RecursionError)):
            return _Fault(line, "limit", f"{at}too many rounds, or too long a text or number.")
        return _Fault(line, "value", f"{at}the value is not of a kind that can be used so.")


@lru_cache(maxsize=1_024)
def _part(source: str, kind: str) -> _Part:
    """Make one text ready. Kept per text, so MJML is made into HTML once per template. Raises _Fault."""
    marks = list(_MARK.finditer(source))
    written = [found.group() for found in marks]
    line_of = [_line(source, found.start()) for found in marks]
    if kind == "plain":
        order, made = list(range(len(marks))), source
        starts = tuple(found.start() for found in marks)
    else:
        if "TILLITMARK" in source:
            raise _Fault(_line(source, source.index("TILLITMARK")), "value", "TILLITMARK is a word that is not taken.")
        numbers = iter(range(len(marks)))
        held = _MARK.sub(lambda _: f"TILLITMARK{next(numbers)}X", source)
        if kind == "mjml":
            held = _html_of(held)
        _judge(held, line_of)
        made, order, starts = _put_back(held, written)
    environment = _PLAIN if kind == "plain" else _ESCAPED
    try:
        liquid = environment.from_string(made)
    except LiquidError as exc:
        # Judged in what was written first, so that its lines are the writer's.
        nth = bisect_right(starts, exc.token.start_index) - 1 if exc.token is not None else -1
        raise _Fault(line_of[order[nth]] if nth >= 0 else 0, "value", f"{exc.message}.") from None
    liquid.most_rounds = max(1, min(_MOST_ROUNDS, _MOST_MARKS // max(1, len(marks))))  # type: ignore[attr-defined]
    return _Part(
        liquid, tuple(starts), tuple(line_of[nth] for nth in order), tuple(_shown(written[nth]) for nth in order)
    )


def _put_back(held: str, written: list[str]) -> tuple[str, list[int], tuple[int, ...]]:
    """Put the marks back; say which stands where, since MJML may show one twice, or not at all."""
    pieces, order, starts, at, length = [], [], [], 0, 0
    for found in _HELD.finditer(held):
        before = held[at : found.start()]
        nth = int(found.group(1))
        length += len(before)
        starts.append(length)
        order.append(nth)
        pieces += [before, written[nth]]
        length += len(written[nth])
        at = found.end()
    return "".join([*pieces, held[at:]]), order, tuple(starts)


def _html_of(mjml: str) -> str:
    if "<mj-font" in mjml or "<mj-include" in mjml:
        raise _Fault(0, "value", "mj-font and mj-include load something. Leave them out.")
    try:
        # Without fonts of its own it would name Google's.
        html = mjml2html(mjml, fonts={}, social_icon_origin=_NO_ICON)
    except ValueError as exc:
        raise _Fault(
            0, "value", f"it is no MJML: {exc}. Marks between elements belong into <mj-raw>, or into a text."
        ) from None
    if lost := set(_HELD.findall(mjml)) - set(_HELD.findall(html)):
        raise _Fault(0, "value", f"MJML drops {len(lost)} of its marks. Put them into a text, a link or <mj-raw>.")
    if _NO_ICON in html:
        raise _Fault(0, "value", "an mj-social-element has no `src`; its picture would come from elsewhere.")
    return html


class _Judge(HTMLParser):
    """Refuse HTML that loads or runs something, and marks where escaping would not hold."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[tuple[str, str]] = []  # what was read, what is wrong with it
        self._is_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raw = self.get_starttag_text() or ""
        self._is_style = tag == "style"
        if tag in _NO_ELEMENTS or _HELD.search(tag.upper()):
            self.faults.append((raw, f"<{tag}> is not taken."))
        if _HELD.search(_QUOTED.sub("", raw)):
            self.faults.append((raw, "a mark in a tag must stand in the quotes of an attribute."))
        for name, value in attrs:
            is_refresh = name == "http-equiv" and (value or "").lower() == "refresh"
            if name.startswith("on") or name == "srcdoc" or is_refresh:
                self.faults.append((raw, f"the attribute {name} is not taken."))
            if name == "style" and _HELD.search(value or ""):
                self.faults.append((raw, "no mark is taken in a style."))

    def handle_endtag(self, tag: str) -> None:
        self._is_style = self._is_style and tag != "style"

    def handle_data(self, data: str) -> None:
        if self._is_style and _HELD.search(data):
            self.faults.append((data, "no mark is taken in a style."))
        if self._is_style and re.search("@import|@font-face", data, re.IGNORECASE):
            self.faults.append((data, "a style may load nothing."))


def _judge(held: str, line_of: list[int]) -> None:
    judge = _Judge()
    judge.feed(held)
    judge.close()
    for raw, why in judge.faults:
        first = _HELD.search(raw)
        raise _Fault(line_of[int(first.group(1))] if first else 0, "value", why)
    _check_links(held, is_filled=False)


def _check_links(html: str, *, is_filled: bool) -> None:
    for found in _LINK.finditer(html):
        begins = found.group(2).lower()
        if begins and not begins.startswith(_LINK_BEGINNINGS) and (is_filled or not begins.startswith("tillitmark")):
            why = "a link must begin with https://, http://, mailto:, tel:, sms:, cid: or #."
            raise _Fault(0 if is_filled else _line(html, found.start()), "link", why)


def _line(source: str, at: int) -> int:
    return source.count("\n", 0, at) + 1


def _shown(mark: str) -> str:
    return " ".join(mark.split())[:80]


# -- judged when it is saved


def check_template(template: Template) -> Needed:
    """Judge what is in a template's texts, and say what it uses. Raises DefinitionInvalid with part and line."""
    fields: set[str] = set()
    told: set[str] = set()
    has_unsubscribe = False
    for name, source, kind in _texts(template):
        where = f"Template {template.template!r}, `{name}`"
        try:
            # Marks are judged as they were written: MJML may move them.
            written = _part(source, "plain")
            for variable in _variables(written):
                match variable:
                    case ["profile", "traits" | "identifiers" as group, str(key), *_]:
                        fields.add(f"{group}.{key}")
                    case ["message", str(key), *_]:
                        told.add(key)
                    case _:
                        has_unsubscribe = True
            _part(source, kind)
        except _Fault as fault:
            at = f", line {fault.line}" if fault.line else ""
            raise DefinitionInvalid(where + at, fault.why) from None
    for name, address in (("from", template.sender), ("reply_to", template.reply_to)):
        if address:
            try:
                read_address(address)
            except ValueError as exc:
                raise DefinitionInvalid(f"Template {template.template!r}, `{name}`", f"{exc}.") from None
    return Needed(tuple(sorted(fields)), tuple(sorted(told)), has_unsubscribe)


def _texts(template: Template) -> Iterator[tuple[str, str, str]]:
    for name, source, kind in (
        ("subject", template.subject, "plain"),
        ("mjml", template.mjml, "mjml"),
        ("html", template.html, "html"),
        ("text", template.text, "plain"),
        *((f"body.{name}", source, "plain") for name, source in template.body.items()),
    ):
        if source:
            yield name, source, kind


def _variables(part: _Part) -> Iterator[list[Any]]:
    """List what a text reads of a person, a request or the way out. Raises _Fault for what it cannot read."""
    analysis = part.liquid.analyze(include_partials=False)

    def line(index: int) -> int:
        nth = bisect_right(part.starts, index) - 1
        return part.lines[nth] if nth >= 0 else 0

    for name, spans in analysis.filters.items():
        if name not in _FILTERS:
            raise _Fault(
                line(spans[0].index), "value", f"there is no filter {name!r}. There are: {', '.join(_FILTERS)}."
            )
    for node in _nodes(part.liquid):
        if any(isinstance(one, RangeLiteral) for one in _expressions(node.expressions())):
            raise _Fault(line(node.token.start_index), "value", "a loop over numbers is not taken; loop over a list.")
    for root, variables in analysis.variables.items():
        for variable in variables:
            at = line(variable.span.index)
            match variable.segments:
                case ["profile", "traits" | "identifiers", str(), *_] | ["message", str(), *_] | ["unsubscribe_url"]:
                    yield variable.segments
                case ["profile" | "message" | "unsubscribe_url", *_]:
                    raise _Fault(at, "value", f"{_shown(str(variable))!r} cannot be used. {_ROOTS}")
                case _ if root in analysis.globals and variable in analysis.globals[root]:
                    raise _Fault(at, "value", f"there is nothing called {root!r}. {_ROOTS}")


def _nodes(liquid: BoundTemplate) -> Iterator[Any]:
    context = RenderContext(liquid)
    waiting: list[Any] = list(liquid.nodes)
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children(context)


def _expressions(expressions: Any) -> Iterator[Expression]:
    waiting = list(expressions)
    while waiting:
        one = waiting.pop()
        yield one
        waiting += one.children()


# -- filled when it leaves


def render(
    template: Template,
    *,
    profile: Mapping[str, Any],
    message: Mapping[str, Any],
    unsubscribe_url: str,
    sender_default: str,
    recipient: str,
) -> Mail:
    """Fill a template of an e-mail for one person.

    Shape:  profile: {"traits": {name: value}, "identifiers": {namespace: value}}; what is None counts as not there.
    Raises: TemplateFailed for what is missing, too much, no header, no address.
    """
    values = _values(profile, message, unsubscribe_url)
    texts = {
        name: _filled(template, name, source, kind, values)
        for name, source, kind in _texts(template)
        if not template.body
    }
    subject = texts["subject"].strip()
    if not subject or not _is_one_line(subject):
        raise TemplateFailed(
            template.template, "subject", 0, "header", "it must be one line, of at most 998 bytes, and not empty."
        )
    html = texts.get("mjml") or texts.get("html", "")
    addresses = {}
    for part, address in (
        ("from", template.sender or sender_default),
        ("reply_to", template.reply_to),
        ("recipient", recipient),
    ):
        try:
            addresses[part] = read_address(address) if address or part != "reply_to" else ("", "")
        except ValueError as exc:
            raise TemplateFailed(template.template, part, 0, "address", f"{exc}.") from None
    return Mail(
        sender=write_address(*addresses["from"]),
        recipient=addresses["recipient"][1],
        reply_to=write_address(*addresses["reply_to"]),
        subject=subject,
        text=texts.get("text") or text_of_html(html),
        html=html,
        unsubscribe_url=unsubscribe_url,
        is_marketing=template.message_class == "marketing",
    )


def render_body(
    template: Template, *, profile: Mapping[str, Any], message: Mapping[str, Any], unsubscribe_url: str
) -> dict[str, str]:
    """Fill a template of a webhook for one person; each value of its `body` is a text. Raises TemplateFailed."""
    values = _values(profile, message, unsubscribe_url)
    return {name: _filled(template, f"body.{name}", source, "plain", values) for name, source in template.body.items()}


def _values(profile: Mapping[str, Any], message: Mapping[str, Any], unsubscribe_url: str) -> dict[str, object]:
    known = {
        group: {name: value for name, value in profile.get(group, {}).items() if value is not None}
        for group in ("traits", "identifiers")
    }
    there: dict[str, object] = {"profile": known, "message": dict(message)}
    return there | ({"unsubscribe_url": unsubscribe_url} if unsubscribe_url else {})


def _filled(template: Template, name: str, source: str, kind: str, values: Mapping[str, object]) -> str:
    try:
        filled = _part(source, kind).render(values)
        if kind != "plain":
            _check_links(filled, is_filled=True)
    except _Fault as fault:
        raise TemplateFailed(template.template, name, fault.line, fault.reason, fault.why) from None
    return filled


def _is_one_line(text: str) -> bool:
    # Cs: half a character, which no encoding can write.
    return len(text.encode(errors="replace")) <= _LONGEST_LINE and not any(
        unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text
    )


def read_address(text: str) -> tuple[str, str]:
    """Read `Name <address>` or an address alone: name and address. Raises ValueError, in words without the address.

    The domain is given in ASCII. An address whose first part is not ASCII is refused: few servers take it.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or not _is_one_line(text):
        raise ValueError("this is no address: write `Name <name@example.org>`, or the address alone")
    quoted, plain, inside, alone = found.groups()
    try:
        told = validate_email(inside or alone, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        raise ValueError("this is no address of e-mail") from None
    if told.ascii_email is None:
        raise ValueError("an address with letters beyond ASCII before the @ is not taken")
    name = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else (plain or "").strip()
    return name, told.ascii_email


def write_address(name: str, address: str) -> str:
    """Write a name and an address so that read_address reads them back."""
    return f'"{quote(name)}" <{address}>' if name else address


# -- text from HTML

_BLOCKS = frozenset("p div br tr table ul ol li h1 h2 h3 h4 h5 h6 hr blockquote section article header footer".split())
_UNREAD = frozenset("style script head title".split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._n_unread = 0
        self._links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in _UNREAD:
            self._n_unread += 1
        elif tag in _BLOCKS:
            self.pieces.append("\n- " if tag == "li" else "\n")
        elif tag == "a":
            self._links.append(named.get("href") or "")
        elif tag == "img" and named.get("alt"):
            self.pieces.append(f"[{named['alt']}]")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNREAD:
            self._n_unread = max(0, self._n_unread - 1)
        elif tag in _BLOCKS:
            self.pieces.append("\n")
        elif tag == "a" and self._links and (link := self._links.pop()):
            self.pieces.append(f" ({link})")

    def handle_data(self, data: str) -> None:
        if not self._n_unread:
            self.pieces.append(re.sub(r"\s+", " ", data))


def text_of_html(html: str) -> str:
    """Write HTML as plain text: links stay, in brackets behind their words; pictures are their `alt`."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = [" ".join(line.split()) for line in "".join(reader.pieces).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
