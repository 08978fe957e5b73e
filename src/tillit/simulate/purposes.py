"""What the simulated shop declares: controller, recipients, notices in its customers' languages, purposes.

In:    the days of a history.
Out:   two versions of one definition, as somebody in the shop applied them; rows for the log.
Never: a real company, or advice about which ground is right: see docs/explanation/privacy-for-lawyers.md.
"""

# ruff: noqa: RUF001 -- notices in many alphabets are the data

from typing import Any

import yaml

from tillit.clock import DAY, HOUR, rfc3339
from tillit.consent import policy_row
from tillit.records import NewRow
from tillit.simulate.languages import LANGUAGES
from tillit.simulate.seasons import Calendar

SECOND_AT_SHARE = 0.6  # of the history's days: from then on the second version holds
# What stands beside the box that people tick. The second version says by which ways.
NEWSLETTER: dict[str, str] = {
    "en-GB": "We write to you about tea. You can take this back at any time.",
    "sv-SE": "Vi skriver till dig om te. Du kan ta tillbaka det när som helst.",
    "de-DE": "Wir schreiben Ihnen über Tee. Sie können das jederzeit widerrufen.",
    "fr-FR": "Nous vous écrivons à propos du thé. Vous pouvez retirer votre accord à tout moment.",
    "es-ES": "Te escribimos sobre té. Puedes retirar tu consentimiento en cualquier momento.",
    "pt-PT": "Escrevemos-lhe sobre chá. Pode retirar o consentimento a qualquer momento.",
    "tr-TR": "Size çay hakkında yazıyoruz. Onayınızı istediğiniz zaman geri alabilirsiniz.",
    "pl-PL": "Piszemy do Ciebie o herbacie. Zgodę możesz wycofać w każdej chwili.",
    "ja-JP": "お茶についてのお便りをお送りします。同意はいつでも取り消せます。",
    "ar-EG": "نكتب إليك عن الشاي. يمكنك سحب موافقتك في أي وقت.",
    "he-IL": "אנחנו כותבים לך על תה. אפשר לבטל את ההסכמה בכל עת.",
    "hi-IN": "हम आपको चाय के बारे में लिखते हैं। आप अपनी सहमति कभी भी वापस ले सकते हैं।",
}
_SECOND = " (e-mail, SMS)"


def notice_of(locale: str) -> str:
    """Give the name of the newsletter's notice in a language."""
    return f"newsletter-{locale[:2]}"


def notice_version(at: int, calendar: Calendar) -> int:
    """Say which version of a notice is shown at an instant."""
    return 1 if at < second_at(calendar) else 2


def second_at(calendar: Calendar) -> int:
    """Give when the second version was applied."""
    return calendar.begin + int((calendar.end - calendar.begin) * SECOND_AT_SHARE) // HOUR * HOUR


def purposes_text(version: int, calendar: Calendar) -> str:
    """Write one version of the definition."""
    is_second = version == 2
    from_at = second_at(calendar) if is_second else calendar.begin - DAY
    notices = {
        notice_of(language.locale): {
            "version": str(version),
            "language": language.locale,
            "text": NEWSLETTER[language.locale] + (_SECOND if is_second else ""),
            "effective_from": rfc3339(from_at)[:10],
            "url": "https://shop.example.com/privacy",
        }
        for language in LANGUAGES
    }
    told: dict[str, Any] = {
        "controller": {
            "name": "Kettle and Moss",
            "address": "Kanelgatan 1, Umeå",
            "contact": "privacy@example.com",
            "url": "https://shop.example.com/privacy",
            "country": "SE",
            "role": "controller",
        },
        "recipients": _RECIPIENTS,
        "notices": notices,
        "purposes": _purposes(is_second=is_second),
    }
    return str(yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=100))


_RECIPIENTS: dict[str, Any] = {
    "parcels": {"name": "Slow Parcels", "contact": "privacy@example.net", "country": "SE", "role": "processor"},
    "books": {"name": "Tidy Books", "contact": "privacy@example.org", "country": "SE", "role": "processor"},
    "mailer": {"name": "Quiet Mail", "contact": "dpo@example.net", "country": "DE", "role": "processor"},
    "adverts": {"name": "Loud Adverts", "contact": "dpo@example.org", "country": "US", "role": "third_party"},
}


def _purposes(*, is_second: bool) -> dict[str, Any]:
    return {
        "service": {
            "title": "Service",
            "description": "Orders, parcels, returns, accounts, help.",
            "basis": "contract",
            "fields": "all",
            "dpv": "dpv:ServiceProvision",
            "recipients": ["parcels", "mailer"],
        },
        "bookkeeping": {
            "title": "Bookkeeping",
            "description": "What the law on accounts wants kept.",
            "basis": "legal_obligation",
            "fields": ["identifiers.user_id", "events.Order Completed", "events.Order Refunded"],
            "dpv": "dpv:LegalCompliance",
            "recipients": ["books"],
            "retention": "7 years",
        },
        "analytics": {
            "title": "Analytics",
            "description": "To count and compare visits, without acting on a person.",
            "basis": "legitimate_interest",
            "fields": "all",
            "dpv": "dpv:ServiceUsageAnalytics",
            "categories": ["analytics"],
            "retention": "25 months",
        },
        "personalisation": {
            "title": "Personalisation",
            "description": "To show first what somebody is likely to want.",
            "basis": "consent",
            "fields": ["traits.language", "events.Product Viewed", "events.Order Completed"],
            "dpv": "dpv:Personalisation",
            "categories": ["personalisation"],
        },
        "newsletter": {
            "title": "Newsletter",
            "description": "Letters about tea, by the ways that people chose.",
            "basis": "consent",
            "fields": ["identifiers.email", "identifiers.phone", "traits.firstName", "traits.language", "events"],
            "dpv": "dpv:DirectMarketing",
            "channels": ["email", "sms"],
            "recipients": ["mailer"],
            "notice": notice_of(LANGUAGES[0].locale),
            "valid_for": "24 months",
        },
        "advertising": {
            "title": "Advertising elsewhere",
            "description": "To be shown to people who look like our customers.",
            "basis": "consent",
            "fields": ["identifiers.email"],
            "dpv": "dpv:TargetedAdvertising",
            "categories": ["marketing"],
            "signals": ["gpc"],
            "recipients": ["adverts"],
            "minors": "never",
            # The second version: in California an opt-out, and nobody is sent to it there whose browser says no.
            **({"jurisdictions": {"US-CA": {"basis": "legitimate_interest", "signals": ["gpc"]}}} if is_second else {}),
        },
    }


def policy_rows(calendar: Calendar) -> list[NewRow]:
    """Write both versions for the log, as they were applied."""
    applied = (
        (1, calendar.begin, "the first list, read by the lawyer"),
        (2, second_at(calendar), "the notice names the ways; California"),
    )
    return [
        policy_row(
            purposes_text(version, calendar), operator="maria", reason=why, message_id=f"purposes-{version}", now=at
        )
        for version, at, why in applied
    ]
