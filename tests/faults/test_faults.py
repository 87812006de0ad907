"""Some of the faults, on one real deployment; `make faults` strikes them all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.faults.fault import Fault
from tests.faults.site import Site, site
from tests.faults.suite import chosen, quick, strike

SEED = 1


@pytest.fixture(scope="module")
def deployment() -> Iterator[Site]:
    with site(SEED) as made:
        yield made


@pytest.mark.parametrize("fault", quick(), ids=lambda fault: fault.name)
def test_a_fault_loses_nobody_and_brings_nobody_back(fault: Fault, deployment: Site) -> None:
    row = strike(deployment, fault, np.random.default_rng(SEED), times=1)
    assert row.n_in > 0
    assert row.is_kept, "\n".join(row.broken)


def test_the_whole_suite_has_more_than_forty_faults_each_with_its_own_name() -> None:
    names = [fault.name for fault in chosen()]
    assert len(names) == len(set(names)) > 40
