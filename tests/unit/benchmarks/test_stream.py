"""Streams of deletions: no error adds up, no order matters, and what was added and deleted was never there."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from alteraser.snapshot import Snapshot
from benchmarks import equivalence, stream
from benchmarks.basin import Basin
from benchmarks.checkpoint import Checkpoint
from benchmarks.drift import trends, verdict, worst
from benchmarks.equivalence import added_then_deleted, compared, retrained_row, ways
from benchmarks.sequence import all_of, sequence
from benchmarks.stream import Run, streamed
from tests.unit.alteraser.small_model import SATURATED, small_data, small_snapshot
from tests.unit.benchmarks.test_commands import SMALL, data, run

__all__ = ["data"]

TIGHT = 1e-7


@cache
def live() -> Snapshot:
    return small_snapshot(small_data(n_users=60), given=SATURATED)


def test_a_stream_ends_where_a_retrain_on_what_is_left_does() -> None:
    drawn = sequence("mix", live().interactions, 12, seed=0)
    found = streamed(live(), drawn, every=3, run=Run(TIGHT))
    assert [point["deletion"] for point in found["points"]] == [1, 3, 6, 9, 12]
    assert [record["deletion"] for record in found["records"]] == list(range(1, 13))
    assert found["cold"]["same_data"]
    assert found["cold"]["same_minimum"]
    assert found["cold"]["ri_stream"] < 1e-10
    assert all(point["ri_stream"] < 1e-10 for point in found["points"])
    assert all(point["jaccard@10"] == 1.0 for point in found["points"])
    assert all(point["certified_ri_stream"] >= point["ri_stream"] for point in found["points"])
    assert found["points"][-1]["kept_interactions"] == len(live().interactions) - found["removed"]["interactions"]


def test_a_loose_stream_is_judged_by_its_last_deletion_and_by_all() -> None:
    drawn = sequence("users", live().interactions, 4, seed=0)
    found = streamed(live(), drawn, every=1, run=Run(1e-2))
    first, last = found["points"][0], found["points"][-1]
    assert first["ri_last"] == first["ri_stream"]
    assert last["ri_last"] != last["ri_stream"]
    assert 0 < last["rmse"] < last["nothing_rmse"]


def test_what_a_random_step_adds_does_not_add_up() -> None:
    drawn = sequence("users", live().interactions, 8, seed=0)
    found = streamed(live(), drawn, every=1, run=Run(1e-2, perturb=True))
    assert all(point["ri_last"] < 1e-2 for point in found["points"])
    assert found["cold"]["same_minimum"]


def test_a_stream_that_was_stopped_goes_on_to_the_same_end(tmp_path: Path) -> None:
    drawn = sequence("users", live().interactions, 6, seed=0)
    whole = streamed(live(), drawn, every=2, run=Run(1e-2))
    checkpoint = Checkpoint(tmp_path, {})
    streamed(live(), drawn[:4], every=2, run=Run(1e-2), checkpoint=checkpoint)
    resumed = streamed(live(), drawn, every=2, run=Run(1e-2), checkpoint=checkpoint)
    assert resumed["points"] == whole["points"]
    assert [record["deletion"] for record in resumed["records"]] == [1, 2, 3, 4, 5, 6]


def curve(*errors: float) -> list[dict[str, float]]:
    names = ("rmse", "ri_last", "objective_gap", "gradient", "certified_rmse_ratio")
    return [{"deletion": float(n), **dict.fromkeys(names, error)} for n, error in enumerate(errors, 1)]


RECORDS = [{"deletion": n, "residual": 1e-3} for n in range(1, 21)]


def judged(*errors: float) -> str:
    points = curve(*errors)
    return verdict(trends(points, RECORDS[: len(points)]), worst(points))


def test_an_error_that_doubles_is_called_drift() -> None:
    assert judged(*(1e-6 * 2**n for n in range(10))).startswith("DRIFT")


def test_an_error_that_stays_is_not_called_drift() -> None:
    assert "no 95 % interval" in judged(*(1e-6 * (1 + 0.3 * (-1) ** n) for n in range(10)))


def test_an_error_that_came_back_is_called_an_excursion() -> None:
    said = judged(*(0.05 if n in (4, 5) else 1e-6 * (1 + 0.3 * (-1) ** n) for n in range(12)))
    assert said.startswith("no drift trend")
    assert "EXCURSION: a deletion left RI 0.05" in said


def test_two_points_are_too_few_to_tell() -> None:
    assert judged(1e-6, 1e-6) == "too few points to tell a trend"


@pytest.mark.parametrize("forget", ["users", "mix"])
def test_order_and_batches_do_not_matter(forget: str) -> None:
    drawn = sequence(forget, live().interactions, 9, seed=0)
    found = ways(live(), drawn, 3, TIGHT)
    basin = Basin.of(found[-1].model)
    *rows, nothing = compared(live(), found, basin)
    assert [row["runs"] for row in rows] == [9, 9, 3, 1]
    assert all(row["same_data"] for row in rows)
    assert all(row["ri_all"] < 1e-10 for row in rows)
    assert all(row["farthest_rmse"] < 1e-5 * nothing["rmse"] for row in rows)
    assert nothing["ri_all"] == 1.0
    assert retrained_row(live(), all_of(drawn), basin)["ri_all"] < 1e-10


def test_users_added_and_deleted_were_never_there() -> None:
    data = small_data(n_users=60)
    visitors = all_of(sequence("users", data, 5, seed=0))
    given = {name: str(value) for name, value in SATURATED.items()}
    nothing_anew, anew, nothing_on, on = added_then_deleted("wmf", given, data, visitors, [TIGHT])
    assert nothing_anew["ri_all"] == nothing_on["ri_all"] == 1.0
    assert nothing_anew["jaccard@10"] < 1.0
    for row in (anew, on):
        assert row["same_data"]
        assert row["ri_all"] < 1e-10
        assert row["jaccard@10"] == 1.0


def test_the_stream_command_writes_a_curve_and_a_picture(data: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "out.json", tmp_path / "out.svg"
    words = ["--data", str(data), *SMALL, "--deletions", "4", "--every", "2", "--json", str(out)]
    code, text = run(stream.main, *words, "--picture", str(picture), "--checkpoint", str(tmp_path / "state"))
    assert code == 0
    assert "too few points" in text
    found = json.loads(out.read_text())
    assert {"machine", "commit", "dataset", "points", "trends", "verdict", "cold", "records"} <= found.keys()
    assert picture.read_text().lstrip().startswith("<?xml")
    code, text = run(stream.main, *words, "--seed", "1", "--checkpoint", str(tmp_path / "state"))
    assert code == 2
    assert "other settings" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--deletions", "3", "--forget", "magic"], "none of users"), (["--deletions", "1000"], "at most")],
)
def test_a_stream_of_nonsense_is_refused_in_words(data: Path, words: list[str], said: str) -> None:
    code, text = run(stream.main, "--data", str(data), *SMALL, *words)
    assert code == 2
    assert said in text


def test_the_equivalence_command_writes_both_experiments(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = ["--data", str(data), *SMALL, "--deletions", "4", "--batch", "2", "--json", str(out)]
    assert run(equivalence.main, *words)[0] == 0
    found = json.loads(out.read_text())
    assert [row["way"] for row in found["rows"]][-2:] == ["do nothing", "cold retrain"]
    assert {row["added"] for row in found["added"]} == {"trained anew", "trained on"}
