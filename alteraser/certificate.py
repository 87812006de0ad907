"""A proof of how far served scores are from every full retraining, from the served weights and the kept data alone.

Weighted matrix factorisation is a convex problem in disguise. With r_u = reg (n_u + alpha0 I0), r_i = reg (n_i + alpha0
U0), minimising `alteraser.wmf`'s objective over factors of enough columns is minimising

    F(X) = g(X) + | R_u^1/2 X R_i^1/2 |_nuclear,      g(X) = 1/2 sum_D (1 - x)^2 + alpha0/2 sum_all x^2

over X = P Q^T. g is alpha0-strongly convex, so the minimiser X* is unique: it *is* the retrained model, whatever its
seed or solver. Write M~ = R_u^-1/2 M R_i^-1/2 for any matrix M. Every Z with |Z~|_2 <= 1 bounds F(X*) from below, and

    gap = F(X) + g*(Z) >= F(X) - F(X*) >= alpha0/2 |X - X*|_F^2

where g* is the convex conjugate. Z is taken on the face of the unit ball that X itself marks: with the thin SVD
U S V^T of R_u^1/2 X R_i^1/2 and G the gradient of g at X, ``Z~ = -U V^T + W / max(1, |W|_2)``,
W = (I - U U^T) G~ (I - V V^T). At the optimum Z = G; near it the gap is of second order in the error. G~ is sparse plus
low rank and never formed. Nor is the gap the difference of two large numbers: by Fenchel and Young it is a sum of terms
of one sign,

    gap = 1/2 sum_D (Z - G)^2 / (1 + alpha0) + 1/2 sum_not-D (Z - G)^2 / alpha0 + sum_dropped s_k (1 + u_k^T W_c v_k)

with the singular triplets that were not counted as range in the last sum, and W_c the clipped W.

This module knows nothing of how the weights were made; it shares no code with the solvers. Its floats are float64,
whose rounding (about 1e-12 of the objective) the bound does not include.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, eigh_tridiagonal
from scipy.sparse import csr_array

from alteraser.interactions import Interactions

Matrix = NDArray[np.float64]

RANGE_THRESHOLDS = (1e-10, 1e-5, 1e-3)
"""Singular values below this share of the largest may be left out of the range; every choice gives a true bound."""

CLOSED = 1e-9
"""A gap of this share of the objective is not worth another choice."""

PROVEN_BY_CHOLESKY = 6144
"""Up to so many rows of the smaller side |W|_2 is bounded by a Cholesky factorisation (8 bytes for each pair of
them); above, by Lanczos and a bound on its error."""

STEPS, STEPS_BEFORE_CHOLESKY = 400, 80

EXHAUSTED = 1e-10
"""Where Lanczos' next vector is this short beside the largest, there is nothing more to find but rounding."""

FAILURE_PROBABILITY = 1e-9
"""That Lanczos' error bound does not hold for its random start; Cholesky has none."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is proven of served scores X against X*, the scores of every full retraining on the same data.

    Attributes:
        rank: Numerically non-zero singular values of the scaled score matrix.
        sigma: Upper bound on |W|_2; at most 1 at X*, above 1 where the embeddings are too narrow.
        sigma_by: How sigma was bounded: ``cholesky`` or ``lanczos``.
        gap: Duality gap, in units of the objective.
        objective: F(X).
        distance: Bound on |X - X*|_F.
        rmse: Bound on the root mean square of X - X* over all pairs.
        rms: Root mean square of X.
    """

    rank: int
    sigma: float
    sigma_by: str
    gap: float
    objective: float
    distance: float
    rmse: float
    rms: float

    @property
    def rmse_ratio(self) -> float:
        """The proven error of the scores as a share of their size."""
        return self.rmse / self.rms if self.rms > 0 else math.inf

    def bound_on_influence(self, moved: float) -> float:
        """Return the proven bound on the residual influence on all pairs.

        Args:
            moved: |X_before - X|_F over the same pairs, see `distance_between`.

        The influence is ``|X - X*|^2 / |X_before - X*|^2``, and |X_before - X*| >= moved - |X - X*|. Infinite where the
        deletion moved the scores by no more than the bound.
        """
        return (self.distance / (moved - self.distance)) ** 2 if moved > self.distance else math.inf

    def as_dict(self) -> dict[str, Any]:
        """Return the certificate as JSON-able data."""
        names = ("rank", "sigma", "sigma_by", "gap", "objective", "distance", "rmse", "rms", "rmse_ratio")
        return {name: getattr(self, name) for name in names}


def certify(P: Matrix, Q: Matrix, data: Interactions, hyperparameters: Mapping[str, Any]) -> Certificate:
    """Return what is proven of the scores ``P Q^T`` served after training on ``data``.

    Args:
        P: (n_users, d) float64, rows as in ``data.users``.
        Q: (n_items, d) float64, likewise.
        data: The interactions the model should be trained on.
        hyperparameters: Of the kind ``wmf``, as they stand in the manifest: alpha0, reg, n_users_0, n_items_0.
    """
    problem = _Problem.of(data, hyperparameters)
    scores = _Scores.of(problem, P, Q)
    ranks = [int(np.count_nonzero(share * scores.S.max(initial=0.0) < scores.S)) for share in RANGE_THRESHOLDS]
    gap, sigma, sigma_by = _gap(problem, scores, ranks[0])
    for rank in sorted(set(ranks[1:]) - {ranks[0]}, reverse=True):
        if gap > CLOSED * scores.objective:
            gap, sigma, sigma_by = min((gap, sigma, sigma_by), _gap(problem, scores, rank))
    distance = math.sqrt(2 * gap / problem.alpha0)
    n_pairs = max(data.n_users * data.n_items, 1)
    return Certificate(
        rank=ranks[0],
        sigma=sigma,
        sigma_by=sigma_by,
        gap=gap,
        objective=scores.objective,
        distance=distance,
        rmse=distance / math.sqrt(n_pairs),
        rms=math.sqrt(_square(P, Q) / n_pairs),
    )


def distance_between(before: tuple[Matrix, Matrix], after: tuple[Matrix, Matrix]) -> float:
    """Return ``|P Q^T - P' Q'^T|_F`` for the factors (P, Q) and (P', Q') of the same rows, of any widths.

    From d x d products alone, and from differences of factors, so that close models lose no digits.
    """
    width = max(before[0].shape[1], after[0].shape[1])
    (P, Q), (P_after, Q_after) = ([_widened(F, width) for F in pair] for pair in (before, after))
    left = np.hstack([P - P_after, P_after])
    right = np.hstack([Q, Q - Q_after])
    return math.sqrt(max(_square(left, right), 0.0))


@dataclass(frozen=True, slots=True)
class _Problem:
    """The convex problem over one set of interactions.

    Attributes:
        data: The interactions D.
        alpha0: Weight of a pair outside D.
        root_u: (n_users, 1) square roots of the users' L2 weights.
        root_i: (n_items, 1) likewise.
    """

    data: Interactions
    alpha0: float
    root_u: Matrix
    root_i: Matrix

    @classmethod
    def of(cls, data: Interactions, h: Mapping[str, Any]) -> _Problem:
        alpha0, reg = float(h["alpha0"]), float(h["reg"])

        def root(counts: NDArray[np.int64], n_others_0: int) -> Matrix:
            found: Matrix = np.sqrt(reg * (counts + alpha0 * n_others_0))[:, None]
            return found

        return cls(
            data,
            alpha0,
            root(data.by_user.counts, int(h["n_items_0"])),
            root(data.by_item.counts, int(h["n_users_0"])),
        )

    def sparse(self, values: Matrix) -> csr_array:
        """Return the matrix (n_users, n_items) with those values on D."""
        by_user = self.data.by_user
        return csr_array((values, by_user.indices, by_user.indptr), shape=(self.data.n_users, self.data.n_items))

    def sample(self, rows: Matrix, columns: Matrix) -> Matrix:
        """Return ``rows[u] . columns[i]`` for every (u, i) of D, (nnz,)."""
        by_user = self.data.by_user
        if len(by_user.indices) == 0:
            return np.zeros(0)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            zeros = torch.sparse_csr_tensor(
                torch.from_numpy(by_user.indptr.astype(np.int32)),
                torch.from_numpy(by_user.indices),
                torch.zeros(len(by_user.indices), dtype=torch.float64),
                (self.data.n_users, self.data.n_items),
                check_invariants=False,
            )
        found = torch.sparse.sampled_addmm(zeros, torch.from_numpy(rows), torch.from_numpy(columns).T)
        values: Matrix = found.values().numpy()
        return values

    def entry_weights(self) -> Matrix:
        """Return 1 / (r_u r_i)^1/2 for every pair of D, (nnz,)."""
        rows = np.repeat(np.arange(self.data.n_users), self.data.by_user.counts)
        weights: Matrix = 1.0 / (self.root_u[rows, 0] * self.root_i[self.data.by_user.indices, 0])
        return weights


@dataclass(frozen=True, slots=True)
class _Scores:
    """The scores X = P Q^T with their scaled SVD and the gradient of g.

    Attributes:
        U: (n_users, d) left singular vectors of R_u^1/2 X R_i^1/2.
        S: (d,) singular values, falling.
        V: (n_items, d) right singular vectors.
        errors: (nnz,) x - 1 on D: G = alpha0 X + errors.
        scaled: The errors' part of G~, sparse (n_users, n_items).
        left: (n_users, d) with right: alpha0 X~ = left right^T, the rest of G~.
        right: (n_items, d).
        objective: F(X).
    """

    U: Matrix
    S: Matrix
    V: Matrix
    errors: Matrix
    scaled: csr_array
    left: Matrix
    right: Matrix
    objective: float

    @classmethod
    def of(cls, problem: _Problem, P: Matrix, Q: Matrix) -> _Scores:
        Q_u, R_u = np.linalg.qr(problem.root_u * P)
        Q_i, R_i = np.linalg.qr(problem.root_i * Q)
        A, S, Bt = np.linalg.svd(R_u @ R_i.T, full_matrices=False)
        errors = problem.sample(P, Q) - 1
        objective = 0.5 * (float(errors @ errors) + problem.alpha0 * _square(P, Q)) + float(S.sum())
        return cls(
            U=Q_u @ A,
            S=S,
            V=Q_i @ Bt.T,
            errors=errors,
            scaled=problem.sparse(errors * problem.entry_weights()),
            left=problem.alpha0 * P / problem.root_u,
            right=Q / problem.root_i,
            objective=objective,
        )

    def times(self, right: Matrix) -> Matrix:
        """Return ``G~ right``, (n_users, k)."""
        found: Matrix = self.scaled @ right + self.left @ (self.right.T @ right)
        return found

    def transposed_times(self, left: Matrix) -> Matrix:
        """Return ``G~^T left``, (n_items, k)."""
        found: Matrix = self.scaled.T @ left + self.right @ (self.left.T @ left)
        return found


def _gap(problem: _Problem, scores: _Scores, rank: int) -> tuple[float, float, str]:
    """Return the gap with the first ``rank`` triplets as range, sigma, and what sigma was bounded by."""
    U, V = scores.U[:, :rank], scores.V[:, :rank]
    GV, GtU = scores.times(V), scores.transposed_times(U)
    C = U.T @ GV  # (rank, rank)
    outside = _Outside(scores, U, V)
    sigma, sigma_by = outside.norm_bound()
    clip = 1.0 - 1.0 / max(1.0, sigma)
    # Z~ - G~ = -(U (I + C) V^T + U L^T + M V^T) - clip W, with L = G~^T U - V C^T and M = G~ V - U C
    M = GV - U @ C
    inner = V @ (np.eye(rank) + C).T + (GtU - V @ C.T)  # (n_items, rank)
    # W = G~ - U C V^T - U L^T - M V^T = G~ - U (G~^T U)^T - M V^T
    left = problem.root_u * np.hstack([U, M])
    right = problem.root_i * np.hstack([inner - clip * GtU, (1 - clip) * V])
    low_rank_on_D = problem.sample(left, right)
    total, on_D = _square(left, right), low_rank_on_D
    if clip:
        # the rest of -(Z - G): clip G = clip (alpha0 X + errors on D)
        left = np.hstack([left, problem.root_u * scores.left])
        right = np.hstack([right, clip * problem.root_i * scores.right])
        dense_on_D = problem.sample(left, right)
        rest = clip * scores.errors
        on_D = dense_on_D + rest
        total = _square(left, right) + float(rest @ (2 * dense_on_D + rest))
    squares_on_D = float(on_D @ on_D)
    conjugate = 0.5 * (squares_on_D / (1 + problem.alpha0) + max(total - squares_on_D, 0.0) / problem.alpha0)
    dropped_U, dropped_S, dropped_V = scores.U[:, rank:], scores.S[rank:], scores.V[:, rank:]
    aligned = np.einsum("uk,uk->k", dropped_U, scores.times(dropped_V)) * (1 - clip)
    return conjugate + float(dropped_S @ np.maximum(1.0 + aligned, 0.0)), sigma, sigma_by


class _Outside:
    """W = (I - U U^T) G~ (I - V V^T), the gradient outside the model's range.

    Args:
        scores: Gives G~.
        U: (n_users, rank) orthonormal.
        V: (n_items, rank) orthonormal.
    """

    def __init__(self, scores: _Scores, U: Matrix, V: Matrix) -> None:
        self._transposed = len(U) < len(V)
        self._range, self._other_range = (U, V) if self._transposed else (V, U)  # of the smaller side first
        sparse = scores.scaled.T if self._transposed else scores.scaled
        left, right = (scores.right, scores.left) if self._transposed else (scores.left, scores.right)
        self._sparse = csr_array(sparse)  # (n_large, n_small)
        self._sparse_T = csr_array(sparse.T)
        self._left = _without(left, self._other_range)
        self._right = _without(right, self._range)

    def norm_bound(self) -> tuple[float, str]:
        """Return an upper bound on |W|_2 and how it was had."""
        n = len(self._range)
        if n <= PROVEN_BY_CHOLESKY:
            return self._bound_by_cholesky(self._largest(min(STEPS_BEFORE_CHOLESKY, n))), "cholesky"
        # Kuczynski, Wozniakowski (SIAM J. Matrix Anal. Appl. 1992), theorem 4.2: after k steps from a random start the
        # largest Ritz value is below (1 - e) lambda with probability at most 1.648 sqrt(n) exp(-sqrt(e) (2k - 1)).
        error = (math.log(1.648 * math.sqrt(n) / FAILURE_PROBABILITY) / (2 * STEPS - 1)) ** 2
        return self._largest(STEPS) / math.sqrt(1.0 - error), "lanczos"

    def _bound_by_cholesky(self, estimate: float) -> float:
        """Return the least of a few bounds b >= estimate for which b^2 I - W^T W is positive definite."""
        square = self._square()
        n = len(square)
        tight = [estimate * 1.001] if estimate * 1.001 < 1.0 else []
        loose = [max(estimate, 1.0) * (1.0 + margin) for margin in (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)]
        for bound in tight + loose:
            shifted = -square
            shifted[np.diag_indices(n)] += bound * bound
            try:
                cho_factor(shifted, lower=True, overwrite_a=True, check_finite=False)
            except LinAlgError:
                continue
            return bound
        return float(np.sqrt(np.trace(square)))  # the Frobenius norm, which is a bound always

    def _square(self) -> Matrix:
        """Return W^T W, (n_small, n_small)."""
        # with S the sparse part and U, V the ranges: W = (I - U U^T) S (I - V V^T) + left right^T
        StU = self._sparse_T @ self._other_range
        cross = self._sparse_T @ self._left
        square: Matrix = (self._sparse_T @ self._sparse).toarray()
        square -= StU @ StU.T
        product = cross @ self._right.T
        square += product
        square += product.T
        square += self._right @ (self._left.T @ self._left) @ self._right.T
        V = self._range
        inner = square @ V
        square -= inner @ V.T
        square -= V @ (inner.T - (V.T @ inner) @ V.T)
        return square

    def _apply(self, x: Matrix) -> Matrix:
        """Return ``W^T W x`` for x (n_small,) outside the range."""
        y = _without(self._sparse @ x, self._other_range) + self._left @ (self._right.T @ x)
        found: Matrix = _without(self._sparse_T @ y, self._range) + self._right @ (self._left.T @ y)
        return found

    def _largest(self, steps: int) -> float:
        """Return Lanczos' estimate of |W|_2, from below, after that many steps from a random start."""
        start = np.random.default_rng(0).standard_normal(len(self._range))
        start = _without(start, self._range)
        if not start.any():
            return 0.0
        previous, current = np.zeros_like(start), start / np.linalg.norm(start)
        diagonal: list[float] = []
        off_diagonal: list[float] = []
        for _ in range(steps):
            following = self._apply(current) - (off_diagonal[-1] * previous if off_diagonal else 0.0)
            diagonal.append(float(following @ current))
            following = _without(following - diagonal[-1] * current, self._range)
            length = float(np.linalg.norm(following))
            if length <= EXHAUSTED * max(1e-150, *diagonal):
                break
            off_diagonal.append(length)
            previous, current = current, following / length
        top = eigh_tridiagonal(
            np.array(diagonal),
            np.array(off_diagonal[: len(diagonal) - 1]),
            eigvals_only=True,
            select="i",
            select_range=(len(diagonal) - 1, len(diagonal) - 1),
        )
        return math.sqrt(max(float(top[0]), 0.0))


def _widened(factors: Matrix, width: int) -> Matrix:
    return np.pad(factors, ((0, 0), (0, width - factors.shape[1])))


def _without(vectors: Matrix, basis: Matrix) -> Matrix:
    """Return the vectors less their parts in the span of an orthonormal basis."""
    found: Matrix = vectors - basis @ (basis.T @ vectors)
    return found


def _square(left: Matrix, right: Matrix) -> float:
    """Return ``|left right^T|_F^2``."""
    return float(np.sum((left.T @ left) * (right.T @ right)))
