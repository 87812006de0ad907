"""Everything made from a score equals automatic differentiation of the objective written down pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.functional import hvp, jacobian

from alteraser.errors import InvalidHyperparameter, InvalidScore, UnknownHyperparameter
from alteraser.gathered import GatheredKind, Scorer
from alteraser.gathered_loss import GatheredLoss, Score
from alteraser.gathered_objective import GatheredEquations, GatheredObjective
from alteraser.l2 import L2
from alteraser.model import Objective, Parameters, Side
from alteraser.negatives import negatives
from alteraser.neural_equations import NeuralEquations
from alteraser.neural_objective import NeuralObjective
from alteraser.terms import Terms
from alteraser.train import CPU
from tests.unit.alteraser import small_neumf
from tests.unit.alteraser.small_model import small_data
from tests.unit.alteraser.two_towers import TwoTowers

DATA = small_data(n_users=9, n_items=7, n_interactions=30)
GIVEN = {"d": 2, "reg": 0.1, "reg_row": 1.0, "reg_shared": 0.2}


class DotProduct:
    """Rows of unlike width and nothing shared: ``p . q + bias of the item``."""

    name = "dot-product"

    def widths(self, d: int) -> tuple[int, int]:
        return d, d + 1

    def start(self, d: int, random: np.random.RandomState) -> NDArray[np.float64]:  # noqa: ARG002
        return np.zeros(0)

    def score(self, users: Tensor, items: Tensor, shared: Tensor) -> Tensor:  # noqa: ARG002
        return (users * items[:, :-1]).sum(dim=1) + items[:, -1]


class Columns(DotProduct):
    """A score that forgot to leave the pairs' dimension alone."""

    def score(self, users: Tensor, items: Tensor, shared: Tensor) -> Tensor:
        return super().score(users, items, shared)[:, None]


every_scorer = pytest.mark.parametrize("scorer", [TwoTowers(), DotProduct()], ids=["two towers", "dot product"])


def start_of(scorer: Scorer) -> Parameters:
    """Parameters with nothing at its starting value."""
    kind, generator = GatheredKind(scorer), torch.Generator().manual_seed(0)
    start = kind.initialise(DATA, kind.hyperparameters(GIVEN, DATA), generator)
    noise = torch.randn(len(start.flat()), dtype=torch.float64, generator=generator)
    return start.plus(start.shaped(0.3 * noise))


def objective_of(scorer: Scorer) -> Objective:
    kind = GatheredKind(scorer)
    return kind.objective(DATA, kind.hyperparameters(GIVEN, DATA), CPU)


def equations_of(scorer: Scorer) -> GatheredEquations:
    objective, at = objective_of(scorer), start_of(scorer)
    _, gradient = objective.value_and_gradient(at)
    found = objective.linearise(at, gradient, None)
    assert isinstance(found, GatheredEquations)
    return found


def dense_scores(score: Score, at: Parameters) -> Tensor:
    n_users, n_items = len(at.users), len(at.items)
    scores = score(at.users.repeat_interleave(n_items, 0), at.items.repeat(n_users, 1), at.shared)
    return scores.view(n_users, n_items)


def dense_l2(scorer: Scorer) -> Parameters:
    """The L2 weight of every parameter."""
    h, at = GatheredKind(scorer).hyperparameters(GIVEN, DATA), start_of(scorer)
    of_user, of_item = (
        float(h["reg"]) * torch.from_numpy(csr.counts).double()[:, None] + float(h["reg_row"])
        for csr in (DATA.by_user, DATA.by_item)
    )
    shared = torch.full_like(at.shared, float(h["reg_shared"]) * len(DATA) + float(h["reg_row"]))
    return Parameters(of_user.expand_as(at.users), of_item.expand_as(at.items), shared)


def dense_value(scorer: Scorer, flat: Tensor) -> Tensor:
    """The objective of the docstring of `alteraser.gathered`, pair by pair."""
    kind, at = GatheredKind(scorer), start_of(scorer).shaped(flat)
    h = kind.hyperparameters(GIVEN, DATA)
    s, (positives, drawn) = dense_scores(scorer.score, at), small_neumf.counted(DATA, h)
    centre = kind.initialise(DATA, h, torch.Generator().manual_seed(1)).shared
    off = Parameters(at.users, at.items, at.shared - centre).flat()
    loss = -(positives * torch.nn.functional.logsigmoid(s) + drawn * torch.nn.functional.logsigmoid(-s)).sum()
    return loss + 0.5 * (dense_l2(scorer).flat() * off.square()).sum()


def dense_gauss_newton(scorer: Scorer) -> Tensor:
    """J^T diag(curvature) J over all pairs plus the L2 part, (m, m)."""
    at, h = start_of(scorer), GatheredKind(scorer).hyperparameters(GIVEN, DATA)
    J = jacobian(lambda flat: dense_scores(scorer.score, at.shaped(flat)).reshape(-1), at.flat())  # type: ignore[no-untyped-call]
    share = torch.sigmoid(dense_scores(scorer.score, at)).reshape(-1)
    positives, drawn = small_neumf.counted(DATA, h)
    found: Tensor = (J.T * ((positives + drawn).reshape(-1) * share * (1 - share))) @ J
    return found + torch.diag(dense_l2(scorer).flat())


def blocks_of(dense: Tensor, at: Parameters, side: Side) -> Tensor:
    """One side's diagonal blocks of a dense matrix, (n, w, w)."""
    rows = {"users": at.users, "items": at.items, "shared": at.shared[None]}[side]
    start = {"users": 0, "items": at.users.numel(), "shared": at.users.numel() + at.items.numel()}[side]
    n, w = rows.shape
    return torch.stack([dense[k : k + w, k : k + w] for k in range(start, start + n * w, w)])


@every_scorer
def test_the_value_and_the_gradient_are_the_dense_ones(scorer: Scorer) -> None:
    at = start_of(scorer)
    value, gradient = objective_of(scorer).value_and_gradient(at)
    flat = at.flat().requires_grad_()
    expected = dense_value(scorer, flat)
    (of_flat,) = torch.autograd.grad(expected, flat)
    assert value == pytest.approx(expected.item(), rel=1e-13)
    torch.testing.assert_close(gradient.flat(), of_flat, rtol=1e-11, atol=1e-11)


@every_scorer
def test_products_are_those_of_the_dense_hessian(scorer: Scorer) -> None:
    at = start_of(scorer).flat()
    v = torch.randn(len(at), generator=torch.Generator().manual_seed(1))
    _, expected = hvp(lambda flat: dense_value(scorer, flat), at, v.double())  # type: ignore[no-untyped-call]
    torch.testing.assert_close(equations_of(scorer).multiply(v), expected.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("side", ["users", "items", "shared"])
def test_blocks_are_those_of_the_dense_gauss_newton_matrix(side: Side) -> None:
    scorer, at = TwoTowers(), start_of(TwoTowers())
    rows: Tensor = getattr(at, side)
    r = torch.randn(rows.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    lower = torch.linalg.cholesky(blocks_of(dense_gauss_newton(scorer), at, side))
    expected = torch.cholesky_solve(r.view(*lower.shape[:2], 1), lower)
    torch.testing.assert_close(equations_of(scorer).solved(side, r), expected.view_as(r), rtol=1e-9, atol=1e-10)


@every_scorer
def test_solving_a_side_lowers_the_objective_and_moves_nothing_else(scorer: Scorer) -> None:
    objective, at = objective_of(scorer), start_of(scorer)
    for side in objective.sides:
        solved = objective.solve_blocks(at, side)
        assert objective.value_and_gradient(solved)[0] < objective.value_and_gradient(at)[0]
        assert all(
            torch.equal(getattr(solved, name), getattr(at, name)) for name in {"users", "items", "shared"} - {side}
        )


def test_nothing_shared_has_no_side() -> None:
    assert objective_of(DotProduct()).sides == ("users", "items")


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, at = TwoTowers(), start_of(TwoTowers())
    v = torch.randn(len(at.flat()), generator=torch.Generator().manual_seed(3))
    whole = [objective_of(scorer).value_and_gradient(at)[1].flat(), equations_of(scorer).precondition(v)]
    monkeypatch.setattr("alteraser.terms.CHUNK", 8)
    monkeypatch.setattr("alteraser.gathered_loss.JACOBIAN_ENTRIES", 3 * len(at.shared))
    parts = [objective_of(scorer).value_and_gradient(at)[1].flat(), equations_of(scorer).precondition(v)]
    for part, of_whole in zip(parts, whole, strict=True):
        torch.testing.assert_close(part, of_whole, rtol=1e-6, atol=1e-11)


def test_a_score_that_is_not_one_number_a_pair_is_refused() -> None:
    with pytest.raises(InvalidScore, match=r"must have the shape \(\d+,\)"):
        objective_of(Columns()).value_and_gradient(start_of(DotProduct()))


def test_constants_are_fixed_at_training_and_text_is_understood() -> None:
    complete = GatheredKind(TwoTowers()).hyperparameters({"d": "8", "reg": "0.5"}, DATA)
    assert (complete["d"], complete["reg"], complete["n_items_0"]) == (8, 0.5, DATA.n_items)


@pytest.mark.parametrize(("name", "value"), [("d", 0), ("d", "many"), ("reg", -1.0), ("reg_shared", float("inf"))])
def test_a_hyperparameter_out_of_range_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidHyperparameter, match=name):
        GatheredKind(TwoTowers()).hyperparameters({name: value}, DATA)


def test_an_unknown_hyperparameter_is_refused() -> None:
    with pytest.raises(UnknownHyperparameter, match="depth"):
        GatheredKind(TwoTowers()).hyperparameters({"depth": 3}, DATA)


def neumf_score(users: Tensor, items: Tensor, shared: Tensor) -> Tensor:
    """s(u, i) as in the docstrings of `alteraser.neumf` and `alteraser.tower`."""
    d = (users.shape[1] - 1) // 2
    h = max(d // 2, 1)
    W, b, w, c = shared[: h * d].view(h, d), shared[h * d : h * d + h], shared[h * d + h : -1], shared[-1]

    def phi(z: Tensor) -> Tensor:
        return z / (1 + z.square()).sqrt()

    tower = phi(phi(users[:, d:-1] + items[:, d:-1]) @ W.T + b) @ w + c
    return (users[:, :d] * items[:, :d]).sum(dim=1) + users[:, -1] + items[:, -1] + tower


def test_neumf_written_by_hand_equals_neumf_from_its_score() -> None:
    at = small_neumf.random_parameters(DATA)
    terms = Terms(DATA, negatives(DATA, seed=0, per_positive=4, n_items_0=DATA.n_items), CPU)
    of_users, of_items, of_weights = (
        torch.linspace(1.0, 2.0, len(block), dtype=torch.float64) for block in (at.users, at.items, at.shared)
    )
    l2 = L2(of_users, of_items, of_weights, 0.5 * at.shared)
    fast, slow = NeuralObjective(terms, l2), GatheredObjective(GatheredLoss(neumf_score, terms), l2)
    (value, gradient), (expected, of_slow) = fast.value_and_gradient(at), slow.value_and_gradient(at)
    assert value == pytest.approx(expected, rel=1e-13)
    torch.testing.assert_close(gradient.flat(), of_slow.flat(), rtol=1e-11, atol=1e-11)
    by_hand, made = fast.linearise(at, gradient, None), slow.linearise(at, gradient, None)
    v = torch.randn(len(at.flat()), generator=torch.Generator().manual_seed(6))
    torch.testing.assert_close(by_hand.multiply(v), made.multiply(v), rtol=1e-4, atol=1e-4)
    assert isinstance(by_hand, NeuralEquations)
    assert isinstance(made, GatheredEquations)
    for side, r in (("users", at.users), ("items", at.items), ("shared", at.shared)):
        expected_blocks = made.solved(side, r)  # type: ignore[arg-type]
        solved = by_hand.blocks.solve(side, r.float())  # type: ignore[arg-type]
        torch.testing.assert_close(solved, expected_blocks.float(), rtol=1e-3, atol=1e-4)
