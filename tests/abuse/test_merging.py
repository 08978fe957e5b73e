"""Cases 18 to 25 on the whole product: who may make two people one, and what no shared or made-up value does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import tillit
from tests.abuse.knocking import Stranger, codes


def track(who: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "E", **({"userId": who} if who else {}), **more}


def identify(who: str | None = None, traits: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "identify", **({"userId": who} if who else {}), "traits": dict(traits or {}), **more}


def phone_of(stranger: Stranger) -> str:
    return f"+46{int(stranger.mark, 16) % 10**9:09d}"


def id_of(stranger: Stranger, who: str) -> str:
    found = stranger.server.find_profile(who)
    assert found is not None
    return str(found["id"])


def test_case_18_an_address_that_is_somebodys_opens_nothing_of_theirs(stranger: Stranger) -> None:
    ana, mallory = stranger.name("ana"), stranger.name("mallory")
    mail = f"{ana}@example.org"
    stranger.batch(identify(ana, {"email": mail, "plan": "gold"}), identify(mallory, {"plan": "free"}))

    answer = stranger.batch(
        identify(mallory, {"email": mail}),
        identify(mallory, {"email": mail.upper()}),
        identify(ana, {"email": f"{mallory}@example.org"}),
        track(mallory, context={"traits": {"email": mail}}),
        {"type": "alias", "userId": mallory, "previousId": ana},
        key="public",
    )

    assert answer.status == 200
    found = {word: stranger.profile(word) for word in ("ana", "mallory")}
    assert found["ana"] is not None
    assert found["mallory"] is not None
    assert found["ana"]["id"] != found["mallory"]["id"]
    assert id_of(stranger, f"email:{mail}") == found["ana"]["id"]
    assert found["ana"]["traits"]["email"]["value"] == mail
    assert found["mallory"]["traits"]["plan"]["value"] == "free"
    with tillit.open(stranger.server.workspace) as ws:
        refused, _ = ws.identity.violations(ws.scope())
    assert {f"user_id:{mallory}", f"email:{mail}"} <= {one[end] for one in refused for end in ("a", "b")}


def test_case_18_what_a_public_key_tied_stays_parted_once_a_colleague_cuts_it(stranger: Stranger) -> None:
    # A new address may be claimed by anybody; what is claimed again and again does not become true.
    ana = stranger.name("ana")
    mail = f"new-{ana}@example.org"
    stranger.batch(identify(ana, {"plan": "gold"}))
    stranger.batch(identify(ana, {"email": mail}), key="public")
    assert id_of(stranger, f"email:{mail}") == id_of(stranger, f"user_id:{ana}")
    with tillit.open(stranger.server.workspace) as ws:
        ws.identity.cut(f"user_id:{ana}", f"email:{mail}", reason="not hers")

    stranger.batch(*[identify(ana, {"email": mail}) for _ in range(3)], key="public")
    stranger.batch(identify(ana, {"email": mail}), key="secret")

    assert id_of(stranger, f"email:{mail}") != id_of(stranger, f"user_id:{ana}")


@pytest.mark.parametrize("key", ["public", "secret"])
@pytest.mark.parametrize(
    "kind", ["cut", "pin", "join", "undo", "correct", "note", "retract", "group_join", "group_leave"]
)
def test_case_19_no_event_of_a_source_decides_who_is_who(stranger: Stranger, kind: str, key: str) -> None:
    ana, bo = stranger.name("ana"), stranger.name("bo")
    stranger.batch(track(ana), track(bo))
    before = (id_of(stranger, f"user_id:{ana}"), id_of(stranger, f"user_id:{bo}"))
    said = {
        "type": kind,
        "identifiers": [["user_id", ana], ["user_id", bo]],
        "userId": ana,
        "of": "m",
        "operator": "kim",
        "reason": "because",
        "trust": 3,
        "source": "identity",
    }

    answer = stranger.batch(said, key=key)

    assert len(codes(answer)) == 1
    assert (id_of(stranger, f"user_id:{ana}"), id_of(stranger, f"user_id:{bo}")) == before
    with tillit.open(stranger.server.workspace) as ws:
        assert ws.identity.decisions(f"user_id:{ana}", ws.scope()) == []


@pytest.mark.parametrize("nobody", ["null", "undefined", "0", "anonymous", "NaN", "[object Object]", "-1", "none", " "])
def test_case_20_what_programs_send_for_nobody_joins_nobody(stranger: Stranger, nobody: str) -> None:
    people = [stranger.name(f"p{n}") for n in range(5)]

    for key in ("public", "secret"):
        stranger.batch(
            *[
                identify(who, {"email": nobody, "phone": nobody}, anonymousId=nobody, messageId=f"{key}-{who}")
                for who in people
            ],
            *[
                track(who, context={"externalIds": [{"type": "card", "id": nobody}]}, messageId=f"{key}-t-{who}")
                for who in people
            ],
            *[{"type": "alias", "userId": who, "previousId": nobody, "messageId": f"{key}-a-{who}"} for who in people],
            key=key,
        )

    assert len({id_of(stranger, f"user_id:{who}") for who in people}) == len(people)
    for namespace in ("user_id", "anonymous_id", "email", "phone", "card"):
        assert stranger.server.find_profile(f"{namespace}:{nobody}") is None


@pytest.mark.parametrize("key", ["public", "secret"])
def test_case_20_what_a_whole_shop_shares_makes_no_two_one(stranger: Stranger, key: str) -> None:
    people = [stranger.name(f"p{n}") for n in range(30)]
    shared = {"email": f"family-{stranger.mark}@example.org", "phone": phone_of(stranger)}

    stranger.batch(
        *[identify(who, shared, anonymousId=stranger.name("tablet")) for who in people],
        *[track(who, anonymousId=stranger.name("tablet")) for who in reversed(people)],
        key=key,
    )

    assert len({id_of(stranger, f"user_id:{who}") for who in people}) == len(people)
    # Whoever said it first has it.
    assert id_of(stranger, f"email:{shared['email']}") == id_of(stranger, f"user_id:{people[0]}")
    assert stranger.is_served_as_before()


def test_case_21_a_chain_joined_from_its_weak_end_holds_up_nobody(stranger: Stranger) -> None:
    cards = [[{"type": "card", "id": f"{stranger.mark}-{n}"}] for n in range(2_000)]
    links = [cards[n] + cards[n - 1] for n in range(len(cards) - 1, 0, -1)]
    told = [
        track(anonymousId=f"{stranger.mark}-{n}", context={"externalIds": ids}) for n, ids in enumerate(cards + links)
    ]

    answers = [stranger.batch(*told[start : start + 500]) for start in range(0, len(told), 500)]

    assert {answer.status for answer in answers} == {200}
    held = {id_of(stranger, f"card:{ids[0]['id']}") for ids in cards[::100]}
    assert len(held) > 1, "nobody has two thousand cards"
    assert stranger.is_served_as_before()


LOOK_ALIKES = {
    "cyrillic": "аna",
    "greek": "αna",
    "accent": "ána",
    "joiner": "an\u200da",
    "zero width": "an\u200ba",
    "soft hyphen": "an\u00ada",
    "right to left": "\u202ean\u202ca",
}


@pytest.mark.parametrize("look_alike", LOOK_ALIKES.values(), ids=LOOK_ALIKES.keys())
def test_case_22_an_address_that_only_looks_the_same_is_another(stranger: Stranger, look_alike: str) -> None:
    ana, mallory = stranger.name("ana"), stranger.name("mallory")
    stranger.batch(identify(ana, {"email": f"ana.{stranger.mark}@example.org"}))

    stranger.batch(identify(mallory, {"email": f"{look_alike}.{stranger.mark}@example.org"}))

    assert id_of(stranger, f"email:ana.{stranger.mark}@example.org") == id_of(stranger, f"user_id:{ana}")
    assert id_of(stranger, f"user_id:{mallory}") != id_of(stranger, f"user_id:{ana}")


def test_case_22_one_address_in_wide_letters_is_the_same(stranger: Stranger) -> None:
    name = stranger.name("ana")
    wide = "".join(chr(ord(c) + 0xFEE0) for c in name)
    stranger.batch(identify(None, {"email": f"{name}@example.org"}, anonymousId=stranger.name("one")))

    stranger.batch(identify(None, {"email": f"{wide}@example.org"}, anonymousId=stranger.name("two")))

    found = stranger.server.find_profile(f"email:{name}@example.org")
    assert found is not None
    held = [one["value"] for one in found["identifiers"] if one["namespace"] == "email"]
    assert held in ([], [f"{name}@example.org"])


@pytest.mark.parametrize("other", ["a.na", "ana+shop", "an.a+x"])
def test_case_23_dots_and_tags_make_another_address(stranger: Stranger, other: str) -> None:
    ana, bo = stranger.name("ana"), stranger.name("bo")

    stranger.batch(
        identify(ana, {"email": f"ana{stranger.mark}@gmail.com"}),
        identify(bo, {"email": f"{other}{stranger.mark}@gmail.com"}),
    )

    assert id_of(stranger, f"email:ana{stranger.mark}@gmail.com") == id_of(stranger, f"user_id:{ana}")
    assert id_of(stranger, f"email:{other}{stranger.mark}@gmail.com") == id_of(stranger, f"user_id:{bo}")


def test_case_24_a_recycled_number_is_its_new_owners_once_it_is_cut_from_the_old(stranger: Stranger) -> None:
    ana, bo, phone = stranger.name("ana"), stranger.name("bo"), phone_of(stranger)
    stranger.batch(identify(ana, {"phone": phone, "plan": "gold"}), track(ana))
    stranger.batch(identify(bo, {"phone": phone}))
    assert id_of(stranger, f"phone:{phone}") == id_of(stranger, f"user_id:{ana}")

    with tillit.open(stranger.server.workspace) as ws:
        ws.identity.cut(f"user_id:{ana}", f"phone:{phone}", reason="the number went to somebody else")

    found = {word: stranger.profile(word) for word in ("ana", "bo")}
    assert found["ana"] is not None
    assert found["bo"] is not None
    assert id_of(stranger, f"phone:{phone}") == found["bo"]["id"] != found["ana"]["id"]
    assert "plan" not in found["bo"]["traits"]
    assert (found["ana"]["n_events"], found["bo"]["n_events"]) == (2, 1)


def test_case_25_who_signs_in_after_somebody_did_not_sign_out_brings_them_nothing(stranger: Stranger) -> None:
    ana, bo, tablet = stranger.name("ana"), stranger.name("bo"), stranger.name("tablet")
    at = "2026-03-01T{:02d}:00:00Z".format

    stranger.batch(
        track(ana, anonymousId=tablet, timestamp=at(8), event="Ana's"),
        track(anonymousId=tablet, timestamp=at(9), event="Ana's"),
        track(bo, anonymousId=tablet, timestamp=at(20), event="Bo's"),
        track(anonymousId=tablet, timestamp=at(21), event="Bo's"),
        identify(None, {"plan": "gold"}, anonymousId=tablet, timestamp=at(22)),
        key="public",
    )

    found = {word: stranger.profile(word) for word in ("ana", "bo")}
    assert found["ana"] is not None
    assert found["bo"] is not None
    assert found["ana"]["counts"] == {"Ana's": 2}
    assert found["bo"]["counts"] == {"Bo's": 2}
    assert "plan" not in found["ana"]["traits"]
