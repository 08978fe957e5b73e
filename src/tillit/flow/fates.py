"""Fates: what became of each row of the log.

In:    nothing.
Out:   the names of fates, and the codes that say why.
Never: a row without one: what has no fate here was applied.
"""

DUPLICATE, CONFLICT, QUARANTINED = "duplicate", "conflict", "quarantined"
FORGOTTEN, REFUSED, WITHHELD = "forgotten", "refused", "withheld"

# Why a row has another fate than applied.
SAME_MESSAGE = "collect.same-message"  # fate `duplicate`: the same message was applied before
OTHER_BODY = "collect.other-body"  # fate `conflict`: another body came under a message id that was applied before
NO_IDENTIFIER = "identity.no-identifier"  # fate `quarantined`: no identifier that may stand for a person
NOT_FOLDED = "flow.not-folded"  # fate `quarantined`: the body is no event that can be folded
IS_FORGOTTEN = "privacy.forgotten"  # fate `forgotten`: only a husk is left of the event
NOTHING_ALLOWED = "consent.withheld"  # fate `withheld`: by its own words it may be used for nothing its source is for
IS_ERASED = "privacy.erased"  # fate `refused`: whom it names was erased; no byte of it was kept
