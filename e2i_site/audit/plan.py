"""The audit plan: its phases and items, whether a check covers them or not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Agent(StrEnum):
    CONNECTOR = "connector"
    TRAINER = "model_trainer"
    SELECTOR = "model_selector"
    DEPLOYER = "model_deployer"
    CHAIN = "the chain"
    DOCUMENTATION = "documentation"


class Aspect(StrEnum):
    """Which column of the state table an item answers for."""

    MLFLOW = "MLflow integration"
    DATABASE = "Database sync"
    OTHER = ""


@dataclass(frozen=True)
class Item:
    """One line of the plan. `by_tests`: a batch of the test suite, which no live check runs."""

    id: str
    title: str
    aspect: Aspect = Aspect.OTHER
    by_tests: str = ""


@dataclass(frozen=True)
class Phase:
    number: int
    title: str
    agent: Agent
    items: tuple[Item, ...]


_MLFLOW, _DATABASE = Aspect.MLFLOW, Aspect.DATABASE

PHASES = (
    Phase(
        1,
        "Core MLflow connector",
        Agent.CONNECTOR,
        (
            Item("1.1", "Connector reachable and usable", _MLFLOW),
            Item("1.2", "Run tracking: no run left running by a dead process", _MLFLOW),
            Item("1.3", "Circuit breaker opened and recovered as it should", _MLFLOW),
            Item("1.4", "Experiment naming conventions", _MLFLOW),
            Item("1.5", "Test batch: connector", by_tests="tests/mlflow_connector"),
        ),
    ),
    Phase(
        2,
        "model_trainer",
        Agent.TRAINER,
        (
            Item("2.1", "Parameters, metrics, tags and artifacts of every run", _MLFLOW),
            Item("2.2", "Database sync: ml_training_runs equals MLflow", _DATABASE),
            Item("2.3", "Model artifact, signature and preprocessing", _MLFLOW),
            Item("2.4", "No placeholder or invented id", _DATABASE),
            Item("2.5", "Framework detection", _MLFLOW),
            Item("2.6", "Order of the pipeline's nodes", _MLFLOW),
            Item("2.7", "Test batch: trainer units", by_tests="tests/training"),
            Item("2.8", "Test batch: trainer with a real MLflow server", by_tests="tests/training"),
        ),
    ),
    Phase(
        3,
        "model_selector",
        Agent.SELECTOR,
        (
            Item("3.1", "Selection experiments and runs exist", _MLFLOW),
            Item("3.2", "Benchmark results, rationale and use of history", _MLFLOW),
            Item("3.3", "Database sync: ml_model_registry agrees with MLflow", _DATABASE),
            Item("3.4", "mlflow_run_id is stored and right", _DATABASE),
            Item("3.5", "No use of deprecated MLflow stages", _MLFLOW),
            Item("3.6", "Test batch: selector units", by_tests="tests/training"),
            Item("3.7", "Test batch: selector pipeline", by_tests="tests/training"),
        ),
    ),
    Phase(
        4,
        "model_deployer",
        Agent.DEPLOYER,
        (
            Item("4.1", "Registered versions carry their metadata", _MLFLOW),
            Item("4.2", "Stage transitions: legal, approved, and equal in MLflow", _MLFLOW),
            Item("4.3", "Shadow evidence of every version in production", _DATABASE),
            Item("4.4", "Database sync: deployments, registry and what is served", _DATABASE),
            Item("4.5", "No success claimed while MLflow was away", _MLFLOW),
            Item("4.6", "Rollback targets exist, verify and load", _DATABASE),
            Item("4.7", "Test batch: registry", by_tests="tests/registry"),
            Item("4.8", "Test batch: deployments", by_tests="tests/deployments"),
        ),
    ),
    Phase(
        5,
        "Integration and end to end",
        Agent.CHAIN,
        (
            Item("5.1", "Unbroken chain: selection, training, version, deployment", _DATABASE),
            Item("5.2", "MLflow experiment hierarchy and naming", _MLFLOW),
            Item("5.3", "Registry workflow: approvals, evidence, trail, served answers", _DATABASE),
            Item("5.4", "Test batch: whole lifecycle", by_tests="tests/e2e"),
            Item("5.5", "Test batch: serving", by_tests="tests/deployments/gateway"),
            Item("5.6", "Verification in the browser", by_tests="tests/browser"),
        ),
    ),
    Phase(
        6,
        "Documentation and completion",
        Agent.DOCUMENTATION,
        (
            Item("6.1", "The trail verifies"),
            Item("6.2", "The API schema matches the code"),
            Item("6.3", "The completion report renders"),
            Item("6.4", "Plan complete: no open P0"),
        ),
    ),
)

# The item that says whether the others left anything unsafe.
COMPLETION = "6.4"
# The rows of the report's state table.
AGENTS = (Agent.TRAINER, Agent.SELECTOR, Agent.DEPLOYER)


def phase(number: int) -> Phase:
    """The phase with this number; KeyError when there is none."""
    for each in PHASES:
        if each.number == number:
            return each
    raise KeyError(number)
