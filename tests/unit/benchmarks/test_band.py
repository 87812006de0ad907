"""The band of retrained seeds: a point where there is one minimum, with doing nothing outside."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alteraser.deletions import Deletions
from benchmarks import band
from benchmarks.band import Candidate, banded, forgotten_above_never_met
from benchmarks.forgotten import forgotten
from tests.unit.alteraser.small_model import SATURATED, small_data, small_snapshot
from tests.unit.benchmarks.test_commands import SMALL, data, run

__all__ = ["data"]


@cache
def found() -> dict[str, Any]:
    parent = small_snapshot(small_data(n_users=60), given=SATURATED)
    test = small_data(seed=1, n_users=60).over(parent.interactions.users, parent.interactions.items)
    return banded(parent, test, forgotten("interactions=10%", parent.interactions, 0), [1, 2, 3], 1e-2)


def test_where_there_is_one_minimum_the_band_is_a_point() -> None:
    for each in found()["bands"].values():
        assert each["low"] == pytest.approx(each["high"], rel=1e-6)
        assert each["unlearned, exact inside"]
    assert found()["apart"]["retrains_rmse_most"] < 1e-7


def test_doing_nothing_is_outside_by_membership_and_by_lists() -> None:
    bands = found()["bands"]
    assert not bands["forgotten_auc"]["do nothing inside"]
    assert bands["forgotten_auc"]["do nothing"] > bands["forgotten_auc"]["high"]
    assert not bands["jaccard@10"]["do nothing inside"]


def test_membership_is_the_share_of_pairs_ranked_right() -> None:
    parent = small_snapshot(small_data(n_users=60), given=SATURATED)
    whole, deletions = parent.interactions, forgotten("interactions=3", parent.interactions, 0)
    found = forgotten_above_never_met(Candidate(parent, parent, deletions, whole, seed=0))
    scores = (parent.parameters.users @ parent.parameters.items.T).numpy()
    rows, columns = whole.pairs_of(deletions)
    never = [np.setdiff1d(np.arange(whole.n_items), whole.by_user.row(row)) for row in rows]
    if max(map(len, never)) <= band.NEVER_MET_PER_PAIR:  # then nothing was drawn
        others = np.concatenate([scores[row, each] for row, each in zip(rows, never, strict=True)])
        wins = (scores[rows, columns][:, None] > others).mean()
        assert found == pytest.approx(wins)
    assert found is not None
    assert found > 0.5


def test_a_statistic_of_nobody_is_none() -> None:
    parent = small_snapshot(small_data(n_users=60), given=SATURATED)
    user = Deletions(subjects=frozenset([parent.interactions.users.ids[0]]))
    child = small_snapshot(parent.interactions.without(user), given=SATURATED)
    assert forgotten_above_never_met(Candidate(child, parent, user, child.interactions, seed=0)) is None


def test_a_statistic_of_its_own_can_be_put_beside_the_others() -> None:
    parent = small_snapshot(small_data(n_users=60), given=SATURATED)
    user = Deletions(subjects=frozenset([parent.interactions.users.ids[0]]))
    rows = {"size": lambda candidate: float(len(candidate.model.interactions))}
    found = banded(parent, parent.interactions, user, [1, 2], 1e-2, statistics=rows)
    assert found["bands"]["size"]["do nothing inside"]


def test_the_command_writes_models_and_bands(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = ["--data", str(data), *SMALL, "--forget", "user=median", "--seeds", "2", "--json", str(out)]
    assert run(band.main, *words)[0] == 0
    found = json.loads(out.read_text())
    assert [row["model"] for row in found["rows"]][-1] == "retrained, seed 2"
    assert found["bands"]["forgotten_auc"]["low"] is None
