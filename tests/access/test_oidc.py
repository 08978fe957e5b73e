"""What a provider says is believed only when all of it fits; each lie is refused for its own reason."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.access.lying_provider import NEXT, STRANGER, LyingProvider
from tillit.access import Provider, SsoRefused, Told
from tillit.access.oidc import ProviderUnreachable, SsoMisconfigured
from tillit.clock import SECOND, now_us
from tillit.errors import MissingExtra
from tillit.settings import BadSetting, ConsoleOidc, Settings, explain

BACK = "http://console.example/console/enter/return"


@pytest.fixture
def lying() -> Iterator[LyingProvider]:
    with LyingProvider() as provider:
        yield provider


def provider_of(lying: LyingProvider, folder: Path, now: Callable[[], int] = now_us, **more: Any) -> Provider:
    settings = ConsoleOidc(issuer=lying.issuer, client_id="console", client_secret="s3cret", **more)
    return Provider(settings, now=now, folder=folder)


def go_round(lying: LyingProvider, provider: Provider, **bent: str) -> Told:
    address, kept = provider.begin(return_to=BACK)
    answer = {**lying.authorize(address), **bent}
    return provider.finish(kept, {name: value for name, value in answer.items() if value}, return_to=BACK)


def test_an_honest_round_says_who_it_is(lying: LyingProvider, tmp_path: Path) -> None:
    told = go_round(lying, provider_of(lying, tmp_path, email_domains=("Example.org",)))

    assert told == Told(f"{lying.issuer}\ns-1", "ana@example.org", "Ana", None)


LIES: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer": ({"iss": "https://evil.example"}, "iss"),
    "no issuer": ({"iss": None}, "iss"),
    "another audience": ({"aud": "another"}, "aud"),
    "no audience": ({"aud": None}, "aud"),
    "two audiences, party unsaid": ({"aud": ["console", "another"]}, "aud"),
    "for another party": ({"aud": ["console"], "azp": "another"}, "aud"),
    "another nonce": ({"nonce": "guess"}, "nonce"),
    "no nonce": ({"nonce": None}, "nonce"),
    "expired": ({"exp": int(time.time()) - 3_600}, "exp"),
    "no end": ({"exp": None}, "exp"),
    "issued tomorrow": ({"iat": int(time.time()) + 86_400}, "iat"),
    "nobody": ({"sub": None}, "sub"),
    "address not verified": ({"email_verified": False}, "email-not-verified"),
    "verification unsaid": ({"email_verified": None}, "email-not-verified"),
    "verified in another way": ({"email_verified": "yes"}, "email-not-verified"),
    "verified by a list": ({"email_verified": [True]}, "email-not-verified"),
    "another domain": ({"email": "ana@example.org.evil.example"}, "domain"),
    "two addresses in one": ({"email": "ana@evil.example@example.org"}, "email"),
    "no address in words": ({"email": 7}, "email"),
}


@pytest.mark.parametrize(("claims", "reason"), LIES.values(), ids=LIES)
def test_a_lie_in_the_claims_is_refused(
    lying: LyingProvider, tmp_path: Path, claims: dict[str, Any], reason: str
) -> None:
    lying.claims = claims

    with pytest.raises(SsoRefused) as refused:
        go_round(lying, provider_of(lying, tmp_path, email_domains=("example.org",)))

    assert refused.value.reason in {reason, "time"}
    assert reason == refused.value.reason or reason in {"exp", "iat"}
    assert "@" not in refused.value.message
    assert "evil" not in refused.value.message


@pytest.mark.parametrize("how", ["another key", "none", "HS256", "no token", "no text"])
def test_a_signature_that_is_not_the_providers_is_refused(lying: LyingProvider, tmp_path: Path, how: str) -> None:
    if how == "another key":
        lying.sign_with = STRANGER
    elif how in {"none", "HS256"}:
        lying.algorithm = how
    else:
        lying.tokens = {"access_token": "at", **({"id_token": 7} if how == "no text" else {})}

    with pytest.raises(SsoRefused) as refused:
        go_round(lying, provider_of(lying, tmp_path))

    assert refused.value.reason in {"signature", "token"}


@pytest.mark.parametrize(
    ("bent", "reason"),
    [
        ({"state": "guess"}, "state"),
        ({"state": ""}, "state"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"code": ""}, "provider"),
        ({"error": "access_denied"}, "provider"),
        ({"code": "of-another"}, "code"),
    ],
    ids=["state", "no state", "issuer", "no code", "denied", "another code"],
)
def test_an_answer_that_was_not_asked_for_is_refused(
    lying: LyingProvider, tmp_path: Path, bent: dict[str, str], reason: str
) -> None:
    with pytest.raises(SsoRefused) as refused:
        go_round(lying, provider_of(lying, tmp_path), **bent)

    assert refused.value.reason == reason


def test_an_answer_of_another_browser_fits_nothing(lying: LyingProvider, tmp_path: Path) -> None:
    provider = provider_of(lying, tmp_path)
    attackers, _ = provider.begin(return_to=BACK)
    _, victims = provider.begin(return_to=BACK)

    for kept in (victims, ""):
        with pytest.raises(SsoRefused) as refused:
            provider.finish(kept, lying.authorize(attackers), return_to=BACK)
        assert refused.value.reason == "state"


def test_an_address_may_come_from_userinfo_if_it_speaks_of_the_same_person(
    lying: LyingProvider, tmp_path: Path
) -> None:
    lying.claims = {"email": None, "email_verified": None}
    lying.userinfo = {"sub": "s-1", "email": "ana@example.org", "email_verified": True}
    told = go_round(lying, provider_of(lying, tmp_path))
    lying.userinfo["sub"] = "s-2"

    with pytest.raises(SsoRefused, match="two people"):
        go_round(lying, provider_of(lying, tmp_path))
    assert told.email == "ana@example.org"


def test_a_provider_may_change_its_keys(lying: LyingProvider, tmp_path: Path) -> None:
    later = [0]
    provider = provider_of(lying, tmp_path, now=lambda: now_us() + later[0])
    go_round(lying, provider)
    lying.sign_with, lying.published = NEXT, [NEXT]
    later[0] = 30 * SECOND

    told = go_round(lying, provider)

    assert told.email == "ana@example.org"
    assert lying.asked.count("/keys") == 2


@pytest.mark.parametrize(
    ("groups", "role"),
    [(["staff", "cdp-admins"], "admin"), ("staff", "editor"), (["cooks"], "reader"), (None, "reader"), ([7], "reader")],
    ids=str,
)
def test_groups_give_the_highest_role_they_name(
    lying: LyingProvider, tmp_path: Path, groups: object, role: str
) -> None:
    lying.claims = {"groups": groups}
    provider = provider_of(lying, tmp_path, role_claim="groups", roles={"staff": "editor", "cdp-admins": "admin"})

    assert go_round(lying, provider).role == role


def test_a_provider_under_another_name_is_not_believed(lying: LyingProvider, tmp_path: Path) -> None:
    lying.metadata = {"issuer": "https://id.example"}

    with pytest.raises(SsoMisconfigured, match="the name that the provider gives itself"):
        provider_of(lying, tmp_path).begin(return_to=BACK)


def test_a_provider_that_is_gone_is_busy_not_a_fault_of_ours(tmp_path: Path) -> None:
    with LyingProvider() as lying:
        provider = provider_of(lying, tmp_path)

    with pytest.raises(ProviderUnreachable):
        provider.begin(return_to=BACK)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"client_id": ""}, "client_id is empty"),
        ({"create": True}, "email_domains is empty"),
        ({"roles": {"staff": "owner"}}, "roles"),
        ({"client_secret_file": "nowhere"}, "client_secret_file"),
    ],
    ids=["client", "everybody", "role", "file"],
)
def test_settings_that_do_not_fit_are_said_at_start(tmp_path: Path, settings: dict[str, Any], word: str) -> None:
    given = {"issuer": "https://id.example", "client_id": "console", **settings}

    with pytest.raises(SsoMisconfigured, match=word):
        Provider(ConsoleOidc(**given), now=now_us, folder=tmp_path)


def test_without_the_extra_its_exact_command_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any, **named: Any) -> Any:
        if name.startswith("joserfc"):
            raise ImportError(name)
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(MissingExtra, match=r"pip install 'tillit\[sso\]'"):
        Provider(ConsoleOidc(issuer="https://id.example", client_id="x"), now=now_us, folder=tmp_path)


def test_the_secret_comes_from_the_environment_or_a_file_of_its_own_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "tillit.toml").write_text('[console.oidc]\nclient_id = "c"\nclient_secret = "s3cret"\n')
    with pytest.raises(BadSetting) as refused:
        Settings.load(tmp_path, environ={})
    (tmp_path / "tillit.toml").write_text('[console.oidc]\nclient_id = "c"\nclient_secret_file = "oidc.secret"\n')
    environ = {"TILLIT_CONSOLE__OIDC__CLIENT_SECRET": "s3cret"}
    loaded = Settings.load(tmp_path, environ=environ).console_oidc

    assert "TILLIT_CONSOLE__OIDC__CLIENT_SECRET" in refused.value.message
    assert loaded.client_secret == "s3cret"
    shown = (refused.value.message, repr(loaded), str(explain("console.oidc.client_secret", tmp_path, environ=environ)))
    assert [text for text in shown if "s3cret" in text] == []


@pytest.mark.parametrize("issuer", ["http://id.example", "ftp://id.example", "https://id.example?x", "id.example"])
def test_an_issuer_is_asked_over_tls_except_on_this_machine(tmp_path: Path, issuer: str) -> None:
    (tmp_path / "tillit.toml").write_text(f'[console.oidc]\nissuer = "{issuer}"\n')

    with pytest.raises(BadSetting):
        Settings.load(tmp_path, environ={})
