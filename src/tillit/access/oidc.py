"""OpenID Connect: staff sign in where they sign in to everything else.

In:    the settings of one provider; what it sends back through the browser.
Out:   an address to send the browser to; whom the provider vouches for.
Never: a claim believed before signature, issuer, audience, time, nonce and state have been checked; an address that
       the provider has not verified; a secret or a claim in a message.

The code flow with PKCE (RFC 7636), state and nonce. All three follow from one random text that the browser keeps in a
cookie while it is away: nothing is stored here, any web process can finish what another began, and an answer that was
not asked for by this browser fits nothing.
Source: OpenID Connect Core 1.0, sections 3.1 and 3.1.3.7; RFC 9700 (best current practice), RFC 9207 (iss).
"""

import base64
import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tillit.access.operators import ROLES
from tillit.access.sign_in import Told
from tillit.clock import HOUR, SECOND
from tillit.errors import BusyError, MissingExtra, RefusedError, SettingsError
from tillit.settings import ConsoleOidc

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import OAuth2Client

# A signature by the provider's own key: never "none", never a secret that the client holds, too.
_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
_LEEWAY_S = 60  # clocks differ
_KEEP_US = 1 * HOUR  # keys and addresses of the provider; a key that is unknown is asked for at once
_ASK_AGAIN_US = 10 * SECOND  # but not more often than this, whatever arrives
_TIMEOUT_S = 10.0
_LARGEST_ANSWER = 1_048_576


class SsoRefused(RefusedError):
    """What came back from the provider cannot be believed, or does not let anybody in here."""

    code = "access.sso-refused"

    def __init__(self, reason: str, why: str) -> None:
        """Take a short word for the audit and a half-sentence for the reader."""
        super().__init__(f"Single sign-on was refused: {why}. Start again from the sign-in page.", reason=reason)
        self.reason = reason


class ProviderUnreachable(BusyError):
    """The provider does not answer, or not as OpenID Connect says."""

    code = "access.provider-unreachable"

    def __init__(self, what: str) -> None:
        """Name the step, not the answer."""
        super().__init__(f"The provider of single sign-on failed: {what}. Try again, or sign in with a password.")


class SsoMisconfigured(SettingsError):
    """The settings of single sign-on do not fit together."""

    code = "access.sso-misconfigured"


class Provider:
    """One provider, as `[console.oidc]` describes it."""

    def __init__(self, settings: ConsoleOidc, *, now: Callable[[], int], folder: Path) -> None:
        """Check the settings; nothing is asked of the provider yet. `folder` is where a relative path begins.

        Raises: SsoMisconfigured; MissingExtra when the packages are not installed.
        """
        try:
            # Both are needed, and both come with the extra.
            import authlib.integrations.httpx_client  # noqa: F401
            import joserfc  # noqa: F401
        except ImportError as exc:
            raise MissingExtra("sso", "Single sign-on") from exc
        if not settings.client_id:
            raise SsoMisconfigured(
                "Setting console.oidc.client_id is empty; the provider gave one when you registered."
            )
        if settings.create and not settings.email_domains:
            raise SsoMisconfigured(
                "Setting console.oidc.create is true while console.oidc.email_domains is empty: everybody whom the "
                "provider knows would be let in. Name your domains."
            )
        unknown = sorted(set(settings.roles.values()) - set(ROLES))
        if unknown:
            raise SsoMisconfigured(f"Setting console.oidc.roles gives roles there are not; take {', '.join(ROLES)}.")
        self._settings = settings
        self._secret = _read_secret(settings, folder)
        self._now = now
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys: dict[str, Any] = {}
        self._read_at = 0

    @property
    def name(self) -> str:
        """Say what stands on the button."""
        return self._settings.name

    def begin(self, *, return_to: str) -> tuple[str, str]:
        """Give where to send the browser, and what it keeps in a cookie meanwhile. Raises ProviderUnreachable."""
        kept = secrets.token_urlsafe(32)
        metadata = self._read_metadata()
        with self._client(return_to) as client:
            address, _ = client.create_authorization_url(
                metadata["authorization_endpoint"],
                state=_derive(kept, "state"),
                nonce=_derive(kept, "nonce"),
                code_verifier=_derive(kept, "verifier"),
            )
        return str(address), kept

    def finish(self, kept: str, answer: Mapping[str, str], *, return_to: str) -> Told:
        """Give whom the provider vouches for. Raises SsoRefused, ProviderUnreachable."""
        if not kept or not secrets.compare_digest(answer.get("state", "").encode(), _derive(kept, "state").encode()):
            raise SsoRefused("state", "this browser did not ask for it, or too long ago")
        if answer.get("iss", self._settings.issuer) != self._settings.issuer:
            raise SsoRefused("issuer", "it came from another provider")
        if "error" in answer or not answer.get("code"):
            raise SsoRefused("provider", "the provider let nobody in")
        token = self._fetch_token(answer["code"], kept, return_to)
        claims = self._read_id_token(token.get("id_token"), nonce=_derive(kept, "nonce"))
        if "email" not in claims:
            claims = {**self._fetch_userinfo(token, str(claims["sub"])), **claims}
        return self._judge(claims)

    def _judge(self, claims: Mapping[str, Any]) -> Told:
        settings = self._settings
        email = claims.get("email")
        if not isinstance(email, str) or email.count("@") != 1:
            raise SsoRefused("email", "the provider gave no e-mail address")
        if claims.get("email_verified") not in (True, "true"):
            raise SsoRefused("email-not-verified", "the provider has not verified the e-mail address")
        domain = email.rpartition("@")[2].casefold()
        if settings.email_domains and domain not in {one.casefold() for one in settings.email_domains}:
            raise SsoRefused("domain", "addresses of this domain are not let in")
        name = claims.get("name")
        return Told(
            # An issuer has no line break, so no two pairs read alike.
            f"{settings.issuer}\n{claims['sub']}",
            email,
            name if isinstance(name, str) and name.isprintable() else "",
            self._role(claims),
        )

    def _role(self, claims: Mapping[str, Any]) -> str | None:
        if not self._settings.role_claim:
            return None
        said = claims.get(self._settings.role_claim)
        values = said if isinstance(said, list) else [said]
        meant = {
            self._settings.roles[value] for value in values if isinstance(value, str) and value in self._settings.roles
        }
        # Who is in no group that is named falls back to the least they may have, also when they had more before.
        return max(meant, key=ROLES.index, default=self._settings.role)

    def _fetch_token(self, code: str, kept: str, return_to: str) -> dict[str, Any]:
        from authlib.common.errors import AuthlibBaseError

        metadata = self._read_metadata()
        with self._client(return_to) as client:
            try:
                token = client.fetch_token(
                    metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=_derive(kept, "verifier"),
                )
            except AuthlibBaseError as exc:
                raise SsoRefused("code", "the provider did not accept its own code") from exc
            except Exception as exc:
                raise _unreachable("the code could not be exchanged", exc) from exc
        return dict(token)

    def _fetch_userinfo(self, token: Mapping[str, Any], subject: str) -> dict[str, Any]:
        address = self._read_metadata().get("userinfo_endpoint")
        if not address:
            return {}
        found = _fetch_json(str(address), "userinfo", bearer=str(token.get("access_token", "")))
        # OpenID Connect Core 5.3.2: claims about somebody else may not be used.
        if found.get("sub") != subject:
            raise SsoRefused("subject", "the provider spoke of two people")
        return found

    def _read_id_token(self, text: object, *, nonce: str) -> dict[str, Any]:
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        if not isinstance(text, str):
            raise SsoRefused("token", "the provider sent no identity")
        told = self._read_metadata().get("id_token_signing_alg_values_supported") or ["RS256"]
        algorithms = sorted(one for one in told if isinstance(one, str) and one in _ALGORITHMS)
        claims: dict[str, Any] | None = None
        # The second time with keys that were just asked for: providers change them.
        for is_fresh in (False, True):
            if is_fresh and not self._forget_keys():
                break
            keys = self._read_keys()
            try:
                claims = jwt.decode(text, KeySet.import_key_set(keys), algorithms=algorithms).claims  # type: ignore[arg-type]  # a plain dict, as it came
                break
            except (JoseError, ValueError, TypeError, KeyError):
                continue
        if claims is None:
            raise SsoRefused("signature", "its signature is not the provider's")
        registry = jwt.JWTClaimsRegistry(
            now=self._now() // SECOND,
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            registry.validate(claims)
        except JoseError as exc:
            claim = getattr(exc, "claim", None) or "time"
            raise SsoRefused(str(claim), "what it says is not meant for here and now") from exc
        audience, azp = claims["aud"], claims.get("azp")
        if azp not in (None, self._settings.client_id) or (
            isinstance(audience, list) and len(audience) > 1 and azp is None
        ):
            raise SsoRefused("aud", "it is meant for another program")
        if not isinstance(claims["sub"], str):
            raise SsoRefused("sub", "the provider did not say who it is")
        return claims

    def _read_metadata(self) -> dict[str, Any]:
        with self._lock:
            if not self._metadata or self._now() - self._read_at > _KEEP_US:
                address = self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
                found = _fetch_json(address, "discovery")
                # Else another provider could speak in its name (Discovery 1.0, section 4.3).
                if found.get("issuer") != self._settings.issuer:
                    raise SsoMisconfigured(
                        "Setting console.oidc.issuer is not the name that the provider gives itself."
                    )
                for needed in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    if not isinstance(found.get(needed), str):
                        raise ProviderUnreachable(f"its description lacks {needed}")
                self._metadata, self._keys, self._read_at = found, {}, self._now()
            return self._metadata

    def _read_keys(self) -> dict[str, Any]:
        metadata = self._read_metadata()
        with self._lock:
            if not self._keys:
                self._keys = _fetch_json(str(metadata["jwks_uri"]), "keys")
            return self._keys

    def _forget_keys(self) -> bool:
        with self._lock:
            if self._now() - self._read_at < _ASK_AGAIN_US:
                return False
            self._keys, self._read_at = {}, self._now()
            return True

    def _client(self, return_to: str) -> "OAuth2Client":
        from authlib.integrations.httpx_client import OAuth2Client

        ways = self._metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        way = next((one for one in ("client_secret_basic", "client_secret_post") if one in ways), "client_secret_basic")
        return OAuth2Client(
            client_id=self._settings.client_id,
            client_secret=self._secret or None,
            token_endpoint_auth_method=way if self._secret else "none",
            scope="openid email profile",
            redirect_uri=return_to,
            code_challenge_method="S256",
            timeout=_TIMEOUT_S,
        )


def _read_secret(settings: ConsoleOidc, folder: Path) -> str:
    if settings.client_secret or not settings.client_secret_file:
        return settings.client_secret
    try:
        return (folder / settings.client_secret_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SsoMisconfigured(
            f"The file that console.oidc.client_secret_file names cannot be read ({type(exc).__name__})."
        ) from exc


def _fetch_json(address: str, what: str, *, bearer: str = "") -> dict[str, Any]:
    import httpx2

    try:
        with httpx2.Client(timeout=_TIMEOUT_S) as client:
            headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
            with client.stream("GET", address, headers=headers) as answer:
                answer.raise_for_status()
                body = b""
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > _LARGEST_ANSWER:
                        raise ProviderUnreachable(f"its {what} is too large")
        return msgspec.json.decode(body, type=dict[str, Any])
    except ProviderUnreachable:
        raise
    except Exception as exc:
        raise _unreachable(f"its {what} could not be read", exc) from exc


def _unreachable(what: str, fault: Exception) -> ProviderUnreachable:
    return ProviderUnreachable(f"{what} ({type(fault).__name__})")


def _derive(kept: str, use: str) -> str:
    digest = hashlib.sha256(f"{use}\0{kept}".encode("utf-8", "replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
