"""Batches of deletion requests over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from service.body_guard import BATCH_LIMIT_BYTES, LIMIT_BYTES
from service.schemas.batches import LINES_LIMIT
from tests.integration.service.conftest import OTHER_USER, STRANGER, USER

if TYPE_CHECKING:
    from httpx import Response

    from tests.integration.service.conftest import Deployment

PATH = "/v1/deletion-requests:batch"


def batch(deployment: Deployment, *lines: dict[str, Any]) -> Response:
    return deployment.client.post(PATH, json={"requests": list(lines)}, headers=deployment.key("deletion:create"))


def test_a_batch_is_answered_with_a_place_for_every_line_and_goes_to_receipts(deployment: Deployment) -> None:
    answer = batch(deployment, {"subject": USER, "request_id": str(uuid4())}, {"subject": OTHER_USER})
    assert answer.status_code == 201, answer.text
    results = answer.json()["results"]
    assert [each["replayed"] for each in results] == [False, False]
    nobody = deployment.items(STRANGER)
    assert deployment.items(USER) == deployment.items(OTHER_USER) == nobody
    assert {deployment.parts.journal.line(each).get("event") for each in deployment.parts.journal.read().recorded} == {
        "recorded"
    }
    assert deployment.unlearn() is not None
    assert deployment.complete() == 2
    for each in results:
        assert each["status"] == f"/v1/deletion-requests/{each['id']}"
        found = deployment.client.get(each["status"], headers=deployment.key("deletion:read")).json()
        assert found["state"] == "completed"


def test_the_same_batch_again_replays_and_a_line_may_replay_a_single_request(deployment: Deployment) -> None:
    single = deployment.ask({"subject": USER}, **{"Idempotency-Key": "order-1"}).json()["id"]
    lines = [{"subject": USER, "idempotency_key": "order-1"}, {"subject": OTHER_USER, "idempotency_key": "order-2"}]
    first, again = (batch(deployment, *lines).json()["results"] for _ in range(2))
    assert [each["id"] for each in first] == [each["id"] for each in again]
    assert ([each["replayed"] for each in first], [each["replayed"] for each in again]) == ([True, False], [True, True])
    assert first[0]["id"] == single
    assert len(deployment.parts.journal.read().recorded) == 2


def test_a_line_about_nobody_keeps_the_batch_out_and_is_pointed_to(deployment: Deployment) -> None:
    answer = batch(deployment, {"subject": USER}, {"subject": STRANGER}, {"item": STRANGER})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"].endswith("unknown-subject")
    assert [each["pointer"] for each in problem["errors"]] == ["/requests/1", "/requests/2"]
    assert STRANGER not in answer.text
    assert deployment.sql("SELECT count(*) FROM deletion_requests") == 0


def test_a_key_with_another_body_is_pointed_to(deployment: Deployment) -> None:
    key = str(uuid4())
    answer = batch(deployment, {"subject": USER, "request_id": key}, {"subject": OTHER_USER, "request_id": key})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:alteraser:problem:key-reused")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/requests/1"]


@pytest.mark.parametrize(
    ("line", "pointer"),
    [
        ({"subject": ""}, "/requests/1/subject"),
        ({}, "/requests/1"),
        ({"subject": USER, "request_id": str(uuid4()), "idempotency_key": "another"}, "/requests/1"),
        ({"subject": USER, "surname": STRANGER}, "/requests/1"),
    ],
)
def test_a_line_that_is_not_valid_is_pointed_to(shared: Deployment, line: dict[str, Any], pointer: str) -> None:
    answer = batch(shared, {"subject": USER}, line)
    assert answer.status_code == 422, answer.text
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert STRANGER not in answer.text


@pytest.mark.parametrize(
    "url", ["http://example.org/", "https://127.0.0.1/", "https://[::1]/", "https://me:secret@example.org/", "ftp://x/"]
)
def test_a_callback_to_where_none_may_go_is_pointed_to(shared: Deployment, url: str) -> None:
    answer = batch(shared, {"subject": USER}, {"subject": USER, "callback_url": url})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:alteraser:problem:callback-refused")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/requests/1"]
    single = shared.ask({"subject": USER, "callback_url": url})
    assert (single.status_code, single.json()["type"]) == (422, "urn:alteraser:problem:callback-refused")
    assert url not in answer.text + single.text


def test_a_batch_has_a_line_and_at_most_ten_thousand(shared: Deployment) -> None:
    assert batch(shared).status_code == 422
    assert batch(shared, *([{}] * (LINES_LIMIT + 1))).json()["errors"][0]["pointer"] == "/requests"


def test_a_batch_may_be_larger_than_another_body_and_not_without_end(shared: Deployment) -> None:
    line = {"subject": STRANGER, "reason": "r" * 1000}
    assert batch(shared, *([line] * (LIMIT_BYTES // 1000))).status_code == 404
    assert batch(shared, *([line] * (BATCH_LIMIT_BYTES // 1000))).status_code == 413


def test_a_batch_needs_the_scope(shared: Deployment) -> None:
    headers = shared.key("deletion:read")
    assert shared.client.post(PATH, json={"requests": [{"subject": USER}]}, headers=headers).status_code == 403
