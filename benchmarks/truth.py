"""What unlearning should arrive at, and how far that is known: the oracle, confirmed by cold retrains or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from torch import Tensor

from alteraser.eraser import Forgetting, local_step
from alteraser.errors import NotConverged
from alteraser.evaluate import jaccard, rank_biased_overlap, recommended
from alteraser.interactions import Interactions
from alteraser.model import ModelKind, Parameters, silent
from alteraser.solve import newton
from alteraser.train import CPU
from benchmarks.case import Case
from benchmarks.cold import ColdRetrain, Reached, Unfinished, alternated, retrained
from benchmarks.score_distance import EVERY_PAIR, Pairs, score_distance

K = 10

ORACLE_TARGETS = (1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
"""Gradient norms, relative to what the deletion left, that the oracle is solved to one after the other while they can
be reached: the last ones may lie below what float64 can tell."""

AGREED_INFLUENCE = 1e-4
"""Retrains whose residual influence against the oracle is no larger than this have found the same model."""

AGREED_OBJECTIVE = 1e-12
"""A retrain whose objective lies lower than the oracle's by more than this share of it has found a better model; less
can be rounding."""

WITHOUT_RETRAIN_S = 60.0
"""How long cold alternation runs where no retrain converged that it could be compared with."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The oracle of a case and the cold retrains beside it.

    Attributes:
        oracle: The best stationary point of the retained objective that is known.
        found_by: ``warm start`` or ``cold retrain``: where it comes from.
        objective: The oracle's.
        relative_gradient: Its gradient's norm over that at the warm start.
        retrains: Cold retrains that converged.
        unfinished: Those that did not.
        alternation: Objective against seconds of cold alternation alone.
        reference: (n_users, K) lists of the first cold retrain; the oracle's where none converged.
        moved: (every pair, affected pairs) score distance between the live model and the oracle.
    """

    oracle: Parameters
    found_by: str
    objective: float
    relative_gradient: float
    retrains: tuple[ColdRetrain, ...]
    unfinished: tuple[Unfinished, ...]
    alternation: tuple[Reached, ...]
    reference: Tensor
    moved: tuple[float, float]

    @classmethod
    def of(cls, case: Case, seeds: Sequence[int]) -> Truth:
        """Solve from the warm start, retrain from every seed, and keep the best."""
        attempts = [retrained(case, seed) for seed in seeds]
        retrains = [cold for cold in attempts if isinstance(cold, ColdRetrain)]
        oracle, found_by = _best(case, warm_oracle(case), retrains)
        value, gradient = case.objective.value_and_gradient(oracle)
        until_s = retrains[0].seconds if retrains else WITHOUT_RETRAIN_S
        return cls(
            oracle=oracle,
            found_by=found_by,
            objective=value,
            relative_gradient=gradient.norm() / case.left_behind,
            retrains=tuple(retrains),
            unfinished=tuple(cold for cold in attempts if isinstance(cold, Unfinished)),
            alternation=alternated(case, seeds[0], until_s),
            reference=lists(case.kind, retrains[0].parameters if retrains else oracle, case.kept),
            moved=(_distance(case, case.before, oracle), _distance(case, case.before, oracle, case.affected)),
        )

    def influence(self, case: Case, after: Parameters) -> float:
        """Return RI all: ``sum (after - oracle)^2 / sum (before - oracle)^2`` over every kept pair."""
        return (_distance(case, after, self.oracle) / self.moved[0]) ** 2

    def influence_on_affected(self, case: Case, after: Parameters) -> float:
        """Return RI affected: the same over the affected pairs."""
        return (_distance(case, after, self.oracle, case.affected) / self.moved[1]) ** 2

    def seed_floor(self, case: Case) -> dict[str, Any]:
        """Return how far cold retrains are from the oracle and from each other, and whether they confirm it."""
        oracle_lists = lists(case.kind, self.oracle, case.kept)
        own = {cold.seed: lists(case.kind, cold.parameters, case.kept) for cold in self.retrains}
        against_oracle = [
            {
                "seed": cold.seed,
                "seconds": cold.seconds,
                "ri_all": self.influence(case, cold.parameters),
                "ri_affected": self.influence_on_affected(case, cold.parameters),
                "objective_gap": cold.objective - self.objective,
                **alike(own[cold.seed], oracle_lists),
            }
            for cold in self.retrains
        ]
        among = [
            {
                "seeds": [one.seed, other.seed],
                "ri_all": (_distance(case, one.parameters, other.parameters) / self.moved[0]) ** 2,
                "objective_difference": other.objective - one.objective,
                **alike(own[one.seed], own[other.seed]),
            }
            for one, other in combinations(self.retrains, 2)
        ]
        influences = [each["ri_all"] for each in against_oracle]
        return {
            "oracle": self.found_by,
            "oracle_objective": self.objective,
            "oracle_relative_gradient": self.relative_gradient,
            "oracle_confirmed": bool(influences) and max(influences) <= AGREED_INFLUENCE,
            "confirmed_at_ri_all": AGREED_INFLUENCE,
            "worst_ri_all": max(influences, default=None),
            "against_oracle": against_oracle,
            "among_each_other": among,
            "not_converged": [{"seed": each.seed, "reason": str(each.error)} for each in self.unfinished],
        }


def warm_oracle(case: Case) -> Parameters:
    """Return the retained objective's solution from the warm start, as exact as float64 allows."""
    forgetting = Forgetting.of(case.parent, case.deletions, CPU)
    local_step(forgetting)
    at = forgetting.warm
    for target in ORACLE_TARGETS:
        try:
            bound = target * case.left_behind
            at = newton(forgetting.objective, at, target=bound, scale=case.left_behind, watch=silent).parameters
        except NotConverged:
            break
    return at


def lists(kind: ModelKind, parameters: Parameters, kept: Interactions) -> Tensor:
    """Return every kept user's K best items that are not among the user's kept interactions, (n_users, K)."""
    return recommended(lambda rows: kind.scores(parameters, rows), kept, K)


def alike(lists_a: Tensor, lists_b: Tensor) -> dict[str, float]:
    """Return how alike two models' lists are."""
    return {f"jaccard@{K}": jaccard(lists_a, lists_b), f"rbo@{K}": rank_biased_overlap(lists_a, lists_b)}


def _best(case: Case, warm: Parameters, retrains: Sequence[ColdRetrain]) -> tuple[Parameters, str]:
    """The warm solution, unless a cold retrain has found a clearly better one."""
    value = case.value(warm)
    best = min(retrains, key=lambda cold: cold.objective, default=None)
    if best is not None and best.objective < value - AGREED_OBJECTIVE * abs(value):
        return best.parameters, "cold retrain"
    return warm, "warm start"


def _distance(case: Case, one: Parameters, other: Parameters, pairs: Pairs = EVERY_PAIR) -> float:
    return score_distance(case.kind, one, other, pairs)
