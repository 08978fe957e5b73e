"""Identity tokens in the fold: what a token proves, once, whatever is folded anew. The random logs hold them too."""

from __future__ import annotations

from typing import Any

from tests.laws.folding import new_fold, tables_of
from tests.laws.test_forgetting import new_shop
from tests.laws.test_identity_acts import act
from tests.strategies import row
from tillit.consent.statements import unpack_statements
from tillit.records import TRUST_CLAIMED, TRUST_SERVER, TRUST_VERIFIED, LogRow

ANA, BO = ("user_id", "ana"), ("user_id", "bo")
MAIL = ("email", "ana@example.org")


def proving(position: int, *, jti: str = "aa" * 16, device: str = "tablet", **more: Any) -> LogRow:
    """An event of a public key, with what the door wrote in the place of Ana's token."""
    proof = {"sub": ANA, "also": [MAIL], "jti": jti, "kid": "k_1", "exp": 1}
    return row(
        position,
        {"type": "track", "event": "E", "anonymousId": device, "proof": proof, **more},
        at=position,
        trust=TRUST_CLAIMED,
    )


def saying(position: int, user: str, *, trust: int = TRUST_CLAIMED) -> LogRow:
    return row(position, {"type": "identify", "userId": user, "traits": {"email": MAIL[1]}}, at=position, trust=trust)


def links(state: Any) -> list[tuple[int, int, str, str]]:
    """(position, trust, rule, verdict) of every link."""
    found = state.read("SELECT position, trust, rule, verdict FROM link ORDER BY position, trust, rule")
    return [(p, trust, rule, verdict) for p, trust, rule, verdict in found]


PROVED = "identity token"


def test_only_the_first_event_with_a_token_is_proven_by_it() -> None:
    rows = [proving(1), proving(2, device="kiosk"), proving(3, device="kiosk", jti="bb" * 16)]
    with new_fold() as folded:
        folded.take(rows)

        assert links(folded.state) == [
            (1, TRUST_VERIFIED, PROVED, "admitted"),  # the address
            (1, TRUST_VERIFIED, PROVED, "admitted"),  # the tablet
            (2, TRUST_CLAIMED, "same event", "admitted"),  # the kiosk, by a token used before
            (3, TRUST_VERIFIED, PROVED, "admitted"),  # the kiosk
        ]
        assert tables_of(rows, [slice(i, i + 1) for i in range(3)]) == folded.tables()


def test_a_token_used_before_stays_used_when_people_are_folded_anew() -> None:
    rows = [proving(1), proving(2, device="kiosk"), act(3, "cut", ANA, MAIL), proving(4, device="third")]
    with new_fold() as folded:
        folded.take(rows)

        told = links(folded.state)
        assert (1, TRUST_VERIFIED, PROVED, "withdrawn") in told
        assert [one[:2] for one in told if one[0] in (2, 4)] == [
            (2, TRUST_CLAIMED),
            (4, TRUST_CLAIMED),
            (4, TRUST_CLAIMED),
        ]
        assert folded.document(ANA)["id"] != folded.document(MAIL)["id"]


def test_a_new_token_ends_a_cut() -> None:
    with new_fold() as folded:
        folded.take([proving(1), act(2, "cut", ANA, MAIL), saying(3, "ana"), proving(4, jti="bb" * 16)])

        assert folded.document(ANA)["id"] == folded.document(MAIL)["id"]


def test_a_pin_holds_against_a_token() -> None:
    with new_fold() as folded:
        folded.take([saying(1, "bo"), proving(2), act(3, "pin", ANA, MAIL), proving(4, jti="bb" * 16)])

        assert folded.document(ANA)["id"] != folded.document(MAIL)["id"]


def test_a_token_makes_known_whom_it_names_and_joins_no_two_user_ids() -> None:
    with new_fold() as folded:
        folded.take([proving(1), row(2, {"type": "track", "event": "E", "userId": "bo"}, at=2), saying(3, "bo")])
        folded.take([saying(4, "cem", trust=TRUST_SERVER)])

        assert folded.state.read("SELECT known FROM identifier WHERE value = ?", (MAIL[1],)) == [(1,)]
        assert len({folded.document(key)["id"] for key in (ANA, BO, ("user_id", "cem"))}) == 3


def test_a_token_whose_first_use_was_forgotten_proves_nothing_again_and_goes_with_its_last_use() -> None:
    rows = [proving(1), proving(2, device="kiosk"), proving(3, device="third"), proving(4, jti="bb" * 16)]
    with new_shop() as shop:
        shop.take(rows)

        shop.forget([1])

        assert shop.differences() == []
        assert [p for p, trust, *_ in links(shop.state) if trust == TRUST_VERIFIED] == [4, 4]
        shop.forget([2])
        assert shop.differences() == []
        assert [p for p, trust, *_ in links(shop.state) if trust == TRUST_VERIFIED] == [4, 4]
        assert shop.find(["aa" * 16]) != [], "the third event still names the token"
        shop.forget([3])
        assert shop.differences() == []
        assert len(shop.state.read("SELECT * FROM token_use")) == 1
        shop.forget([4])
        assert shop.differences() == []
        assert shop.state.read("SELECT * FROM token_use") == []
        shop.keeper.catch_up()
        assert shop.find(["aa" * 16, MAIL[1]]) == []


def test_a_consent_that_came_with_a_used_token_counts_no_more_when_the_first_use_is_forgotten() -> None:
    yes: dict[str, Any] = {"event": "Consent Updated", "properties": {"purposes": {"newsletter": True}}}
    with new_shop() as shop:
        shop.take([proving(1), proving(2, device="kiosk", **yes)])

        def proved() -> list[bool]:
            found = shop.state.read("SELECT identifier_id, part, position, document FROM consent_statement")
            return [one.is_proved for row in found for one in unpack_statements(*row)]

        assert proved() == [False]
        shop.forget([1])
        assert proved() == [False]
        assert shop.differences() == []


def test_what_is_no_proof_of_the_doors_proves_nothing_and_stops_nothing() -> None:
    odd: list[Any] = [
        "yes",
        7,
        [],
        {},
        {"refused": "expired"},
        {"jti": "zz"},
        {"sub": 7, "also": 7},
        {"sub": ["user_id"], "also": [7]},
        {"sub": ["anonymous_id", "x"], "jti": "aa"},
    ]
    rows = [proving(n, proof=proof) for n, proof in enumerate(odd, start=1)]
    with new_fold() as folded:
        folded.take(rows)

        assert {fate for fate, _ in folded.fates().values()} == {"applied"}
        assert [one for one in links(folded.state) if one[1] == TRUST_VERIFIED] == []
