"""A small OpenID provider that says whatever a test wants, over real HTTP on this machine.

In:    claims, a key to sign with, answers to give instead.
Out:   discovery, keys, tokens, userinfo.
Never: honest by itself. What a test does not bend is as OpenID Connect Core asks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

KEY = RSAKey.generate_key(2048, {"kid": "one"})
STRANGER = RSAKey.generate_key(2048, {"kid": "one"})
NEXT = RSAKey.generate_key(2048, {"kid": "two"})


class LyingProvider:
    """One provider on a port of its own."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}  # laid over the honest ones; None takes one away
        self.userinfo: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.sign_with: Any = KEY
        self.published: list[Any] = [KEY]
        self.algorithm = "RS256"
        self.asked: list[str] = []
        self.challenge = ""
        self.nonce = ""
        self.tokens: dict[str, Any] | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def authorize(self, address: str) -> dict[str, str]:
        """Do what a browser and a person do there; give what comes back in the address."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert set(asked["scope"].split()) == {"openid", "email", "profile"}
        self.challenge, self.nonce = asked["code_challenge"], asked["nonce"]
        return {"code": "code-1", "state": asked["state"], "iss": self.issuer}

    def id_token(self) -> str:
        now = int(time.time())
        honest: dict[str, Any] = {
            "iss": self.issuer,
            "sub": "s-1",
            "aud": "console",
            "iat": now,
            "exp": now + 600,
            "nonce": self.nonce,
            "email": "ana@example.org",
            "email_verified": True,
            "name": "Ana",
        }
        claims = {name: value for name, value in {**honest, **self.claims}.items() if value is not None}
        if self.algorithm in {"none", "HS256"}:
            told = ".".join(_encode(json.dumps(part).encode()) for part in ({"alg": self.algorithm}, claims))
            # The classic: the public key taken for a secret.
            digest = hmac.digest(KEY.as_pem(private=False), told.encode(), "sha256")
            return f"{told}.{_encode(digest) if self.algorithm == 'HS256' else ''}"
        kid = self.sign_with.kid
        return jwt.encode({"alg": self.algorithm, "kid": kid}, claims, self.sign_with, algorithms=[self.algorithm])

    def _answer(self, path: str, form: dict[str, list[str]]) -> tuple[int, Any]:
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                **self.metadata,
            }
        if path == "/keys":
            return 200, {"keys": [key.as_dict(private=False) for key in KeySet(self.published).keys]}
        if path == "/userinfo":
            return 200, self.userinfo
        if path == "/token":
            digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
            if form["code"] != ["code-1"] or _encode(digest) != self.challenge:
                return 400, {"error": "invalid_grant"}
            tokens = {"access_token": "at", "token_type": "Bearer", "id_token": self.id_token()}
            return 200, tokens if self.tokens is None else self.tokens
        return 404, {}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send({})

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", "0"))
                self._send(parse_qs(self.rfile.read(length).decode()))

            def _send(self, form: dict[str, list[str]]) -> None:
                status, document = provider._answer(urlsplit(self.path).path, form)
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return

        return Answers


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
