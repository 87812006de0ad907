"""CURE4Rec's four axes are those of the models they are said to be of."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from alteraser.deletions import Deletions
from alteraser.evaluate import accuracy
from alteraser.kinds import kind
from benchmarks import cure4rec
from benchmarks.activity import extreme_users
from benchmarks.cure4rec import K, set_of
from benchmarks.models import carried_over
from tests.unit.alteraser.small_model import SATURATED, small_data, small_snapshot
from tests.unit.benchmarks.test_commands import SMALL, data, run

__all__ = ["data"]


@cache
def core() -> tuple[dict[str, object], dict[str, dict[str, object]]]:
    parent = small_snapshot(small_data(n_users=60), given=SATURATED)
    test = small_data(seed=1, n_users=60).over(parent.interactions.users, parent.interactions.items)
    users = extreme_users(parent.interactions, "core", 10)
    found = set_of(parent, test, Deletions(subjects=users), 1e-2)
    return found, {row["method"]: row for row in found["rows"]}


def test_the_answers_are_as_complete_as_they_claim() -> None:
    found, rows = core()
    assert found["users"] == 6
    assert rows["do-nothing"]["ri_all"] == 1.0
    assert rows["do-nothing"]["still_served"] == 6
    for name in ("alteraser-exact", "retrain-converged"):
        assert rows[name]["ri_all"] < 1e-10  # type: ignore[operator]
        assert rows[name]["still_served"] == 0
        assert rows[name]["jaccard@10_retrained"] == 1.0
    assert rows["alteraser"]["ri_all"] < 1e-1  # type: ignore[operator]
    assert rows["alteraser"]["certified_ri_all"] >= rows["alteraser"]["ri_all"]  # type: ignore[operator]


def test_the_same_model_is_as_useful_and_as_fair() -> None:
    _, rows = core()
    for key in (f"recall@{K}", f"ndcg@{K}", f"ndcg@{K}_active", f"ndcg@{K}_inactive", "unfairness"):
        assert rows["alteraser-exact"][key] == pytest.approx(rows["retrain-converged"][key])


def test_doing_nothing_is_judged_on_the_users_that_stay() -> None:
    parent = small_snapshot(small_data(n_users=60), given=SATURATED)
    users = extreme_users(parent.interactions, "core", 10)
    kept = parent.interactions.without(Deletions(subjects=users))
    test = small_data(seed=1, n_users=60).over(kept.users, kept.items)
    nothing = carried_over(parent, kept)

    def scores(rows: np.ndarray) -> np.ndarray:
        return kind("wmf").scores(nothing, rows)

    _, rows = core()
    assert rows["do-nothing"][f"ndcg@{K}"] == accuracy(scores, kept, test, [K])[K].ndcg


def test_the_command_writes_every_set_and_says_whence_it_is(data: Path, tmp_path: Path) -> None:
    out, folder = tmp_path / "out.json", tmp_path / "data"
    (folder / "unlearn_set").mkdir(parents=True)
    for part in ("train.csv", "test.csv"):
        (folder / part).write_text((data / part).read_text())
    (folder / "unlearn_set" / "core_data_10%.csv").write_text("uid,iid,val\nu0,i0,1\n")
    words = ["--data", str(folder), *SMALL, "--percentages", "10", "--json", str(out)]
    assert run(cure4rec.main, *words)[0] == 0
    core_set, edge_set = json.loads(out.read_text())["sets"]
    assert (core_set["set"], core_set["published"], edge_set["set"], edge_set["published"]) == (
        "core",
        True,
        "edge",
        False,
    )
    assert edge_set["as_defined"]


@pytest.mark.parametrize("percentages", ["0", "100", "many"])
def test_percentages_that_are_none_are_refused(data: Path, percentages: str) -> None:
    code, text = run(cure4rec.main, "--data", str(data), *SMALL, "--percentages", percentages)
    assert code == 2
    assert "--percentages" in text
