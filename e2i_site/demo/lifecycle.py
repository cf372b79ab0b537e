"""The steps of the demo, in order. Each does only what is missing in the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction

from deployments.actions.roll_back import request_rollback
from deployments.choices import VerdictState
from deployments.models import Deployment
from e2i_site.audit.models import Finding
from e2i_site.audit.runner import execute, prepare
from e2i_site.core.errors import E2IError
from e2i_site.demo import people, policy, trail_events
from e2i_site.demo.experiments import (
    ANY_VISIT,
    BREAST_CANCER,
    Question,
    ensure_experiment,
    held_out_rows,
    select,
    train,
)
from e2i_site.demo.promote import judged, open_window, promote, reached, wait_for_verdict
from e2i_site.demo.traffic import Answers, replay
from e2i_site.demo.work import StepFailed, finish, settle
from e2i_site.jobs.enqueue import enqueue
from e2i_site.trail.models import TrailEntry
from e2i_site.trail.record import record, verify
from registry.actions.publish_policy import assign_policy
from registry.choices import Stage
from registry.models import RegistryEntry

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# What the second model is sent, so that its page shows what is still missing.
HONEST_REQUESTS = 588
# How often more traffic is sent while the evidence is not yet certain.
MORE_ROUNDS = 3
Say = Callable[[str], None]


@dataclass
class Step:
    name: str
    outcome: str
    seconds: float
    detail: str = ""


@dataclass
class Demo:
    """A run of the demo. `steps` grows as it goes on."""

    say: Say
    steps: list[Step] = field(default_factory=list)
    team: dict[str, User] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return bool(self.steps) and all(step.outcome == "done" for step in self.steps)

    def run(self) -> None:
        """All steps in order; the first that fails ends the demo."""
        plan = self._plan()
        for number, (name, function) in enumerate(plan, start=1):
            self.say(f"[{number}/{len(plan)}] {name}")
            step = _timed(name, function)
            self.steps.append(step)
            if step.outcome != "done":
                self.say(f"      failed: {step.detail}")
                return
            self.say(f"      {step.detail or 'done'} ({step.seconds:.1f} s)")

    def as_dict(self) -> dict[str, Any]:
        """The document that `demo --json` prints."""
        entries = RegistryEntry.objects.order_by("model", "model_version")
        return {
            "steps": [asdict(step) for step in self.steps],
            "model": _model_name(ANY_VISIT),
            "versions": [
                {
                    "model": entry.model_id,
                    "version": entry.model_version,
                    "stage": entry.stage,
                    "auc": entry.auc,
                }
                for entry in entries
            ],
            "deployments": [
                {
                    "name": deployment.deployment_name,
                    "status": deployment.status,
                    "strategy": deployment.strategy,
                }
                for deployment in Deployment.objects.order_by("pk")
            ],
            "ok": self.ok,
        }

    def _plan(self) -> list[tuple[str, Callable[[], str]]]:
        first, second = partial(_version, ANY_VISIT, 1), partial(_version, ANY_VISIT, 2)
        return [
            ("People and policy", self._people),
            ("Data sets and experiments", self._experiments),
            ("Select an algorithm for any-visit", lambda: select(ANY_VISIT, self.team["dana"])),
            ("Train version 1", lambda: train(ANY_VISIT, 1, self.team["dana"])),
            ("Promote version 1 to staging", lambda: self._stage(first(), Stage.STAGING)),
            ("Promote version 1 to shadow", lambda: self._stage(first(), Stage.SHADOW)),
            ("Replay held-out rows as traffic", lambda: self._shadow(first())),
            ("Promote version 1 to production", lambda: self._stage(first(), Stage.PRODUCTION)),
            ("Train version 2", lambda: train(ANY_VISIT, 2, self.team["dana"])),
            ("Promote version 2 to staging", lambda: self._stage(second(), Stage.STAGING)),
            ("Promote version 2 to shadow", lambda: self._stage(second(), Stage.SHADOW)),
            ("Mirror traffic to version 2", lambda: self._shadow(second())),
            ("Promote version 2 to production", lambda: self._stage(second(), Stage.PRODUCTION)),
            ("Roll back to version 1", self._roll_back),
            (
                "Select an algorithm for breast-cancer",
                lambda: select(BREAST_CANCER, self.team["dana"]),
            ),
            ("Train a breast-cancer model", lambda: train(BREAST_CANCER, 1, self.team["dana"])),
            ("Take it to shadow under the default policy", self._honest),
            ("Mirror MLflow", self._sync),
            ("Audit", self._audit),
        ]

    def _people(self) -> str:
        self.team = people.ensure()
        published = policy.ensure(self.team["admin"])
        return f"{len(self.team)} people, {published}"

    def _experiments(self) -> str:
        for question in (ANY_VISIT, BREAST_CANCER):
            ensure_experiment(question, self.team["dana"])
        return f"{ANY_VISIT.slug}, {BREAST_CANCER.slug}"

    def _stage(self, entry: RegistryEntry, to_stage: str) -> str:
        if entry.model_id == _model_name(ANY_VISIT) and entry.model_version == 1:
            assign_policy(model=entry.model, policy_name=policy.NAME, actor=self.team["admin"])
        final = to_stage == Stage.PRODUCTION
        promote(
            entry,
            to_stage,
            requester=self.team["dana"],
            reviewer=self.team["amina" if final else "rafael"],
            reason=_reason(entry, to_stage),
            word="The gates have passed and the evidence is complete.",
        )
        return f"{entry} is in {to_stage}"

    def _shadow(self, entry: RegistryEntry) -> str:
        if reached(entry, Stage.PRODUCTION):
            return "has been in production"
        limits = open_window(entry).limits
        answers = self._send(entry, limits["requests"], limits["hours"] * 3600)
        for _ in range(MORE_ROUNDS):
            window = judged(entry)
            if window.verdict != VerdictState.INCONCLUSIVE:
                break
            answers = self._send(entry, limits["requests"])
        window = wait_for_verdict(entry)
        return f"{answers}; {window.verdict_detail.get('sentence', '')}"

    def _send(self, entry: RegistryEntry, requests: int, seconds: float = 0.0) -> str:
        url = open_window(entry).deployment.endpoint_url
        columns, rows = held_out_rows(entry)
        answers = replay(
            url,
            columns,
            rows,
            requests=requests,
            seconds=seconds,
            on_progress=lambda done: self.say(f"      {done} of {requests} requests"),
        )
        return f"{answers.total} requests: {_in_words(answers)}"

    def _roll_back(self) -> str:
        first, second = _version(ANY_VISIT, 1), _version(ANY_VISIT, 2)
        if not second.stage_changes.filter(cause="rollback").exists():
            active = Deployment.objects.serving().get(entry=second)
            job = request_rollback(
                deployment=active,
                actor=self.team["deniz"],
                reason="Demo: show that the previous version comes back with its exact bytes.",
            )
            finish(job, timeout=90)
            settle(timeout=60)
        first.refresh_from_db()
        if first.stage != Stage.PRODUCTION:
            raise StepFailed(f"{first} is in {first.stage} after the rollback.")
        return f"{first} serves again"

    def _honest(self) -> str:
        entry = _version(BREAST_CANCER, 1)
        self._stage(entry, Stage.STAGING)
        if reached(entry, Stage.SHADOW):
            return str(open_window(entry).verdict_detail.get("sentence", ""))
        self._stage(entry, Stage.SHADOW)
        self._send(entry, HONEST_REQUESTS)
        return str(judged(entry).verdict_detail.get("sentence", ""))

    def _sync(self) -> str:
        with transaction.atomic():
            job = enqueue("mlflow.sync", key="every:mlflow.sync")
        finish(job, timeout=120)
        return "mirrored"

    def _audit(self) -> str:
        settle(timeout=60)
        run = execute(prepare())
        found = Finding.objects.filter(last_run=run, status="open")
        if found.exists():
            raise StepFailed("; ".join(f"{finding}: {finding.message}" for finding in found))
        verification = verify()
        if not verification.ok:
            raise StepFailed(verification.message)
        self._mark_complete()
        return f"no findings; {verification.message}"

    def _mark_complete(self) -> None:
        if not is_complete():
            with transaction.atomic():
                record(
                    trail_events.COMPLETED,
                    actor=None,
                    subject=_version(ANY_VISIT, 1).model,
                )


def _in_words(answers: Answers) -> str:
    """What callers got. A first version is measured in shadow while nothing serves them yet."""
    words = {200: "served", 503: "mirrored, while no version serves callers yet"}
    return ", ".join(
        f"{count} {words.get(status, f'answered {status}')}"
        for status, count in sorted(answers.statuses.items())
    )


def is_complete() -> bool:
    """Whether the demo has ever reached its end on this database."""
    return TrailEntry.objects.filter(event=trail_events.COMPLETED).exists()


def _timed(name: str, function: Callable[[], str]) -> Step:
    started = time.monotonic()
    try:
        detail, outcome = function(), "done"
    except E2IError as error:
        detail, outcome = str(error), "failed"
    return Step(name, outcome, round(time.monotonic() - started, 2), detail)


def _model_name(question: Question) -> str:
    entry = RegistryEntry.objects.filter(experiment__experiment_id=question.slug).first()
    return entry.model_id if entry else ""


def _version(question: Question, number: int) -> RegistryEntry:
    entry = (
        RegistryEntry.objects.select_related("model", "training_run")
        .filter(experiment__experiment_id=question.slug, model_version=number)
        .first()
    )
    if entry is None:
        raise StepFailed(f"Version {number} of {question.slug} is not registered.")
    return entry


def _reason(entry: RegistryEntry, to_stage: str) -> str:
    run = entry.training_run
    value = run.test_metrics.get(run.primary_metric) if run else None
    shown = f"{run.primary_metric} {value:.3f} on test" if run and value is not None else "Trained"
    return f"{shown}; ready for {to_stage}."
