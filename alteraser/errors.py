"""Everything that can go wrong in the algorithm's package.

    AlteraserError
    ├── DataError                   interaction data that cannot be read
    │   ├── NoSuchData              the path is not there
    │   ├── UnknownLayout           a folder or file of no known form
    │   ├── EmptyFile               a file without one interaction
    │   ├── MissingColumn           no column holds the user, the item or a named column
    │   ├── MalformedLine           a line (or Parquet row) that is not an interaction
    │   └── UnreadableFile          a file that breaks its own format elsewhere
    ├── InvalidInteractions         arrays or ids that are no interaction matrix
    ├── VocabularyMismatch          two vocabularies that should agree do not
    ├── ImpossibleSize              synthetic data that cannot exist in the size asked for
    ├── SnapshotError
    │   ├── SnapshotInconsistent    parameters that do not fit their interactions
    │   ├── SnapshotMissing         no such snapshot in the folder
    │   ├── SnapshotCorrupt         a file is not what the digest promised
    │   ├── SnapshotUnsupported     written in a format this version does not read
    │   └── SnapshotNotDestroyed    something of it is still on disk
    ├── KindError
    │   ├── UnknownKind             no model kind of that name
    │   ├── KindClaimedTwice        two installed kinds have one name
    │   ├── KindNotLoaded           an installed kind cannot be used
    │   └── InvalidScore            a kind's score is not one number a pair
    ├── HyperparameterError
    │   ├── UnknownHyperparameter
    │   └── InvalidHyperparameter
    ├── UnknownCrashPoint           no point of that name at which a test could end the process
    └── NotConverged                a solver stopped before its tolerance

No message ever holds what a line, a row or a request contained: identities must not reach a log.
"""

from __future__ import annotations

from pathlib import Path


class AlteraserError(Exception):
    """The root of the tree."""


class DataError(AlteraserError):
    """Interaction data that cannot be read.

    Attributes:
        path: The file or folder.
    """

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class NoSuchData(DataError):
    """The path is not there."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "there is no such file or folder")


class UnknownLayout(DataError):
    """A folder or file of no known form."""

    def __init__(self, path: Path, expected: str) -> None:
        super().__init__(path, f"not in a known form: expected {expected}")
        self.expected = expected


class EmptyFile(DataError):
    """A file without one interaction."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "holds no interaction")


class MissingColumn(DataError):
    """No column holds the user, the item or a column that was named.

    Attributes:
        role: What the column should hold: ``user``, ``item``, ``rating`` or ``time``.
        names: The names it was looked for under.
    """

    def __init__(self, path: Path, role: str, names: tuple[str, ...]) -> None:
        super().__init__(path, f"the header names no column for the {role} (looked for: {', '.join(names)})")
        self.role = role
        self.names = names


class MalformedLine(DataError):
    """A line that is not an interaction; in a Parquet file, a row.

    Attributes:
        line_number: Counted from 1, the header included.
        reason: What is wrong, without the content of the line.
    """

    def __init__(self, path: Path, line_number: int, reason: str) -> None:
        super().__init__(path, f"line {line_number}: {reason}")
        self.line_number = line_number
        self.reason = reason


class UnreadableFile(DataError):
    """A file that breaks its own format in a way no single line explains."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.reason = reason


class InvalidInteractions(AlteraserError):
    """Arrays or ids that are no interaction matrix."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not an interaction matrix: {reason}")
        self.reason = reason


class VocabularyMismatch(AlteraserError):
    """Two vocabularies that should agree do not.

    Attributes:
        n_missing: How many ids of the one the other lacks.
    """

    def __init__(self, n_missing: int) -> None:
        super().__init__(f"{n_missing} ids are missing from the vocabulary they are looked up in")
        self.n_missing = n_missing


class ImpossibleSize(AlteraserError):
    """Synthetic data that cannot exist in the size asked for."""

    def __init__(self, n_users: int, n_items: int, n_interactions: int) -> None:
        super().__init__(
            f"{n_users} users and {n_items} items cannot share {n_interactions} distinct interactions "
            f"with at least one each: ask for {n_users} to {n_users * n_items}"
        )
        self.n_users = n_users
        self.n_items = n_items
        self.n_interactions = n_interactions


class SnapshotError(AlteraserError):
    """A snapshot that cannot be written, read or destroyed."""


class SnapshotInconsistent(SnapshotError):
    """Parameters that do not fit the interactions they come with."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"parameters do not fit their interactions: {reason}")
        self.reason = reason


class SnapshotMissing(SnapshotError):
    """No such snapshot in the folder."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"there is no snapshot {digest}")
        self.digest = digest


class SnapshotCorrupt(SnapshotError):
    """A file of the snapshot is not what the digest promised.

    Attributes:
        file: Name of the first file that differs.
    """

    def __init__(self, digest: str, file: str) -> None:
        super().__init__(f"snapshot {digest}: {file} is not what was written")
        self.digest = digest
        self.file = file


class SnapshotUnsupported(SnapshotError):
    """A snapshot in a format this version does not read."""

    def __init__(self, digest: str, found: int, supported: int) -> None:
        super().__init__(f"snapshot {digest} has format {found}; this version reads format {supported}")
        self.digest = digest
        self.found = found
        self.supported = supported


class SnapshotNotDestroyed(SnapshotError):
    """Something of a snapshot that should be gone is still on disk."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"snapshot {digest} is not destroyed: files of it are left")
        self.digest = digest


class KindError(AlteraserError):
    """A model kind that cannot be found or cannot work."""


class UnknownKind(KindError):
    """No model kind of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no model kind named {name!r}")
        self.name = name


class KindClaimedTwice(KindError):
    """Two installed kinds have one name.

    Attributes:
        name: The name.
        claimants: Where each of them comes from.
    """

    def __init__(self, name: str, claimants: tuple[str, ...]) -> None:
        super().__init__(f"several model kinds are named {name!r}: {', '.join(claimants)}")
        self.name = name
        self.claimants = claimants


class KindNotLoaded(KindError):
    """An installed kind cannot be used.

    Attributes:
        name: Its name.
        source: The object its entry point names.
        reason: What is wrong with it.
    """

    def __init__(self, name: str, source: str, reason: str) -> None:
        super().__init__(f"model kind {name!r} ({source}) cannot be loaded: {reason}")
        self.name = name
        self.source = source
        self.reason = reason


class InvalidScore(KindError):
    """A kind's score is not one number a pair.

    Attributes:
        shape: What it returned.
        n_pairs: For so many pairs.
    """

    def __init__(self, shape: tuple[int, ...], n_pairs: int) -> None:
        super().__init__(f"a score of {n_pairs} pairs must have the shape ({n_pairs},), not {shape}")
        self.shape = shape
        self.n_pairs = n_pairs


class HyperparameterError(AlteraserError):
    """A hyper-parameter the model kind refuses.

    Attributes:
        name: Which one.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class UnknownHyperparameter(HyperparameterError):
    """The model kind has no hyper-parameter of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"there is no hyper-parameter named {name!r}")


class InvalidHyperparameter(HyperparameterError):
    """A value the model kind cannot work with."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, f"hyper-parameter {name!r}: {reason}")
        self.reason = reason


class UnknownCrashPoint(AlteraserError):
    """No point of that name at which a test could end the process.

    Attributes:
        known: Those there are.
    """

    def __init__(self, spelled: str, known: tuple[str, ...]) -> None:
        super().__init__(f"{spelled!r} is not POINT, POINT:PASSES or POINT:PASSES:stop; points are {', '.join(known)}")
        self.known = known


class NotConverged(AlteraserError):
    """A solver stopped before its tolerance.

    Attributes:
        phase: What it was doing.
        residual: Relative gradient norm it reached.
        tolerance: Relative gradient norm it had to reach.
        steps: How many steps it took.
    """

    def __init__(self, phase: str, residual: float, tolerance: float, steps: int) -> None:
        super().__init__(f"{phase}: residual {residual:.3g} after {steps} steps, tolerance {tolerance:.3g} not reached")
        self.phase = phase
        self.residual = residual
        self.tolerance = tolerance
        self.steps = steps
