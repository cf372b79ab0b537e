from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as m
from sklearn.linear_model import LogisticRegression

from training.pipeline.trainer import bootstrap
from training.pipeline.trainer.curves import POINTS, curves
from training.pipeline.trainer.evaluate import (
    calibration_slope,
    evaluate,
    precision_at_top,
    youden_threshold,
)
from training.pipeline.types import Problem

seeds = st.integers(0, 2**31)


def answers(seed: int, n: int = 200, steps: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities with ties, informative but not perfect."""
    generator = np.random.default_rng(seed)
    y = (generator.random(n) < 0.4).astype(int)
    y[:2] = [0, 1]
    p = np.clip(0.3 + 0.2 * y + generator.normal(scale=0.2, size=n), 0.01, 0.99)
    return y, np.round(p * steps) / steps * 0.98 + 0.01


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_with_every_row_once_the_bootstrap_gives_the_plain_metrics(seed: int) -> None:
    y, p = answers(seed)
    once = np.ones((1, len(y)))
    plain = evaluate(Problem.BINARY, y, p, 0.4)
    for name, value in bootstrap._binary(y, p, 0.4, once).items():
        assert value[0] == pytest.approx(plain[name]), name
    codes = np.digitize(p, [0.3, 0.5])
    generator = np.random.default_rng(seed)
    three = generator.dirichlet([1, 1, 1], size=len(y))
    three_plain = evaluate(Problem.MULTICLASS, codes, three)
    for name, value in bootstrap._multiclass(codes, three, once).items():
        assert value[0] == pytest.approx(three_plain[name]), name
    line_plain = evaluate(Problem.REGRESSION, p, p[::-1])
    for name, value in bootstrap._regression(p, p[::-1], once).items():
        assert value[0] == pytest.approx(line_plain[name]), name


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_weights_mean_what_repeated_rows_mean(seed: int) -> None:
    y, p = answers(seed, n=80)
    counts = np.random.default_rng(seed).integers(0, 4, size=len(y))
    counts[:2] = 1
    rows = np.repeat(np.arange(len(y)), counts)
    weighted = bootstrap._binary(y, p, 0.5, counts[None, :].astype(float))
    repeated = evaluate(Problem.BINARY, y[rows], p[rows], 0.5)
    codes, three = np.digitize(p, [0.3, 0.5]), np.random.default_rng(seed).dirichlet([1] * 3, 80)
    once = bootstrap._multiclass(codes, three, counts[None, :].astype(float))
    for name, number in evaluate(Problem.MULTICLASS, codes[rows], three[rows]).items():
        assert once[name][0] == pytest.approx(number, nan_ok=True), name
    for name, value in repeated.items():
        if name in weighted:
            assert weighted[name][0] == pytest.approx(value), name


def test_intervals_are_seeded_and_hold_the_estimate() -> None:
    y, p = answers(3, n=500)
    first = bootstrap.intervals(Problem.BINARY, y, p, threshold=0.4)
    assert first == bootstrap.intervals(Problem.BINARY, y, p, threshold=0.4)
    assert first != bootstrap.intervals(Problem.BINARY, y, p, threshold=0.4, seed=1)
    plain = evaluate(Problem.BINARY, y, p, 0.4)
    for name, (low, high) in first.items():
        assert low <= plain[name] <= high, name


def test_rows_that_belong_together_widen_the_interval() -> None:
    y, p = answers(4, n=100)
    groups = np.repeat(np.arange(100), 5)
    rows = np.repeat(np.arange(100), 5)
    alone = bootstrap.intervals(Problem.BINARY, y[rows], p[rows], threshold=0.4)["roc_auc"]
    grouped = bootstrap.intervals(Problem.BINARY, y[rows], p[rows], threshold=0.4, groups=groups)[
        "roc_auc"
    ]
    assert grouped[1] - grouped[0] > 1.5 * (alone[1] - alone[0])


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Accuracy of a coin that is right 80 % of the time: about 95 of 100 intervals hold .8."""
    generator = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        y = generator.integers(0, 2, size=300)
        right = generator.random(300) < 0.8
        p = np.where(right, y, 1 - y).astype(float)
        low, high = bootstrap.intervals(Problem.BINARY, y, p, threshold=0.5, repeats=400)[
            "accuracy"
        ]
        held += low <= 0.8 <= high
    assert 0.89 <= held / 200 <= 0.99


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_no_threshold_beats_youdens(seed: int) -> None:
    y, p = answers(seed)
    chosen = youden_threshold(y, p)

    def gain(threshold: float) -> float:
        decided = p >= threshold
        return float(decided[y == 1].mean() - decided[y == 0].mean())

    best = gain(chosen)
    assert all(gain(threshold) <= best + 1e-12 for threshold in np.unique(p))
    assert 0 <= chosen <= 1


def test_calibration_slope_is_that_of_an_unpenalised_regression() -> None:
    y, p = answers(7, n=1000)
    logit = np.log(p / (1 - p)).reshape(-1, 1)
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit, y)
    assert calibration_slope(y, p) == pytest.approx(peer.coef_[0, 0], rel=1e-4)


def test_calibration_slope_of_true_probabilities_is_one() -> None:
    generator = np.random.default_rng(8)
    p = generator.uniform(0.02, 0.98, size=200_000)
    y = (generator.random(len(p)) < p).astype(int)
    assert calibration_slope(y, p) == pytest.approx(1.0, abs=0.02)
    doubled = 1 / (1 + np.exp(-2 * np.log(p / (1 - p))))
    assert calibration_slope(y, doubled) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("y", "p"),
    [
        ([0, 0, 0], [0.1, 0.2, 0.3]),
        ([0, 1, 0], [0.4, 0.4, 0.4]),
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]),
    ],
)
def test_a_slope_that_does_not_exist_is_left_out(y: list[int], p: list[float]) -> None:
    assert np.isnan(calibration_slope(np.array(y), np.array(p)))
    assert "calibration_slope" not in evaluate(Problem.BINARY, np.array(y), np.array(p), 0.5)


def test_metrics_of_one_class_are_left_out_not_invented() -> None:
    found = evaluate(Problem.BINARY, np.zeros(5, dtype=int), np.full(5, 0.2), 0.5)
    assert not {"roc_auc", "pr_auc", "recall", "precision"} & set(found)
    assert found["accuracy"] == 1.0


def test_precision_at_the_top_does_not_depend_on_the_order_of_ties() -> None:
    y = np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 0] * 2)
    p = np.full(20, 0.5)
    assert precision_at_top(y, p) == pytest.approx(0.1)
    assert precision_at_top(y[::-1], p) == pytest.approx(0.1)


def test_binary_metrics_agree_with_scikit_learn() -> None:
    y, p = answers(9)
    found = evaluate(Problem.BINARY, y, p, 0.45)
    decided = (p >= 0.45).astype(int)
    assert found["roc_auc"] == m.roc_auc_score(y, p)
    assert found["pr_auc"] == m.average_precision_score(y, p)
    assert found["fpr"] == decided[y == 0].mean()
    assert found["f1"] == m.f1_score(y, decided)
    assert found["brier"] == pytest.approx(np.mean((p - y) ** 2))


def test_curves_are_thin_and_keep_their_ends() -> None:
    generator = np.random.default_rng(10)
    y = generator.integers(0, 2, size=5000)
    p = np.clip(y * 0.2 + generator.random(5000) * 0.8, 0, 1)
    found = curves(Problem.BINARY, y, p, 0.5)
    for points in (found.roc, found.pr):
        assert points is not None
        assert 50 < len(points) <= POINTS
    assert found.roc[0] == (0.0, 0.0) and found.roc[-1] == (1.0, 1.0)
    x, height = zip(*found.roc, strict=True)
    assert np.trapezoid(height, x) == pytest.approx(m.roc_auc_score(y, p), abs=0.005)
    assert sum(sum(row) for row in found.confusion) == 5000
