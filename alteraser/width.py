"""How many latent dimensions a factor model needs: added while the objective asks for more, dropped where it uses none.

With enough of them, training a factor model is a convex problem in disguise with one minimiser
(`alteraser.certificate`), and a stationary point is that minimiser as soon as no singular value of W
(`alteraser.outside`) is above 1. A triplet
(s, a, b) of W with s > 1 is a direction of descent that no step within the present dimensions can take: adding the
dimension (R_u^-1/2 a, -R_i^-1/2 b) t lowers the objective by (s - 1) t^2 to second order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alteraser.model import Parameters
from alteraser.outside import OutsideGradient
from alteraser.triplets import Triplets, leading_triplets

ASKED_FOR = 1e-5
"""A singular value of W this far above 1 asks for a dimension; what less would do stays in the certificate's gap."""

UNUSED = 1e-7
"""A dimension whose singular value is this share of the largest one's holds nothing."""

MOST_AT_ONCE, STEPS, WIDTH = 128, 12, 32


def fitted(at: Parameters, outside: OutsideGradient, roots: tuple[Tensor, Tensor], alpha0: float) -> Parameters:
    """Return the parameters with as many latent dimensions as they need; ``at`` itself where it has them.

    The kept dimensions are rotated into the singular basis of the scaled scores, with both sides balanced.

    Args:
        at: An iterate near a stationary point.
        outside: W there.
        roots: Square roots of the L2 weights, float64.
        alpha0: Weight of a pair that is not an interaction.
    """
    most = min(len(at.users), len(at.items))
    if most == 0:
        return at
    triplets = leading_triplets(
        outside, len(at.items), at.items.float(), rank=MOST_AT_ONCE, width=min(WIDTH, most), steps=STEPS
    )
    asked = triplets.values > 1.0 + ASKED_FOR
    asked[max(most - at.users.shape[1], 0) :] = False
    users, items = _used(at, roots)
    if users.shape == at.users.shape and not asked.any():
        return at
    new_users, new_items = _added(triplets, asked, roots, alpha0)
    return Parameters(torch.cat([users, new_users], dim=1), torch.cat([items, new_items], dim=1), at.shared)


def _used(at: Parameters, roots: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the factors without the dimensions that hold nothing, float64."""
    (Q_u, R_u), (Q_i, R_i) = (torch.linalg.qr(root * F) for root, F in zip(roots, (at.users, at.items), strict=True))
    A, S, Bt = torch.linalg.svd(R_u @ R_i.T, full_matrices=False)
    used = UNUSED * S.max() < S
    used[0] = True  # a model of nothing still has a width
    half = S[used].sqrt()
    return (Q_u @ A[:, used]) * half / roots[0], (Q_i @ Bt[used].T) * half / roots[1]


def _added(triplets: Triplets, asked: Tensor, roots: tuple[Tensor, Tensor], alpha0: float) -> tuple[Tensor, Tensor]:
    """Return new dimensions along the triplets asked for, each of the length that is best for it alone."""
    users, items = triplets.users[:, asked].double() / roots[0], triplets.items[:, asked].double() / roots[1]
    curvature = (1.0 + alpha0) * users.square().sum(dim=0) * items.square().sum(dim=0)  # at most this
    length = ((triplets.values[asked].double() - 1.0) / curvature).sqrt()
    return users * length, -items * length
