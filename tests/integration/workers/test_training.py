"""Training: fenced and published like an unlearning run, and blind to whoever is to be deleted."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import delete

from alteraser import snapshot
from alteraser.errors import UnknownHyperparameter, UnknownKind
from alteraser.model import Progress
from ledger import replicas, requests
from ledger.database import unit_of_work
from ledger.tables import Interaction, Model
from workers.errors import ModelBusy, NothingToTrainOn
from workers.leasing import take_lease
from workers.pipeline import run_once
from workers.training import train_once
from workers.workbench import Workbench

MODEL = "main"
SMALL = {"d": 4}


def test_a_trained_model_is_current_and_on_disk(workbench: Workbench) -> None:
    digest = train_once(workbench, MODEL, given=SMALL)
    with unit_of_work(workbench.database) as session:
        pointer = replicas.current(session, MODEL)
        model = session.get_one(Model, MODEL)
    assert (pointer.digest, pointer.version) == (digest, 1)
    assert model.hyperparameters["d"] == 4
    assert len(snapshot.read(workbench.snapshots, digest).interactions) == 700


def test_whoever_watches_sees_the_steps(workbench: Workbench) -> None:
    steps: list[Progress] = []
    train_once(workbench, MODEL, given=SMALL, watch=steps.append)
    assert {step.phase for step in steps} >= {"sweep", "newton"}


def test_training_leaves_out_whoever_is_to_be_deleted_and_settles_the_request(
    trained: Workbench, ask: Callable[..., UUID]
) -> None:
    request_id = ask(user="7")
    digest = train_once(trained, MODEL, given=SMALL)
    assert "7" not in snapshot.read(trained.snapshots, digest).interactions.users
    with unit_of_work(trained.database) as session:
        assert requests.get(session, "acme", request_id).state == "unlearned"


def test_a_request_recorded_during_training_is_unlearned_after_it(
    workbench: Workbench, ask: Callable[..., UUID]
) -> None:
    asked: list[UUID] = []

    def ask_once(_: Progress) -> None:
        if not asked:
            asked.append(ask(user="7"))

    train_once(workbench, MODEL, given=SMALL, watch=ask_once)
    digest = run_once(workbench, MODEL)
    assert digest is not None
    assert "7" not in snapshot.read(workbench.snapshots, digest).interactions.users


def test_a_model_with_a_live_run_is_busy(trained: Workbench) -> None:
    take_lease(trained, MODEL, purpose="train")
    with pytest.raises(ModelBusy, match="'main' has a live run"):
        train_once(trained, MODEL, given=SMALL)


def test_without_data_the_error_says_to_import_some(workbench: Workbench) -> None:
    with unit_of_work(workbench.database) as session:
        session.execute(delete(Interaction))
    with pytest.raises(NothingToTrainOn, match="import some first"):
        train_once(workbench, MODEL, given=SMALL)


def test_a_training_that_failed_can_be_tried_again_at_once(workbench: Workbench) -> None:
    with pytest.raises(UnknownHyperparameter):
        train_once(workbench, MODEL, given={"depth": 4})
    assert train_once(workbench, MODEL, given=SMALL)


def test_a_name_is_not_bound_to_a_kind_that_does_not_exist(workbench: Workbench) -> None:
    with pytest.raises(UnknownKind):
        train_once(workbench, MODEL, kind="wfm")
    with unit_of_work(workbench.database) as session:
        assert session.get(Model, MODEL) is None


def test_an_interrupted_training_leaves_no_live_run_behind(trained: Workbench) -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_once(trained, MODEL, given=SMALL, watch=interrupt)
    assert train_once(trained, MODEL, given=SMALL)
