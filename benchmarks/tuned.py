"""The hyper-parameters shipped for known datasets, chosen for accuracy at convergence (docs/benchmarks.md says how)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from cli.datasets import LAYOUTS

WMF: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        **{name: layout.hyperparameters for name, layout in LAYOUTS.items()},
        "amazon-14core": {"d": "32", "alpha0": "0.3", "reg": "0.016"},
        "gowalla": {"d": "96", "alpha0": "0.01", "reg": "0.018"},
    }
)

TUNED: Mapping[str, Mapping[str, Mapping[str, str]]] = MappingProxyType({"wmf": WMF})


def tuned(data: Path, model: str) -> dict[str, str]:
    """Return what is shipped for a kind on the dataset a path lies in; for any other nothing: the kind's defaults."""
    shipped = TUNED.get(model, {})
    known = [part for part in data.absolute().parts if part in shipped]
    return dict(shipped[known[-1]]) if known else {}
