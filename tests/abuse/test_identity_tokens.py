"""Cases 18 and 30 with `context.identityToken`: what a customer's proof does, and what nobody gets without one."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pytest

import tillit
from tests.abuse.knocking import Stranger
from tests.running import RunningServer, basic, create_key
from tests.running import tillit as tillit_command
from tests.signing import Signer, packed
from tillit.store.scan import UNREADABLE, find_bytes


@pytest.fixture(scope="session")
def signer(server: RunningServer) -> Signer:
    return Signer(create_key(server.workspace, "identity", "web"))


def said(token: object, *, device: str, **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "E", "anonymousId": device, "context": {"identityToken": token}, **more}


def identify(who: str | None = None, traits: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "identify", **({"userId": who} if who else {}), "traits": dict(traits or {}), **more}


def links_of(stranger: Stranger, one: str, other: str) -> list[tuple[str, str, str]]:
    """(rule, trust, verdict) of all that was ever said of two identifiers."""
    with tillit.open(stranger.server.workspace) as ws:
        told = ws.identity.why(one, other, ws.scope())
    return [(step["rule"], step["trust"], step["verdict"]) for step in told["direct"]]


def id_of(stranger: Stranger, who: str) -> str:
    found = stranger.server.find_profile(who)
    assert found is not None
    return str(found["id"])


def proof_in(stranger: Stranger, device: str) -> Any:
    """What the log holds in the place of the token that a device sent last."""
    return [event.get("proof") for event in stranger.taken() if event.get("anonymousId") == device][-1]


def test_a_browser_with_a_token_proves_who_it_is_and_its_address(stranger: Stranger, signer: Signer) -> None:
    ana, device = stranger.name("ana"), stranger.name("device")
    mail = f"{ana}@example.org"
    token = signer.token(f"user_id:{ana}", email=mail.upper(), email_verified=True)

    answer = stranger.batch(said(token, device=device), key="public")

    assert answer.json() == {"success": True, "accepted": 1, "rejected": [], "applied": True}
    assert links_of(stranger, f"user_id:{ana}", f"email:{mail}") == [("identity token", "verified", "admitted")]
    assert links_of(stranger, f"user_id:{ana}", f"anonymous_id:{device}") == [
        ("identity token", "verified", "admitted")
    ]
    assert id_of(stranger, f"email:{mail}") == id_of(stranger, f"user_id:{ana}")
    proof = proof_in(stranger, device)
    assert (proof["sub"], proof["also"], proof["kid"]) == (["user_id", ana], [["email", mail]], signer.key["kid"])


def test_a_token_of_a_common_library_is_taken_under_either_name_of_its_algorithm(
    stranger: Stranger, signer: Signer
) -> None:
    ana = stranger.name("ana")
    key = jwt.PyJWK.from_dict(signer.key)
    made = jwt.encode(signer.claims(f"user_id:{ana}"), key, headers={"kid": signer.key["kid"]})
    renamed = signer.sign({"alg": "Ed25519", "kid": signer.key["kid"]}, signer.claims(f"user_id:{ana}"))

    stranger.batch(said(made, device=stranger.name("one")), said(renamed, device=stranger.name("two")), key="public")

    assert [proof_in(stranger, stranger.name(word))["sub"] for word in ("one", "two")] == [["user_id", ana]] * 2


def test_a_captured_token_proves_nothing_for_another_device(stranger: Stranger, signer: Signer) -> None:
    ana, hers, theirs = stranger.name("ana"), stranger.name("hers"), stranger.name("theirs")
    mail = f"{ana}@example.org"
    token = signer.token(f"user_id:{ana}", email=mail, email_verified=True)
    stranger.batch(said(token, device=hers), key="public")

    answer = stranger.batch(
        said(token, device=theirs),
        identify(stranger.name("mallory"), {}, anonymousId=theirs, context={"identityToken": token}),
        key="public",
    )

    assert answer.json()["accepted"] == 2
    assert links_of(stranger, f"user_id:{ana}", f"anonymous_id:{hers}")[0][1] == "verified"
    assert links_of(stranger, f"user_id:{ana}", f"anonymous_id:{theirs}") == [("same event", "claimed", "admitted")]
    assert id_of(stranger, f"user_id:{ana}") != id_of(stranger, f"user_id:{stranger.name('mallory')}")


def test_a_resend_of_the_event_that_used_a_token_changes_nothing(stranger: Stranger, signer: Signer) -> None:
    ana, device = stranger.name("ana"), stranger.name("device")
    event = said(signer.token(f"user_id:{ana}"), device=device, messageId=stranger.name("m"))

    stranger.batch(event, event, key="public")
    stranger.batch(event, key="public")

    assert links_of(stranger, f"user_id:{ana}", f"anonymous_id:{device}") == [
        ("identity token", "verified", "admitted")
    ]
    found = stranger.profile("ana")
    assert found is not None
    assert found["n_events"] == 1


def test_a_token_proves_only_its_own_subject(stranger: Stranger, signer: Signer) -> None:
    ana, bo, device = stranger.name("ana"), stranger.name("bo"), stranger.name("device")
    mails = {who: f"{who}@example.org" for who in (ana, bo)}
    stranger.batch(identify(bo, {"email": mails[bo], "plan": "gold"}))
    before = id_of(stranger, f"user_id:{bo}")

    stranger.batch(
        identify(
            bo,
            {"email": mails[bo], "plan": "free"},
            anonymousId=device,
            context={
                "identityToken": signer.token(f"user_id:{ana}", email=mails[ana]),  # not said to be verified
                "externalIds": [{"type": "card", "id": stranger.name("card")}],
            },
        ),
        key="public",
    )

    assert links_of(stranger, f"user_id:{ana}", f"user_id:{bo}") == [("same event", "claimed", "refused")]
    assert links_of(stranger, f"user_id:{ana}", f"email:{mails[bo]}") == [("same event", "claimed", "refused")]
    assert links_of(stranger, f"user_id:{ana}", f"card:{stranger.name('card')}")[0][1] == "claimed"
    assert stranger.server.find_profile(f"email:{mails[ana]}") is None
    assert (id_of(stranger, f"user_id:{bo}"), id_of(stranger, f"email:{mails[bo]}")) == (before, before)
    found = stranger.profile("bo")
    assert found is not None
    assert found["traits"]["plan"]["value"] == "gold"


def test_a_token_joins_no_two_user_ids_even_by_a_proven_address(stranger: Stranger, signer: Signer) -> None:
    # Mallory ties the address to a user id of their own before Ana ever comes.
    ana, mallory = stranger.name("ana"), stranger.name("mallory")
    mail = f"{ana}@example.org"
    stranger.batch(identify(mallory, {"email": mail}), key="public")

    token = signer.token(f"user_id:{ana}", email=mail, email_verified=True)
    stranger.batch(said(token, device=stranger.name("device")), key="public")

    assert id_of(stranger, f"user_id:{ana}") != id_of(stranger, f"user_id:{mallory}")
    assert links_of(stranger, f"user_id:{ana}", f"email:{mail}") == [("identity token", "verified", "soft")]


def test_a_proof_after_a_cut_ends_the_cut(stranger: Stranger, signer: Signer) -> None:
    ana = stranger.name("ana")
    mail = f"{ana}@example.org"
    stranger.batch(identify(ana, {"email": mail}), key="public")
    with tillit.open(stranger.server.workspace) as ws:
        ws.identity.cut(f"user_id:{ana}", f"email:{mail}", reason="not hers")
    stranger.batch(identify(ana, {"email": mail}), key="public")
    assert id_of(stranger, f"user_id:{ana}") != id_of(stranger, f"email:{mail}")

    token = signer.token(f"user_id:{ana}", email=mail, email_verified=True)
    stranger.batch(said(token, device=stranger.name("device")), key="public")

    assert id_of(stranger, f"user_id:{ana}") == id_of(stranger, f"email:{mail}")


Forge = Callable[[Signer, str], object]


def _cut_off(signer: Signer, sub: str) -> str:
    return signer.token(sub)[:-4]


def _none(signer: Signer, sub: str) -> str:
    return f"{packed({'alg': 'none', 'kid': signer.key['kid']})}.{packed(signer.claims(sub))}."


def _hs256(signer: Signer, sub: str) -> str:
    signed = f"{packed({'alg': 'HS256', 'kid': signer.key['kid']})}.{packed(signer.claims(sub))}"
    return f"{signed}.{packed(hmac.new(signer.key['x'].encode(), signed.encode(), hashlib.sha256).digest())}"


def _another_subject(signer: Signer, sub: str) -> str:
    header, _, signature = signer.token("user_id:mallory").split(".")
    return f"{header}.{packed(signer.claims(sub))}.{signature}"


def _own_key(signer: Signer, sub: str) -> str:
    own = Signer(json.dumps({"d": packed(bytes(range(32))), "kid": signer.key["kid"]}))
    return own.sign({"alg": "EdDSA", "kid": signer.key["kid"], "jwk": {**signer.key, "d": ""}}, own.claims(sub))


FORGED: dict[str, tuple[Forge, str]] = {
    "expired": (lambda s, sub: s.token(sub, exp=int(time.time()) - 1), "expired"),
    "too long": (lambda s, sub: s.token(sub, exp=int(time.time()) + 700), "too_long"),
    "no end": (lambda s, sub: s.token(sub, exp=None), "malformed"),
    "an end that is a text": (lambda s, sub: s.token(sub, exp=str(int(time.time()) + 60)), "malformed"),
    "an end that is true": (lambda s, sub: s.token(sub, exp=True), "malformed"),
    "an endless end": (lambda s, sub: s.token(sub, exp=10**300), "malformed"),
    "not yet": (lambda s, sub: s.token(sub, nbf=int(time.time()) + 120), "not_yet"),
    "made tomorrow": (lambda s, sub: s.token(sub, iat=int(time.time()) + 86_400), "not_yet"),
    "no jti": (lambda s, sub: s.token(sub, jti=None), "no_jti"),
    "an empty jti": (lambda s, sub: s.token(sub, jti=""), "no_jti"),
    "a jti that is a number": (lambda s, sub: s.token(sub, jti=7), "no_jti"),
    "a long jti": (lambda s, sub: s.token(sub, jti="j" * 257), "no_jti"),
    "no subject": (lambda s, sub: s.token(sub.partition(":")[2]), "bad_subject"),
    "a device for a subject": (lambda s, sub: s.token(f"anonymous_id:{sub}"), "bad_subject"),
    "nobody for a subject": (lambda s, _: s.token("user_id:null"), "bad_subject"),
    "a list for a subject": (lambda s, sub: s.sign(_header(s), {**s.claims(sub), "sub": [sub]}), "bad_subject"),
    "algorithm none": (_none, "wrong_algorithm"),
    "algorithm HS256 with the public key": (_hs256, "wrong_algorithm"),
    "the claims of another": (_another_subject, "bad_signature"),
    "a key of one's own": (_own_key, "bad_signature"),
    "half a signature": (_cut_off, "bad_signature"),
    "a key nobody made": (
        lambda s, sub: s.sign({"alg": "EdDSA", "kid": "k_000000000000"}, s.claims(sub)),
        "unknown_key",
    ),
    "no key": (lambda s, sub: s.sign({"alg": "EdDSA"}, s.claims(sub)), "malformed"),
    "rules we do not know": (
        lambda s, sub: s.sign({**_header(s), "crit": ["b64"], "b64": False}, s.claims(sub)),
        "malformed",
    ),
    "claims that are no object": (lambda s, sub: s.sign(_header(s), json.dumps([sub]).encode()), "malformed"),
    "claims that are not JSON": (lambda s, sub: s.sign(_header(s), sub.encode()), "malformed"),
    "not a token": (lambda _, sub: sub, "malformed"),
    "letters of no alphabet": (lambda _, sub: f"é.ü.{sub}", "malformed"),
    "more than 4 kB": (lambda s, sub: s.token(sub, pad="x" * 4_096), "malformed"),
    "a number": (lambda _, __: 7, "malformed"),
    "an object": (lambda _, sub: {"sub": sub}, "malformed"),
    "true": (lambda _, __: True, "malformed"),
}


def _header(signer: Signer) -> dict[str, Any]:
    return {"alg": "EdDSA", "kid": signer.key["kid"]}


@pytest.mark.parametrize(("forge", "code"), FORGED.values(), ids=FORGED.keys())
def test_an_event_with_a_bad_token_is_taken_and_proves_nothing(
    stranger: Stranger, signer: Signer, forge: Forge, code: str
) -> None:
    ana, device = stranger.name("ana"), stranger.name("device")
    token = forge(signer, f"user_id:{ana}")

    answer = stranger.batch(said(token, device=device), key="public")

    assert answer.json() == {"success": True, "accepted": 1, "rejected": [], "applied": True}
    assert proof_in(stranger, device) == {"refused": code}
    assert (stranger.profile("ana"), stranger.profile("device", "anonymous_id") is not None) == (None, True)


def test_a_revoked_key_and_one_of_another_workspace_prove_nothing(stranger: Stranger, tmp_path: Any) -> None:
    workspace = stranger.server.workspace
    revoked = Signer(create_key(workspace, "identity", "leaving"))
    ana = f"user_id:{stranger.name('ana')}"
    stranger.batch(said(revoked.token(ana), device=stranger.name("early")), key="public")
    tillit_command("keys", "revoke", revoked.key["kid"], "--workspace", str(workspace))
    tillit_command("init", str(tmp_path / "other"))
    foreign = Signer(create_key(tmp_path / "other", "identity", "web"))

    stranger.batch(
        said(revoked.token(ana), device=stranger.name("late")),
        said(foreign.token(ana), device=stranger.name("foreign")),
        key="public",
    )

    assert proof_in(stranger, stranger.name("early"))["kid"] == revoked.key["kid"]
    assert [proof_in(stranger, stranger.name(word)) for word in ("late", "foreign")] == [{"refused": "unknown_key"}] * 2


def test_what_a_sender_writes_as_proof_is_not_one(stranger: Stranger) -> None:
    ana, device = stranger.name("ana"), stranger.name("device")
    forged = {"sub": ["user_id", ana], "also": [], "jti": "00" * 16, "kid": "k_1", "exp": 1}

    stranger.batch({"type": "track", "event": "E", "anonymousId": device, "proof": forged}, key="public")

    assert proof_in(stranger, device) is None
    assert stranger.profile("ana") is None


def test_one_request_has_at_most_100_tokens_judged(stranger: Stranger, signer: Signer) -> None:
    devices = [stranger.name(f"d{n}") for n in range(102)]
    tokens = [signer.token(f"user_id:{stranger.name('ana')}") for _ in devices]

    stranger.batch(*(said(token, device=device) for token, device in zip(tokens, devices, strict=True)), key="public")

    proofs = [event["proof"] for event in stranger.taken()]
    assert [proof.get("refused") for proof in proofs] == [None] * 100 + ["too_many"] * 2


def test_an_identity_key_opens_no_door(stranger: Stranger, signer: Signer) -> None:
    body = json.dumps({"type": "track", "event": "E", "userId": stranger.name("ana")}).encode()
    for text in (json.dumps(signer.key, separators=(",", ":")), signer.key["kid"], signer.key["x"], signer.key["d"]):
        assert stranger.post("/v1/track", body, headers={"X-Write-Key": text}, key=None).status == 401
        assert stranger.post("/v1/track", body, headers={"Authorization": basic(text)}).status == 401
        bearer = {"Authorization": f"Bearer {text}"}
        assert stranger.server.request("GET", "/api/events", headers=bearer).status == 401
    assert stranger.taken() == []


def test_neither_token_nor_private_key_is_in_any_file_or_log(stranger: Stranger, signer: Signer) -> None:
    ana, device = stranger.name("ana"), stranger.name("device")
    good, again = signer.token(f"user_id:{ana}"), signer.token(f"user_id:{ana}")
    bad = signer.token(f"user_id:{ana}", exp=1)
    stranger.batch(said(good, device=device), said(bad, device=device), said(good, device=device), key="public")
    # In quarantine too, also when the event broke off.
    stranger.batch({**said(again, device=device), "type": "nothing"}, {**said(good, device=device), "event": 7})
    broken = json.dumps({"event": "E", "anonymousId": device, "context": {"identityToken": again}}).encode()
    stranger.post("/v1/track", broken[:-3], key="public")
    assert len(stranger.quarantined()) == 2

    secrets = [word.encode() for word in (*(t.split(".")[2] for t in (good, bad, again)), good, signer.key["d"])]
    found = find_in_files(stranger.server, secrets)

    assert found == []
    assert "log.db" in find_in_files(stranger.server, [ana.encode()]), "the search finds what is there"


def find_in_files(server: RunningServer, words: list[bytes]) -> list[str]:
    """Name the files of the workspace that hold one of these, decoded as for forgetting, and the server's own talk."""
    found = [
        one.file if one.marker != UNREADABLE else f"{one.file} cannot be read: {one.place}"
        for one in find_bytes(server.workspace, words)
    ]
    talk = server.talk.read_bytes()
    return found + [server.talk.name for word in words if word in talk]


def test_a_browser_with_only_the_public_key_changes_no_verified_customer(stranger: Stranger, signer: Signer) -> None:
    ana, bo = stranger.name("ana"), stranger.name("bo")
    mails = {who: f"{who}@example.org" for who in (ana, bo)}
    for who in (ana, bo):
        token = signer.token(f"user_id:{who}", email=mails[who], email_verified=True)
        stranger.batch(said(token, device=stranger.name(f"of-{who}")), key="public")
        stranger.batch(identify(who, {"plan": "gold", "email": mails[who]}))
    before = (id_of(stranger, f"user_id:{ana}"), id_of(stranger, f"user_id:{bo}"))

    stranger.batch(
        identify(ana, {"email": mails[bo], "plan": "free"}),
        identify(None, {"email": mails[ana], "plan": "free"}, anonymousId=stranger.name("thief")),
        {"type": "alias", "userId": ana, "previousId": bo},
        {"type": "track", "event": "E", "userId": ana, "context": {"externalIds": [{"type": "user_id", "id": bo}]}},
        key="public",
    )

    assert (id_of(stranger, f"user_id:{ana}"), id_of(stranger, f"user_id:{bo}")) == before
    assert (id_of(stranger, f"email:{mails[ana]}"), id_of(stranger, f"email:{mails[bo]}")) == before
    for word in ("ana", "bo"):
        found = stranger.profile(word)
        assert found is not None
        assert found["traits"]["plan"]["value"] == "gold"
        assert found["traits"]["email"]["value"] == mails[stranger.name(word)]
    with contextlib.closing(tillit.open(stranger.server.workspace)) as ws:
        assert ws.identity.why(f"user_id:{ana}", f"user_id:{bo}", ws.scope())["together"] is False
