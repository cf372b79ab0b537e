"""Sign a version's files with E2I's key."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.db import transaction

from e2i_site.core.errors import Refused
from e2i_site.jobs.enqueue import enqueue
from e2i_site.trail.record import record
from registry import trail_events
from registry.measuring import signing
from registry.measuring.base import Impossible
from registry.measuring.bench import Bench
from registry.models import RegistryEntry, VersionSignature


def ask_for_signature(entry: RegistryEntry) -> None:
    """Enqueue the signing, in the caller's transaction; nothing happens without a key."""
    if entry.artifact_digest and signing.private_key() is not None:
        enqueue(
            "registry.sign_version",
            payload={"entry": entry.pk},
            subject=f"entry:{entry.pk}",
            key=f"sign:{entry.pk}",
        )


def sign_version(*, entry_id: int) -> dict[str, Any]:
    """Sign the files that MLflow hands out, once they are the recorded ones.

    A version that is signed stays as it is. Raises `Refused` without a key or for other bytes.
    """
    entry = RegistryEntry.objects.select_related("model").get(pk=entry_id)
    known = VersionSignature.objects.filter(entry=entry).first()
    if known is not None:
        return {"key": known.key_fingerprint}
    private = signing.private_key()
    if private is None:
        raise Refused(["There is no signing key; manage.py make_signing_key makes one."])
    with tempfile.TemporaryDirectory(prefix="e2i-sign-") as folder:
        try:
            files = Bench(entry, Path(folder)).files(entry)
        except Impossible as error:
            raise Refused([str(error)]) from error
        bundle = signing.sign(files, private)
    fingerprint = signing.fingerprint(signing.public_key_path(private))
    _store(entry, bundle, fingerprint)
    return {"key": fingerprint}


@transaction.atomic
def _store(entry: RegistryEntry, bundle: str, fingerprint: str) -> None:
    _, new = VersionSignature.objects.get_or_create(
        entry=entry,
        defaults={
            "artifact_digest": entry.artifact_digest,
            "bundle": bundle,
            "key_fingerprint": fingerprint,
        },
    )
    if new:
        record(
            trail_events.VERSION_SIGNED,
            actor=None,
            subject=entry,
            new={"digest": entry.artifact_digest, "key": fingerprint},
        )
