"""What the demo says of a proof, and when it makes a claim of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from cli import evidence
from cli.caller import Caller
from cli.checklist import Checklist
from cli.datasets import Dataset
from cli.scene import Scene
from cli.stack import Stack

CERTIFICATE = {"sigma": 1.0, "distance": 1e-3, "rmse_ratio": 1.2e-5, "influence_bound": 3e-4}


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A scene whose live snapshot proves a distance of .001."""
    monkeypatch.setattr(evidence, "proven_distance", lambda *_: 1e-3)
    console = Console(record=True, width=200)
    stack = cast(Stack, SimpleNamespace(deployment=None))
    return Scene(console, stack, cast(Caller, None), cast(Dataset, None), Checklist(console))


def told(scene: Scene, certificate: dict[str, Any] | None, uncertified: str | None = None) -> str:
    scene.check_proof({"child": "c" * 64, "certificate": certificate, "uncertified": uncertified})
    return scene.console.export_text()


def test_a_bound_is_a_claim_that_the_live_snapshot_confirms(scene: Scene) -> None:
    assert "scores within 1.2e-05 of a full retraining, influence left <= 3.0e-04" in told(scene, CERTIFICATE)
    assert (scene.checks.n_checked, scene.checks.failed) == (1, [])


def test_a_bound_that_the_live_snapshot_does_not_confirm_is_untrue(scene: Scene) -> None:
    told(scene, CERTIFICATE | {"distance": 1e-4})
    assert len(scene.checks.failed) == 1


def test_without_a_bound_nothing_is_claimed(scene: Scene) -> None:
    assert "the influence left is not bounded" in told(scene, CERTIFICATE | {"influence_bound": None})
    assert scene.checks.n_checked == 0


def test_a_rank_bound_model_is_said_to_be_one(scene: Scene) -> None:
    assert "rank-bound (sigma 1.130)" in told(scene, CERTIFICATE | {"sigma": 1.13})


def test_why_there_is_no_proof_is_said(scene: Scene) -> None:
    assert "nothing is proven of the scores: no such proof" in told(scene, None, "no such proof")
    assert scene.checks.n_checked == 0
