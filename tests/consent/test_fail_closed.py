"""The thirteen ways in which other platforms let data through when consent is missing, unmapped or unread.

The numbers are those of the catalogue that was read before this was built. Each way is closed here: no leave follows
from what nobody said. Where a road does not exist yet (destinations, models), the seam that it must pass is tested.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.consent.conftest import PURPOSES, Shop
from tillit.consent import PolicyInvalid, PurposeUnnamed, UnknownPurpose, read_policy
from tillit.errors import InputError, TillitError
from tillit.records import TRUST_CLAIMED
from tillit.workspace import Workspace

ANA = {"userId": "ana"}
WHO = "user_id:ana"


def test_fail_open_01_an_event_without_a_consent_object_gives_no_leave(shop: Shop) -> None:
    shop.say(**ANA)
    shop.say(**ANA, context={"consent": {}})
    shop.say(**ANA, context={"consent": {"categoryPreferences": {}}})

    assert not any(shop.may(WHO, name) for name in ("newsletter", "ads", "profiling"))


def test_fail_open_02_a_destination_that_no_purpose_names_gets_nothing(shop: Shop) -> None:
    # No destinations are served yet: what each of them must ask is `decide` with its recipient.
    shop.chooses(ANA, newsletter=True)

    assert shop.may(WHO, "newsletter", recipient="mailer")
    assert shop.why_not(WHO, "newsletter", recipient="unmapped") == "recipient_undeclared"
    assert shop.why_not(WHO, "service", recipient="unmapped") == "recipient_undeclared"


def test_fail_open_03_a_category_that_no_purpose_knows_gives_no_leave_and_takes_it_from_the_event(shop: Shop) -> None:
    shop.chooses(ANA, profiling=True)
    shop.say(event="Known", **ANA, context={"consent": {"categoryPreferences": {"Unknown": True}}})

    assert not shop.may(WHO, "newsletter")
    told, _ = shop.ws.profiles.events(WHO, shop.ws.scope("profiling")) or ([], None)
    assert "Known" not in [one["name"] for one in told], "it was collected for something else"


def test_fail_open_04_a_purpose_whose_category_is_taken_away_has_no_leave_by_it(shop: Shop) -> None:
    shop.say(**ANA, context={"consent": {"categoryPreferences": {"Marketing": True}}})
    assert shop.may(WHO, "newsletter")

    shop.ws.consent.apply(PURPOSES.replace("[Marketing]", "[]"))

    assert not shop.may(WHO, "newsletter")


def test_fail_open_05_a_model_or_query_without_a_purpose_of_its_own_reads_nothing(shop: Shop) -> None:
    # No models are served yet: what each of them must ask for is a scope, and there is none without a purpose.
    shop.chooses(ANA, newsletter=True)

    with pytest.raises(UnknownPurpose):
        shop.ws.scope("next-best-offer")
    assert shop.why_not(WHO, "next-best-offer") == "purpose_undeclared"
    with pytest.raises(PolicyInvalid, match="fields"):
        read_policy("purposes: {model: {title: Model, basis: consent}}")


def test_fail_open_06_when_what_people_said_cannot_be_read_nobody_is_told_of(shop: Shop, workspace_dir: Path) -> None:
    shop.say(type="identify", traits={"email": "ana@example.org"}, **ANA)
    shop.chooses(ANA, newsletter=True)
    assert shop.read(WHO, "newsletter")["identifiers"]
    with sqlite3.connect(workspace_dir / "state.db") as beside:
        beside.execute("ALTER TABLE consent_statement RENAME TO gone")

    for purpose in ("newsletter", "analytics", "service"):
        with pytest.raises((TillitError, apsw.Error)):
            shop.read(WHO, purpose)
    with sqlite3.connect(workspace_dir / "state.db") as beside:
        beside.execute("ALTER TABLE gone RENAME TO consent_statement")


def test_fail_open_07_no_licence_token_or_setting_turns_the_gates_off(ws: Workspace) -> None:
    # A workspace as it is made, in which nobody has set anything up.
    ws.identify(user_id="ana", traits={"email": "ana@example.org"})
    ws.flush()
    ws.consent.apply("purposes: {letters: {title: Letters, basis: consent, fields: all}}")

    assert ws.profiles.get(WHO, purpose="letters")["identifiers"] == []
    section = " ".join(one.name.lower() for one in dataclasses.fields(ws.settings))
    assert "consent" not in section
    assert "privacy" not in section


def test_fail_open_08_whoever_names_no_purpose_and_whatever_has_none_is_no_gap(shop: Shop) -> None:
    shop.say(type="identify", traits={"email": "ana@example.org"}, **ANA)
    only_ads = "purposes: {ads: {title: Ads, basis: consent, fields: [identifiers.email]}}"

    shop.ws.consent.apply(only_ads)

    # Without a name `service` is asked for, and it is not there any more: there is no leave to fall back to.
    with pytest.raises(PurposeUnnamed):
        shop.ws.scope()
    with pytest.raises(PolicyInvalid, match="no field"):
        read_policy("purposes: {a: {title: A, basis: contract, fields: []}}")


def test_fail_open_09_what_is_not_known_of_a_person_is_no_exception_that_permits(shop: Shop) -> None:
    # Neither an age, nor a place, nor a browser's signal, nor a channel is known: each narrows, none opens.
    shop.say(**ANA)

    assert not shop.may(WHO, "profiling")
    assert not shop.may(WHO, "profiling", jurisdiction="XX")
    assert not shop.may(WHO, "newsletter", channel="email")
    assert not shop.may(WHO, "newsletter", channel="")


def test_fail_open_10_one_name_declared_twice_is_refused_and_of_two_words_the_strictest_counts(shop: Shop) -> None:
    with pytest.raises(PolicyInvalid):
        read_policy(
            "purposes:\n  a: {title: A, basis: consent, fields: all}\n  a: {title: A, basis: contract, fields: all}\n"
        )
    shop.chooses(ANA, newsletter=False)
    shop.chooses({"userId": "bo"}, newsletter=True)
    shop.ws.identity.join(WHO, "user_id:bo", reason="one person")

    assert not shop.may(WHO, "newsletter")
    assert not shop.may("user_id:bo", "newsletter")


def test_fail_open_11_what_a_device_or_a_public_key_says_passes_no_gate_by_itself(shop: Shop) -> None:
    shop.say(type="identify", anonymousId="phone", **ANA)
    shop.say(TRUST_CLAIMED, event="Consent Updated", anonymousId="phone", properties={"purposes": {"newsletter": True}})
    shop.say(TRUST_CLAIMED, event="Consent Updated", properties={"purposes": {"newsletter": True}}, **ANA)

    assert not shop.may(WHO, "newsletter")


def test_fail_open_12_whoever_was_let_in_before_is_asked_again_at_every_use(shop: Shop) -> None:
    shared = PURPOSES.replace("    title: Newsletter\n", "    title: Newsletter\n    share: true\n")
    shop.ws.consent.apply(shared)
    shop.say(type="identify", traits={"firstName": "Ana"}, **ANA)
    shop.chooses(ANA, newsletter=True)
    before = shop.ws.scope("newsletter")
    shop.ws.folding.write_lake()
    assert shop.ws.shares.share("newsletter").n_rows > 0

    shop.chooses(ANA, newsletter="withdrawn")

    # A leave that is held from before is worth nothing, and what was made of it lets go.
    found: Any = shop.ws.profiles.find(WHO, before)
    assert found["traits"] == {}
    shop.ws.folding.write_lake()
    assert shop.ws.shares.share("newsletter").n_rows == 0


def test_fail_open_13_an_act_of_consent_is_an_event_like_others_and_leaks_no_trait(shop: Shop) -> None:
    shop.say(
        event="Consent Preference Updated",
        properties={"purposes": {"ads": False}, "email": "ana@example.org"},
        traits={"email": "ana@example.org"},
        context={"consent": {"categoryPreferences": {"Marketing": False, "Analytics": False}}},
        **ANA,
    )

    for purpose in ("newsletter", "ads", "profiling", "analytics"):
        scope = shop.ws.scope(purpose)
        told, _ = shop.ws.profiles.events(WHO, scope) or ([], None)
        live, _ = shop.ws.events.applied(0, scope)
        assert "ana@example.org" not in f"{told}{live}{shop.read(WHO, purpose)}"


def test_a_recipient_is_never_guessed(shop: Shop) -> None:
    with pytest.raises(InputError):
        shop.ws.shares.share("newsletter")
