"""Checks that what is deployed, registered and really served agree."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from deployments import checks
from deployments.choices import DeploymentStatus, Environment, VerdictState, WindowState
from deployments.gateway.client import GatewayAway, GatewayClient
from deployments.models import Deployment, ShadowWindow
from deployments.rollback import refresh_readiness
from deployments.shadow.comparison import compare
from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, SubjectOutcome, check
from e2i_site.core.errors import E2IError
from registry.choices import Stage
from registry.models import RegistryEntry


def _active() -> list[Deployment]:
    return list(
        Deployment.objects.filter(
            status=DeploymentStatus.ACTIVE, environment=Environment.PRODUCTION
        ).select_related("entry", "previous_deployment__entry", "promotion__policy")
    )


@check(
    "4.3",
    phase=4,
    title="Every version in production had shadow evidence that met its policy",
    remediation="Roll back to a version that has evidence, and send this one through the shadow.",
    priority=Priority.P0,
)
def production_has_evidence(context: CheckContext) -> Iterator[SubjectOutcome]:
    """The window passed under its frozen limits, on the very bytes that are in production."""
    for entry in RegistryEntry.objects.filter(stage=Stage.PRODUCTION):
        window = (
            ShadowWindow.objects.filter(entry=entry)
            .exclude(state=WindowState.VOID)
            .select_related("policy")
            .first()
        )
        if window is None:
            yield context.failed(entry, "It is in production without any shadow evidence.")
            continue
        evidence = {"window": window.pk, "policy": str(window.policy), "limits": window.limits}
        if window.artifact_digest != entry.artifact_digest:
            yield context.failed(
                entry, "Its shadow evidence is about other bytes.", evidence=evidence
            )
        elif window.verdict != VerdictState.PASS:
            yield context.failed(
                entry, f"Its shadow evidence did not pass: {window.verdict}.", evidence=evidence
            )
        else:
            yield context.passed(entry, f"Passed under {window.policy}.", evidence=evidence)


@check(
    "4.4",
    phase=4,
    title="Deployments, registry and what the gateway serves agree",
    remediation="Look at the deployment's page; roll back, or roll the approved version out anew.",
    priority=Priority.P0,
)
def serving_agrees(context: CheckContext) -> Iterator[SubjectOutcome]:
    """The gateway is asked what it has in memory; the database is never believed alone."""
    client = GatewayClient()
    for deployment in _active():
        entry = deployment.entry
        stage = Stage.SHADOW if deployment.is_shadow else Stage.PRODUCTION
        if entry.stage != stage:
            yield context.failed(
                deployment, f"It is active as {stage}, but {entry} is in {entry.stage}."
            )
            continue
        if deployment.artifact_digest != entry.artifact_digest:
            yield context.failed(
                deployment, "It serves other bytes than the ones that were registered."
            )
            continue
        yield _served(context, client, deployment)
    yield from _without_deployment(context)


def _served(context: CheckContext, client: GatewayClient, deployment: Deployment) -> SubjectOutcome:
    role = "shadow" if deployment.is_shadow else "active"
    try:
        reply = client.version(deployment.endpoint_name)
    except GatewayAway as error:
        return context.inconclusive(deployment, str(error))
    served: dict[str, Any] = (reply.content.get(role) or {}) if reply.ok else {}
    expected = {
        "deployment": deployment.pk,
        "model": deployment.entry.model_id,
        "version": deployment.entry.model_version,
        "digest": f"sha256:{deployment.artifact_digest}",
    }
    evidence = {"expected": expected, "served": served or reply.detail}
    if served != expected:
        what = f"version {served.get('version')}" if served else "nothing"
        return context.failed(
            deployment, f"The gateway has {what} as {role} there.", evidence=evidence
        )
    return context.passed(deployment, "The gateway serves exactly it.", evidence=evidence)


def _without_deployment(context: CheckContext) -> Iterator[SubjectOutcome]:
    served = {deployment.entry_id for deployment in _active()}
    for entry in RegistryEntry.objects.filter(stage__in=(Stage.PRODUCTION, Stage.SHADOW)):
        if entry.pk not in served:
            yield context.failed(
                entry, f"It is in {entry.stage}, but no deployment is active for it."
            )


@check(
    "4.4b",
    phase=4,
    title="The files of every active deployment are unchanged on disk",
    remediation="The gateway loads nothing else; remove the folder and roll out again.",
    priority=Priority.P0,
)
def stored_bytes_verify(context: CheckContext) -> Iterator[SubjectOutcome]:
    """Hashes the stored files anew."""
    store = checks.artifact_store()
    for deployment in _active():
        found = store.verify(deployment.artifact_digest)
        outcome = context.passed if found.ok else context.failed
        yield outcome(deployment, found.message, evidence={"digest": deployment.artifact_digest})


@check(
    "4.6",
    phase=4,
    title="Rollback targets exist, verify and load",
    remediation="Fetch the files of the previous version again, or promote one to fall back to.",
    priority=Priority.P1,
)
def rollback_ready(context: CheckContext) -> Iterator[SubjectOutcome]:
    """For every production deployment that replaced another one."""
    for deployment in _active():
        if deployment.is_shadow or deployment.previous_deployment is None:
            continue
        refresh_readiness(deployment)
        deployment.refresh_from_db(fields=["rollback_available", "rollback_detail"])
        outcome = context.passed if deployment.rollback_available else context.failed
        yield outcome(deployment, deployment.rollback_detail)


@check(
    "5.3b",
    phase=5,
    title="The served answers equal the registered model's on its input example",
    remediation="Roll back, and find out what changed between registering and serving.",
    priority=Priority.P0,
)
def served_answers(context: CheckContext) -> Iterator[SubjectOutcome]:
    """The gateway's answer against MLflow's own loader over the verified bytes, in this process."""
    from e2i_site.mlflow_connector import models

    store, client = checks.artifact_store(), GatewayClient(timeout=60)
    for deployment in _active():
        folder = store.path(deployment.artifact_digest)
        example = folder / "serving_input_example.json"
        found = store.verify(deployment.artifact_digest)
        if not found.ok:
            yield context.inconclusive(deployment, found.message)
            continue
        if not example.exists():
            yield context.inconclusive(deployment, "The model brings no input example.")
            continue
        try:
            reply = client.try_example(
                deployment.endpoint_name, deployment.pk, example.read_bytes()
            )
        except E2IError as error:
            yield context.inconclusive(deployment, str(error))
            continue
        if not reply.ok:
            yield context.failed(deployment, f"The gateway did not answer: {reply.detail}")
            continue
        expected = models.load_pyfunc(folder)
        yield _compared(context, deployment, expected, example.read_bytes(), reply.content)


def _compared(
    context: CheckContext, deployment: Deployment, model: Any, body: bytes, content: Any
) -> SubjectOutcome:
    import orjson
    import yaml

    from deployments.gateway import protocol
    from deployments.gateway.signature import Signature

    folder = checks.artifact_store().path(deployment.artifact_digest)
    signature = Signature.from_mlmodel(yaml.safe_load((folder / "MLmodel").read_text()))
    given = protocol.parse(body, protocol.JSON, signature)
    answer = orjson.loads(protocol.format_predictions(model.predict(given.data)))
    difference = compare(answer["predictions"], content["predictions"])
    largest = difference.largest if math.isfinite(difference.largest) else None
    evidence = {"rows": len(answer["predictions"]), "largest_difference": largest}
    if difference.differs:
        return context.failed(deployment, "The served answers differ.", evidence=evidence)
    return context.passed(deployment, f"{evidence['rows']} answers are equal.", evidence=evidence)
