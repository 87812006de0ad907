"""Everything the ledger refuses, as one tree.

    LedgerError
    ├── RequestNotFound      no such deletion request for this tenant
    ├── KeyReused            an idempotency key came back with another payload
    ├── UnknownSubject       nothing is stored about who or what is to be deleted
    ├── LinesRefused         some requests of a batch cannot be recorded, so none of it is
    ├── CallbackRefused      a URL that no callback may go to
    ├── NotCancellable       work on the request has begun, or it has ended
    ├── NotRetriable         the request is being worked on, waits its turn, or has ended
    ├── RunNotFound          no such run
    ├── NotHeld              the run has ended: there is nothing to release
    ├── UnknownModel         no model of that name is declared
    ├── ModelKindChanged     the name belongs to a model of another kind
    ├── NothingToReturnTo    no earlier generation of the model may come back
    ├── LeaseLost            the run is no longer its owner's
    │   ├── PointerMoved     the model's current snapshot is not the run's parent any more
    │   └── WatermarkFell    the child satisfies fewer erasures than the current snapshot
    ├── StaleReplica         a replica went back to a snapshot that satisfies fewer erasures
    ├── InvalidCursor        a page cursor that this ledger never gave out
    ├── UnknownScope         an API key was to be given a right that does not exist
    ├── SecretMissing        a key file is not where it should be
    ├── SecretMalformed      a key file cannot be read as a key
    ├── ReceiptInvalid       a receipt does not verify
    ├── CheckpointInvalid    a checkpoint of the log does not verify
    ├── NoCheckpoint         no checkpoint of the log was signed yet
    ├── NoSuchEntry          the log is not so long
    ├── ProofOutOfRange      a proof about more of the log than there is, or about none of it
    ├── SubjectInUse         a salt cannot be destroyed while a request about its subject is open
    ├── JournalAway          the erasure journal cannot be read or written
    └── TracingRefused       traces are to be sent in a way that is not there

No message carries the id of a user or an item.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID


class LedgerError(Exception):
    """The ledger refused."""


class RequestNotFound(LedgerError):
    """No such deletion request for this tenant."""

    def __init__(self, request_id: UUID) -> None:
        super().__init__(f"there is no deletion request {request_id}")
        self.request_id = request_id


class KeyReused(LedgerError):
    """An idempotency key came back with another payload."""

    def __init__(self) -> None:
        super().__init__("this idempotency key was used before with another payload")


class UnknownSubject(LedgerError):
    """Nothing is stored about who or what is to be deleted."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"nothing is stored that this deletion of kind {kind!r} could delete")
        self.kind = kind


class LinesRefused(LedgerError):
    """Some requests of a batch cannot be recorded, so none of it is.

    Attributes:
        faults: Why, by the place in the batch, from 0; the first comes first.
    """

    def __init__(self, faults: Mapping[int, LedgerError]) -> None:
        super().__init__(f"{len(faults)} requests of the batch cannot be recorded")
        self.faults = faults


class CallbackRefused(LedgerError):
    """A URL that no callback may go to."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"no callback can go to this URL: {reason}")
        self.reason = reason


class NotCancellable(LedgerError):
    """Work on the request has begun, or it has ended."""

    def __init__(self, request_id: UUID, state: str) -> None:
        super().__init__(f"deletion request {request_id} is {state}: only a pending one can be cancelled")
        self.request_id = request_id
        self.state = state


class NotRetriable(LedgerError):
    """The request is being worked on, waits its turn, or has ended."""

    def __init__(self, request_id: UUID) -> None:
        super().__init__(f"deletion request {request_id} does not rest: there is nothing to try again now")
        self.request_id = request_id


class RunNotFound(LedgerError):
    """No such run."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"there is no run {run_id}")
        self.run_id = run_id


class NotHeld(LedgerError):
    """The run has ended: there is nothing to release."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"run {run_id} has ended")
        self.run_id = run_id


class UnknownModel(LedgerError):
    """No model of that name is declared."""

    def __init__(self, model: str) -> None:
        super().__init__(f"there is no model {model!r}: train it first")
        self.model = model


class ModelKindChanged(LedgerError):
    """The name belongs to a model of another kind."""

    def __init__(self, model: str, declared: str, kind: str) -> None:
        super().__init__(f"model {model!r} is of kind {declared!r}, not {kind!r}: choose another name")
        self.model = model
        self.declared = declared
        self.kind = kind


class NothingToReturnTo(LedgerError):
    """No earlier generation of the model may come back, or not the one that was named.

    Attributes:
        model: Its name.
        version: Of the generation that was named.
    """

    def __init__(self, model: str, version: int | None) -> None:
        which = "no earlier generation" if version is None else f"no generation {version}"
        super().__init__(
            f"model {model!r} cannot be rolled back: {which} is kept and without data of a recorded deletion"
        )
        self.model = model
        self.version = version


class LeaseLost(LedgerError):
    """The run is no longer its owner's: it expired, ended, or another worker has it."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"run {run_id} is no longer leased to this worker")
        self.run_id = run_id


class PointerMoved(LeaseLost):
    """The model's current snapshot is not the run's parent any more."""

    def __init__(self, run_id: UUID, parent: str | None) -> None:
        super().__init__(run_id)
        self.args = (f"run {run_id} started from snapshot {parent}, which is no longer current",)
        self.parent = parent


class WatermarkFell(LeaseLost):
    """The child satisfies fewer erasures than the current snapshot."""

    def __init__(self, run_id: UUID, current: int, child: int) -> None:
        super().__init__(run_id)
        self.args = (f"run {run_id} would lower the erasure watermark from {current} to {child}",)
        self.current = current
        self.child = child


class StaleReplica(LedgerError):
    """A replica went back to a snapshot that satisfies fewer erasures, or came back with one.

    Attributes:
        required: The watermark it acknowledged before; after a silence, that of the current snapshot.
        watermark: The one it says it satisfies.
    """

    def __init__(self, replica_id: str, model: str, required: int, watermark: int) -> None:
        super().__init__(
            f"replica {replica_id} of model {model!r} satisfies erasure watermark {watermark}; {required} is required"
        )
        self.replica_id = replica_id
        self.model = model
        self.required = required
        self.watermark = watermark


class InvalidCursor(LedgerError):
    """A page cursor that this ledger never gave out."""

    def __init__(self) -> None:
        super().__init__("the cursor is not one that an earlier page gave out")


class UnknownScope(LedgerError):
    """An API key was to be given a right that does not exist."""

    def __init__(self, scope: str, known: tuple[str, ...]) -> None:
        super().__init__(f"there is no scope {scope!r}; known are {', '.join(known)}")
        self.scope = scope
        self.known = known


class SecretMissing(LedgerError):
    """A key file is not where it should be."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"the key file {path} is missing or unreadable")
        self.path = path


class SecretMalformed(LedgerError):
    """A key file cannot be read as a key."""

    def __init__(self, path: Path, expected: str) -> None:
        super().__init__(f"the key file {path} does not hold {expected}")
        self.path = path
        self.expected = expected


class ReceiptInvalid(LedgerError):
    """A receipt does not verify."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the receipt does not verify: {reason}")
        self.reason = reason


class CheckpointInvalid(LedgerError):
    """A checkpoint of the log does not verify."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the checkpoint does not verify: {reason}")
        self.reason = reason


class NoCheckpoint(LedgerError):
    """No checkpoint of the log was signed yet."""

    def __init__(self) -> None:
        super().__init__("no checkpoint of the log was signed yet")


class NoSuchEntry(LedgerError):
    """The log is not so long."""

    def __init__(self, index: int) -> None:
        super().__init__(f"the log has no entry {index}")
        self.index = index


class ProofOutOfRange(LedgerError):
    """A proof was asked for about more of the log than there is, or about none of it."""

    def __init__(self, size: int) -> None:
        super().__init__(f"there is no such proof about the first {size} entries of the log")
        self.size = size


class SubjectInUse(LedgerError):
    """A salt cannot be destroyed while a request about its subject is open."""

    def __init__(self) -> None:
        super().__init__("a deletion request about this subject has not ended: its salt is still needed")


class JournalAway(LedgerError):
    """The erasure journal cannot be read or written, so nothing may be answered that it would have to remember."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the erasure journal {path} cannot be used: {reason}")
        self.path = path
        self.reason = reason


class TracingRefused(LedgerError):
    """Traces are to be sent in a way that is not there.

    Attributes:
        variable: Which asks for it.
    """

    def __init__(self, variable: str, asked: str, there_is: str) -> None:
        super().__init__(f"{variable} is {asked!r}: there is only {there_is!r}")
        self.variable = variable
