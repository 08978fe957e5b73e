"""Signatures of records: they survive another spelling and no other change."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.consent.paper import OTHER_SECRET, SECRET, document, records
from tests.signing import packed
from tillit.consent.receipts import (
    KeyUnreadable,
    NotSignable,
    Record,
    canonical,
    check_record,
    public_key,
    read_public_key,
    sign,
    thumbprint,
    write_record,
)

KEY = public_key(SECRET)


def faults_of(told: Any, key: bytes | None = KEY) -> set[str]:
    return {fault.rule for fault in check_record(json.dumps(told).encode(), key=key)}


def forged(header: dict[str, Any], secret: bytes = SECRET) -> dict[str, Any]:
    """Sign a record under any header, as nobody honest would."""
    told = document()
    start = packed(header)
    signed = Ed25519PrivateKey.from_private_bytes(secret).sign(f"{start}.{packed(canonical(told))}".encode())
    return {**told, "tillit:signature": f"{start}..{packed(signed)}"}


HEADER = {"alg": "EdDSA", "typ": "consent-record+jws"}


@given(told=records())
def test_what_we_sign_is_accepted_with_its_key_and_by_itself(told: Record) -> None:
    signed = sign(write_record(told), SECRET)

    assert faults_of(signed) == faults_of(signed, None) == set()


@given(told=records(), order=st.randoms(use_true_random=False))
def test_a_signature_survives_another_spelling(told: Record, order: random.Random) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            names = list(value)
            order.shuffle(names)
            return {name: shuffled(value[name]) for name in names}
        return [shuffled(one) for one in value] if isinstance(value, list) else value

    signed = shuffled(sign(write_record(told), SECRET))

    for text in (json.dumps(signed, indent=3), json.dumps(signed, ensure_ascii=False, separators=(",", ":"))):
        assert check_record(text.encode(), key=KEY) == []


@given(told=records(), place=st.integers(0, 10_000))
def test_a_signature_survives_no_change_of_a_word(told: Record, place: int) -> None:
    signed = sign(write_record(told), SECRET)
    changed = json.loads(json.dumps(signed))
    words = [one for one in _leaves(changed) if one[1] != "tillit:signature"]
    holder, name = words[place % len(words)]
    holder[name] += "x"

    # A document that no longer says where its signature is has none.
    assert faults_of(changed) & {"signature.valid", "signature.present"}


def _leaves(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    for name, one in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(one, str):
            found.append((value, name))
        elif isinstance(one, dict | list):
            found += _leaves(one)
    return found


@given(place=st.integers(0, 10_000), letter=st.sampled_from("AZaz09-_.=+ "))
def test_no_letter_of_a_signature_may_change(place: int, letter: str) -> None:
    signed = sign(document(), SECRET)
    text = signed["tillit:signature"]
    place %= len(text)
    changed = text[:place] + letter + text[place + 1 :]

    refused = faults_of({**signed, "tillit:signature": changed})

    assert bool(refused) == (changed != text)


def test_another_key_is_not_enough() -> None:
    signed = sign(document(), OTHER_SECRET)

    assert faults_of(signed) == {"signature.valid"}
    assert faults_of(signed, None) == set()  # whole, by whoever: the key in the header says no more


def test_a_record_signed_again_has_one_signature() -> None:
    again = sign(sign(document(), OTHER_SECRET), SECRET)

    assert faults_of(again) == set()


def test_two_signatures_are_none() -> None:
    signed = sign(document(), SECRET)
    twice = {**signed, "tillit:signature": [signed["tillit:signature"], "a..b"]}
    beside = {**signed, "urn:tillit:consent#signature": signed["tillit:signature"]}

    assert faults_of(twice) == faults_of(beside) == {"signature.form"}


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        (HEADER, None),
        ({**HEADER, "alg": "Ed25519"}, None),
        ({**HEADER, "alg": "none"}, "signature.form"),
        ({**HEADER, "alg": "HS256"}, "signature.form"),
        ({**HEADER, "typ": "JWT"}, "signature.form"),
        ({"alg": "EdDSA"}, "signature.form"),
        ({**HEADER, "crit": ["exp"]}, "signature.form"),
        ({**HEADER, "b64": False}, "signature.form"),
        ({**HEADER, "alg": ["EdDSA"]}, "signature.form"),
    ],
    ids=str,
)
def test_the_signature_does_not_choose_its_own_rules(header: dict[str, Any], rule: str | None) -> None:
    assert faults_of(forged(header)) == ({rule} if rule else set())


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        "x",
        {},
        {"kty": "EC", "crv": "Ed25519", "x": "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": 7},
    ],
    ids=str,
)
def test_without_a_key_a_signature_proves_nothing(jwk: object) -> None:
    assert faults_of(forged({**HEADER, "jwk": jwk}), None) == {"signature.key"}


def test_a_key_that_is_given_beats_the_one_inside() -> None:
    thief = {"kty": "OKP", "crv": "Ed25519", "x": packed(public_key(OTHER_SECRET))}

    assert faults_of(forged({**HEADER, "jwk": thief}, OTHER_SECRET)) == {"signature.valid"}


def test_another_library_accepts_the_signature() -> None:
    signed = sign(document(), SECRET)
    header, _, signature = signed.pop("tillit:signature").split(".")
    token = f"{header}.{packed(canonical(signed))}.{signature}"

    payload = jwt.decode(token, Ed25519PublicKey.from_public_bytes(KEY), algorithms=["EdDSA"])

    assert payload == signed
    assert jwt.get_unverified_header(token)["kid"] == thumbprint(jwt.get_unverified_header(token)["jwk"])


def test_a_thumbprint_is_that_of_the_standard() -> None:
    # RFC 8037, appendix A.3.
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}

    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("value", [0.5, 2**53])
def test_what_has_no_canonical_form_is_not_signed(value: float) -> None:
    with pytest.raises(NotSignable):
        sign({**document(), "schema:size": value}, SECRET)


def test_a_public_key_is_read_in_three_forms() -> None:
    public = Ed25519PublicKey.from_public_bytes(KEY)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps({"kty": "OKP", "crv": "Ed25519", "x": packed(KEY)}).encode()

    assert read_public_key(pem) == read_public_key(jwk) == read_public_key(packed(KEY).encode() + b"\n") == KEY


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        b'{"kty": "RSA"}',
        b"{",
        b"AAAA",
        b"\xff" * 32,
        base64.b64encode(KEY + b"x"),
    ],
    ids=range(8),
)
def test_what_is_no_public_key_is_not_read(text: bytes) -> None:
    with pytest.raises(KeyUnreadable):
        read_public_key(text)
