"""What the coupling adds to the blocks' inverses is what the dense inverse of the coupled matrix has on top."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from alteraser.coupling import GROUPS, Coupling
from alteraser.outside import OutsideGradient
from alteraser.pattern import Pattern
from alteraser.train import CPU
from tests.unit.alteraser.small_model import small_data

DATA = small_data(n_users=14, n_items=11, n_interactions=60)
N_USERS, N_ITEMS = DATA.n_users, DATA.n_items


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def outside_of(d: int, l2: tuple[Tensor, Tensor], size: float) -> OutsideGradient:
    """The gradient outside the range of balanced random factors, of about the given norm."""
    errors = size * normal(len(DATA), seed=0)
    order = torch.from_numpy(DATA.item_order)
    users, _ = torch.linalg.qr(normal(N_USERS, d, seed=1))
    items, _ = torch.linalg.qr(normal(N_ITEMS, d, seed=2))
    lengths = torch.linspace(1.0, 3.0, d)
    P, Q = users * lengths / l2[0].sqrt()[:, None], items * lengths / l2[1].sqrt()[:, None]
    by_user, by_item = Pattern(DATA.by_user, N_ITEMS, CPU), Pattern(DATA.by_item, N_USERS, CPU)
    roots = (l2[0].sqrt()[:, None], l2[1].sqrt()[:, None])
    return OutsideGradient(by_user, by_item, errors, errors[order], P, Q, roots, alpha0=0.0)


@pytest.mark.parametrize(("d", "n_weak"), [(1, 1), (4, 2), (2 * GROUPS + 1, GROUPS)])
def test_it_is_the_difference_of_the_dense_inverses(d: int, n_weak: int) -> None:
    l2 = 1.0 + normal(N_USERS, seed=3).abs(), 1.0 + normal(N_ITEMS, seed=4).abs()
    d = min(d, N_ITEMS)
    n_weak = min(n_weak, (d + 1) // 2)
    outside = outside_of(d, l2, size=0.1)
    scaled = 2.0 + normal(N_USERS, n_weak, seed=5).abs(), 2.0 + normal(N_ITEMS, n_weak, seed=6).abs()
    coupling = Coupling.of(outside, l2, (lambda _: l2[0][:, None] * scaled[0], lambda _: l2[1][:, None] * scaled[1]))
    G = outside.times(torch.eye(N_ITEMS)) - outside.U[:, :n_weak] @ outside.V[:, :n_weak].T
    r = normal(N_USERS, d, seed=7), normal(N_ITEMS, d, seed=8)
    expected = torch.zeros(N_USERS, d), torch.zeros(N_ITEMS, d)
    root = torch.cat(l2).sqrt()
    for k in range(n_weak):
        diagonal = torch.cat([scaled[0][:, k], scaled[1][:, k]])
        coupled = torch.diag(diagonal)
        coupled[:N_USERS, N_USERS:], coupled[N_USERS:, :N_USERS] = G, G.T
        along = torch.cat(r) @ outside.latent[:, k] / root
        added = (torch.linalg.solve(coupled, along) - along / diagonal) / root
        expected[0].add_(torch.outer(added[:N_USERS], outside.latent[:, k]))
        expected[1].add_(torch.outer(added[N_USERS:], outside.latent[:, k]))
    for found, wanted in zip(coupling.added(*r), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


def test_a_coupling_too_strong_to_be_inverted_is_scaled_down_until_the_whole_is_positive() -> None:
    l2 = torch.ones(N_USERS), torch.ones(N_ITEMS)
    outside = outside_of(4, l2, size=5.0)
    coupling = Coupling.of(
        outside, l2, (lambda _: torch.full((N_USERS, 2), 1.1), lambda _: torch.full((N_ITEMS, 2), 1.1))
    )
    assert coupling.outside_norm > 1.1
    weakest = outside.latent[:, :2]
    columns = []
    for unit in torch.eye(2 * (N_USERS + N_ITEMS)):
        r = unit.view(-1, 2)
        users, items = coupling.added(r[:N_USERS] @ weakest.T, r[N_USERS:] @ weakest.T)
        columns.append((r / 1.1 + torch.cat([users, items]) @ weakest).flatten())
    inverse = torch.stack(columns)
    torch.testing.assert_close(inverse, inverse.T, rtol=1e-3, atol=1e-3)
    assert float(torch.linalg.eigvalsh(inverse)[0]) > 0
