"""What is measured of deployments outside the review."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from deployments import answers, checks
from deployments.store import example_file, input_example
from registry.measuring.base import Found, Impossible, measures
from registry.measuring.probe import ProbeFailed

if TYPE_CHECKING:
    from registry.gates.needs import Want
    from registry.measuring.bench import Bench
    from registry.measuring.probe import Question


def _example(bench: Bench, want: Want) -> Iterable[Question]:
    digest = want.specification["digest"]
    store = checks.artifact_store()
    folder = store.path(digest)
    if store.verify(digest).ok and input_example(folder) is not None:
        yield answers.question(folder, example_file(folder), digest)


@measures("rollback_readiness", asks=_example)
def rollback_readiness(bench: Bench, want: Want) -> Found:
    """Whether the stored bytes of the version that serves verify, load and answer their example.

    The store's bytes, not MLflow's: a rollback must not wait for MLflow. `rows` were answered;
    `problem` is empty where all is well.
    """
    digest = want.specification["digest"]
    inputs = {"deployed_digest": digest}
    check = checks.artifact_store().verify(digest)
    if not check.ok:
        return Found({"rows": 0, "problem": check.message}, inputs=inputs)
    asked = list(_example(bench, want))
    if not asked:
        raise Impossible(f"{want.against} brings no input example to try it with.")
    try:
        rows = len(bench.reply(asked[0]).require())
    except ProbeFailed as error:
        return Found({"rows": 0, "problem": str(error)}, inputs=inputs)
    return Found({"rows": rows, "problem": ""}, sample_size=rows, inputs=inputs)
