"""What those who watch the deployment see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from service.app import ROUTES
from tests.integration.service.conftest import MODEL, STRANGER, USER

if TYPE_CHECKING:
    from structlog.typing import EventDict

    from tests.integration.service.conftest import Deployment

PRIVATE = "someone-very-private"


def samples(deployment: Deployment) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = deployment.client.get("/metrics", headers=deployment.key("ops:read")).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def labelled(**labels: str) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def test_a_process_without_a_model_lives_but_is_not_ready(shared: Deployment) -> None:
    assert shared.client.get("/livez").json() == {"status": "alive"}
    answer = shared.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "database": True,
        "ledger_followed": True,
        "snapshots_loaded": False,
        "watermarks_satisfied": True,
        "journal_compared": True,
        "journal_intact": True,
        "not_stopping": True,
    }


def test_a_process_that_serves_what_is_published_is_ready(serving: Deployment) -> None:
    answer = serving.client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)


def test_an_older_schema_makes_the_process_unready_and_a_younger_one_does_not(deployment: Deployment) -> None:
    deployment.sql("UPDATE alembic_version SET version_num = '0001'")
    answer = deployment.client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["database"]) == (503, False)
    deployment.sql("UPDATE alembic_version SET version_num = '9999'")
    assert deployment.client.get("/readyz").status_code == 200


def test_models_are_described_with_their_generation(serving: Deployment) -> None:
    headers = serving.key("models:admin")
    listed = serving.client.get("/v1/models", headers=headers).json()["models"]
    one = serving.client.get(f"/v1/models/{MODEL}", headers=headers).json()
    assert listed == [one]
    assert (one["name"], one["kind"], one["version"]) == (MODEL, "wmf", 1)
    assert one["hyperparameters"]["d"] == 4
    assert one["generation"]["snapshot"] == serving.parts.replica.serving().digest
    assert one["generation"]["interactions"] == 700
    assert one["generation"]["certificate"]["sigma"] > 0
    assert one["generation"]["uncertified"] is None


def test_the_metrics_follow_a_request_through_its_clocks(deployment: Deployment) -> None:
    deployment.ask({"subject": USER})
    pending = samples(deployment)
    assert pending["alteraser_deletion_requests", labelled(state="pending")] == 1
    assert pending["alteraser_deletion_oldest_open_age_seconds", labelled()] > 0
    assert pending["alteraser_deletion_duration_seconds_count", labelled(clock="suppressed")] == 1
    assert pending["alteraser_deletion_duration_seconds_count", labelled(clock="completed")] == 0
    deployment.unlearn()
    deployment.complete()
    done = samples(deployment)
    assert done["alteraser_deletion_requests", labelled(state="completed")] == 1
    assert done["alteraser_deletion_requests", labelled(state="pending")] == 0
    assert done["alteraser_deletion_oldest_open_age_seconds", labelled()] == 0
    assert done["alteraser_deletion_duration_seconds_count", labelled(clock="completed")] == 1
    assert done["alteraser_deletion_duration_seconds_bucket", labelled(clock="completed", le="+Inf")] == 1
    assert done["alteraser_served_version", labelled(model=MODEL)] == 2
    assert done["alteraser_served_watermark_lag", labelled(model=MODEL)] == 0


def test_requests_are_counted_by_the_template_of_their_route(serving: Deployment) -> None:
    before = samples(serving)
    serving.items(STRANGER)
    serving.client.get(f"/nothing/{PRIVATE}")
    after = samples(serving)
    counted = {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}
    requests = "alteraser_http_requests_total"
    recommended = labelled(method="GET", route="/v1/users/{user}/recommendations", status="200")
    assert counted[requests, recommended] == 1
    assert counted[requests, labelled(method="GET", route="unmatched", status="404")] == 1
    assert counted["alteraser_recommendation_duration_seconds_count", labelled()] == 1
    assert PRIVATE not in repr(after)


def test_the_page_says_why_nothing_is_proven(deployment: Deployment) -> None:
    deployment.sql("UPDATE runs SET certificate = NULL, uncertified = 'the proof failed'")
    assert "the proof failed" in deployment.client.get("/ops", headers=deployment.key("ops:read")).text


def test_no_log_line_holds_the_id_of_a_user(serving: Deployment, logged: list[EventDict]) -> None:
    serving.items(PRIVATE)
    serving.ask({"subject": PRIVATE})
    assert any(event["event"] == "request_answered" for event in logged)
    assert PRIVATE not in repr(logged)


def test_the_interface_is_described_to_the_last_answer(shared: Deployment) -> None:
    document = shared.client.get("/openapi.json", headers=shared.key()).json()
    operations = [(path, operation) for path, methods in document["paths"].items() for operation in methods.values()]
    assert len(operations) == sum(len(module.router.routes) for module in ROUTES)
    for path, operation in operations:
        answers = operation["responses"]
        assert operation["summary"], path
        for status, answer in answers.items():
            content = answer.get("content", {})
            assert status == "304" or content, (path, status)
            assert answer["description"], (path, status)
            assert "X-Trace-Id" in answer["headers"], (path, status)
            if int(status) >= 400 and path != "/readyz":
                assert content["application/problem+json"]["examples"], (path, status)
        if operation.get("security"):
            assert {"401", "403", "500", "503"} <= answers.keys(), path
    open_paths = {path for path, operation in operations if not operation.get("security")}
    assert open_paths == {"/livez", "/readyz", "/.well-known/jwks.json", "/ops/session", "/ops/session/end"}


def test_every_reference_in_the_description_leads_somewhere(shared: Deployment) -> None:
    document = shared.client.get("/openapi.json", headers=shared.key()).json()
    schemas = document["components"]["schemas"]

    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [reference for value in node.values() for reference in references(value)]
        if isinstance(node, list):
            return [reference for value in node for reference in references(value)]
        return []

    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas
    assert "HTTPValidationError" not in schemas
