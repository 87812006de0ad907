"""Problem documents (RFC 9457): every error this service answers with, and nothing of what it was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from ledger.errors import LinesRefused
from service.errors import (
    ANSWERS,
    BY_STATUS,
    INVALID_INPUT,
    MALFORMED_JSON,
    Answer,
    NotAuthenticated,
    ScopeMissing,
    answer_to,
)
from service.phrases import phrase, place, pointer

MEDIA_TYPE = "application/problem+json"
_UNTOLD_ID = "00000000-0000-0000-0000-000000000000"


class InvalidPart(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    place: str = Field(alias="in", description="`body`, `query`, `path` or `header`.")
    pointer: str = Field(description="JSON pointer to it within its place.")
    detail: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """An error, told the way RFC 9457 says."""

    type: str = Field(description="Names the kind of problem.")
    title: str = Field(description="The kind of problem in words, the same every time.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    detail: str = Field(description="What can be done about it.")
    instance: str = Field(description="Names this occurrence; the service's log has it under the same id.")
    errors: list[InvalidPart] = Field(default=[], description="What is wrong, part by part.")


def problem(
    answer: Answer,
    trace_id: str,
    *,
    parts: Sequence[InvalidPart] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The response that tells `answer`."""
    content = _document(answer, trace_id, parts).model_dump(mode="json")
    retry = {} if answer.retry_after_s is None else {"Retry-After": str(answer.retry_after_s)}
    all_headers = {**retry, **(headers or {})}
    return JSONResponse(content, int(answer.status), headers=all_headers, media_type=MEDIA_TYPE)


def answer_with_problems(app: FastAPI) -> None:
    """Make every error that `app` meets a problem document."""
    for kind in ANSWERS:
        app.add_exception_handler(kind, _known)
    app.add_exception_handler(LinesRefused, _refused_lines)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def documented(*kinds: type[Exception]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an operation that may end in these errors, for OpenAPI."""
    responses: dict[int | str, dict[str, Any]] = {}
    for answer in map(answer_to, kinds):
        response = responses.setdefault(int(answer.status), _response(answer))
        response["content"][MEDIA_TYPE]["examples"][answer.slug] = _example(answer)
    return responses


def documented_with_key(*kinds: type[Exception]) -> dict[int | str, dict[str, Any]]:
    """Like `documented`, for an operation that needs a key, reads input and asks the database."""
    return documented(NotAuthenticated, ScopeMissing, RequestValidationError, OperationalError, Exception, *kinds)


def _known(request: Request, error: Exception) -> JSONResponse:
    headers = {"WWW-Authenticate": error.challenge} if isinstance(error, NotAuthenticated) else None
    return problem(answer_to(type(error)), request.state.trace_id, headers=headers)


def _refused_lines(request: Request, error: Exception) -> JSONResponse:
    """What the first refused line of a batch would be told alone, and where each of them is."""
    faults = error.faults if isinstance(error, LinesRefused) else {}
    answers = {number: answer_to(type(fault)) for number, fault in faults.items()}
    parts = [
        InvalidPart(place="body", pointer=f"/requests/{number}", detail=answer.title)
        for number, answer in answers.items()
    ]
    return problem(next(iter(answers.values())), request.state.trace_id, parts=parts)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    if any(fault["type"] == "json_invalid" for fault in faults):
        return problem(MALFORMED_JSON, request.state.trace_id)
    parts = [InvalidPart(place=place(fault), pointer=pointer(fault), detail=phrase(fault)) for fault in faults]
    return problem(INVALID_INPUT, request.state.trace_id, parts=parts)


def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    return problem(_answer_for_status(error.status_code), request.state.trace_id, headers=error.headers)


def _answer_for_status(status_code: int) -> Answer:
    status = HTTPStatus(status_code)
    return BY_STATUS.get(status, Answer(status, "refused", status.phrase, status.description))


def _document(answer: Answer, trace_id: str, parts: Sequence[InvalidPart]) -> Problem:
    return Problem(
        type=f"urn:alteraser:problem:{answer.slug}",
        title=answer.title,
        status=answer.status,
        detail=answer.detail,
        instance=f"urn:uuid:{trace_id}",
        errors=list(parts),
    )


def _response(answer: Answer) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    response: dict[str, Any] = {
        "description": answer.title,
        "content": {MEDIA_TYPE: {"schema": schema, "examples": {}}},
    }
    if answer.retry_after_s is not None:
        response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    if answer.status == HTTPStatus.UNAUTHORIZED:
        response["headers"] = {"WWW-Authenticate": {"description": "How to identify.", "schema": {"type": "string"}}}
    return response


def _example(answer: Answer) -> dict[str, Any]:
    document = _document(answer, _UNTOLD_ID, [])
    return {"summary": answer.title, "value": document.model_dump(mode="json")}
