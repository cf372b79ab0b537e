"""Evidence about a rate that stays valid however often somebody looks.

Each request gives an indicator (failed, or slower than the limit). For k hits in n requests and
a limit p0, the evidence that the rate is below p0 is

    E-(k, n) = ∫ (q/p0)^k ((1-q)/(1-p0))^(n-k) dF(q),   F a Beta(a, b) truncated to (0, p0).

For every rate ≥ p0 it is a non-negative supermartingale that starts at 1, so the chance that it
ever reaches 1/alpha is at most alpha (Ville 1939; Howard, Ramdas, McAuliffe and Sekhon 2021).
E+ is the same with F on (p0, 1).

All results are natural logarithms. Arguments may be arrays; they broadcast. Hits may be
fractional, which projections use.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, gammaln, xlog1py, xlogy

# Below this the regularised integral is close to underflow and a continued fraction takes over.
_SMALL = 1e-250

Floats = NDArray[np.float64]


def log_evidence_below(
    hits: Any, requests: Any, limit: float, *, a: float = 1.0, b: float = 1.0
) -> Floats:
    """log E-: evidence that the rate is below `limit`. The default mixture is uniform.

    Raises ValueError unless 0 <= hits <= requests and 0 < limit < 1.
    """
    k, n = _counts(hits, requests, limit)
    log_mass = _log_scaled_integral(np.float64(a), np.float64(b), limit)
    return _log_scaled_integral(k + a, n - k + b, limit) - log_mass


def log_evidence_above(
    hits: Any, requests: Any, limit: float, *, a: float = 1.0, b: float | None = None
) -> Floats:
    """log E+: evidence that the rate is above `limit`.

    The default mixture, Beta(1, 1/limit), puts its weight on rates of the order of the limit:
    a uniform one on (limit, 1) would wait for rates near 100 %.
    """
    k, n = _counts(hits, requests, limit)
    return log_evidence_below(n - k, n, 1.0 - limit, a=1.0 / limit if b is None else b, b=a)


def _counts(hits: Any, requests: Any, limit: float) -> tuple[Floats, Floats]:
    k, n = np.asarray(hits, dtype=np.float64), np.asarray(requests, dtype=np.float64)
    if not 0.0 < limit < 1.0:
        raise ValueError(f"The limit of a rate lies between 0 and 1, not {limit}.")
    if bool(np.any(k < 0)) or bool(np.any(k > n)):
        raise ValueError("Hits are between 0 and the number of requests.")
    return k, n


def _log_scaled_integral(alpha: Any, beta: Any, x: float) -> Floats:
    """log of ∫_0^x q^(alpha-1) (1-q)^(beta-1) dq, divided by x^alpha (1-x)^beta.

    The divisor differs from the one in E- by a constant that the truncation's mass has too.
    Dividing inside keeps the numbers small: nothing of the order of n cancels.
    """
    alpha, beta = np.broadcast_arrays(
        np.asarray(alpha, dtype=np.float64), np.asarray(beta, dtype=np.float64)
    )
    share = betainc(alpha, beta, x)
    with np.errstate(divide="ignore"):
        result = np.asarray(np.log(share) + _log_beta_ratio(alpha, beta, x))
    tail = share < _SMALL
    if bool(np.any(tail)):
        result[tail] = _log_tail(alpha[tail], beta[tail], x)
    return result


def _log_beta_ratio(alpha: Floats, beta: Floats, x: float) -> Floats:
    """log of B(alpha, beta) / (x^alpha (1-x)^beta), by deviances (Loader 2000) where both are big.

    With N = alpha + beta, log B = alpha log(alpha/N) + beta log(beta/N) + terms of order log N.
    """
    total = alpha + beta
    direct = betaln(alpha, beta) - xlogy(alpha, x) - xlog1py(beta, -x)
    deviance = xlogy(alpha, alpha / (total * x)) + xlogy(beta, beta / (total * (1.0 - x)))
    stirling = _stirling_error(alpha) + _stirling_error(beta) - _stirling_error(total)
    expanded = deviance + 0.5 * np.log(2.0 * np.pi * total / (alpha * beta)) + stirling
    return np.asarray(np.where(total > 1e4, expanded, direct))


def _stirling_error(z: Floats) -> Floats:
    """log Γ(z+1) - (z log z - z + ½ log 2πz)."""
    small = np.minimum(z, 100.0)
    exact = gammaln(small + 1.0) - (xlogy(small, small) - small + 0.5 * np.log(2 * np.pi * small))
    series = (1.0 - (1.0 / 30.0 - 1.0 / (105.0 * z * z)) / (z * z)) / (12.0 * z)
    return np.asarray(np.where(z > 100.0, series, exact))


def _log_tail(alpha: Floats, beta: Floats, x: float) -> Floats:
    """The scaled integral far in the tail, by its continued fraction (DLMF 8.17.22)."""
    tiny = 1e-300
    total = alpha + beta
    c = np.ones_like(alpha)
    d = 1.0 / _away_from_zero(1.0 - total * x / (alpha + 1.0), tiny)
    h = d.copy()
    for m in range(1, 100_000):
        even = m * (beta - m) * x / ((alpha + 2 * m - 1) * (alpha + 2 * m))
        odd = -(alpha + m) * (total + m) * x / ((alpha + 2 * m) * (alpha + 2 * m + 1))
        step = np.ones_like(alpha)
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d, tiny)
            c = _away_from_zero(1.0 + term / c, tiny)
            h *= d * c
            step = d * c
        if bool(np.all(np.abs(step - 1.0) < 1e-14)):
            break
    return np.asarray(np.log(h) - np.log(alpha))


def _away_from_zero(value: Floats, tiny: float) -> Floats:
    return np.asarray(np.where(np.abs(value) < tiny, tiny, value))
