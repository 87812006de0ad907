"""Every method runs and is judged by the definitions."""

from __future__ import annotations

from functools import cache

import pytest

from alteraser.errors import NotConverged
from benchmarks import judge
from benchmarks.judge import COLUMNS, Row, rows_of
from benchmarks.methods import EXACT, METHODS, Outcome, Trial
from tests.unit.benchmarks.small_case import small_case, small_truth


def trial() -> Trial:
    return Trial(small_case(), small_truth(), tolerance=1e-2, seed=1)


@cache
def rows() -> dict[str, Row]:
    return {row["method"]: row for row in rows_of(trial(), METHODS)}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_every_column(method: str) -> None:
    row = rows()[method]
    assert set(COLUMNS) <= row.keys()
    assert "failed" not in row
    assert row["seconds_min"] <= row["seconds"] <= row["seconds_max"]


@pytest.mark.parametrize("method", ["do-nothing", "drop-row"])
def test_doing_nothing_leaves_all_influence(method: str) -> None:
    row = rows()[method]
    assert row["ri_all"] == pytest.approx(1.0)
    assert row["ri_affected"] == pytest.approx(1.0)
    assert row["relative_gradient"] == pytest.approx(1.0)
    assert row["objective_gap"] > 0
    assert row["data_passes"] == 0


@pytest.mark.parametrize("method", ["do-nothing", "drop-row"])
def test_what_never_looked_at_the_data_has_no_speed_up(method: str) -> None:
    assert rows()[method]["speedup_practical"] is None
    assert rows()[method]["speedup_converged"] is None


def test_methods_stand_in_their_order() -> None:
    left = {name: rows()[name]["ri_all"] for name in ("do-nothing", "local", "alteraser", "alteraser-exact")}
    assert left["do-nothing"] > left["local"] > left["alteraser"] > left["alteraser-exact"]
    assert left["alteraser-exact"] < 1e-8
    assert rows()["alteraser-exact"]["jaccard@10_retrained"] == 1.0
    assert 0 < rows()["local"]["data_passes"] < 1


def test_alternation_stops_at_the_first_sweep_that_is_enough() -> None:
    row = rows()["alternation"]
    influences = [point["ri_all"] for point in row["curve"]]
    assert row["reached"]
    assert row["ri_all"] == pytest.approx(influences[-1])
    assert all(influence > 1e-2 for influence in influences[:-1])
    assert len(influences) == row["sweeps"] + 1


def test_seconds_to_enough_are_the_least_on_the_way_or_at_the_end() -> None:
    row = rows()["alteraser"]
    points = [*row["curve"], {"seconds": row["seconds"], "ri_all": row["ri_all"]}]
    assert row["seconds_to_enough"] == min(point["seconds"] for point in points if point["ri_all"] <= 1e-2)
    assert rows()["do-nothing"]["seconds_to_enough"] is None
    assert rows()["retrain-implicit"]["seconds_to_enough"] is None


def test_adamw_is_the_best_of_its_learning_rates_and_forgets_something() -> None:
    row = rows()["adamw"]
    assert row["ri_all"] == pytest.approx(min(run["ri_all"] for run in row["tried"]))
    assert {"learning_rate": row["learning_rate"], "ri_all": row["curve"][-1]["ri_all"]} in row["tried"]
    assert row["ri_all"] < 0.5


def test_another_librarys_objective_is_not_compared() -> None:
    row = rows()["retrain-implicit"]
    assert row["ri_all"] is row["ri_affected"] is row["objective_gap"] is row["relative_gradient"] is None
    assert row["certified_rmse_ratio"] is None
    assert 0 <= row["jaccard@10_retrained"] <= 1


def test_without_a_test_part_there_is_no_accuracy() -> None:
    assert rows()["alteraser"]["recall@10"] is None


def test_the_practical_speed_up_is_a_ratio_of_seconds() -> None:
    practical, row = rows()["retrain-practical"], rows()["alteraser"]
    assert practical["speedup_practical"] == pytest.approx(1.0)
    assert row["speedup_practical"] == pytest.approx(practical["seconds"] / row["seconds"])


def test_the_proof_holds_against_the_oracle() -> None:
    for method in ("local", "alteraser", "alteraser-exact"):
        bound = rows()[method]["certified_ri_all"]
        assert bound is None or bound >= rows()[method]["ri_all"] * (1 - 1e-6)


def test_a_method_that_does_not_converge_says_so_in_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(_trial: Trial) -> Outcome:
        raise NotConverged("newton", 0.5, EXACT, 7)

    monkeypatch.setattr(judge, "METHODS", {"stuck": stuck})
    (row,) = rows_of(trial(), ["stuck"])
    assert "not reached" in row["failed"]
    assert all(row[name] is None for name in COLUMNS if name != "method")
