"""What the demo asks of the running service, over HTTP like any other caller."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from cli.errors import CallRefused

LOOK_EVERY_S = 0.2
ENDED = ("completed", "cancelled")

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A list of recommended items, and everything else of the answer that depends on the user.

    Attributes:
        items: Ids, best first.
        scores: One for each item.
        snapshot: Digest of the snapshot that answered.
    """

    items: tuple[str, ...]
    scores: tuple[float, ...]
    snapshot: str


class Caller:
    """A holder of an API key."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30.0)

    def __enter__(self) -> Caller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def recommendations(self, user: str, n: int = 10) -> Answer:
        """What a user is recommended."""
        answer = self._get(f"/v1/users/{quote(user, safe='')}/recommendations", n=n)
        items = answer.json()["items"]
        return Answer(
            tuple(item["item"] for item in items),
            tuple(item["score"] for item in items),
            answer.headers["Alteraser-Snapshot"],
        )

    def delete(self, what: Mapping[str, Any]) -> Status:
        """Make a deletion request; its first status document."""
        status: Status = _accepted(self._http.post("/v1/deletion-requests", json=what)).json()
        return status

    def followed(self, request_id: str, *, patience_s: float) -> Iterator[Status]:
        """Status documents as time goes on, until the request ends or patience does."""
        patient_until = time.monotonic() + patience_s
        while time.monotonic() < patient_until:
            status: Status = self._get(f"/v1/deletion-requests/{request_id}", wait=LOOK_EVERY_S).json()
            yield status
            if status["state"] in ENDED:
                return

    def receipt(self, request_id: str) -> str:
        """The signed receipt of a completed request."""
        return self._get(f"/v1/deletion-requests/{request_id}/receipt").text

    def public_keys(self) -> str:
        """The keys that receipts are signed with, as the service publishes them."""
        return self._get("/.well-known/jwks.json").text

    def _get(self, path: str, **parameters: float) -> httpx.Response:
        return _accepted(self._http.get(path, params=parameters))


def _accepted(answer: httpx.Response) -> httpx.Response:
    """The answer itself.

    Raises:
        CallRefused: It is an error.
    """
    if answer.is_error:
        route = "/".join(answer.request.url.path.split("/")[:3])  # what follows may name a user
        raise CallRefused(answer.request.method, route, answer.status_code)
    return answer
