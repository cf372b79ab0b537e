"""The reference of policy documents, as Markdown, from what reads and judges them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from e2i_site.core.roles import Role
from registry.approvals import ALWAYS_BARRED, BARRED
from registry.document.read import DEEPEST, LARGEST
from registry.document.schema import (
    CANARY,
    DOCUMENT_KEYS,
    FREEZE_KEYS,
    NEED_KEYS,
    SHADOW,
    STAGE_KEYS,
    TARGETS,
    WEEKLY_KEYS,
)
from registry.freeze import DAYS
from registry.gates.base import Gate, all_gates
from registry.gates.parameters import COMMON, Parameter, Parameters

EXAMPLE = """\
name: churn
description: Two people, one of them of risk, after a day in shadow.
notice: The risk group answers within a day.
models: ["churn_*"]

stages:
  production:
    gates:
      - id: artifact_verified
      - {id: metric, minimum: {roc_auc: 0.8}, confident: true}
      - {id: calibration, dry_run: true}
      - {id: shadow_evidence, evidence_max_age_hours: 72}
    approvals:
      all_of:
        - {count: 1, roles: [approver]}
        - {count: 1, groups: [risk]}
    may_not_approve: [requester, trainer, committer]
    expires_after_days: 14
    remind_after_hours: 24
    evidence_max_age_hours: 168
    freeze:
      - {from: 2026-12-20T00:00Z, to: 2027-01-04T00:00Z, reason: Year's end}
      - {days: [friday], from: "16:00", to: "24:00", timezone: Europe/Berlin, reason: Weekend}
    shadow:
      hours: 24
      requests: 1000
      error_rate: 0.01
      p99_ms: 150
      alpha: 0.05
      sequential: true
    canary:
      steps: [5, 25, 50]
      minutes: 10
      requests: 100
"""
_HEAD = f"""\
# Policies
A policy says what a version must show before it moves to a stage, and whose approval it needs.
It is a YAML document, at most {LARGEST // 1024} KiB and {DEEPEST} levels deep, without tags,
anchors and aliases. Each publication is a new version that never changes. `manage.py
policy_reference > docs/policies.md` writes this page from the code that reads policies.

- **In the repository:** files in `policies/`, published by `manage.py publish_policies --reason
  "…"`; with `--check` it only compares, for CI. `policies/default.yaml` is the one to copy.
- **In the site:** *Policies → Write a policy*: checked as one types, compared with what is in
  force, replayed over past promotions, published with a reason and the password.
- **Over the API:** `POST /api/v1/policies/`, and `POST /api/v1/policies/replay/` to try one out.
- **Which policy governs a model:** the one that an administrator chose for it, else the most
  specific pattern, else the policy called `default`.
- **A new version** judges requests under way whose rules of the target stage it changes: their
  approvals become void and say which line changed. Others keep theirs.

```yaml
{EXAMPLE}```
"""
_CANARY = """\
## The canary
Each is needed. The version answers the first share of the callers, beside the one in production,
then the next, and after the last all of them. It ends, and the version in production answers all
callers again, after 3 failed health checks in a row, when more than 5 % of its requests in a step
fail, or when p99 is over twice that of the version in production and over the shadow window's
limit. What it cannot answer, the version in production does. Where nothing is in production, and
past the gates, there is no canary.
"""
_OUTCOMES = """\
## Gates
A gate is *passed*, *failed*, *inconclusive* (not enough is known) or in *error* (it could not be
evaluated). All but passed block, unless the gate is a dry run. Evidence older than the policy
allows is inconclusive. Where something has to be measured first, it is measured outside the
review; until then the gate is inconclusive.
"""


def reference() -> str:
    """The whole page."""
    return "\n".join(
        [
            _HEAD,
            _table("The document", DOCUMENT_KEYS),
            f"## The rules of a stage\nStages: {_codes(TARGETS)}.\n",
            _rows(STAGE_KEYS),
            *_approvals(),
            _table("Freezes: once", FREEZE_KEYS),
            _table("Freezes: each week", WEEKLY_KEYS),
            f"Days: {_codes(DAYS)}.\n",
            f"## The shadow window\nEach is needed.\n\n{_parameters(SHADOW)}",
            f"{_CANARY}\n{_parameters(CANARY)}",
            _OUTCOMES,
            f"Every gate may carry:\n\n{_parameters(COMMON)}",
            *map(_gate, all_gates()),
        ]
    )


def _approvals() -> Iterator[str]:
    yield (
        "## Approvals\nOne need `{count, roles, groups}`, several of which all have to be met "
        "(`all_of: […]`, each by other people), or one of which (`any_of: […]`).\n"
    )
    yield _rows(NEED_KEYS)
    yield f"Roles: {_codes(Role.values)}.\n"
    yield _table("Who never approves", {who: f"Whoever {did}." for who, did in BARRED.items()})
    yield f"{_codes(ALWAYS_BARRED)} are barred whatever a policy says.\n"


def _gate(gate: Gate) -> str:
    parts = [f"### {gate.gate_id}\n**{gate.title}.** {gate.purpose} {gate.evidence}"]
    if gate.needs:
        parts.append("It is measured outside the review.")
    if gate.reads_shadow_limits:
        parts.append("It depends on the limits of the shadow window.")
    text = " ".join(parts) + "\n"
    return f"{text}\n{_parameters(gate.parameters)}" if gate.parameters else text


def _parameters(parameters: Parameters) -> str:
    rows = [(f"`{name}`", each.words, *_values(each)) for name, each in parameters.items()]
    return _lines(("Key", "Meaning", "Value", "When left out"), rows)


def _values(parameter: Parameter) -> tuple[str, str]:
    legal = f"{parameter.legal}, in {parameter.unit}" if parameter.unit else parameter.legal
    missing = "needed" if parameter.is_required else parameter.shown(parameter.default)
    return legal, missing


def _table(title: str, keys: Mapping[str, str]) -> str:
    return f"## {title}\n{_rows(keys)}"


def _rows(keys: Mapping[str, str]) -> str:
    return _lines(("Key", "Meaning"), [(f"`{name}`", words) for name, words in keys.items()])


def _lines(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    body = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body, ""])


def _codes(names: Iterable[Any]) -> str:
    return ", ".join(f"`{name}`" for name in names)
