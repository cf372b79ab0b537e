"""The chain behind a version, from data set to deployment, as boxes of a small drawing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.urls import reverse

from registry.models import RegistryEntry

WIDTH, HEIGHT, GAP = 168, 64, 28
_ROW = HEIGHT + 12
# A drawing with more than this is no drawing; the rest is said in words.
_MOST_DEPLOYMENTS = 3


@dataclass(frozen=True)
class Node:
    """One box. `missing` says that this link of the chain is not recorded."""

    kind: str
    title: str
    detail: str = ""
    url: str = ""
    missing: bool = False
    x: int = 0
    y: int = 0

    @property
    def short(self) -> str:
        """The title, cut to the width of a box."""
        return self.title if len(self.title) <= 19 else f"{self.title[:18]}…"

    @property
    def short_detail(self) -> str:
        return self.detail if len(self.detail) <= 26 else f"{self.detail[:25]}…"


@dataclass(frozen=True)
class Edge:
    """An arrow from one box to another; `broken` when either end is missing."""

    x1: int
    y1: int
    x2: int
    y2: int
    broken: bool


@dataclass(frozen=True)
class Lineage:
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    width: int
    height: int
    more: int = 0

    @property
    def whole(self) -> bool:
        return not any(node.missing for node in self.nodes)


def lineage(entry: RegistryEntry) -> Lineage:
    """Boxes and arrows of `entry`; its run, data set, selection and deployments must be loaded."""
    deployments = sorted(entry.deployments.all(), key=lambda each: -each.pk)
    shown = deployments[:_MOST_DEPLOYMENTS]
    columns: list[list[Node]] = [[node] for node in _chain(entry)]
    columns.append(
        [_deployment(each) for each in shown] or [_missing("Deployment", "not deployed")]
    )
    height = max(map(len, columns)) * _ROW - 12
    placed = [list(_place(nodes, number, height)) for number, nodes in enumerate(columns)]
    edges = [
        Edge(a.x + WIDTH, a.y + HEIGHT // 2, b.x, b.y + HEIGHT // 2, a.missing or b.missing)
        for left, right in pairwise(placed)
        for a in left
        for b in right
    ]
    width = len(columns) * (WIDTH + GAP) - GAP
    nodes = tuple(node for column in placed for node in column)
    return Lineage(nodes, tuple(edges), width, height, len(deployments) - len(shown))


def _place(nodes: list[Node], column: int, height: int) -> Iterable[Node]:
    top = (height - (len(nodes) * _ROW - 12)) // 2
    for row, node in enumerate(nodes):
        place = {"x": column * (WIDTH + GAP), "y": top + row * _ROW}
        yield Node(node.kind, node.title, node.detail, node.url, node.missing, **place)


def _chain(entry: RegistryEntry) -> Iterable[Node]:
    run = entry.training_run
    dataset = run.dataset if run else None
    selection = run.selection if run else None
    yield (
        Node(
            "Data set",
            dataset.name,
            f"{dataset.row_count:,} rows · {dataset.digest[:8]}",
            reverse("training:dataset", args=[dataset.pk]),
        )
        if dataset
        else _missing("Data set", "not recorded")
    )
    yield (
        Node("Selection", f"#{selection.pk}", selection.selected_algorithm, _url(selection))
        if selection
        else _missing("Selection", "trained without one")
    )
    yield (
        Node("Training run", str(run), (run.mlflow_run_id or "not in MLflow yet")[:12], _url(run))
        if run
        else _missing("Training run", "not recorded")
    )
    digest = entry.artifact_digest
    detail = f"{entry.get_stage_display()} · {digest[:8] or 'no digest'}"
    yield Node("Version", f"v{entry.model_version}", detail, _url(entry))


def _deployment(deployment: Any) -> Node:
    detail = f"{deployment.get_environment_display()} · {deployment.get_status_display()}"
    return Node("Deployment", deployment.deployment_name, detail, _url(deployment))


def _missing(kind: str, title: str) -> Node:
    return Node(kind, title, missing=True)


def _url(subject: Any) -> str:
    return str(subject.get_absolute_url())
