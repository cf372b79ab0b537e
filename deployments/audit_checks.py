"""Checks that what is deployed, registered and really served agree."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings

from deployments import checks
from deployments.answers import registered_answers, require_loadable
from deployments.choices import DeploymentStatus, Environment, VerdictState, WindowState
from deployments.gateway.client import GatewayAway, GatewayClient
from deployments.models import Deployment, ShadowWindow
from deployments.remembered import example_answers
from deployments.rollback import refresh_readiness
from deployments.shadow.comparison import compare
from deployments.store import input_example
from e2i_site.audit.choices import Priority
from e2i_site.audit.registry import CheckContext, SubjectOutcome, check
from e2i_site.core.errors import E2IError
from registry.choices import PromotionState, Stage
from registry.models import RegistryEntry

# A gateway follows the database within a second or two; a difference that stays longer is one.
SWITCH_LOOKS = 4


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
        windows = ShadowWindow.objects.of_present_stay(entry)
        window = windows.select_related("policy").first()
        void = window is not None and window.state == WindowState.VOID
        passed = window is not None and not void and window.verdict == VerdictState.PASS
        if not passed and _went_past_gates(entry):
            # Known to have no evidence; 4.3b reports it until two others have judged it.
            continue
        if window is None:
            yield context.failed(entry, "It is in production without any shadow evidence.")
            continue
        evidence = {"window": window.pk, "policy": str(window.policy), "limits": window.limits}
        if void:
            yield context.failed(
                entry, f"Its shadow evidence is void: {window.state_reason}", evidence=evidence
            )
        elif window.artifact_digest != entry.artifact_digest:
            yield context.failed(
                entry, "Its shadow evidence is about other bytes.", evidence=evidence
            )
        elif window.verdict != VerdictState.PASS:
            yield context.failed(
                entry, f"Its shadow evidence did not pass: {window.verdict}.", evidence=evidence
            )
        else:
            yield context.passed(entry, f"Passed under {window.policy}.", evidence=evidence)


def _went_past_gates(entry: RegistryEntry) -> bool:
    """Whether the promotion that last brought it there did."""
    carried_out = entry.promotions.filter(to_stage=Stage.PRODUCTION, state=PromotionState.APPLIED)
    return bool(carried_out.order_by("-pk").values_list("past_gates", flat=True).first())


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
    expected = {
        "deployment": deployment.pk,
        "model": deployment.entry.model_id,
        "version": deployment.entry.model_version,
        "digest": f"sha256:{deployment.artifact_digest}",
    }
    try:
        served = _asked_until(client, deployment.endpoint_name, role, expected)
    except GatewayAway as error:
        return context.inconclusive(deployment, str(error))
    deployment.refresh_from_db(fields=["status"])
    evidence = {"expected": expected, "served": served}
    if served == expected:
        return context.passed(deployment, "The gateway serves exactly it.", evidence=evidence)
    if deployment.status != DeploymentStatus.ACTIVE:
        return context.inconclusive(deployment, "It was replaced while this check ran.")
    what = f"version {served['version']}" if served else "nothing"
    return context.failed(deployment, f"The gateway has {what} as {role} there.", evidence=evidence)


def _asked_until(
    client: GatewayClient, endpoint: str, role: str, expected: dict[str, Any]
) -> dict[str, Any]:
    """What is served, after some seconds at the latest: the gateway may just be switching."""
    served: dict[str, Any] = {}
    for _ in range(SWITCH_LOOKS):
        reply = client.version(endpoint)
        served = (reply.content.get(role) or {}) if reply.ok else {}
        if served == expected:
            break
        time.sleep(1)
    return served


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
        if not deployment.rollback_available:
            yield context.failed(deployment, deployment.rollback_detail)
            continue
        yield _loads(context, deployment, deployment.previous_deployment)


def _loads(context: CheckContext, deployment: Deployment, previous: Deployment) -> SubjectOutcome:
    folder = checks.artifact_store().path(previous.artifact_digest)
    example = input_example(folder)
    try:
        if example is None:
            require_loadable(folder)
            said = "It loads; it brings no example to try."
        else:
            said = (
                f"It loads and answers its {len(registered_answers(folder, example))} example rows."
            )
    except E2IError as error:
        return context.failed(deployment, f"{previous.entry} verifies, but: {error}")
    return context.passed(deployment, f"{deployment.rollback_detail} {said}")


@check(
    "5.3b",
    phase=5,
    title="The served answers equal the registered model's on its input example",
    remediation="Roll back, and find out what changed between registering and serving.",
    priority=Priority.P0,
)
def served_answers(context: CheckContext) -> Iterator[SubjectOutcome]:
    """The gateway's answers against those of MLflow's own loader over the verified bytes."""
    store, client = checks.artifact_store(), GatewayClient(timeout=60)
    for deployment in _active():
        found = store.verify(deployment.artifact_digest)
        folder = store.path(deployment.artifact_digest)
        if not found.ok:
            yield context.inconclusive(deployment, found.message)
        elif (example := input_example(folder)) is None:
            yield context.inconclusive(deployment, "The model brings no input example.")
        else:
            yield _compared(context, client, deployment, folder, example)


def _compared(
    context: CheckContext,
    client: GatewayClient,
    deployment: Deployment,
    folder: Path,
    example: bytes,
) -> SubjectOutcome:
    try:
        reply = client.try_example(deployment.endpoint_name, deployment.pk, example)
        expected = example_answers(
            folder, deployment.artifact_digest, example, keep=settings.ANSWER_STORE
        )
    except E2IError as error:
        return context.inconclusive(deployment, str(error))
    if not reply.ok:
        return context.failed(deployment, f"The gateway did not answer: {reply.detail}")
    difference = compare(expected, reply.content["predictions"])
    largest = difference.largest if math.isfinite(difference.largest) else None
    evidence = {"rows": len(expected), "largest_difference": largest}
    if difference.differs:
        return context.failed(deployment, "The served answers differ.", evidence=evidence)
    return context.passed(deployment, f"{len(expected)} answers are equal.", evidence=evidence)
