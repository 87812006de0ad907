"""Everything that can go wrong in a worker.

    WorkerError
    ├── NothingPassed       no way of unlearning gave a child that passes the gates
    ├── ModelBusy           another run of the model is live
    ├── NothingToTrainOn    the ledger holds no interaction
    ├── NeverTrained        the model has no snapshot to unlearn from
    ├── ChildVanished       the written child was gone when it was to be published
    ├── NoSuchProof         models of this kind have no certificate
    ├── NothingProven       the bound of a certificate is not a finite number
    └── ToldToStop          the worker is to stop, and its run takes longer

A reason may be stored with the run and shown on the operations page, so no message holds an identity.
"""

from __future__ import annotations


class WorkerError(Exception):
    """The root of the tree."""


class NothingPassed(WorkerError):
    """No way of unlearning gave a child that passes the gates.

    Attributes:
        refusals: What each attempt was refused for, by its name, in the order tried.
    """

    def __init__(self, refusals: dict[str, str]) -> None:
        tried = "; ".join(f"{attempt}: {refusal}" for attempt, refusal in refusals.items())
        super().__init__(f"nothing passed the gates ({tried})")
        self.refusals = refusals


class ModelBusy(WorkerError):
    """Another run of the model is live, so it cannot be trained now."""

    def __init__(self, model: str) -> None:
        super().__init__(f"model {model!r} has a live run: wait until it ends, then train again")
        self.model = model


class NothingToTrainOn(WorkerError):
    """The ledger holds no interaction."""

    def __init__(self) -> None:
        super().__init__("there is no interaction to train on: import some first")


class NeverTrained(WorkerError):
    """The model has no snapshot to unlearn from."""

    def __init__(self, model: str) -> None:
        super().__init__(f"model {model!r} was never trained")
        self.model = model


class ChildVanished(WorkerError):
    """The written child was gone when it was to be published."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"snapshot {digest} was removed before it could be published")
        self.digest = digest


class NoSuchProof(WorkerError):
    """Models of this kind have no certificate.

    Attributes:
        kind: Name of the model kind.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(f"there is no such proof for models of kind {kind!r}")
        self.kind = kind


class NothingProven(WorkerError):
    """The bound of a certificate is not a finite number."""

    def __init__(self) -> None:
        super().__init__("the bound on the distance of the scores is not a finite number")


class ToldToStop(WorkerError):
    """The worker is to stop, and its run takes longer than it may."""

    def __init__(self, within_s: float) -> None:
        super().__init__(f"the worker was told to stop and the run was not over within {within_s:g} s")
        self.within_s = within_s
