"""Bounces: reports of servers and notifications of providers, each about one of our mails or about none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deliver.letters import AT, KEY, news
from tillit.deliver.bounces import FEEDS, Feedback, FeedbackUnreadable, read_bounce
from tillit.deliver.mime import write_mail

OURS = write_mail(news(), message_id=KEY, at=AT, dkim_domain="shop.example").decode().replace("\r\n", "\n")
OUR_HEADERS = OURS.partition("\n\n")[0]


def report(*, status: str, returned: str = OUR_HEADERS, returned_as: str = "text/rfc822-headers") -> bytes:
    """Write a status report as Postfix does."""
    return f"""Return-Path: <>
From: MAILER-DAEMON@mail.shop.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: bounces@shop.example
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B/mail"

--B/mail
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mail.shop.example.

--B/mail
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.shop.example
X-Postfix-Queue-ID: 4F2A17
Arrival-Date: Wed, 18 Nov 2026 11:06:40 +0000 (UTC)

Final-Recipient: rfc822; ana@shop.example
Original-Recipient: rfc822;ana@shop.example
{status}
--B/mail
Content-Description: Undelivered Message
Content-Type: {returned_as}

{returned}
--B/mail--
""".encode()


def complaint(kind: str = "abuse") -> bytes:
    return f"""From: <fbl@provider.example>
Subject: FW: News
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part"

--part
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report.
--part
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1

--part
Content-Type: message/rfc822

{OURS}
--part--
""".encode()


NO_SUCH = (
    "Action: failed\nStatus: 5.1.1\nRemote-MTA: dns; mx.example\n"
    "Diagnostic-Code: smtp; 550 5.1.1 <ana@shop.example>: Recipient address rejected:\n    User unknown\n"
)


@pytest.mark.parametrize(
    ("returned", "returned_as"),
    [(OUR_HEADERS, "text/rfc822-headers"), (OURS, "message/rfc822")],
    ids=["headers", "mail"],
)
def test_a_report_says_which_mail_bounced_and_why(returned: str, returned_as: str) -> None:
    words = "smtp; 550 5.1.1 <ana@shop.example>: Recipient address rejected: User unknown"

    found = read_bounce(report(status=NO_SUCH, returned=returned, returned_as=returned_as))

    assert found == [Feedback("bounced", KEY, is_hard=True, code="5.1.1", words=words)]


@pytest.mark.parametrize(
    ("status", "kind", "is_hard", "code"),
    [
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550-5.1.1 no such user\n", "bounced", True, "5.1.1"),
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 no such user\n", "bounced", True, "5.0.0"),
        ("Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 5.2.2 full\n", "bounced", False, "5.2.2"),
        ("Action: failed\nStatus: 5.7.1\nDiagnostic-Code: smtp; 550 5.7.1 policy\n", "bounced", False, "5.7.1"),
        ("Action: failed\nStatus: 4.4.7\nDiagnostic-Code: smtp; 451 came too late\n", "bounced", False, "4.4.7"),
        (
            "Action: delayed\nStatus: 4.4.1\nWill-Retry-Until: Fri, 20 Nov 2026 11:06:40 +0000\n",
            "delayed",
            False,
            "4.4.1",
        ),
        ("Action: relayed\nStatus: 2.1.9\n", "delivered", False, "2.1.9"),
    ],
)
def test_a_bounce_is_hard_when_the_address_itself_is_refused(status: str, kind: str, is_hard: bool, code: str) -> None:
    [found] = read_bounce(report(status=status))

    assert (found.kind, found.key, found.is_hard, found.code) == (kind, KEY, is_hard, code)


def test_a_complaint_is_about_the_mail_it_brings_back() -> None:
    assert read_bounce(complaint()) == [Feedback("complained", KEY, code="abuse")]
    assert read_bounce(complaint("not-spam")) == []


def test_the_free_text_of_a_mail_daemon_counts_when_it_repeats_our_message_id() -> None:
    qmail = f"""Return-Path: <>
From: MAILER-DAEMON@mx.example
Subject: failure notice

Hi. This is the qmail-send program at mx.example.

<ana@shop.example>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

{OURS}"""

    [found] = read_bounce(qmail.encode())

    assert (found.kind, found.key, found.is_hard, found.code) == ("bounced", KEY, True, "5.1.1")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"From: ana@shop.example\n\nThank you! 550 5.1.1",
        f"From: ana@a.example\nIn-Reply-To: <{KEY}@shop.example>\n\nMessage-ID: <{KEY}@shop.example>\n5.1.1".encode(),
        f"Return-Path: <>\nFrom: a@b.example\nIn-Reply-To: <{KEY}@shop.example>\n\nI am away until 5.1.1".encode(),
        f"Return-Path: <>\nFrom: a@b.example\n\nI am away.\n> Message-ID: <{KEY}@shop.example>\n".encode(),
        report(status=NO_SUCH, returned="Message-ID: <somebody@else.example>"),
        report(status=NO_SUCH, returned=f"In-Reply-To: <{KEY}@shop.example>"),
        b"x" * 2_000_000,
    ],
    ids=["nothing", "answer", "answer with headers", "away", "away with headers", "other mail", "reply", "large"],
)
def test_a_mail_that_reports_on_none_of_ours_is_no_feedback(raw: bytes) -> None:
    with pytest.raises(FeedbackUnreadable):
        read_bounce(raw)


def sns(message: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "Notification", "MessageId": "22b8", "TopicArn": "arn:aws:sns:x", "Message": json.dumps(message)}


SES_MAIL = {
    "timestamp": "2026-11-18T11:06:40.000Z",
    "source": "shop@shop.example",
    "messageId": "0100018c-ses",
    "destination": ["ana@shop.example"],
    "headers": [
        {"name": "From", "value": "shop@shop.example"},
        {"name": "Message-ID", "value": f"<{KEY}@shop.example>"},
    ],
    "commonHeaders": {"subject": "News"},
}
SES_BOUNCE = {
    "notificationType": "Bounce",
    "bounce": {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [
            {
                "emailAddress": "ana@shop.example",
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 no",
            }
        ],
    },
    "mail": SES_MAIL,
}
POSTMARK = {"MessageID": "883953f4", "Email": "ana@shop.example", "Details": "smtp;550 5.1.1 no such user"}
MAILGUN = {"id": "mg-1", "message": {"headers": {"message-id": f"{KEY}@shop.example"}}, "recipient": "ana@shop.example"}
SENDGRID = {"email": "ana@shop.example", "smtp-id": f"<{KEY}@shop.example>", "sg_message_id": "sg-1"}


@pytest.mark.parametrize(
    ("feed", "posted", "expected"),
    [
        ("ses", sns(SES_BOUNCE), Feedback("bounced", KEY, "0100018c-ses", True, "5.1.1", "smtp; 550 5.1.1 no")),
        ("ses", SES_BOUNCE, Feedback("bounced", KEY, "0100018c-ses", True, "5.1.1", "smtp; 550 5.1.1 no")),
        (
            "ses",
            sns({"notificationType": "Bounce", "bounce": {"bounceType": "Transient", "bounceSubType": "MailboxFull"},
                 "mail": {"messageId": "0100018c-ses"}}),
            Feedback("bounced", "", "0100018c-ses", False, "MailboxFull"),
        ),
        (
            "ses",
            sns({"eventType": "Complaint", "complaint": {"complaintFeedbackType": "abuse"}, "mail": SES_MAIL}),
            Feedback("complained", KEY, "0100018c-ses", code="abuse"),
        ),
        (
            "ses",
            sns({"notificationType": "Delivery", "delivery": {"smtpResponse": "250 2.6.0 taken"}, "mail": SES_MAIL}),
            Feedback("delivered", KEY, "0100018c-ses", code="2.6.0", words="250 2.6.0 taken"),
        ),
        (
            "sendgrid",
            [SENDGRID | {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 no such user"}],
            Feedback("bounced", KEY, "sg-1", True, "5.1.1", "550 no such user"),
        ),
        (
            "sendgrid",
            [SENDGRID | {"event": "bounce", "type": "blocked", "status": "5.7.1", "reason": "550 5.7.1 policy"}],
            Feedback("bounced", KEY, "sg-1", False, "5.7.1", "550 5.7.1 policy"),
        ),
        (
            "sendgrid",
            [SENDGRID | {"event": "open"}, SENDGRID | {"event": "spamreport"}],
            Feedback("complained", KEY, "sg-1"),
        ),
        (
            "postmark",
            POSTMARK | {"RecordType": "Bounce", "Type": "HardBounce", "Content": f"Message-ID: <{KEY}@a.example>\r\n"},
            Feedback("bounced", KEY, "883953f4", True, "5.1.1", "smtp;550 5.1.1 no such user"),
        ),
        (
            "postmark",
            POSTMARK | {"RecordType": "Bounce", "Type": "SoftBounce"},
            Feedback("bounced", "", "883953f4", False, "5.1.1", "smtp;550 5.1.1 no such user"),
        ),
        ("postmark", {"RecordType": "SpamComplaint", "Type": "SpamComplaint", "MessageID": "883953f4"},
         Feedback("complained", "", "883953f4", code="SpamComplaint")),
        (
            "mailgun",
            {"signature": {}, "event-data": MAILGUN | {
                "event": "failed", "severity": "permanent", "reason": "bounce",
                "delivery-status": {"code": 550, "message": "5.1.1 no such user"}}},
            Feedback("bounced", KEY, "mg-1", True, "5.1.1", "5.1.1 no such user"),
        ),
        (
            "mailgun",
            {"event-data": MAILGUN | {"event": "failed", "severity": "temporary", "delivery-status": {"code": 451}}},
            Feedback("delayed", KEY, "mg-1", code="451"),
        ),
        ("mailgun", {"event-data": MAILGUN | {"event": "complained"}}, Feedback("complained", KEY, "mg-1")),
        (
            "plain",
            {"key": KEY, "kind": "bounced", "is_hard": True, "code": "5.1.1"},
            Feedback("bounced", KEY, "", True, "5.1.1"),
        ),
        ("plain", [{"key": KEY, "kind": "delivered"}], Feedback("delivered", KEY)),
    ],
)  # fmt: skip
def test_what_a_provider_posts_is_read_as_what_it_means(feed: str, posted: Any, expected: Feedback) -> None:
    assert FEEDS[feed](json.dumps(posted).encode()) == [expected]


@pytest.mark.parametrize("feed", FEEDS)
@given(raw=st.binary(max_size=300))
def test_rubbish_is_unreadable_and_nothing_else(feed: str, raw: bytes) -> None:
    try:
        found = FEEDS[feed](raw)
    except FeedbackUnreadable:
        return
    assert found == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["Bounce", "failed", "bounce", KEY]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "Type Message notificationType mail bounce event type smtp-id RecordType MessageID Content event-data "
                "message headers delivery-status code key kind bouncedRecipients messageId severity".split()
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("feed", [feed for feed in FEEDS if feed != "mail"])
@given(told=JSON)
def test_json_of_another_shape_raises_nothing_else(feed: str, told: Any) -> None:
    try:
        found = FEEDS[feed](json.dumps(told).encode())
    except FeedbackUnreadable:
        return
    assert all(one.key or one.reference for one in found)


@given(at=st.integers(0, 1_500), put=st.binary(max_size=4))
def test_a_damaged_report_raises_nothing_else(at: int, put: bytes) -> None:
    raw = report(status=NO_SUCH)
    try:
        found = read_bounce(raw[:at] + put + raw[at + len(put) :])
    except FeedbackUnreadable:
        return
    assert all(one.key == KEY for one in found)
