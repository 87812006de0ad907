"""What can go wrong in the web process, and the one table from error to HTTP status.

    ServiceError
    ├── NotAuthenticated            no API key, or one that is unknown or revoked
    ├── ScopeMissing                the key is good, but not for this
    ├── ForgedForm                  a form that no page of the caller's session sent
    ├── BodyTooLarge                more bytes than one request may have
    ├── UnsupportedContentType      a body that is not declared to be JSON
    ├── KeysDiffer                  `Idempotency-Key` and `request_id` name two different keys
    ├── NothingPublished            no model has been published yet
    ├── ReplicaBehind               this process serves an older version than the caller asked for
    ├── ReceiptNotIssued            the request is not completed, so it has no receipt
    ├── ProofUnclear                neither or both of the two things there are proofs of
    ├── SnapshotRefused             a snapshot this replica must not serve
    │   └── WatermarkTooLow         it satisfies fewer erasures than the one being served or the one promised
    └── StartRefused                the process cannot start
        ├── PortInUse
        └── AddressUnavailable

Titles and details are fixed text: an answer never repeats what was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from json import JSONDecodeError

from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ledger.errors import (
    CallbackRefused,
    InvalidCursor,
    JournalAway,
    KeyReused,
    NoCheckpoint,
    NoSuchEntry,
    NotCancellable,
    NotHeld,
    NotRetriable,
    ProofOutOfRange,
    RequestNotFound,
    RunNotFound,
    UnknownModel,
    UnknownSubject,
)


class ServiceError(Exception):
    """The root of the tree."""


class NotAuthenticated(ServiceError):
    """No API key, or one that is unknown or revoked.

    Attributes:
        challenge: The `WWW-Authenticate` header that tells how to send one.
    """

    def __init__(self, challenge: str) -> None:
        super().__init__("no API key, or one that is unknown or revoked")
        self.challenge = challenge


class ScopeMissing(ServiceError):
    """The key is good, but not for this.

    Attributes:
        scopes: Any one of these would do.
    """

    def __init__(self, scopes: tuple[str, ...]) -> None:
        super().__init__(f"needs one of the scopes {', '.join(scopes)}")
        self.scopes = scopes


class ForgedForm(ServiceError):
    """A form that no page of the caller's session sent."""


class BodyTooLarge(ServiceError):
    """More bytes than one request may have."""


class UnsupportedContentType(ServiceError):
    """A body that is not declared to be JSON."""


class KeysDiffer(ServiceError):
    """`Idempotency-Key` and `request_id` name two different keys."""


class NothingPublished(ServiceError):
    """No model has been published yet, or this process has not loaded it yet."""


class ReplicaBehind(ServiceError):
    """This process serves an older version than the caller asked for.

    Attributes:
        version: The version being served.
    """

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} is being served")
        self.version = version


class ReceiptNotIssued(ServiceError):
    """The request is not completed, so it has no receipt."""


class ProofUnclear(ServiceError):
    """Neither or both of the two things there are proofs of were named."""


class SnapshotRefused(ServiceError):
    """A snapshot this replica must not serve."""


class WatermarkTooLow(SnapshotRefused):
    """It satisfies fewer erasures than the one being served or the one promised.

    Attributes:
        model: Whose snapshot it is.
        offered: Its watermark.
        required: The lowest watermark that may be served.
    """

    def __init__(self, model: str, offered: int, required: int) -> None:
        super().__init__(f"snapshot of model {model!r} has watermark {offered}, at least {required} is required")
        self.model = model
        self.offered = offered
        self.required = required


class StartRefused(ServiceError):
    """The process cannot start."""


class PortInUse(StartRefused):
    """Another process listens on the address.

    Attributes:
        host: The address asked for.
        port: The port asked for.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"port {port} on {host} is in use by another process: stop it, or choose another with "
            "ALTERASER_SERVICE_PORT"
        )
        self.host = host
        self.port = port


class AddressUnavailable(StartRefused):
    """The address cannot be listened on.

    Attributes:
        host: The address asked for.
        port: The port asked for.
        reason: What the operating system said.
    """

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on port {port} of {host}: {reason}")
        self.host = host
        self.port = port
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """How an error is told to a client.

    Attributes:
        status: The HTTP status.
        slug: Names the kind of problem; ends its `type` URI.
        title: The same for every occurrence.
        detail: What the caller can do about it.
        retry_after_s: Seconds after which trying again makes sense; None where it does not.
    """

    status: HTTPStatus
    slug: str
    title: str
    detail: str
    retry_after_s: int | None = None


MALFORMED_JSON = Answer(
    HTTPStatus.BAD_REQUEST,
    "malformed-json",
    "The body is not JSON",
    "Send one JSON object, encoded as UTF-8.",
)
INVALID_INPUT = Answer(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "invalid-input",
    "The request is not valid",
    "Each entry of `errors` points to one thing that is wrong.",
)
UNEXPECTED = Answer(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "unexpected",
    "Something went wrong here",
    "The cause is in the service's log, under the id in `instance`.",
)
DATABASE_AWAY = Answer(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "database-away",
    "The database cannot be reached",
    "Try again. Where an idempotency key was sent, sending the same request again is safe.",
    retry_after_s=1,
)

ANSWERS: dict[type[Exception], Answer] = {
    NotAuthenticated: Answer(
        HTTPStatus.UNAUTHORIZED,
        "not-authenticated",
        "An API key is needed",
        "Send `Authorization: Bearer <key>` with a key that is known and not revoked.",
    ),
    ScopeMissing: Answer(
        HTTPStatus.FORBIDDEN,
        "scope-missing",
        "The API key does not allow this",
        "Use a key that has the scope named in this operation's description.",
    ),
    ForgedForm: Answer(
        HTTPStatus.FORBIDDEN,
        "forged-form",
        "This form was not sent by a page of yours",
        "Open the page again and send the form from there, or send the key as `Authorization: Bearer <key>`.",
    ),
    BodyTooLarge: Answer(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body-too-large",
        "The body is too large",
        "A body may have at most 1 MiB, that of a batch 4 MiB. Divide it into several requests.",
    ),
    UnsupportedContentType: Answer(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported-content-type",
        "The body is not declared to be JSON",
        "Send `Content-Type: application/json`.",
    ),
    KeysDiffer: Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "keys-differ",
        "Two different idempotency keys",
        "`Idempotency-Key` and `request_id` must be equal where both are given.",
    ),
    KeyReused: Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "key-reused",
        "The idempotency key belongs to another request",
        "This key was used with another body. Choose a new key for a new request.",
    ),
    CallbackRefused: Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "callback-refused",
        "No callback can go to this URL",
        "It must be an https URL of a public host, without name and password, of at most 2048 characters.",
    ),
    InvalidCursor: Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid-cursor",
        "The cursor is not valid",
        "Use the `next` of the page before, or leave the cursor out to begin again.",
    ),
    UnknownSubject: Answer(
        HTTPStatus.NOT_FOUND,
        "unknown-subject",
        "There is nothing to delete",
        "No interaction of this subject, of this item, or of one of these pairs is held.",
    ),
    RequestNotFound: Answer(
        HTTPStatus.NOT_FOUND,
        "request-not-found",
        "There is no such deletion request",
        "Check the id. Requests are visible to keys of the tenant that made them.",
    ),
    NotCancellable: Answer(
        HTTPStatus.CONFLICT,
        "not-cancellable",
        "The request can no longer be cancelled",
        "Only a pending request can be cancelled.",
    ),
    NotRetriable: Answer(
        HTTPStatus.CONFLICT,
        "not-retriable",
        "There is nothing to try again",
        "The request is being worked on, waits its turn, or has ended. Only one that failed or rests can be tried now.",
    ),
    RunNotFound: Answer(HTTPStatus.NOT_FOUND, "run-not-found", "There is no such run", "`/ops/runs` lists the runs."),
    NotHeld: Answer(
        HTTPStatus.CONFLICT,
        "not-held",
        "The run has ended",
        "Only a live run can be released.",
    ),
    ReceiptNotIssued: Answer(
        HTTPStatus.CONFLICT,
        "receipt-not-issued",
        "There is no receipt yet",
        "A receipt is issued when the request is completed: wait for `completed_at`.",
    ),
    NoCheckpoint: Answer(
        HTTPStatus.NOT_FOUND,
        "no-checkpoint",
        "The log has no checkpoint yet",
        "One is signed some seconds after the first entry: try again then.",
    ),
    NoSuchEntry: Answer(
        HTTPStatus.NOT_FOUND,
        "no-such-entry",
        "The log has no such entry",
        "Entries are counted from 0; the checkpoint says how many there are.",
    ),
    ProofOutOfRange: Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "proof-out-of-range",
        "There is no such proof",
        "`index` must be below `size`, `first` at most `size`, and `size` at most the length of the log.",
    ),
    ProofUnclear: Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "proof-unclear",
        "It is unclear what to prove",
        "Name `index` to prove that an entry is there, or `first` to prove that the log was extended.",
    ),
    UnknownModel: Answer(
        HTTPStatus.NOT_FOUND, "unknown-model", "There is no such model", "`GET /v1/models` lists the models."
    ),
    NothingPublished: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "nothing-published",
        "There is no model to recommend with yet",
        "Train a model first. Where one was just published, try again in a second.",
        retry_after_s=1,
    ),
    ReplicaBehind: Answer(
        HTTPStatus.PRECONDITION_FAILED,
        "replica-behind",
        "This replica serves an older version",
        "Try again in a second, or with a lower `min_version`.",
        retry_after_s=1,
    ),
    JournalAway: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "journal-away",
        "The erasure journal cannot be read or written",
        "Try again. Where an idempotency key was sent, sending the same request again is safe.",
        retry_after_s=1,
    ),
    RequestValidationError: INVALID_INPUT,
    JSONDecodeError: MALFORMED_JSON,
    OperationalError: DATABASE_AWAY,
    InterfaceError: DATABASE_AWAY,
    PoolTimeout: DATABASE_AWAY,
}

BY_STATUS: dict[HTTPStatus, Answer] = {
    HTTPStatus.BAD_REQUEST: MALFORMED_JSON,
    HTTPStatus.UNAUTHORIZED: ANSWERS[NotAuthenticated],
    HTTPStatus.NOT_FOUND: Answer(
        HTTPStatus.NOT_FOUND, "no-such-page", "There is nothing here", "`/openapi.json` lists every path."
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: Answer(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "The method is not allowed here",
        "The `Allow` header lists the methods that are.",
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ANSWERS[BodyTooLarge],
}


def answer_to(error: type[Exception]) -> Answer:
    """How this kind of error is told: as itself, as the nearest ancestor in the table, or as unexpected."""
    return next((ANSWERS[kind] for kind in error.__mro__ if kind in ANSWERS), UNEXPECTED)
