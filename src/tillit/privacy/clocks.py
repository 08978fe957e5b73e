"""By when a request must be answered, by the law that counts for the person.

In:    when it was received; a regime.
Out:   due instants.
Never: a clock that stands still. A legal hold, a doubt about identity and a rest leave it running.

Days are days of UTC, and an answer is due at the time of day at which the request came: the law gives until the end of
that day.
"""

from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tillit.clock import DAY
from tillit.errors import InputError, RefusedError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """A time that a law gives."""

    months: int = 0
    days: int = 0


class Regime(NamedTuple):
    """The clock of one law. Grain: one per regime."""

    name: str
    answer: Span
    extension: Span | None  # on top, when the person is told why before the first time is over
    source: str
    kinds: Mapping[str, Span] = {}  # a kind of request with a shorter clock, which cannot be extended


_MONTH = Span(months=1)
REGIMES: dict[str, Regime] = {
    one.name: one
    for one in (
        Regime("gdpr", _MONTH, Span(months=2), "Regulation (EU) 2016/679, Art. 12(3); counted by Regulation 1182/71"),
        Regime("uk", _MONTH, Span(months=2), "UK GDPR, Art. 12(3)"),
        Regime(
            "ccpa",
            Span(days=45),
            Span(days=45),
            "California Civil Code 1798.130(a)(2); opting out: CCPA Regulations 7026(f), 15 business days",
            # Fifteen plain days are never later than fifteen business days, wherever the holidays fall.
            {"objection": Span(days=15)},
        ),
        Regime("lgpd", Span(days=15), None, "Lei 13.709/2018, Art. 19(II)"),
        Regime("pipa", Span(days=10), None, "Personal Information Protection Act of Korea, Enforcement Decree Art. 41"),
        Regime("pipeda", Span(days=30), Span(days=30), "PIPEDA (Canada), Schedule 1, 4.9; s. 8(3) and 8(4)"),
        Regime("quebec", Span(days=30), None, "Act respecting personal information in the private sector, s. 32"),
        Regime("swiss", Span(days=30), None, "Swiss Data Protection Ordinance, Art. 18"),
        Regime("virginia", Span(days=45), Span(days=45), "Virginia Consumer Data Protection Act, 59.1-577(B)"),
        Regime("texas", Span(days=45), Span(days=45), "Texas Data Privacy and Security Act, 541.052"),
    )
}
DEFAULT_REGIME = "gdpr"

_EEA = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"
# ISO 3166 places; whatever is not here is named by its law.
PLACES: dict[str, str] = {
    **dict.fromkeys(_EEA.split(), "gdpr"),
    "GB": "uk",
    "US-CA": "ccpa",
    "BR": "lgpd",
    "KR": "pipa",
    "CA": "pipeda",
    "CA-QC": "quebec",
    "CH": "swiss",
    "US-VA": "virginia",
    "US-TX": "texas",
}


class UnknownRegime(InputError):
    """A law was named whose clock is not known here."""

    code = "privacy.unknown-regime"

    def __init__(self) -> None:
        """Name those that are."""
        super().__init__(
            f"No clock is known for that place or law. Name one of: {', '.join(REGIMES)}; "
            "or a place such as DE, GB or US-CA.",
            regimes=list(REGIMES),
        )


class NoExtension(RefusedError):
    """The time for an answer cannot be extended."""

    code = "privacy.no-extension"

    def __init__(self, why: str) -> None:
        """Say why not."""
        super().__init__(f"The time for this answer cannot be extended: {why}")


def regime_of(place: str) -> Regime:
    """Give the clock of a place (ISO 3166) or of a law by its name; the default where nothing is said.

    Raises: UnknownRegime.

    >>> regime_of("DE").name, regime_of("us-ca").name, regime_of("").name
    ('gdpr', 'ccpa', 'gdpr')
    """
    named = place.strip()
    found = REGIMES.get(named.lower() or DEFAULT_REGIME) or REGIMES.get(PLACES.get(named.upper(), ""))
    if found is None:
        raise UnknownRegime
    return found


def due_at(received_at: int, regime: Regime, *, kind: str, is_extended: bool = False) -> int:
    """Say by when a request must be answered. Both times count from receipt, so a short month costs nothing twice.

    Units: UTC epoch microseconds.
    """
    span = regime.kinds.get(kind, regime.answer)
    if is_extended and regime.extension is not None:
        span = Span(span.months + regime.extension.months, span.days + regime.extension.days)
    return add_span(received_at, span)


def add_span(at: int, span: Span) -> int:
    """Add calendar months, then days. A day that the month does not have is its last: 31 January, 28 February."""
    day, within = divmod(at, DAY)
    on = (_EPOCH + timedelta(days=day)).date()
    year, month = divmod(on.year * 12 + on.month - 1 + span.months, 12)
    on = on.replace(year=year, month=month + 1, day=min(on.day, monthrange(year, month + 1)[1]))
    on += timedelta(days=span.days)
    return (on - _EPOCH.date()).days * DAY + within


def check_extension(received_at: int, regime: Regime, *, kind: str, is_extended: bool, now: int) -> None:
    """Refuse an extension that the law does not give. Raises NoExtension."""
    if regime.extension is None or kind in regime.kinds:
        raise NoExtension("the law that counts here gives no more time.")
    if is_extended:
        raise NoExtension("it was extended before, and that is allowed once.")
    if now >= due_at(received_at, regime, kind=kind):
        raise NoExtension("it is over. An extension is told before, with the reason.")


def days_left(due: int, now: int) -> float:
    """Say how many days are left; below 0 it is overdue."""
    return round((due - now) / DAY, 1)
