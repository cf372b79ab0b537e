"""OpenSSF model signatures with a local elliptic-curve key.

The signature covers every file of the model by its digest; see the OpenSSF Model Signing
specification 1.0. Keys are PEM files: nothing leaves the machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from e2i_site.core.errors import Conflict

if TYPE_CHECKING:
    from registry.models import RegistryEntry

# MLflow writes it beside a model that it hands out; it is no part of the model.
_IGNORED = "registered_model_meta"


def private_key() -> Path | None:
    """E2I's signing key; None when there is none."""
    path = Path(settings.MODEL_SIGNING_KEY)
    return path if path.is_file() else None


def public_key_path(private: Path) -> Path:
    return private.with_suffix(".pub")


def make_key(path: Path) -> str:
    """Write a new private key to `path`, its public key beside it; gives its fingerprint.

    Raises `Conflict` when there is one: replacing it would leave older signatures unverifiable.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    if path.exists():
        raise Conflict(f"{path} exists already; versions are signed with it.")
    key = ec.generate_private_key(ec.SECP256R1())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public = public_key_path(path)
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return fingerprint(public)


def fingerprint(public: Path) -> str:
    """SHA-256 of a public key in DER."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_public_key(public.read_bytes())
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def sign(folder: Path, private: Path) -> str:
    """The signature over the files in `folder`, a Sigstore bundle as JSON text."""
    from model_signing import signing

    with tempfile.TemporaryDirectory(prefix="e2i-sign-") as place:
        target = Path(place) / "model.sig"
        config = signing.Config().use_elliptic_key_signer(private_key=private)
        config.set_hashing_config(_hashing(folder)).sign(folder, target)
        return target.read_text(encoding="utf-8")


def verify(entry: RegistryEntry, folder: Path) -> dict[str, Any]:
    """What there is to say of the version's signature over the files in `folder`.

    {"state": "valid" | "invalid" | "unsigned" | "no key", "message", "key", "signed_at"}.
    """
    from registry.models import VersionSignature

    row = VersionSignature.objects.filter(entry=entry).first()
    if row is None:
        return {"state": "unsigned", "message": "Nobody has signed this version."}
    facts = {"key": row.key_fingerprint, "signed_at": row.signed_at.isoformat()}
    private = Path(settings.MODEL_SIGNING_KEY)
    public = public_key_path(private)
    if not public.is_file():
        return {"state": "no key", "message": f"There is no public key at {public}.", **facts}
    if problem := problem_of(folder, row.bundle, public):
        return {"state": "invalid", "message": problem, **facts}
    return {"state": "valid", "message": "The signature covers exactly these files.", **facts}


def problem_of(folder: Path, bundle: str, public: Path) -> str:
    """Why `bundle` is no signature of the files in `folder` by the key; "" when it is."""
    from model_signing import verifying

    with tempfile.TemporaryDirectory(prefix="e2i-verify-") as place:
        signature = Path(place) / "model.sig"
        signature.write_text(bundle, encoding="utf-8")
        config = verifying.Config().use_elliptic_key_verifier(public_key=public)
        try:
            with contextlib.redirect_stdout(None):
                config.set_hashing_config(_hashing(folder)).verify(folder, signature)
        except Exception as error:
            why = str(error).partition("\n")[0][:200] or type(error).__name__
            return f"The signature does not verify: {why}"
    return ""


def _hashing(folder: Path) -> Any:
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[folder / _IGNORED], ignore_git_paths=False)
