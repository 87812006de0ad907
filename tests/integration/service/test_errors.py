"""What is said when something is wrong with a request, and what is never said."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx import Response
    from structlog.typing import EventDict

    from tests.integration.service.conftest import Deployment

PATH = "/v1/deletion-requests"
MARKER = "Zq7MARKER7qZ"
JSON = {"Content-Type": "application/json"}


def problem(answer: Response, status: int, slug: str) -> dict[str, Any]:
    """The problem document, which has to be one and of this kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document.keys() == {"type", "title", "status", "detail", "instance", "errors"}
    assert document["type"] == f"urn:alteraser:problem:{slug}"
    assert document["status"] == status
    assert document["instance"] == f"urn:uuid:{answer.headers['X-Trace-Id']}"
    return document


def pointers(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(part["in"], part["pointer"]) for part in document["errors"]}


@pytest.mark.parametrize("body", [b"{", b'{"subject": }', b"\xff\xfe", b"[" * 100_000, b'{"subject": "1"} x'])
def test_broken_json_is_a_bad_request(shared: Deployment, body: bytes) -> None:
    answer = shared.client.post(PATH, content=body, headers=shared.key() | JSON)
    problem(answer, 400, "malformed-json")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/xml"])
def test_a_body_of_another_type_is_refused(shared: Deployment, content_type: str) -> None:
    headers = shared.key() | {"Content-Type": content_type}
    answer = shared.client.post(PATH, content=b'{"subject": "1"}', headers=headers)
    problem(answer, 415, "unsupported-content-type")


def test_a_type_with_parameters_is_still_json(shared: Deployment) -> None:
    headers = shared.key() | {"Content-Type": "Application/JSON; charset=utf-8"}
    assert shared.client.post(PATH, content=b'{"subject": "2"}', headers=headers).status_code == 201


def test_a_body_over_the_limit_is_refused_announced_or_not(shared: Deployment) -> None:
    body = json.dumps({"subject": "1", "reason": "x" * 1024 * 1024}).encode()

    def unannounced() -> Iterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    for content in (body, unannounced()):
        answer = shared.client.post(PATH, content=content, headers=shared.key() | JSON)
        problem(answer, 413, "body-too-large")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ""),
        ({"subject": "1", "item": "2"}, ""),
        ({"subject": ""}, "/subject"),
        ({"subject": None}, "/subject"),
        ({"subject": 1}, "/subject"),
        ({"subject": "x" * 257}, "/subject"),
        ({"subject": "a\x00b"}, "/subject"),
        ({"subject": "1", "reason": ["x"]}, "/reason"),
        ({"subject": "1", "request_id": "not-a-uuid"}, "/request_id"),
        ({"interactions": []}, "/interactions"),
        ({"interactions": [{"user": "1"}]}, "/interactions/0/item"),
        ({"interactions": [{"user": "1", "item": "2"}, {"user": "2", "item": "2"}]}, ""),
        ({"subject": "1", "colour": "red"}, ""),
        ({"subject": "1", "callback_url": "https://example.com/a b"}, "/callback_url"),
        ([], ""),
        ("1", ""),
    ],
)
def test_an_invalid_body_is_told_where_it_is_wrong(shared: Deployment, body: Any, expected: str) -> None:
    document = problem(shared.client.post(PATH, json=body, headers=shared.key()), 422, "invalid-input")
    assert pointers(document) == {("body", expected)}


def test_a_lone_surrogate_is_no_string(shared: Deployment) -> None:
    answer = shared.client.post(PATH, content=b'{"subject": "\\ud800"}', headers=shared.key() | JSON)
    assert pointers(problem(answer, 422, "invalid-input")) == {("body", "/subject")}


def test_no_body_at_all_is_invalid(shared: Deployment) -> None:
    problem(shared.client.post(PATH, headers=shared.key()), 422, "invalid-input")


def test_invalid_parameters_are_told_by_place_and_name(shared: Deployment) -> None:
    query = {"n": "0", "min_version": "x", "exclude_seen": "perhaps"}
    answer = shared.client.get("/v1/users/1/recommendations", params=query, headers=shared.key())
    expected = {("query", "/n"), ("query", "/min_version"), ("query", "/exclude_seen")}
    assert pointers(problem(answer, 422, "invalid-input")) == expected
    answer = shared.client.get(f"{PATH}/not-a-uuid", headers=shared.key())
    assert pointers(problem(answer, 422, "invalid-input")) == {("path", "/request_id")}


def test_where_nothing_is_there_is_a_problem_too(shared: Deployment) -> None:
    problem(shared.client.get("/v2/anything", headers=shared.key()), 404, "no-such-page")
    problem(shared.client.get(f"{PATH}/", headers=shared.key()), 404, "no-such-page")
    answer = shared.client.put(PATH, json={}, headers=shared.key())
    problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) <= {"GET", "POST"}
    problem(shared.client.get(f"{PATH}/{uuid4()}", headers=shared.key()), 404, "request-not-found")
    problem(shared.client.get("/v1/models/none", headers=shared.key()), 404, "unknown-model")


def test_an_error_nobody_expected_is_told_without_its_message_and_logged_with_its_trace(
    shared: Deployment, logged: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(MARKER)

    monkeypatch.setattr("ledger.recording.record", fail)
    answer = shared.ask({"subject": "1"})
    document = problem(answer, 500, "unexpected")
    assert MARKER not in answer.text
    failures = [event for event in logged if event["event"] == "request_failed"]
    assert [event["error"] for event in failures] == ["RuntimeError"]
    assert failures[0]["trace"][-1].endswith(" fail")
    assert MARKER not in repr(failures)
    assert document["instance"].endswith(answer.headers["X-Trace-Id"])


def echoing_requests() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Requests that carry the marker in every place a request has."""
    m = MARKER
    bodies: list[Any] = [
        m,
        [m],
        {m: m},
        {"subject": m},
        {"subject": {m: m}},
        {"subject": [m]},
        {"item": m},
        {"interactions": m},
        {"interactions": {m: m}},
        {"interactions": [m]},
        {"interactions": [{m: m}]},
        {"interactions": [{"user": m, "item": {m: m}}]},
        {"interactions": [{"user": m, "item": m}, {"user": m + m, "item": m}]},
        {"subject": m, "reason": {m: m}},
        {"subject": m, "request_id": m},
        {"subject": m, "request_id": {m: m}},
        {"subject": m, "reason": m, m: m},
        {"subject": m, "item": m},
        {"subject": m * 100},
        {"subject": m + "\x00"},
        {"subject": m, "callback_url": f"http://{m}/"},
        {"subject": m, "callback_url": f"https://{m}@example.org/"},
        {"subject": m, "callback_url": f"https://127.0.0.1/{m}"},
        {"subject": m, "callback_url": f"{m} {m}"},
    ]
    for body in bodies:
        yield "POST", PATH, {"json": body}
    for content in (m, f'{{"subject": "{m}"', f'{{"{m}": \ud83d'):
        yield "POST", PATH, {"content": content.encode("utf-8", "surrogatepass"), "headers": JSON}
    yield "POST", PATH, {"content": m.encode(), "headers": {"Content-Type": f"text/{m}"}}
    yield "POST", PATH, {"content": (m * 100_000).encode(), "headers": JSON}
    yield "POST", PATH, {"json": {"subject": "1"}, "headers": {"Idempotency-Key": f"{m} {m}"}}
    yield (
        "POST",
        PATH,
        {"json": {"subject": "1", "request_id": str(uuid4())}, "headers": {"Idempotency-Key": m}},
    )
    yield "POST", PATH, {"json": {"subject": m}, "headers": {"Idempotency-Key": m}}
    yield "PUT", f"{PATH}/{m}", {"json": {m: m}}
    yield m, PATH, {}
    for name in ("Authorization", "Accept", "User-Agent", "X-Request-Id", "If-None-Match", "Cookie", m):
        yield "GET", PATH, {"headers": {name: m}}
    for scheme in ("Bearer", "Basic", m):
        yield "GET", "/ops", {"headers": {"Authorization": f"{scheme} {m}"}}
    for path in (f"{PATH}/{m}", f"{PATH}/{m}/receipt", f"/v1/models/{m}", f"/{m}", f"/v1/users/{m}/{m}"):
        yield "GET", path, {}
        yield "DELETE", path, {}
    for name in ("state", "overdue", "cursor", "limit", m):
        yield "GET", PATH, {"params": {name: m}}
    for name in ("n", "exclude_seen", "exclude", "candidates", "min_version", m):
        yield "GET", f"/v1/users/{m}/recommendations", {"params": {name: m}}
    yield "GET", f"{PATH}/{uuid4()}", {"params": {"wait": m}}


def echoing_batches() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Batches that do."""
    m = MARKER
    for line in (
        m,
        {m: m},
        {"subject": m},
        {"subject": m, "request_id": m},
        {"subject": m, "idempotency_key": m, "request_id": str(uuid4())},
        {"subject": m, "callback_url": f"http://{m}/"},
    ):
        yield "POST", f"{PATH}:batch", {"json": {"requests": [{"subject": "1"}, line]}}


def test_no_answer_and_no_log_line_repeats_what_was_sent(
    shared: Deployment, logged: list[EventDict], capfd: pytest.CaptureFixture[str]
) -> None:
    key = shared.key()
    assert shared.ask({"subject": "1"}, **{"Idempotency-Key": MARKER}).status_code == 201
    for method, path, rest in chain(echoing_requests(), echoing_batches()):
        headers = key | rest.pop("headers", {})
        answer = shared.client.request(method, path, headers=headers, **rest)
        told = answer.text + json.dumps(dict(answer.headers))
        assert MARKER not in told, (method, path, rest, told)
        assert answer.status_code >= 400 or (method, answer.status_code) == ("GET", 200), (path, rest)
    metrics = shared.client.get("/metrics", headers=key).text
    printed = "".join(capfd.readouterr())
    for text in (metrics, printed, repr(logged)):
        assert MARKER not in text
