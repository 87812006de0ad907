"""The certificate equals what the dense formulas give, and is honest where it can prove little."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from alteraser import certificate
from alteraser.certificate import Certificate, certify, distance_between
from alteraser.interactions import Interactions, Vocabulary
from alteraser.train import train
from tests.unit.alteraser.small_model import GIVEN, SATURATED, small_data

Matrix = NDArray[np.float64]

DATA = small_data()
H = {"alpha0": 0.4, "reg": 0.05, "n_users_0": DATA.n_users, "n_items_0": DATA.n_items}


def random_factors(n: int, m: int, d: int, seed: int = 1) -> tuple[Matrix, Matrix]:
    generator = np.random.default_rng(seed)
    return generator.standard_normal((n, d)), generator.standard_normal((m, d))


def interactions(n: int, m: int, pairs: list[tuple[int, int]]) -> Interactions:
    users, items = (Vocabulary(tuple(str(row) for row in range(size))) for size in (n, m))
    rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Interactions.from_rows(users, items, rows[:, 0], rows[:, 1])


def dense_certificate(P: Matrix, Q: Matrix, data: Interactions, norm_of_outside: float | None) -> tuple[float, float]:
    """The gap by the definition, g(X) + |X~|_nuclear - D(Z), and |W|_2; all of X's range is range.

    Args:
        P: (n, d) of full column rank.
        Q: (m, d) likewise.
        data: The interactions.
        norm_of_outside: What W is divided by where it is above 1; |W|_2 itself when None.
    """
    met = np.zeros((data.n_users, data.n_items))
    met[np.repeat(np.arange(data.n_users), data.by_user.counts), data.by_user.indices] = 1.0
    alpha0, reg, d = H["alpha0"], H["reg"], P.shape[1]
    l2_users = reg * (met.sum(axis=1) + alpha0 * H["n_items_0"])
    l2_items = reg * (met.sum(axis=0) + alpha0 * H["n_users_0"])
    roots = np.sqrt(np.outer(l2_users, l2_items))
    X = P @ Q.T
    U, S, Vt = np.linalg.svd(roots * X, full_matrices=False)
    U, V = U[:, :d], Vt[:d].T
    scaled = (alpha0 * X + met * (X - 1)) / roots
    outside = scaled - U @ (U.T @ scaled)
    outside = outside - (outside @ V) @ V.T
    norm = float(np.linalg.norm(outside, 2))
    Z = roots * (-U @ V.T + outside / max(1.0, norm_of_outside or norm))
    primal = 0.5 * np.sum(met * (1 - X) ** 2) + 0.5 * alpha0 * np.sum(X**2) + S.sum()
    dual = -np.sum(met * ((Z + 1) ** 2 / (2 * (1 + alpha0)) - 0.5)) - np.sum((1 - met) * Z**2 / (2 * alpha0))
    return float(primal - dual), norm


@pytest.mark.parametrize("d", [1, 3, 6])
@pytest.mark.parametrize("size", [0.1, 1.0])
@pytest.mark.parametrize("clipped", [False, True])
def test_the_gap_is_the_dense_one(d: int, size: float, clipped: bool) -> None:
    data = small_data() if clipped else interactions(40, 30, [(0, 0), (3, 2)])
    P, Q = random_factors(40, 30, d)
    P = size * P
    certified = certify(P, Q, data, H)
    gap, norm = dense_certificate(P, Q, data, certified.sigma)
    assert certified.gap == pytest.approx(gap, rel=1e-9)
    assert certified.rank == d
    assert norm * (1 - 1e-12) <= certified.sigma <= max(1.11 * norm, 1.0)
    assert certified.distance == pytest.approx(math.sqrt(2 * gap / H["alpha0"]), rel=1e-9)


def test_some_of_these_are_clipped() -> None:
    P, Q = random_factors(40, 30, 1)
    assert certify(0.1 * P, Q, DATA, H).sigma > 1.1


def test_lanczos_bounds_the_same_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    P, Q = random_factors(40, 30, 6)
    proven = certify(P, Q, DATA, H)
    monkeypatch.setattr(certificate, "PROVEN_BY_CHOLESKY", 0)
    estimated = certify(P, Q, DATA, H)
    assert (proven.sigma_by, estimated.sigma_by) == ("cholesky", "lanczos")
    _, norm = dense_certificate(P, Q, DATA, None)
    assert norm <= estimated.sigma <= 1.01 * norm


def test_sides_may_be_exchanged() -> None:
    P, Q = random_factors(DATA.n_users, DATA.n_items, 6)
    turned = Interactions.from_csr(DATA.items, DATA.users, DATA.by_item)
    exchanged = {**H, "n_users_0": DATA.n_items, "n_items_0": DATA.n_users}
    one, other = certify(P, Q, DATA, H), certify(Q, P, turned, exchanged)
    for name in ("rank", "gap", "objective", "distance", "rms"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-9)


def test_a_model_with_all_the_dimensions_it_needs_is_proven() -> None:
    trained = train("wmf", SATURATED, DATA, seed=0)
    P, Q = trained.parameters.users.numpy(), trained.parameters.items.numpy()
    certified = certify(P, Q, DATA, trained.hyperparameters)
    assert certified.sigma <= 1 + 1e-6
    assert certified.rmse_ratio < 1e-6
    assert certified.rank <= P.shape[1]


def test_a_model_bound_by_its_rank_says_so() -> None:
    trained = train("wmf", GIVEN, DATA, seed=0)
    bound = certify(trained.parameters.users.numpy(), trained.parameters.items.numpy(), DATA, trained.hyperparameters)
    given = {**GIVEN, "d": 30}  # all there can be
    whole = train("wmf", given, DATA, seed=0)
    true = distance_between(
        (trained.parameters.users.numpy(), trained.parameters.items.numpy()),
        (whole.parameters.users.numpy(), whole.parameters.items.numpy()),
    )
    assert bound.rank == GIVEN["d"]
    assert bound.sigma > 1.01
    assert 0.05 < true <= bound.distance


def test_dimensions_without_use_change_nothing() -> None:
    P, Q = random_factors(DATA.n_users, DATA.n_items, 4)
    wider = [np.hstack([F, np.zeros((len(F), 3))]) for F in (P, Q)]
    one, other = certify(P, Q, DATA, H), certify(wider[0], wider[1], DATA, H)
    assert other.rank == one.rank == 4
    assert other.gap == pytest.approx(one.gap, rel=1e-9)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (3, 4), (1, 1)])
@pytest.mark.parametrize("size", [0.0, 1.0])
def test_without_interactions_zero_is_the_optimum(shape: tuple[int, int], size: float) -> None:
    P, Q = random_factors(*shape, d=2)
    certified = certify(size * P, size * Q, interactions(*shape, []), H)
    true = float(np.linalg.norm(size * size * P @ Q.T))
    assert true <= certified.distance + 1e-12
    if not size or not P.size or not Q.size:
        assert certified.distance == 0.0
        assert certified.rmse_ratio == math.inf
        assert certified.rank == 0


def test_zero_scores_are_proven_where_the_regulariser_says_so() -> None:
    strong = {**H, "reg": 10.0}
    certified = certify(np.zeros((40, 2)), np.zeros((30, 2)), DATA, strong)
    assert (certified.rank, certified.distance) == (0, 0.0)
    weak = certify(np.zeros((40, 2)), np.zeros((30, 2)), DATA, H)
    assert weak.sigma > 1
    assert weak.distance > 1
    assert weak.objective == pytest.approx(len(DATA) / 2)


@pytest.mark.parametrize("near", [1.0, 1e-6, 1e-12])
def test_a_distance_is_the_dense_one_however_near(near: float) -> None:
    P, Q = random_factors(20, 15, 4)
    dP, dQ = random_factors(20, 15, 4, seed=2)
    after = P + near * dP, Q + near * dQ
    # P Q^T - P' Q'^T, written so that nothing cancels
    expected = float(np.linalg.norm((P - after[0]) @ Q.T + after[0] @ (Q - after[1]).T))
    assert distance_between((P, Q), after) == pytest.approx(expected, rel=1e-6)


def test_a_distance_may_be_asked_of_models_of_different_widths() -> None:
    P, Q = random_factors(20, 15, 4)
    P_2, Q_2 = random_factors(20, 15, 7, seed=2)
    assert distance_between((P, Q), (P_2, Q_2)) == pytest.approx(float(np.linalg.norm(P @ Q.T - P_2 @ Q_2.T)))
    assert distance_between((P_2, Q_2), (P, Q)) == pytest.approx(float(np.linalg.norm(P @ Q.T - P_2 @ Q_2.T)))


def test_a_distance_to_itself_is_zero() -> None:
    assert distance_between(random_factors(20, 15, 4), random_factors(20, 15, 4)) == 0.0
    assert distance_between(random_factors(0, 15, 4), random_factors(0, 15, 4)) == 0.0


def proving(distance: float) -> Certificate:
    whole = Certificate(1, 1.0, "cholesky", 0.0, 1.0, distance=0.0, rmse=0.0, rms=2.0)
    return replace(whole, distance=distance, rmse=distance / 2)


def test_the_bound_on_influence_takes_the_bound_off_how_far_the_scores_moved() -> None:
    assert proving(0.1).bound_on_influence(1.1) == pytest.approx(0.01)
    assert proving(0.0).bound_on_influence(1.0) == 0.0


@pytest.mark.parametrize("moved", [0.0, 0.05, 0.1])
def test_nothing_is_proven_of_a_deletion_that_moved_the_scores_by_no_more_than_the_bound(moved: float) -> None:
    assert proving(0.1).bound_on_influence(moved) == math.inf


def test_a_certificate_is_json_able_data() -> None:
    certified = proving(0.1)
    data = certified.as_dict()
    assert data["rmse_ratio"] == pytest.approx(0.025)
    assert Certificate(**{name: value for name, value in data.items() if name != "rmse_ratio"}) == certified
