"""Deletion requests over HTTP: made, replayed, followed, listed, cancelled, proven."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from ledger import receipts
from tests.integration.service.conftest import OTHER_USER, USER

if TYPE_CHECKING:
    from tests.integration.service.conftest import Deployment

PATH = "/v1/deletion-requests"


def test_a_request_is_answered_with_its_place_and_the_first_of_four_clocks(deployment: Deployment) -> None:
    answer = deployment.ask({"subject": USER, "reason": "asked by mail"})
    assert answer.status_code == 201
    status = answer.json()
    assert answer.headers["Location"] == status["links"]["self"] == f"{PATH}/{status['id']}"
    assert (status["kind"], status["state"], status["attempts"]) == ("subject", "pending", 0)
    assert status["recorded_at"].endswith("Z")
    assert status["suppressed_at"] is status["unlearned_at"] is status["completed_at"] is None
    assert [asked["state"] for asked in status["models"]] == ["pending"]
    assert USER not in status["links"]["self"].split("/")


def test_the_four_clocks_of_a_subject_strike_in_order_and_end_in_a_receipt(deployment: Deployment) -> None:
    link = deployment.ask({"subject": USER}).headers["Location"]
    assert deployment.unlearn() is not None
    assert deployment.complete() == 1
    status = deployment.client.get(link, headers=deployment.key("deletion:read")).json()
    clocks = [status[f"{name}_at"] for name in ("recorded", "suppressed", "unlearned", "completed")]
    assert None not in clocks
    assert clocks == sorted(clocks)
    assert status["models"][0]["state"] == "published"
    assert status["models"][0]["snapshot"] == deployment.parts.replica.serving().digest
    proof = deployment.client.get(f"{link}/receipt", headers=deployment.key("deletion:read"))
    assert proof.headers["Content-Type"] == "application/jose"
    keys = deployment.client.get("/.well-known/jwks.json").json()
    assert receipts.verify(proof.text, keys)["request_id"] == status["id"]
    assert deployment.seen(USER) == set()


@pytest.mark.parametrize("kind", ["interactions", "item"])
def test_the_other_kinds_reach_completion_too(deployment: Deployment, kind: str) -> None:
    item = sorted(deployment.seen(USER))[0]
    body = {"item": item} if kind == "item" else {"interactions": [{"user": USER, "item": item}]}
    answer = deployment.ask(body)
    assert answer.status_code == 201, answer.text
    deployment.unlearn()
    assert deployment.complete() == 1
    assert item not in deployment.seen(USER)
    if kind == "item":
        assert item not in deployment.items(OTHER_USER, n=1000, exclude_seen=False)
    else:
        assert item in deployment.items(USER, n=1000)


def test_the_certificate_follows_the_publish_and_stands_in_the_status(deployment: Deployment) -> None:
    link = deployment.ask({"subject": USER}).headers["Location"]
    headers = deployment.key("deletion:read")
    deployment.unlearn()
    (published,) = deployment.client.get(link, headers=headers).json()["models"]
    assert (published["state"], published["certificate"], published["uncertified"]) == ("published", None, None)
    deployment.complete()
    (certified,) = deployment.client.get(link, headers=headers).json()["models"]
    assert certified["certificate"]["rank"] > 0
    assert certified["certificate"]["distance"] > 0
    assert certified["uncertified"] is None


def test_why_there_is_no_certificate_stands_in_the_status(deployment: Deployment) -> None:
    link = deployment.ask({"subject": USER}).headers["Location"]
    deployment.unlearn()
    deployment.sql("UPDATE runs SET uncertified = 'no such proof' WHERE purpose = 'unlearn'")
    (model,) = deployment.client.get(link, headers=deployment.key("deletion:read")).json()["models"]
    assert (model["certificate"], model["uncertified"]) == (None, "no such proof")


def test_without_a_receipt_yet_the_receipt_is_a_conflict(deployment: Deployment) -> None:
    link = deployment.ask({"subject": USER}).headers["Location"]
    answer = deployment.client.get(f"{link}/receipt", headers=deployment.key())
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("receipt-not-issued")


def test_the_same_key_and_body_get_the_first_answer_again_byte_for_byte(deployment: Deployment) -> None:
    first = deployment.ask({"subject": USER}, **{"Idempotency-Key": "order-1"})
    deployment.unlearn()
    deployment.complete()
    again = deployment.ask({"subject": USER}, **{"Idempotency-Key": '"order-1"'})
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Location"] == first.headers["Location"]
    assert deployment.sql("SELECT count(*) FROM deletion_requests") == 1


def test_the_body_can_carry_the_key_and_the_header_may_repeat_it(deployment: Deployment) -> None:
    key = str(uuid4())
    first = deployment.ask({"subject": USER, "request_id": key})
    again = deployment.ask({"subject": USER, "request_id": key.upper()}, **{"Idempotency-Key": key})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content


def test_two_different_keys_are_refused(deployment: Deployment) -> None:
    answer = deployment.ask({"subject": USER, "request_id": str(uuid4())}, **{"Idempotency-Key": "another"})
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("keys-differ")


def test_a_key_with_another_body_is_refused(deployment: Deployment) -> None:
    deployment.ask({"subject": USER}, **{"Idempotency-Key": "order-1"})
    answer = deployment.ask({"subject": OTHER_USER}, **{"Idempotency-Key": "order-1"})
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("key-reused")


def test_callers_who_send_one_key_at_once_make_one_request(deployment: Deployment) -> None:
    headers = deployment.key() | {"Idempotency-Key": "order-1"}
    body = {"subject": USER}
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(deployment.client.post, PATH, json=body, headers=headers) for _ in range(8)]
        answers = [each.result(30) for each in asked]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert deployment.sql("SELECT count(*) FROM deletion_requests") == 1


def test_without_a_key_a_second_request_for_the_same_subject_is_its_own(deployment: Deployment) -> None:
    ids = {deployment.ask({"subject": USER}).json()["id"] for _ in range(2)}
    assert len(ids) == 2


def test_who_is_not_held_cannot_be_forgotten(deployment: Deployment) -> None:
    for body in (
        {"subject": "nobody"},
        {"item": "nothing"},
        {"interactions": [{"user": "nobody", "item": "1"}]},
    ):
        answer = deployment.ask(body)
        assert answer.status_code == 404
        assert answer.json()["type"].endswith("unknown-subject")


def test_without_a_model_forgetting_ends_with_the_rows(untrained: Deployment) -> None:
    answer = untrained.ask({"subject": USER}, **{"Idempotency-Key": "k"})
    assert answer.json()["state"] == "unlearned"
    assert untrained.seen(USER) == set()
    assert untrained.ask({"subject": USER}, **{"Idempotency-Key": "k"}).content == answer.content


def test_a_long_poll_answers_when_the_request_ends(deployment: Deployment) -> None:
    link = deployment.ask({"subject": USER}).headers["Location"]
    headers = deployment.key("deletion:read")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(deployment.client.get, link, params={"wait": 30}, headers=headers)
        deployment.unlearn()
        deployment.complete()
        assert waiting.result(10).json()["state"] == "completed"


def test_a_long_poll_answers_as_things_stand_when_its_time_is_up(deployment: Deployment) -> None:
    link = deployment.ask({"subject": USER}).headers["Location"]
    started_at = monotonic()
    answer = deployment.client.get(link, params={"wait": 0.3}, headers=deployment.key("deletion:read"))
    assert answer.json()["state"] == "pending"
    assert 0.3 <= monotonic() - started_at < 5


def test_whoever_waits_is_answered_when_the_process_stops(deployment: Deployment) -> None:
    link = deployment.ask({"subject": USER}).headers["Location"]
    headers = deployment.key("deletion:read")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(deployment.client.get, link, params={"wait": 60}, headers=headers)
        deployment.parts.ending.set()
        assert waiting.result(10).json()["state"] == "pending"


def test_many_can_wait_while_others_are_answered(deployment: Deployment) -> None:
    link = deployment.ask({"subject": USER}).headers["Location"]
    headers = deployment.key("deletion:read")
    with ThreadPoolExecutor(64) as pool:
        waiting = [pool.submit(deployment.client.get, link, params={"wait": 3}, headers=headers) for _ in range(60)]
        started_at = monotonic()
        assert deployment.items(OTHER_USER)
        assert monotonic() - started_at < 2
        assert {answer.result(30).status_code for answer in waiting} == {200}


def test_nobody_waits_longer_than_a_minute(deployment: Deployment) -> None:
    link = deployment.ask({"subject": USER}).headers["Location"]
    answer = deployment.client.get(link, params={"wait": 61}, headers=deployment.key())
    assert answer.status_code == 422


def test_a_pending_request_can_be_cancelled_and_the_user_is_known_again(deployment: Deployment) -> None:
    before = deployment.items(USER)
    link = deployment.ask({"subject": USER}).headers["Location"]
    assert deployment.items(USER) != before
    answer = deployment.client.delete(link, headers=deployment.key("deletion:cancel"))
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    assert answer.json()["cancelled_at"] is not None
    deployment.look()
    assert deployment.items(USER) == before


def test_what_has_ended_cannot_be_cancelled(deployment: Deployment) -> None:
    link = deployment.ask({"subject": USER}).headers["Location"]
    deployment.unlearn()
    answer = deployment.client.delete(link, headers=deployment.key())
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("not-cancellable")


def test_the_list_has_every_request_once_newest_first_over_all_pages(deployment: Deployment) -> None:
    made = [deployment.ask({"subject": user}).json()["id"] for user in ("1", "2", "3", "4", "5")]
    headers = deployment.key("deletion:read")
    listed: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while True:
        page = deployment.client.get(PATH, params=query, headers=headers).json()
        listed += [status["id"] for status in page["requests"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert listed == made[::-1]


def test_the_list_can_be_narrowed_by_state_and_by_due_date(deployment: Deployment) -> None:
    made = [deployment.ask({"subject": user}).json()["id"] for user in ("1", "2")]
    late = UUID(made[0])
    deployment.sql("UPDATE deletion_requests SET due_at = now() - interval '1 day' WHERE id = :id", id=late)
    headers = deployment.key("deletion:read")

    def ids(**query: str) -> list[str]:
        page = deployment.client.get(PATH, params=query, headers=headers).json()
        return [status["id"] for status in page["requests"]]

    assert ids(overdue="true") == [made[0]]
    assert ids(overdue="false") == [made[1]]
    assert ids(state="pending") == made[::-1]
    assert ids(state="completed") == []


def test_a_cursor_nobody_gave_out_is_refused(deployment: Deployment) -> None:
    answer = deployment.client.get(PATH, params={"cursor": "x"}, headers=deployment.key())
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("invalid-cursor")


def test_a_request_of_another_tenant_is_not_there(deployment: Deployment) -> None:
    link = deployment.ask({"subject": USER}).headers["Location"]
    other = deployment.key(tenant="globex")
    assert deployment.client.get(link, headers=other).status_code == 404
    assert deployment.client.get(f"{link}/receipt", headers=other).status_code == 404
    assert deployment.client.delete(link, headers=other).status_code == 404
    assert deployment.client.get(PATH, headers=other).json() == {"requests": [], "next": None}
    assert deployment.client.get(link, headers=deployment.key()).json()["state"] == "pending"
