"""What somebody's interactions may have left in a model: one number each, larger where they were trained on.

The attacker has a model without the target's row and the target's interactions. Every trace goes through the protocol
of `alteraser.model` alone, so it is one for any kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from alteraser.interactions import Interactions, Vocabulary
from alteraser.kinds import kind as kind_of
from alteraser.model import Objective, Parameters, sum_of_squares
from alteraser.snapshot import Snapshot
from alteraser.train import CPU

Rows = NDArray[np.int64]
Trace = Callable[[Snapshot, Rows], float]
"""From a model and the rows of the target's items in it."""

MOST_LEFT_OUT = 64
"""Items of one target that are left out one at a time, evenly spread over them."""


def gain(model: Snapshot, items: Rows) -> float:
    """Return how much of the target's loss a row made for it takes away from the loss of an empty row.

    Items that were trained together for somebody are explained together by one row.
    """
    objective, at = _alone(model, [items])
    empty, _ = objective.value_and_gradient(at)
    fitted, _ = objective.value_and_gradient(_folded(objective, at))
    return empty - fitted


def fit(model: Snapshot, items: Rows) -> float:
    """Return how far a row made for the target sets its items apart: their mean score less that of all items."""
    objective, at = _alone(model, [items])
    scores = kind_of(model.kind).scores(_folded(objective, at), np.zeros(1, dtype=np.int64))[0]
    return float(scores[items].mean() - scores.mean())


def left_out(model: Snapshot, items: Rows) -> float:
    """Return how well all items but one predict that one: the mean of its score, over choices of it."""
    places = np.arange(0, len(items), -(-len(items) // MOST_LEFT_OUT))
    objective, at = _alone(model, [np.delete(items, place) for place in places])
    scores = kind_of(model.kind).scores(_folded(objective, at), np.arange(len(places)))
    return float(scores[np.arange(len(places)), items[places]].mean())


def together(model: Snapshot, items: Rows) -> float:
    """Return the mean correlation, over the model's users, of the scores of two of the target's items."""
    correlations, n = np.corrcoef(_scores(model)[:, items], rowvar=False), len(items)
    return float((correlations.sum() - n) / (n * (n - 1)))


def nearest(model: Snapshot, items: Rows) -> float:
    """Return how far the row that likes the target's items best sets them apart, over all rows of the model.

    Where the target's own row is still there, whatever its name, it is likely that one.
    """
    scores = _scores(model)
    return float((scores[:, items].mean(axis=1) - scores.mean(axis=1)).max())


def aim(model: Snapshot, items: Rows) -> float:
    """Return the cosine between what is left of the model's gradient and what the target's terms would have added.

    1 where they are just missing, as when a row is dropped, and no smaller for a gradient however small that still
    points there. The attacker holds the snapshot with all kept interactions, without which there is no gradient.
    """
    own, left = _own_gradient(model, items), _left_behind(model)
    along = float((own.items * left.items).sum() + (own.shared * left.shared).sum())
    norms = sum_of_squares(own.items, own.shared) * sum_of_squares(left.items, left.shared)
    return -along / max(float(norms.sqrt()), np.finfo(np.float64).tiny)


def share(model: Snapshot, items: Rows) -> float:
    """Return which share of the squares of what is left of the model's gradient lies on the target's items."""
    left = _left_behind(model).items
    return float(
        sum_of_squares(left[torch.from_numpy(items)]) / sum_of_squares(left).clamp(min=np.finfo(np.float64).tiny)
    )


TRACES: Mapping[str, Trace] = MappingProxyType(
    {
        "gain": gain,
        "fit": fit,
        "left-out": left_out,
        "together": together,
        "nearest": nearest,
        "aim": aim,
        "share": share,
    }
)


ATTACKERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "the parameters": ("gain", "fit", "left-out", "together", "nearest"),
        "the whole snapshot": ("aim", "share"),
    }
)
"""What an attacker holds besides the target's interactions, and which traces that allows to be computed."""


def traces_of(model: Snapshot, item_ids: Sequence[str]) -> dict[str, float]:
    """Return every trace of somebody who met those items; what the model does not know is left out."""
    items = np.sort(model.interactions.items.rows(item_ids))
    return {name: trace(model, items) for name, trace in TRACES.items()}


def _alone(model: Snapshot, histories: Sequence[Rows]) -> tuple[Objective, Parameters]:
    """The objective over nobody but users with these histories, and empty rows for them beside the model's items."""
    users = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    names = Vocabulary(tuple(str(k) for k in range(len(histories))))
    data = Interactions.from_rows(names, model.interactions.items, users, np.concatenate(histories))
    at, objective = model.parameters, kind_of(model.kind).objective(data, model.hyperparameters, CPU)
    empty = torch.zeros(len(histories), at.users.shape[1], dtype=at.users.dtype)
    return objective, Parameters(empty, at.items, at.shared)


def _folded(objective: Objective, at: Parameters) -> Parameters:
    """The best rows, the items as they are."""
    return objective.solve_blocks(at, "users")


def _own_gradient(model: Snapshot, items: Rows) -> Parameters:
    """Gradient of the target's own terms at the row made for it: what it adds to that of a model it is not in."""
    (objective, at), (nobody, empty) = _alone(model, [items]), _alone(model, [items[:0]])
    _, whole = objective.value_and_gradient(_folded(objective, at))
    _, without = nobody.value_and_gradient(empty)  # the L2 of items that no user has a share in
    return Parameters(whole.users, whole.items - without.items, whole.shared - without.shared)


@lru_cache(maxsize=2)
def _left_behind(model: Snapshot) -> Parameters:
    """Gradient of the model on its own interactions."""
    objective = kind_of(model.kind).objective(model.interactions, model.hyperparameters, CPU)
    return objective.value_and_gradient(model.parameters)[1]


@lru_cache(maxsize=2)
def _scores(model: Snapshot) -> NDArray[np.float64]:
    """Scores of all users, (n_users, n_items)."""
    return kind_of(model.kind).scores(model.parameters, np.arange(len(model.parameters.users)))
