"""The operations pages: what they show, who may act on them, and what keeps other sites out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from ledger import api_keys, occurrences, progress, runs
from ledger.database import unit_of_work
from ledger.errors import LeaseLost
from ledger.progress import Point
from service.page import POLICY
from service.sessions import COOKIE, session_of
from tests.integration.service.conftest import MODEL, OTHER_USER, TENANT, USER
from tests.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from httpx import Response

    from service.settings import ServiceSettings
    from tests.integration.service.conftest import Deployment

PAGES = ["/ops", "/ops/requests", "/ops/runs", "/ops/snapshots", "/ops/replicas", "/ops/log", "/ops/alarms"]
HTML = {"Accept": "text/html"}
SCRIPT = "<script>alert(1)</script>"


def shown(deployment: Deployment, path: str) -> str:
    """A page as somebody sees it who may look."""
    return deployment.client.get(path, headers=HTML | deployment.key("ops:read")).raise_for_status().text


def signed_in(deployment: Deployment, *scopes: str, origin: str | None = None) -> Response:
    """Sign in as a browser does, with a key of these scopes; the client keeps the cookie."""
    token = deployment.key(*scopes)["Authorization"].removeprefix("Bearer ")
    here = str(deployment.client.base_url).rstrip("/")
    headers = HTML | {"Origin": origin or here}
    return deployment.client.post("/ops/session", data={"key": token, "next": "/ops/runs"}, headers=headers)


def pressed(deployment: Deployment, path: str, *, on: str, **forged: str) -> Response:
    """Open a page and send its form to the path, as the browser of whoever signed in does."""
    page = deployment.client.get(on, headers=HTML).text
    found = re.search(rf'action="{path}"><input type="hidden" name="form_token" value="(\w+)"', page)
    assert found or forged, page
    sent = {"form_token": found.group(1) if found else ""} | forged
    here = str(deployment.client.base_url).rstrip("/")
    return deployment.client.post(path, data=sent, headers=HTML | {"Origin": here})


def entries(deployment: Deployment) -> list[dict[str, str]]:
    with unit_of_work(deployment.database) as session:
        found = session.execute(text("SELECT entry FROM log_entries ORDER BY index"))
        return [json.loads(row.entry) for row in found]


def test_an_empty_deployment_has_all_pages(shared: Deployment) -> None:
    said = "".join(shown(shared, path) for path in PAGES)
    for nothing in (
        "No model yet.",
        "No deletion request",
        "No run yet.",
        "No snapshot yet.",
        "No replica",
        "No alarm.",
    ):
        assert nothing in said


def test_the_pages_follow_a_request_to_its_receipt_and_name_nobody(deployment: Deployment) -> None:
    asked = deployment.ask({"subject": USER, "reason": SCRIPT}).json()["id"]
    assert '<span class="state ">pending</span>' in shown(deployment, f"/ops/requests/{asked}")
    child = deployment.unlearn()
    assert child is not None
    deployment.complete()
    request = shown(deployment, f"/ops/requests/{asked}")
    assert '<span class="state good">completed</span>' in request
    entry = re.search(r'href="/ops/log\?entry=(\d+)"', request)
    assert entry is not None
    assert entries(deployment)[int(entry.group(1))]["request"] == asked
    run = re.search(r'href="(/ops/runs/[\w-]+)"', request)
    assert run is not None
    pages = [shown(deployment, path) for path in [*PAGES, run.group(1)]] + [request]
    assert asked[:12] in pages[PAGES.index("/ops/requests")]
    assert child[:12] in pages[PAGES.index("/ops/snapshots")]
    assert f"{asked}" in pages[PAGES.index("/ops/snapshots")]
    assert deployment.parts.replica.id[:12] in pages[PAGES.index("/ops/replicas")]
    assert "converged" in pages[-2]
    assert "passed" in pages[-2]
    for page in pages:
        assert SCRIPT not in page
        assert "alert(1)" not in page
        assert deployment.parts.pseudonyms.user(USER) not in page
    jws = deployment.client.get(f"/ops/requests/{asked}/receipt", headers=deployment.key("ops:read"))
    assert jws.text.count(".") == 2


def test_a_run_shows_its_residuals_while_it_runs_and_after(deployment: Deployment) -> None:
    deployment.ask({"subject": USER})
    with unit_of_work(deployment.database) as session:
        lease = runs.lease(session, MODEL, "worker", 60)
        assert lease is not None
        runs.heartbeat(session, lease, 60, "newton", 3, 0.25)
        progress.keep(session, lease.run_id, 0, [Point(0.1, "newton", 0, 1.0), Point(0.4, "newton", 3, 0.25)])
    page = shown(deployment, f"/ops/runs/{lease.run_id}")
    assert 'data-every="500"' in page
    assert re.findall(r'<td><data value="([\d.]+)">', page) == ["1.0", "0.25"]
    with unit_of_work(deployment.database) as session:
        runs.fail(session, lease, "the disk is full")
    page = shown(deployment, f"/ops/runs/{lease.run_id}")
    assert "the disk is full" in page
    assert 'data-every="2000"' in page
    deployment.sql("UPDATE deletion_requests SET next_attempt_at = NULL")
    deployment.unlearn()
    run_id = deployment.sql("SELECT id FROM runs WHERE state = 'published' AND purpose = 'unlearn'")
    with unit_of_work(deployment.database) as session:
        curve = progress.curve(session, run_id)
    assert curve[-1].phase == "gates"
    assert curve[0].residual > curve[-1].residual
    assert [point.elapsed_s for point in curve] == sorted(point.elapsed_s for point in curve)


def test_curves_are_forgotten_and_runs_are_not(deployment: Deployment) -> None:
    deployment.ask({"subject": USER})
    deployment.unlearn()
    deployment.sql("UPDATE run_progress SET at = at - interval '8 days'")
    with unit_of_work(deployment.database) as session:
        assert progress.forget_old(session) > 0
    run_id = deployment.sql("SELECT id FROM runs WHERE purpose = 'unlearn'")
    assert "curves are kept for seven days" in shown(deployment, f"/ops/runs/{run_id}")


def test_requests_are_filtered_and_paged(shared: Deployment) -> None:
    for _ in range(3):
        shared.sql(
            "INSERT INTO deletion_requests (tenant, payload_digest, kind, subject_hmac, sequence, state, due_at) "
            "SELECT 'acme', 'd', 'item', 'h', -1 - count(*), 'failed', now() - interval '1 day' FROM deletion_requests"
        )
    rows = re.compile(r"/ops/requests/[\w-]{36}")
    assert len(rows.findall(shown(shared, "/ops/requests?overdue=true"))) == 3
    assert len(rows.findall(shown(shared, "/ops/requests?state=failed"))) == 3
    assert not rows.findall(shown(shared, "/ops/requests?state=cancelled"))
    assert len(rows.findall(shown(shared, "/ops/requests?state=failed&cursor=0"))) == 3
    assert "<h2>Overdue " in shown(shared, "/ops/alarms")
    shared.sql("DELETE FROM deletion_requests")


def test_nothing_on_a_page_comes_from_elsewhere_or_runs_inline(shared: Deployment) -> None:
    for path in [*PAGES, "/ops/session"]:
        answer = shared.client.get(path, headers=HTML | shared.key("ops:read"))
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert "unsafe" not in POLICY
        assert not re.search(r"(src|href|action)=\"(https?:)?//", answer.text)
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", answer.text)
        for file in re.findall(r'(?:src|href)="(/ops/static/[^"]+)"', answer.text):
            served = shared.client.get(file)
            assert served.status_code == 200
            assert shared.client.get(file, headers={"If-None-Match": served.headers["ETag"]}).status_code == 304


def test_every_page_has_its_landmarks_and_names_itself(shared: Deployment) -> None:
    for path in PAGES:
        page = shown(shared, path)
        title = re.search(r"<title>(.+) · Alteraser</title>", page)
        assert title is not None
        assert f"<h1>{title.group(1)}</h1>" in page
        assert f'<a href="{path}" aria-current="page">{title.group(1)}</a>' in page
        for landmark in (
            '<html lang="en">',
            '<main id="main"',
            "<header",
            "<nav aria-label",
            "<footer",
            'href="#main"',
        ):
            assert page.count(landmark) == 1, (path, landmark)
        ids = re.findall(r'\sid="([^"]+)"', page)
        assert len(ids) == len(set(ids))


def test_whoever_has_no_key_is_asked_for_one_on_the_page(shared: Deployment) -> None:
    answer = shared.client.get("/ops/runs", headers=HTML)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert 'type="password"' in answer.text
    assert 'name="next" value="/ops/runs"' in answer.text
    missing = shared.client.get(f"/ops/runs/{uuid4()}", headers=HTML | shared.key("ops:read"))
    assert missing.status_code == 404
    assert "<h1>There is no such run</h1>" in missing.text


def test_a_session_opens_with_a_key_and_ends_with_it(deployment: Deployment) -> None:
    answer = signed_in(deployment, "ops:read", "ops:write")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ops/runs")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "ak_" not in cookie
    assert deployment.client.get("/ops/runs", headers=HTML).status_code == 200
    assert deployment.client.get("/v1/log/entries/0").status_code == 200
    assert deployment.client.get("/v1/deletion-requests").status_code == 401
    with unit_of_work(deployment.database) as session:
        for key in api_keys.listed(session):
            api_keys.revoke(session, key.id)
    assert deployment.client.get("/ops/runs", headers=HTML).status_code == 401


@pytest.mark.parametrize("key", ["", "ak_nobody-made-this"])
def test_a_bad_key_opens_no_session(shared: Deployment, key: str) -> None:
    here = {"Sec-Fetch-Site": "same-origin"}
    answer = shared.client.post("/ops/session", data={"key": key}, headers=HTML | here)
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    assert signed_in(shared, "recommend").status_code == 403


def test_a_session_leads_to_no_other_site_and_no_other_site_to_a_session(shared: Deployment) -> None:
    token = shared.key("ops:read")["Authorization"].removeprefix("Bearer ")
    here = {"Sec-Fetch-Site": "same-origin"}
    for elsewhere in (
        "https://example.org/",
        "//example.org",
        "/ops//example.org/../..//",
        "/v1/models",
        "/ops/session",
    ):
        answer = shared.client.post("/ops/session", data={"key": token, "next": elsewhere}, headers=here)
        assert answer.headers["Location"].startswith("/ops")
        assert not answer.headers["Location"].startswith("/ops/session")
    shared.client.cookies.clear()
    assert signed_in(shared, "ops:read", origin="https://example.org").status_code == 403
    assert not shared.client.cookies


def test_a_failed_request_is_tried_again_now_and_the_log_says_by_whose_key(deployment: Deployment) -> None:
    asked = deployment.ask({"subject": USER}).json()["id"]
    with unit_of_work(deployment.database) as session:
        lease = runs.lease(session, MODEL, "worker", 60)
        assert lease is not None
        runs.fail(session, lease, "the disk is full")
    signed_in(deployment, "ops:read", "ops:write")
    answer = pressed(deployment, f"/ops/requests/{asked}/retry", on=f"/ops/requests/{asked}")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/ops/requests/{asked}")
    acted = entries(deployment)[-1]
    assert (acted["event"], acted["request"]) == ("request_retried", asked)
    with unit_of_work(deployment.database) as session:
        assert acted["key"] in [str(key.id) for key in api_keys.listed(session)]
    assert deployment.unlearn() is not None
    again = deployment.client.post(f"/ops/requests/{asked}/retry", headers=deployment.key("ops:write"))
    assert again.status_code == 409
    nobody = deployment.client.post(f"/ops/requests/{uuid4()}/retry", headers=deployment.key("ops:write"))
    assert nobody.status_code == 404


def test_a_pending_request_of_any_tenant_is_cancelled_and_served_again(deployment: Deployment) -> None:
    before = deployment.items(OTHER_USER)
    headers = deployment.key("deletion:create", tenant="others")
    asked = deployment.client.post("/v1/deletion-requests", json={"subject": OTHER_USER}, headers=headers).json()["id"]
    assert deployment.items(OTHER_USER) != before
    signed_in(deployment, "ops:read", "ops:write")
    assert pressed(deployment, f"/ops/requests/{asked}/cancel", on=f"/ops/requests/{asked}").status_code == 303
    wait_until(lambda: deployment.items(OTHER_USER) == before)  # a suppression is lifted at the follower's next look
    assert "cancelled_by_operator" in [entry["event"] for entry in entries(deployment)]
    assert deployment.parts.journal.without_line([UUID(asked)]) == []


def test_a_held_run_is_released_and_its_worker_cannot_go_on(deployment: Deployment) -> None:
    deployment.ask({"subject": USER})
    with unit_of_work(deployment.database) as session:
        lease = runs.lease(session, MODEL, "a worker that hangs", 3600)
        assert lease is not None
    signed_in(deployment, "ops:read", "ops:write")
    assert pressed(deployment, f"/ops/runs/{lease.run_id}/release", on=f"/ops/runs/{lease.run_id}").status_code == 303
    with unit_of_work(deployment.database) as session, pytest.raises(LeaseLost):
        runs.heartbeat(session, lease, 60, "newton", 1)
    deployment.sql("UPDATE deletion_requests SET next_attempt_at = NULL")
    assert deployment.unlearn() is not None
    again = deployment.client.post(f"/ops/runs/{lease.run_id}/release", headers=deployment.key("ops:write"))
    assert again.status_code == 409
    nobody = deployment.client.post(f"/ops/runs/{uuid4()}/release", headers=deployment.key("ops:write"))
    assert nobody.status_code == 404


def test_forms_need_the_scope_the_token_and_this_very_site(shared: Deployment) -> None:
    path = f"/ops/requests/{uuid4()}/retry"
    here = {"Sec-Fetch-Site": "same-origin"}
    token = shared.key("ops:read", "ops:write")["Authorization"].removeprefix("Bearer ")
    assert shared.client.post(path, headers=here).status_code == 401
    assert shared.client.post(path, auth=("anyone", token), headers=here).status_code == 401
    signed_in(shared, "ops:read", "ops:write")
    assert shared.client.post(path, headers=here).status_code == 403
    assert shared.client.post(path, data={"form_token": "made-up"}, headers=here).status_code == 403
    form_token = token_of(shared)
    sent = {"form_token": form_token}
    assert shared.client.post(path, data=sent, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert shared.client.post(path, data=sent).status_code == 403
    assert shared.client.post(path, data=sent, headers=here).status_code == 404
    assert shared.client.post(path, json=sent, headers=here).status_code == 415
    signed_in(shared, "ops:read")
    assert shared.client.post(path, data={"form_token": token_of(shared)}, headers=here).status_code == 403
    shared.client.post("/ops/session/end", headers=here)
    assert not shared.client.cookies


def token_of(deployment: Deployment) -> str:
    """What the forms of the client's session carry."""
    opened = session_of(deployment.client.cookies[COOKIE], deployment.parts.pseudonyms)
    assert opened is not None
    return opened.form_token


def test_watchers_without_the_scope_see_no_buttons(deployment: Deployment) -> None:
    asked = deployment.ask({"subject": USER}).json()["id"]
    signed_in(deployment, "ops:read")
    page = deployment.client.get(f"/ops/requests/{asked}", headers=HTML).text
    assert "/cancel" not in page
    assert "form_token" not in page


def test_demo_mode_shows_the_pages_and_the_log_and_lets_nobody_act(
    start: Callable[[ServiceSettings], Deployment], settings: ServiceSettings
) -> None:
    demo = start(settings.model_copy(update={"demo_mode": True}))
    for path in [*PAGES, "/v1/log/entries/0"]:
        assert demo.client.get(path, headers=HTML).status_code in (200, 404)
    assert demo.client.post(f"/ops/runs/{uuid4()}/release", headers=HTML).status_code == 401


def test_alarms_name_what_is_wrong(deployment: Deployment) -> None:
    asked = deployment.ask({"subject": USER}).json()["id"]
    with unit_of_work(deployment.database) as session:
        occurrences.note(session, "sweep")
    deployment.sql("UPDATE occurrences SET last_at = now() - interval '2 minutes'")
    deployment.sql(
        "UPDATE deletion_requests SET due_at = now() - interval '1 day', recorded_at = now() - interval '2 d'"
    )
    deployment.sql(
        "INSERT INTO replicas (replica_id, model, heartbeat_at) VALUES ('gone', 'main', now() - interval '1 hour')"
    )
    page = shown(deployment, "/ops/alarms")
    for name in ("Overdue", "Replica silent", "Sweep silent", "Work not taken"):
        assert f"<h2>{name} " in page
    assert asked in page
    assert "1 sweep ended 120 seconds ago" in page
    assert "overdue" in shown(deployment, "/ops")
    assert TENANT in shown(deployment, f"/ops/requests/{asked}")
