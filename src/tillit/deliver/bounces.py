"""Bounces: what became of a mail after its server had taken it.

In:    bytes: a mail to the return path, or what a provider posts.
Out:   feedback, by the key of a delivery.
Never: a word taken for feedback that does not carry the Message-ID of one of our mails; another error than
       FeedbackUnreadable. Who sent the bytes is not judged here: the caller has judged it.

Sources: RFC 3464 (delivery status), RFC 5965 (complaints), and the notifications that the providers document.
None of the providers' shapes was seen on their wire; they are as their documentation shows them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import Message
from typing import Any, Final, Literal, NamedTuple

import msgspec

from tillit.deliver.wire import cut_words
from tillit.errors import InputError

Kind = Literal["bounced", "delayed", "delivered", "complained"]
BOUNCED: Final = "bounced"
DELAYED: Final = "delayed"
ARRIVED: Final = "delivered"
COMPLAINED: Final = "complained"

_MOST_BYTES = 1 << 20  # of one mail or one notification; those of people with large pictures are cut by their servers
_KEY = re.compile(r"<?\s*([0-9a-f]{32})@[A-Za-z0-9.-]{1,253}\s*>?")
_OUR_LINE = re.compile(r"^[> \t]*Message-ID:\s*<([0-9a-f]{32})@", re.IGNORECASE | re.MULTILINE)
_ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_BASIC = re.compile(r"(?<![\d.])([45]\d\d)(?![\d.])")
_DAEMON = re.compile(r"(mailer-daemon|postmaster)@", re.IGNORECASE)

# The address itself is refused for good: no such mailbox, no such host, not well formed, moved, no mail taken there.
_BAD_ADDRESS = frozenset(("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"))


class FeedbackUnreadable(InputError):
    """What came as feedback on mails is none, or of a shape that is not known."""

    code = "deliver.feedback-unreadable"

    def __init__(self, why: str) -> None:
        """Say what was wanted; nothing of what came."""
        super().__init__(f"This is no feedback on a mail: {why}.")


class Feedback(NamedTuple):
    """What somebody says became of one mail. Grain: one per mail and thing said."""

    kind: Kind
    key: str  # of the delivery, from our Message-ID; empty when the provider gives its own id alone
    reference: str = ""  # what the provider calls the mail: as `Answer.reference` when it was sent
    is_hard: bool = False  # the address is refused for good
    code: str = ""  # 5.1.1, 550, or the provider's own word
    words: str = ""  # theirs; may hold a personal value


def enhanced_code(text: str) -> str:
    """Find the first enhanced status code (RFC 3463) in a server's words, or give none."""
    found = _ENHANCED.search(text)
    return found.group(1) if found else ""


def bad_address(code: int, enhanced: str) -> bool:
    """Say whether a refusal means that the address is refused for good.

    >>> bad_address(550, "5.1.1"), bad_address(550, ""), bad_address(552, "5.2.2")
    (True, True, False)
    """
    return enhanced in _BAD_ADDRESS if enhanced else code in (550, 553)


# -- mails


def read_bounce(raw: bytes) -> list[Feedback]:
    """Read a mail that came to the return path. Raises FeedbackUnreadable.

    A status report or a complaint counts when it brings our headers back; so does the free text of a mailer daemon
    that repeats our Message-ID line and names a status.
    """
    _check_size(raw)
    try:
        mail = message_from_bytes(raw, policy=policy.compat32)
        if mail.get_content_type() == "multipart/report":
            return _report(mail)
        return _free_text(mail)
    except (MessageError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise FeedbackUnreadable("a mail that does not hold together") from None


def _report(mail: Message) -> list[Feedback]:
    key = _returned_key(mail)
    if not key:
        raise FeedbackUnreadable("a report without the Message-ID of one of our mails")
    for part in mail.walk():
        if part.get_content_type() == "message/feedback-report":
            inside = _first_inside(part)
            kind = _fields(inside).get("feedback-type", "").lower() if inside is not None else ""
            return [] if kind == "not-spam" else [Feedback(COMPLAINED, key, code=kind[:32])]
        if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
            return [_status(key, recipient) for recipient in _recipients(part)]
    raise FeedbackUnreadable("a report that reports nothing")


def _recipients(part: Message) -> Iterator[Mapping[str, str]]:
    """Give the groups of fields of a status that are about a recipient."""
    groups = part.get_payload()
    for group in groups if isinstance(groups, list) else ():
        fields = _fields(group) if isinstance(group, Message) else {}
        if "action" in fields:
            yield fields


def _status(key: str, fields: Mapping[str, str]) -> Feedback:
    words = fields.get("diagnostic-code", "")
    action = fields["action"].split(" ")[0].lower()
    kinds: dict[str, Kind] = {"failed": BOUNCED, "delayed": DELAYED}
    status = enhanced_code(fields.get("status", ""))
    # Servers that know no better say 5.0.0, and what they were told behind it.
    if not status or status.endswith(".0.0"):
        status = enhanced_code(words) or status
    basic = _BASIC.search(words)
    kind = kinds.get(action, ARRIVED)
    known = "" if status.endswith(".0.0") else status
    is_hard = kind == BOUNCED and bad_address(int(basic.group(1)) if basic else 0, known)
    return Feedback(kind, key, is_hard=is_hard, code=status, words=cut_words(words))


def _fields(message: Message) -> dict[str, str]:
    return {name.lower(): " ".join(str(value).split()) for name, value in message.items()}


def _first_inside(part: Message) -> Message | None:
    inside = part.get_payload()
    first = inside[0] if isinstance(inside, list) and inside else None
    return first if isinstance(first, Message) else None


def _returned_key(mail: Message) -> str:
    """Find our Message-ID in the headers that a report brings back, and nowhere else."""
    for part in mail.walk():
        if part.get_content_type() == "message/rfc822":
            first = _first_inside(part)
            found = _key_in(str(first.get("Message-ID", ""))) if first is not None else ""
        elif part.get_content_type() in ("text/rfc822-headers", "message/rfc822-headers", "message/global-headers"):
            line = _OUR_LINE.search(_text(part))
            found = line.group(1) if line else ""
        else:
            continue
        if found:
            return found
    return ""


def _free_text(mail: Message) -> list[Feedback]:
    if not _DAEMON.search(str(mail.get("From", ""))) and str(mail.get("Return-Path", "")).strip() != "<>":
        raise FeedbackUnreadable("a mail that no mail server wrote")
    text = "\n".join(_text(part) for part in mail.walk() if part.get_content_type() == "text/plain")
    key = _returned_key(mail)
    line = _OUR_LINE.search(text)
    if not key and line is None:
        raise FeedbackUnreadable("a mail without the Message-ID of one of our mails")
    said = text[: line.start()] if line is not None else text
    enhanced, basic = enhanced_code(said), _BASIC.search(said)
    if not enhanced and basic is None:
        raise FeedbackUnreadable("a mail that names no status")
    code = enhanced or (basic.group(1) if basic else "")
    kind: Kind = BOUNCED if code.startswith("5") else DELAYED
    is_hard = kind == BOUNCED and bad_address(int(basic.group(1)) if basic else 0, enhanced)
    return [Feedback(kind, key or (line.group(1) if line else ""), is_hard=is_hard, code=code, words=cut_words(said))]


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode(errors="replace") if isinstance(payload, bytes) else ""


def _key_in(text: str) -> str:
    found = _KEY.fullmatch(text.strip())
    return found.group(1) if found else ""


def _check_size(raw: bytes) -> None:
    if len(raw) > _MOST_BYTES:
        raise FeedbackUnreadable(f"it has more than {_MOST_BYTES:,} bytes")


# -- what providers post


class _Plain(msgspec.Struct):
    key: str
    kind: Kind
    is_hard: bool = False
    code: str = ""
    words: str = ""


def read_plain(raw: bytes) -> list[Feedback]:
    """Read our own shape: {"key", "kind", "is_hard", "code", "words"}, or a list of it. Raises FeedbackUnreadable."""
    _check_size(raw)
    try:
        told = msgspec.json.decode(raw, type=_Plain | list[_Plain])
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        raise FeedbackUnreadable("`key` and `kind` are wanted") from None
    said = told if isinstance(told, list) else [told]
    if not all(re.fullmatch("[0-9a-f]{32}", one.key) for one in said):
        raise FeedbackUnreadable("`key` is the key of a delivery, 32 hex digits")
    return [
        Feedback(
            one.kind,
            one.key,
            is_hard=one.is_hard and one.kind == BOUNCED,
            code=one.code[:64],
            words=cut_words(one.words),
        )
        for one in said
    ]


def read_ses(raw: bytes) -> list[Feedback]:
    """Read a notification of Amazon SES, as Amazon SNS posts it or bare. Raises FeedbackUnreadable."""
    told = _document(raw)
    if told.get("Type") in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        raise FeedbackUnreadable("SNS asks to confirm a subscription; open its SubscribeURL yourself")
    if isinstance(told.get("Message"), str):
        told = _document(str(told["Message"]).encode(errors="replace"))
    mail = _inside(told, "mail")
    key = _key_in(_word(_inside(mail, "commonHeaders"), "messageId"))
    for header in _each(mail, "headers"):
        if not key and _word(header, "name").lower() == "message-id":
            key = _key_in(_word(header, "value"))
    reference = _word(mail, "messageId")
    match _word(told, "notificationType") or _word(told, "eventType"):
        case "Bounce":
            bounce = _inside(told, "bounce")
            first = next(_each(bounce, "bouncedRecipients"), {})
            is_hard = _word(bounce, "bounceType") == "Permanent"
            code = _word(first, "status") or _word(bounce, "bounceSubType")
            said = Feedback(BOUNCED, key, reference, is_hard, code[:64], cut_words(_word(first, "diagnosticCode")))
        case "Complaint":
            kind = _word(_inside(told, "complaint"), "complaintFeedbackType")
            if kind == "not-spam":
                return []
            said = Feedback(COMPLAINED, key, reference, code=kind[:64])
        case "DeliveryDelay":
            delay = _inside(told, "deliveryDelay")
            said = Feedback(DELAYED, key, reference, code=_word(delay, "delayType")[:64])
        case "Delivery":
            words = cut_words(_word(_inside(told, "delivery"), "smtpResponse"))
            said = Feedback(ARRIVED, key, reference, code=enhanced_code(words), words=words)
        case _:
            return []
    return _named([said])


def read_sendgrid(raw: bytes) -> list[Feedback]:
    """Read events of SendGrid's event webhook. Raises FeedbackUnreadable."""
    found = []
    for event in _documents(raw):
        key, reference = _key_in(_word(event, "smtp-id")), _word(event, "sg_message_id")
        words = cut_words(_word(event, "reason") or _word(event, "response"))
        code = enhanced_code(_word(event, "status")) or enhanced_code(words)
        match _word(event, "event"):
            case "bounce":
                # A block is about the message or the server's mood, and not about the address.
                is_hard = _word(event, "type") != "blocked"
                found.append(Feedback(BOUNCED, key, reference, is_hard, code, words))
            case "dropped":
                is_hard = words.lower().startswith(("bounced address", "invalid"))
                found.append(Feedback(BOUNCED, key, reference, is_hard, code or "dropped", words))
            case "deferred":
                found.append(Feedback(DELAYED, key, reference, code=code, words=words))
            case "delivered":
                found.append(Feedback(ARRIVED, key, reference, code=code, words=words))
            case "spamreport":
                found.append(Feedback(COMPLAINED, key, reference))
    return _named(found)


def read_postmark(raw: bytes) -> list[Feedback]:
    """Read a webhook of Postmark. Raises FeedbackUnreadable.

    Our Message-ID comes back where Postmark adds the bounce itself (`Content`); else there is its own `MessageID`.
    """
    told = _document(raw)
    line = _OUR_LINE.search(_word(told, "Content"))
    key, reference = line.group(1) if line else "", _word(told, "MessageID")
    words = cut_words(_word(told, "Details") or _word(told, "Description"))
    kind = _word(told, "Type")
    match _word(told, "RecordType"):
        case "Bounce" if kind in ("Transient", "DnsError", "Undeliverable"):
            return _named([Feedback(DELAYED, key, reference, code=kind, words=words)])
        case "Bounce" if kind in ("SpamComplaint", "SpamNotification"):
            return _named([Feedback(COMPLAINED, key, reference, code=kind, words=words)])
        case "Bounce" if kind not in ("AutoResponder", "AddressChange", "Subscribe", "Unsubscribe", "OpenRelayTest"):
            is_hard = kind in ("HardBounce", "BadEmailAddress")
            return _named([Feedback(BOUNCED, key, reference, is_hard, enhanced_code(words) or kind[:64], words)])
        case "SpamComplaint":
            return _named([Feedback(COMPLAINED, key, reference, code=kind[:64])])
        case "Delivery":
            return _named([Feedback(ARRIVED, key, reference, words=words)])
        case _:
            return []


def read_mailgun(raw: bytes) -> list[Feedback]:
    """Read a webhook of Mailgun. Its signature is not judged here. Raises FeedbackUnreadable."""
    event = _inside(_document(raw), "event-data")
    status = _inside(event, "delivery-status")
    key = _key_in(_word(_inside(_inside(event, "message"), "headers"), "message-id"))
    words = cut_words(_word(status, "message") or _word(status, "description"))
    number = status.get("code")
    code = _word(status, "enhanced-code") or enhanced_code(words) or (str(number) if isinstance(number, int) else "")
    reference = _word(event, "id")
    match _word(event, "event"), _word(event, "severity"):
        case "failed", "permanent":
            is_hard = _word(event, "reason") in ("bounce", "suppress-bounce") and bad_address(
                number if isinstance(number, int) else 0, enhanced_code(code)
            )
            return _named([Feedback(BOUNCED, key, reference, is_hard, code[:64], words)])
        case "failed", _:
            return _named([Feedback(DELAYED, key, reference, code=code[:64], words=words)])
        case "delivered", _:
            return _named([Feedback(ARRIVED, key, reference, code=code[:64], words=words)])
        case "complained", _:
            return _named([Feedback(COMPLAINED, key, reference)])
        case _:
            return []


FEEDS: Mapping[str, Callable[[bytes], list[Feedback]]] = {
    "mail": read_bounce,
    "plain": read_plain,
    "ses": read_ses,
    "sendgrid": read_sendgrid,
    "postmark": read_postmark,
    "mailgun": read_mailgun,
}


def _named(found: list[Feedback]) -> list[Feedback]:
    """Keep what names a mail at all; complain when nothing does."""
    named = [one for one in found if one.key or one.reference]
    if found and not named:
        raise FeedbackUnreadable("it names no mail")
    return named


def _documents(raw: bytes) -> list[dict[str, Any]]:
    _check_size(raw)
    try:
        told = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FeedbackUnreadable("it is no JSON") from None
    each = told if isinstance(told, list) else [told]
    if not all(isinstance(one, dict) for one in each):
        raise FeedbackUnreadable("it is no object of JSON")
    return each


def _document(raw: bytes) -> dict[str, Any]:
    told = _documents(raw)
    if len(told) != 1:
        raise FeedbackUnreadable("one object of JSON is wanted")
    return told[0]


def _inside(told: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def _each(told: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    found = told.get(name)
    return (one for one in (found if isinstance(found, list) else ()) if isinstance(one, dict))


def _word(told: Mapping[str, Any], name: str) -> str:
    found = told.get(name)
    return found if isinstance(found, str) else ""
