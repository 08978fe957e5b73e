"""Advice: what each quarantine code means, and what to do about it.

In:    a code.
Out:   its meaning and the next step, for people.
Never: a value of an event.
"""

from typing import NamedTuple


class Advice(NamedTuple):
    """What a code means, and what to do."""

    meaning: str
    next: str


_NOT_A_TEXT = "It must be a text. Mend the sender, then mend what waits."
_NOT_AN_OBJECT = "Mend the sender: a list, a text or a number was sent where a JSON object belongs."
_LIMIT = "Send less, or raise the limit in the settings, start the server again and replay."
_LONG_ID = "An id this long is usually a value in the wrong field. Mend the sender."
_NUL = "Mend the sender: the character NUL often comes from a file read in the wrong encoding."
_CONSENT = "Mend the consent tool's set-up: each category is true or false."

ADVICE = {
    "anonymous_id_invalid": Advice("The anonymousId is neither a text nor a number.", _NOT_A_TEXT),
    "category_not_string": Advice("The category is not a text.", _NOT_A_TEXT),
    "consent_categorypreferences_fields_should_be_bool": Advice(
        "A consent category is neither true nor false.", _CONSENT
    ),
    "consent_categorypreferences_should_be_object": Advice("The consent categories are not an object.", _CONSENT),
    "context_not_object": Advice("The context is not a JSON object.", _NOT_AN_OBJECT),
    "duplicate_key": Advice(
        "A key stands twice in one object, so readers would disagree on which one counts.",
        "Mend the sender; here, delete the one that is wrong.",
    ),
    "event_not_defined": Advice(
        "A track call says no event.", "Let the sender name what happened; here, add an event name."
    ),
    "event_not_object": Advice("The event is not a JSON object.", _NOT_AN_OBJECT),
    "event_not_string": Advice("The event's name is not a text.", _NOT_A_TEXT),
    "event_too_large": Advice("The event is larger than the limit.", _LIMIT),
    "group_id_invalid": Advice("The groupId is neither a text nor a number.", _NOT_A_TEXT),
    "id_out_of_range": Advice(
        "An id is a number that programs round.", "Send ids as texts. What was rounded cannot be brought back."
    ),
    "id_required": Advice("A group call has no groupId, or an alias call no previousId.", "Let the sender name it."),
    "id_too_large": Advice("An id is longer than the limit.", _LONG_ID),
    "integrations_not_object": Advice("The integrations are not a JSON object.", _NOT_AN_OBJECT),
    "key_not_string": Advice("A key of an object is not a text.", _NOT_A_TEXT),
    "key_too_long": Advice("A key is longer than the limit.", _LIMIT),
    "lone_surrogate": Advice(
        "A text holds half of a character.", "Mend the sender: it cuts texts in the middle of an emoji."
    ),
    "message_id_invalid": Advice("The messageId is neither a text nor a number, or too long.", _LONG_ID),
    "name_not_string": Advice("The name is not a text.", _NOT_A_TEXT),
    "no_user_anon_id": Advice(
        "The event names nobody: it has neither a userId nor an anonymousId.", "Let the sender say whose event it is."
    ),
    "not_json": Advice("The event is not valid JSON.", "Look at the bytes: they are often cut short, or quoted twice."),
    "not_utf8": Advice("A text is not UTF-8.", "Mend the sender's encoding; here, write the text anew."),
    "nul_in_id": Advice("An id holds the character NUL.", _NUL),
    "nul_in_text": Advice("A text holds the character NUL.", _NUL),
    "number_out_of_range": Advice(
        "A number is NaN, infinite or beyond 64 bits.", "Leave such values out, or send them as texts."
    ),
    "previous_id_invalid": Advice("The previousId is neither a text nor a number.", _NOT_A_TEXT),
    "properties_not_object": Advice("The properties are not a JSON object.", _NOT_AN_OBJECT),
    "string_too_long": Advice("A text is longer than the limit.", _LIMIT),
    "too_deep": Advice("The event is nested deeper than the limit.", _LIMIT),
    "too_many_keys": Advice("The event has more keys than the limit.", _LIMIT),
    "traits_not_object": Advice("The traits are not a JSON object.", _NOT_AN_OBJECT),
    "type_unknown": Advice(
        "The type is missing, or none of track, identify, page, screen, group and alias.",
        "Let the sender say the type, or use the route of that type.",
    ),
    "user_id_invalid": Advice("The userId is neither a text nor a number.", _NOT_A_TEXT),
}
_UNKNOWN = Advice("A reason of an older or newer version.", "Look at the bytes and at the reason beside them.")


def advice_for(code: str) -> Advice:
    """Say what a code means and what to do."""
    return ADVICE.get(code, _UNKNOWN)
