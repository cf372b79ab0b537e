"""The block form: evidence from one value a minute, valid under any dependence inside a minute.

Requests of one minute tend to fail together. Here a minute counts once, by its share of hits m_t
in [0, 1]. Where the expected share, given the past, is at least p0 every minute, the wealth
∏ (1 + λ_t (p0 - m_t)) of a bet on "below" is a non-negative supermartingale as long as λ_t is
chosen before minute t is seen (Waudby-Smith and Ramdas, arXiv 2010.09686). Minutes weigh the
same, however many requests they had.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Never bet more than this part of what a minute of nothing but hits (or none) could take.
_BOLDNESS = 0.75
# What is assumed of the share's variance before the first minute, in units of p0 (1 - p0).
_PRIOR_VARIANCE = 0.25


def log_evidence_below(shares: ArrayLike, limit: float) -> Floats:
    """log wealth of the bet that the share is below `limit`, after the last minute.

    `shares`: (…, minutes) hits divided by requests, minutes without requests left out.
    Raises ValueError for shares outside [0, 1] or a limit outside (0, 1).
    """
    return log_evidence_path(shares, limit)[..., -1]


def log_evidence_above(shares: ArrayLike, limit: float) -> Floats:
    """log wealth of the bet that the share is above `limit`; see `log_evidence_below`."""
    return log_evidence_below(1.0 - np.asarray(shares, dtype=np.float64), 1.0 - limit)


def log_evidence_path(shares: ArrayLike, limit: float) -> Floats:
    """log wealth of the bet "below" after 0, 1, 2, … minutes: shape (…, minutes + 1)."""
    values = np.asarray(shares, dtype=np.float64)
    if not 0.0 < limit < 1.0:
        raise ValueError(f"The limit of a rate lies between 0 and 1, not {limit}.")
    if bool(np.any((values < 0) | (values > 1))):
        raise ValueError("A share of hits lies between 0 and 1.")
    gains = np.log1p(_bets(values, limit) * (limit - values))
    start = np.zeros((*values.shape[:-1], 1))
    return np.concatenate([start, np.cumsum(gains, axis=-1)], axis=-1)


def _bets(values: Floats, limit: float) -> Floats:
    """λ_t from the minutes before t only: edge / (variance + edge²), the aGRAPA rule."""
    before = np.arange(values.shape[-1])
    sums = np.cumsum(values, axis=-1) - values
    mean = (limit / 2 + sums) / (1 + before)
    squares = np.cumsum((values - mean) ** 2, axis=-1) - (values - mean) ** 2
    variance = (_PRIOR_VARIANCE * limit * (1 - limit) + squares) / (1 + before)
    edge = limit - mean
    return np.clip(edge / (variance + edge**2), 0.0, _BOLDNESS / (1.0 - limit))
