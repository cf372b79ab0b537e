"""What is measured of deployments outside the review."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployments import checks
from deployments.answers import registered_answers
from deployments.store import input_example
from registry.measuring.base import Found, Impossible, measures
from registry.measuring.probe import ProbeFailed

if TYPE_CHECKING:
    from registry.gates.needs import Want
    from registry.measuring.bench import Bench


@measures("rollback_readiness")
def rollback_readiness(bench: Bench, want: Want) -> Found:
    """Whether the stored bytes of the version that serves verify, load and answer their example.

    The store's bytes, not MLflow's: a rollback must not wait for MLflow. `rows` were answered;
    `problem` is empty where all is well.
    """
    digest = want.specification["digest"]
    store, inputs = checks.artifact_store(), {"deployed_digest": digest}
    check = store.verify(digest)
    if not check.ok:
        return Found({"rows": 0, "problem": check.message}, inputs=inputs)
    folder = store.path(digest)
    if (example := input_example(folder)) is None:
        raise Impossible(f"{want.against} brings no input example to try it with.")
    try:
        rows = len(registered_answers(folder, example))
    except ProbeFailed as error:
        return Found({"rows": 0, "problem": str(error)}, inputs=inputs)
    return Found({"rows": rows, "problem": ""}, sample_size=rows, inputs=inputs)
