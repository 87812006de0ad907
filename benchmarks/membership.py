"""Per-example membership inference by likelihood ratio (LiRA), and how well it does where few false alarms are allowed.

Carlini, Chien, Nasr, Song, Terzis, Tramèr, "Membership Inference Attacks From First Principles" (IEEE S&P 2022): for
every target the attacker fits one Gaussian to a statistic over models trained with it and one over models trained
without, and asks of the model under attack which it came from. For unlearning the models "with" have forgotten the
target by the method under attack: Hayes, Shumailov, Triantafillou, Khalifa, Papernot, "Inexact Unlearning Needs More
Careful Evaluations" (arXiv 2403.01218), who show that one attack for all examples overstates what was forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, rankdata

Numbers: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

CONFIDENCE = 0.95
MOST_FALSE = 0.01
"""False alarms that are allowed: of a hundred people who were not there one may be taken for having been."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A share and its two-sided confidence interval."""

    share: float
    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Return whether some share is in both intervals."""
        return self.low <= other.high and other.low <= self.high


def log_likelihood_ratio(x: Numbers, inside: Numbers, outside: Numbers) -> Numbers:
    """Return ``log N(x; in) - log N(x; out)``, the Gaussians fitted to the two samples with one common variance.

    A common variance makes the ratio rise with ``x - (mean of in and out)/2`` in the direction of *in*: of a handful of
    shadows two variances would mostly tell noise. Where both samples are constant and equal the ratio is 0.

    Args:
        x: (n,) statistics of models under attack.
        inside: Those of shadows with the target, at least one.
        outside: Those of shadows without, at least one.
    """
    mean_in, mean_out = inside.mean(), outside.mean()
    residuals = np.concatenate([inside - mean_in, outside - mean_out])
    variance = max(np.square(residuals).sum() / max(len(residuals) - 2, 1), np.finfo(np.float64).tiny)
    if mean_in == mean_out:
        return np.zeros(len(x))
    ratio: Numbers = (mean_in - mean_out) / variance * (x - (mean_in + mean_out) / 2)
    return ratio


def area_under_curve(inside: Numbers, outside: Numbers) -> float:
    """Return the chance that a member scores above a non-member, ties counting half."""
    ranks = rankdata(np.concatenate([inside, outside]))
    n, m = len(inside), len(outside)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def caught(inside: Numbers, outside: Numbers, most_false: float = MOST_FALSE) -> Interval:
    """Return the share of members above a threshold that no more than ``most_false`` of the non-members exceed.

    The threshold is the lowest such; what equals it is not above it, so that ties never catch anyone for free. The
    interval is Clopper and Pearson's, of the members only: the threshold is taken as given.
    """
    allowed = int(np.floor(most_false * len(outside)))
    threshold = np.sort(outside)[::-1][allowed]
    return clopper_pearson(int((inside > threshold).sum()), len(inside))


def clopper_pearson(k: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Return ``k / n`` with its exact two-sided interval."""
    tail = (1 - confidence) / 2
    low = beta.ppf(tail, k, n - k + 1) if k > 0 else 0.0
    high = beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0
    return Interval(k / n, float(low), float(high))


def curve(inside: Numbers, outside: Numbers) -> list[tuple[float, float]]:
    """Return the (false, true) positive rates at every threshold, from (0, 0) to (1, 1)."""
    thresholds = np.unique(np.concatenate([inside, outside]))[::-1]
    rises = [(float((outside >= t).mean()), float((inside >= t).mean())) for t in thresholds]
    return [(0.0, 0.0), *rises]


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """What was measured of one target over many models, all treated by one method.

    Attributes:
        statistics: (n_models,) each statistic, by its name.
        member: (n_models,) whether the model had been trained with the target.
        model: (n_models,) which model it was; says what fold it is in.
    """

    statistics: Mapping[str, Numbers]
    member: Flags
    model: NDArray[np.int64]

    def only(self, names: Sequence[str]) -> Observed:
        """Return the same with these statistics alone."""
        return replace(self, statistics={name: self.statistics[name] for name in names})

    def scores(self, name: str, tried: Flags, known: Flags) -> tuple[Numbers, Numbers]:
        """Return the ratios of the models ``tried``, members and others, fitted to the models ``known``."""
        x = self.statistics[name]
        ratios = log_likelihood_ratio(x, x[known & self.member], x[known & ~self.member])
        return ratios[tried & self.member], ratios[tried & ~self.member]

    def scores_one_by_one(self, name: str, among: Flags) -> tuple[Numbers, Numbers]:
        """Return the ratio of each of these models, fitted to the others of them."""
        each = [
            self.scores(name, np.arange(len(among)) == k, among & (self.model != self.model[k]))
            for k in np.flatnonzero(among)
        ]
        return _joined(each)


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """How an attack did.

    Attributes:
        statistics: The statistic chosen for each half of the models, on the other half.
        area: Area under the curve.
        caught: Share of members caught at `MOST_FALSE`.
        inside: Ratios of the members.
        outside: Ratios of the others.
    """

    statistics: tuple[str, ...]
    area: float
    caught: Interval
    inside: Numbers
    outside: Numbers


def attacked(targets: Sequence[Observed]) -> Verdict:
    """Attack each half of the models with what the other half teaches: which statistic is strongest, and its Gaussians.

    Args:
        targets: The targets of one group, over the same models.
    """
    names = [max(targets[0].statistics, key=lambda name: _promise(targets, name, 1 - fold)) for fold in (0, 1)]
    return _verdict(targets, names)


def with_statistic(targets: Sequence[Observed], name: str) -> Verdict:
    """Attack with a given statistic; else as `attacked`."""
    return _verdict(targets, [name, name])


def _verdict(targets: Sequence[Observed], names: Sequence[str]) -> Verdict:
    """Attack both halves, each with its statistic."""
    scores = [
        one.scores(name, _half(one, fold), _half(one, 1 - fold)) for fold, name in enumerate(names) for one in targets
    ]
    inside, outside = _joined(scores)
    return Verdict(tuple(names), area_under_curve(inside, outside), caught(inside, outside), inside, outside)


def _promise(targets: Sequence[Observed], name: str, fold: int) -> tuple[float, float]:
    """How well a statistic does within one half of the models: the share caught, then the area."""
    inside, outside = _joined([one.scores_one_by_one(name, _half(one, fold)) for one in targets])
    return caught(inside, outside).share, area_under_curve(inside, outside)


def _half(one: Observed, fold: int) -> Flags:
    half: Flags = one.model // 2 % 2 == fold
    return half


def _joined(pairs: Sequence[tuple[Numbers, Numbers]]) -> tuple[Numbers, Numbers]:
    inside, outside = zip(*pairs, strict=True)
    return np.concatenate(inside), np.concatenate(outside)
