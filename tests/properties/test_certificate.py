"""The proven distance is never below the true one, whatever the data, the weights and their stage of convergence.

The truth comes from solvers that share nothing with `alteraser`: accelerated proximal gradients on the convex problem,
run until nothing moves, and for some problems cvxpy's interior-point solver, to which the first is held as well.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from alteraser import certificate
from alteraser.certificate import Certificate, certify, distance_between
from alteraser.interactions import Interactions, Vocabulary

Matrix = NDArray[np.float64]

ROUNDING = 1e-9
"""Float64 rounding and the error of proximal gradients, relative to 1 + |X*|: all that a bound may be short of."""

INTERIOR_POINT = 1e-4
"""The interior-point solver's error, relative to 1 + |X*|."""


@dataclass(frozen=True)
class Problem:
    """The convex problem, dense.

    Attributes:
        met: (n, m) 1 on the interactions, else 0.
        alpha0: Weight of every pair.
        reg: L2.
        n_users_0: Users at training, at least n.
        n_items_0: Items at training, at least m.
    """

    met: Matrix
    alpha0: float
    reg: float
    n_users_0: int
    n_items_0: int

    @property
    def l2_users(self) -> Matrix:
        """(n,)."""
        return np.asarray(self.reg * (self.met.sum(axis=1) + self.alpha0 * self.n_items_0))

    @property
    def l2_items(self) -> Matrix:
        """(m,)."""
        return np.asarray(self.reg * (self.met.sum(axis=0) + self.alpha0 * self.n_users_0))

    @property
    def roots(self) -> Matrix:
        """(n, m) the weights R_u^1/2 . R_i^1/2 of the nuclear norm."""
        return np.sqrt(np.outer(self.l2_users, self.l2_items))

    def gradient(self, X: Matrix) -> Matrix:
        """Of the smooth part g."""
        return np.asarray(self.alpha0 * X + self.met * (X - 1))

    def value(self, X: Matrix) -> float:
        """Return F(X)."""
        smooth = 0.5 * np.sum(self.met * (1 - X) ** 2) + 0.5 * self.alpha0 * np.sum(X**2)
        return float(smooth + np.linalg.norm(self.roots * X, "nuc"))

    def factored_value(self, P: Matrix, Q: Matrix) -> float:
        """Return f(P, Q), which has the same minimum when P and Q are wide enough."""
        X = P @ Q.T
        smooth = 0.5 * np.sum(self.met * (1 - X) ** 2) + 0.5 * self.alpha0 * np.sum(X**2)
        return float(smooth + 0.5 * (self.l2_users @ np.sum(P**2, axis=1) + self.l2_items @ np.sum(Q**2, axis=1)))

    def certify(self, P: Matrix, Q: Matrix) -> Certificate:
        """Return what the product proves."""
        n, m = self.met.shape
        ids = [Vocabulary(tuple(str(row) for row in range(size))) for size in (n, m)]
        data = Interactions.from_rows(ids[0], ids[1], *np.nonzero(self.met))
        h = {"alpha0": self.alpha0, "reg": self.reg, "n_users_0": self.n_users_0, "n_items_0": self.n_items_0}
        return certify(P, Q, data, h)


def optimum(problem: Problem) -> Matrix:
    """Return X* by accelerated proximal gradients in Y = R_u^1/2 X R_i^1/2, where the nuclear norm has no weights.

    Momentum for strongly convex functions (Nesterov); the proximal map thresholds singular values. It ends where a step
    over 1e-12 of the condition number's share moves nothing, so that |X - X*| is of the order of 1e-12.
    """
    roots = problem.roots
    steepest = (1 + problem.alpha0) / roots.min() ** 2
    condition = steepest * roots.max() ** 2 / problem.alpha0
    momentum = (math.sqrt(condition) - 1) / (math.sqrt(condition) + 1)
    at = ahead = np.zeros_like(roots)
    for _ in range(100_000):
        U, S, Vt = np.linalg.svd(ahead - problem.gradient(ahead / roots) / roots / steepest, full_matrices=False)
        following = (U * np.maximum(S - 1 / steepest, 0.0)) @ Vt
        moved = float(np.linalg.norm(following - ahead))
        at, ahead = following, following + momentum * (following - at)
        if moved <= max(1e-12 / math.sqrt(condition), 1e-15) * (float(np.linalg.norm(following)) + 1e-3):
            return np.asarray(at / roots)
    raise AssertionError(f"proximal gradients still move by {moved}")


def optimum_by_cvxpy(problem: Problem) -> Matrix:
    """Return X* by cvxpy's interior-point solver, which knows nothing of proximal maps."""
    X = cvxpy.Variable(problem.met.shape)
    smooth = 0.5 * cvxpy.sum_squares(cvxpy.multiply(problem.met, 1 - X)) + 0.5 * problem.alpha0 * cvxpy.sum_squares(X)
    weighted = np.diag(np.sqrt(problem.l2_users)) @ X @ np.diag(np.sqrt(problem.l2_items))
    tight = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")  # it is held to the other solver
        cvxpy.Problem(cvxpy.Minimize(smooth + cvxpy.normNuc(weighted))).solve(solver=cvxpy.CLARABEL, **tight)
    return np.asarray(X.value)


def alternated(problem: Problem, P: Matrix, Q: Matrix, sweeps: int) -> tuple[Matrix, Matrix]:
    """Return the factors after that many alternating sweeps, in float64, one row after another."""

    def solved(met: Matrix, other: Matrix, l2: Matrix) -> Matrix:
        shared = problem.alpha0 * other.T @ other
        grams = np.einsum("ri,ik,il->rkl", met, other, other) + shared + l2[:, None, None] * np.eye(other.shape[1])
        return np.asarray(np.linalg.solve(grams, (met @ other)[:, :, None])[:, :, 0])

    for _ in range(sweeps):
        P = solved(problem.met, Q, problem.l2_users)
        Q = solved(problem.met.T, P, problem.l2_items)
    return P, Q


@st.composite
def problems(draw: st.DrawFn, largest: int = 12) -> Problem:
    """Small problems; some users and items have no interaction, some training sets were larger."""
    n, m = draw(st.integers(2, largest)), draw(st.integers(2, largest))
    generator = np.random.default_rng(draw(st.integers(1, 2**32 - 1)))
    met = generator.random((n, m)) < draw(st.floats(0.0, 1.0))
    return Problem(
        met=met.astype(np.float64),
        alpha0=draw(st.floats(0.05, 1.0)),
        reg=math.exp(draw(st.floats(math.log(0.005), math.log(3.0)))),
        n_users_0=n + draw(st.integers(0, 3)),
        n_items_0=m + draw(st.integers(0, 3)),
    )


@st.composite
def factors(draw: st.DrawFn, problem: Problem, d: int) -> tuple[Matrix, Matrix]:
    """Factors at any stage of convergence: random, after a few sweeps, and after many."""
    n, m = problem.met.shape
    generator = np.random.default_rng(draw(st.integers(1, 2**32 - 1)))
    size = draw(st.sampled_from([0.03, 0.3, 1.0]))
    P, Q = size * generator.standard_normal((n, d)), size * generator.standard_normal((m, d))
    return alternated(problem, P, Q, draw(st.sampled_from([0, 1, 2, 5, 20, 300])))


widths = st.integers(1, 14)


@given(st.data(), problems(), widths)
@settings(max_examples=200)
def test_the_true_distance_is_never_above_the_bound(data: st.DataObject, problem: Problem, d: int) -> None:
    P, Q = data.draw(factors(problem, d))
    before = data.draw(factors(problem, d))
    X, best = P @ Q.T, optimum(problem)
    true = float(np.linalg.norm(X - best))
    short = ROUNDING * (1 + float(np.linalg.norm(best)))
    for certified in (problem.certify(P, Q), with_lanczos(lambda: problem.certify(P, Q))):
        assert true <= certified.distance + short
        assert problem.value(X) - problem.value(best) <= certified.gap + ROUNDING * (1 + problem.value(X))
        assert certified.objective == pytest.approx(problem.value(X), rel=1e-9)
        assert certified.objective <= problem.factored_value(P, Q) * (1 + ROUNDING)
        assert certified.rmse == pytest.approx(certified.distance / math.sqrt(X.size))
        assert certified.rms == pytest.approx(float(np.sqrt(np.mean(X**2))), abs=1e-12)
        was = float(np.linalg.norm(before[0] @ before[1].T - best))
        moved = distance_between(before, (P, Q))
        left = max(true - short, 0.0)
        assert left**2 <= certified.bound_on_influence(moved) * (was + short) ** 2


def with_lanczos(make: Callable[[], Certificate]) -> Certificate:
    """Return the certificate made as for a model too large for a Cholesky factorisation."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(certificate, "PROVEN_BY_CHOLESKY", 0)
        certified = make()
    assert certified.sigma_by == "lanczos"
    return certified


@given(st.data(), problems(largest=8), widths)
@settings(max_examples=25)
def test_nor_is_the_distance_to_an_interior_point_solution(data: st.DataObject, problem: Problem, d: int) -> None:
    best = optimum_by_cvxpy(problem)
    short = INTERIOR_POINT * (1 + float(np.linalg.norm(best)))
    assert np.linalg.norm(best - optimum(problem)) <= short  # the two solvers agree
    P, Q = data.draw(factors(problem, d))
    assert float(np.linalg.norm(P @ Q.T - best)) <= problem.certify(P, Q).distance + short


@given(st.data(), problems())
@settings(max_examples=60)
def test_sigma_is_never_below_the_norm_of_the_gradient_outside_the_range(data: st.DataObject, problem: Problem) -> None:
    n, m = problem.met.shape
    d = data.draw(st.integers(1, min(n, m)))
    generator = np.random.default_rng(data.draw(st.integers(1, 2**32 - 1)))
    P, Q = generator.standard_normal((n, d)), generator.standard_normal((m, d))
    U, S, Vt = np.linalg.svd(problem.roots * (P @ Q.T), full_matrices=False)
    U, V = U[:, :d], Vt[:d].T
    if S[d - 1] < 2e-3 * S[0]:
        return  # then there are several choices of the range
    scaled = problem.gradient(P @ Q.T) / problem.roots
    outside = scaled - U @ (U.T @ scaled)
    norm = float(np.linalg.norm(outside - (outside @ V) @ V.T, 2))
    for certified in (problem.certify(P, Q), with_lanczos(lambda: problem.certify(P, Q))):
        assert certified.rank == d
        assert norm <= certified.sigma * (1 + 1e-12) + 1e-9
        assert certified.sigma <= max(1.11 * norm, 1.0)


@given(problems())
@settings(max_examples=40)
def test_at_the_optimum_the_bound_vanishes_and_sigma_is_at_most_one(problem: Problem) -> None:
    U, S, Vt = np.linalg.svd(problem.roots * optimum(problem), full_matrices=False)
    P = U * np.sqrt(S) / np.sqrt(problem.l2_users)[:, None]
    Q = Vt.T * np.sqrt(S) / np.sqrt(problem.l2_items)[:, None]
    certified = problem.certify(P, Q)
    assert certified.sigma <= 1 + 1e-6
    assert certified.distance < 1e-6
    assert problem.factored_value(P, Q) == pytest.approx(certified.objective, rel=1e-9)
