"""DKIM: sign a mail, so that who receives it knows whose domain sent it.

In:    the bytes of a mail; a domain, a selector, a key.
Out:   the bytes with a DKIM-Signature in front; a new key, and the record for the domain's DNS.
Never: a private key in an error or in a `repr`.

Source: RFC 6376, and RFC 8463 for Ed25519. Both parts are made canonical as `relaxed`.
"""

import base64
import hashlib
import re
from typing import Literal, NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from tillit.clock import SECOND
from tillit.errors import SettingsError

# From, To and Subject stand twice: a second one that somebody puts in later breaks the signature.
_SIGNED = (
    "from", "from", "to", "to", "subject", "subject", "date", "message-id", "reply-to", "mime-version", "content-type",
    "list-unsubscribe", "list-unsubscribe-post",
)  # fmt: skip
_RSA_BITS = 2048  # RFC 8301 section 3.2: at least 1024, 2048 recommended; longer ones do not fit some DNS servers
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_SPACES = re.compile(rb"[ \t]+")
_SPACES_AT_END = re.compile(rb"[ \t]+(?=\r\n)")


class KeyInvalid(SettingsError):
    """What lies under the secret's name is no key that mail can be signed with."""

    code = "deliver.dkim-key-invalid"

    def __init__(self) -> None:
        """Say what is wanted, and nothing of what was found."""
        super().__init__(
            f"The DKIM key is no private key in PEM, of kind Ed25519 or RSA with at least {_RSA_BITS} bits. "
            "Make one, keep it as the secret, and put its record into the domain's DNS."
        )


class Key(NamedTuple):
    """A private key to sign with."""

    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

    @property
    def algorithm(self) -> str:
        """Name the algorithm as a signature does."""
        return "rsa-sha256" if isinstance(self.private, rsa.RSAPrivateKey) else "ed25519-sha256"


def make_key(kind: Literal["rsa", "ed25519"] = "rsa") -> str:
    """Make a private key, as PEM to be kept as a secret. Every receiver knows RSA; few know Ed25519."""
    private = (
        rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
        if kind == "rsa"
        else ed25519.Ed25519PrivateKey.generate()
    )
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")


def read_key(pem: str) -> Key:
    """Read a private key from PEM. Raises KeyInvalid."""
    try:
        private = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise KeyInvalid from None
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= _RSA_BITS:
        return Key(private)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return Key(private)
    raise KeyInvalid


def dns_record(key: Key) -> str:
    """Give the text of the TXT record at SELECTOR._domainkey.DOMAIN; DNS wants it in strings of at most 255."""
    public = key.private.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}"
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


def is_name(text: str) -> bool:
    """Say whether a text can be a domain or a selector."""
    return _NAME.fullmatch(text) is not None


def sign(raw: bytes, *, domain: str, selector: str, key: Key, at: int) -> bytes:
    """Put a signature in front of a mail whose lines end in CRLF.

    Units:  at is UTC epoch microseconds. The same mail, key and second give the same bytes.
    """
    head, _, body = raw.partition(b"\r\n\r\n")
    fields: dict[str, list[bytes]] = {}
    for field in re.split(rb"\r\n(?![ \t])", head):
        fields.setdefault(field.partition(b":")[0].strip().lower().decode("latin-1"), []).append(field)
    names = [
        name for name in dict.fromkeys(_SIGNED) for _ in range(max(len(fields.get(name, ())), _SIGNED.count(name)))
    ]
    names = [name for name in names if name in fields or name in ("from", "to", "subject")]
    body_hash = base64.b64encode(hashlib.sha256(_relaxed_body(body)).digest()).decode()
    # Folded between the tags, so that no line grows beyond what every server takes.
    unsigned = (
        f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed; d={domain};\r\n"
        f" s={selector}; t={at // SECOND};\r\n"
        f" h={_folded(names)};\r\n"
        f" bh={body_hash};\r\n"
        " b="
    ).encode("ascii")
    # The last of a name is signed first (RFC 6376 section 5.4.2); one that is not there counts as nothing.
    told = b"".join(_relaxed_header(fields[name].pop()) + b"\r\n" for name in names if fields.get(name))
    told += _relaxed_header(unsigned)
    if isinstance(key.private, rsa.RSAPrivateKey):
        signature = key.private.sign(told, padding.PKCS1v15(), hashes.SHA256())
    else:
        signature = key.private.sign(hashlib.sha256(told).digest())
    text = base64.b64encode(signature)
    lines = b"\r\n ".join(text[start : start + 72] for start in range(0, len(text), 72))
    return unsigned + lines + b"\r\n" + raw


def _folded(names: list[str]) -> str:
    half = len(names) // 2
    return ":".join(names[:half]) + ":\r\n " + ":".join(names[half:])


def _relaxed_header(field: bytes) -> bytes:
    name, _, value = field.partition(b":")
    one_line = _SPACES.sub(b" ", value.replace(b"\r\n", b""))
    return name.strip().lower() + b":" + one_line.strip(b" \t")


def _relaxed_body(body: bytes) -> bytes:
    lines = _SPACES_AT_END.sub(b"", _SPACES.sub(b" ", body))
    kept = lines.rstrip(b"\r\n")
    return kept + b"\r\n" if kept else b""
