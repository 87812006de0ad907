"""Any order of moves keeps every promise: a little of it here, 2,500 steps and more in `make faults`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from ledger.database import Database
from tests.faults.machine import Machine

A_LITTLE = (8, 30)
IN_FULL = (50, 50)


@pytest.mark.parametrize(
    ("examples", "steps"),
    [pytest.param(*A_LITTLE, id="a little"), pytest.param(*IN_FULL, id="in full", marks=pytest.mark.faults)],
)
def test_any_order_of_moves_keeps_every_promise(
    database: Database, secrets_dir: Path, broker_url: str, examples: int, steps: int
) -> None:
    Machine.database, Machine.secrets_dir, Machine.broker_url = database, secrets_dir, broker_url
    taken = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Machine, settings=taken)
