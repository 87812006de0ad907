"""Who may call what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from ledger import api_keys
from ledger.database import unit_of_work
from tests.integration.service.conftest import TENANT

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.settings import ServiceSettings
    from tests.integration.service.conftest import Deployment

REQUEST = f"/v1/deletion-requests/{uuid4()}"
GUARDED = [
    ("POST", "/v1/deletion-requests", {"deletion:create"}),
    ("GET", "/v1/deletion-requests", {"deletion:read"}),
    ("GET", REQUEST, {"deletion:read"}),
    ("GET", f"{REQUEST}/receipt", {"deletion:read"}),
    ("DELETE", REQUEST, {"deletion:cancel"}),
    ("GET", "/v1/users/1/recommendations", {"recommend"}),
    ("GET", "/v1/models", {"models:admin", "ops:read"}),
    ("GET", "/v1/models/main", {"models:admin", "ops:read"}),
    ("GET", "/metrics", {"ops:read"}),
    ("GET", "/ops", {"ops:read"}),
    ("GET", "/ops/requests", {"ops:read"}),
    ("GET", f"/ops/requests/{uuid4()}", {"ops:read"}),
    ("GET", f"/ops/requests/{uuid4()}/receipt", {"ops:read"}),
    ("GET", "/ops/runs", {"ops:read"}),
    ("GET", f"/ops/runs/{uuid4()}", {"ops:read"}),
    ("GET", "/ops/snapshots", {"ops:read"}),
    ("GET", "/ops/replicas", {"ops:read"}),
    ("GET", "/ops/log", {"ops:read"}),
    ("GET", "/ops/alarms", {"ops:read"}),
    ("POST", f"/ops/requests/{uuid4()}/retry", {"ops:write"}),
    ("POST", f"/ops/requests/{uuid4()}/cancel", {"ops:write"}),
    ("POST", f"/ops/runs/{uuid4()}/release", {"ops:write"}),
    ("GET", "/v1/log/checkpoint", {"deletion:read", "ops:read"}),
    ("GET", "/v1/log/entries/0", {"ops:read"}),
    ("GET", "/openapi.json", set(api_keys.SCOPES)),
]
OPEN = ["/livez", "/readyz", "/.well-known/jwks.json"]


def _body(method: str, path: str) -> dict[str, Any]:
    """What to send: a form to the pages, JSON to the rest."""
    if method != "POST":
        return {}
    return {"data": {"form_token": ""}} if path.startswith("/ops/") else {"json": {"subject": "nobody"}}


def test_every_call_admits_the_scopes_it_names_and_no_other(shared: Deployment) -> None:
    keys = {scope: shared.key(scope) for scope in api_keys.SCOPES}
    for method, path, scopes in GUARDED:
        body = _body(method, path)
        admitted = set()
        for scope, headers in keys.items():
            answer = shared.client.request(method, path, headers=headers, **body)
            if answer.status_code != 403:
                admitted.add(scope)
        assert admitted == scopes, (method, path)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer ak_nobody-made-this"},
        {"Authorization": "Bearer"},
        {"Authorization": "Digest x"},
    ],
)
def test_without_a_good_key_only_the_open_calls_answer(shared: Deployment, headers: dict[str, str]) -> None:
    for method, path, _ in GUARDED:
        body = _body(method, path)
        answer = shared.client.request(method, path, headers=headers, **body)
        assert answer.status_code == 401, (method, path)
        assert answer.json()["type"].endswith("not-authenticated")
        assert answer.headers["WWW-Authenticate"].startswith(("Bearer", "Basic"))
    for path in OPEN:
        assert shared.client.get(path, headers=headers).status_code in (200, 503)


def test_a_browser_may_send_the_key_as_a_password(shared: Deployment) -> None:
    token = shared.key("ops:read")["Authorization"].removeprefix("Bearer ")
    assert shared.client.get("/ops", auth=("anyone", token)).status_code == 200
    assert shared.client.get("/ops", auth=("anyone", "wrong")).status_code == 401
    assert shared.client.get("/v1/models", auth=("anyone", token)).status_code == 401


def test_demo_mode_opens_the_pages_and_the_log_for_watchers_and_nothing_else(
    start: Callable[[ServiceSettings], Deployment], settings: ServiceSettings
) -> None:
    demo = start(settings.model_copy(update={"demo_mode": True}))
    for path in ("/ops", "/metrics", "/openapi.json"):
        assert demo.client.get(path).status_code == 200
    assert demo.client.get("/v1/log/checkpoint").status_code == 404
    assert demo.client.get("/v1/deletion-requests").status_code == 401
    assert demo.client.get("/v1/users/1/recommendations").status_code == 401


def test_a_revoked_key_is_refused_once_the_memory_of_it_fades(
    start: Callable[[ServiceSettings], Deployment], settings: ServiceSettings
) -> None:
    forgetful = start(settings.model_copy(update={"service_key_memory_s": 0.0}))
    headers = forgetful.key("models:admin")
    assert forgetful.client.get("/v1/models", headers=headers).status_code == 200
    with unit_of_work(forgetful.database) as session:
        mine = next(key for key in api_keys.listed(session) if key.tenant == TENANT)
        assert api_keys.revoke(session, mine.id)
    assert forgetful.client.get("/v1/models", headers=headers).status_code == 401
