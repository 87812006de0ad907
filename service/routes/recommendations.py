"""What to show a user."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from time import perf_counter
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from service.auth import Runtime, needs
from service.errors import NothingPublished, ReplicaBehind
from service.problems import documented_with_key
from service.recommender import Live
from service.recommender import Query as Wanted
from service.schemas.identifiers import Identifier
from service.schemas.recommendations import Recommendations

router = APIRouter(tags=["recommendations"])

MOST = 1000
CACHING = "private, no-cache"

Items = Annotated[list[Identifier], Query(max_length=MOST)]
_HEADERS = {
    "Alteraser-Model": "Name of the model.",
    "Alteraser-Model-Version": "Its generation, counted from 1.",
    "Alteraser-Snapshot": "Digest of the snapshot that is served.",
    "Alteraser-Watermark": "Sequence of the last deletion request the snapshot satisfies.",
    "ETag": "Names this list; send it back as `If-None-Match`.",
    "Cache-Control": "Never shared between users, and asked for again before every use.",
}
_DOCUMENTED = {name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()}


@router.get(
    "/v1/users/{user:path}/recommendations",
    summary="Recommend items to a user",
    dependencies=[Depends(needs("recommend"))],
    response_class=Response,
    responses={
        200: {"model": Recommendations, "description": "The best items, best first.", "headers": _DOCUMENTED},
        304: {"description": "The list is the one named in `If-None-Match`.", "headers": _DOCUMENTED},
        **documented_with_key(ReplicaBehind, NothingPublished),
    },
)
def recommend(
    user: Annotated[Identifier, Path(description="Any user; whoever is not known gets what is popular.")],
    parts: Runtime,
    n: Annotated[int, Query(ge=1, le=MOST, description="How many items at most.")] = 10,
    exclude_seen: Annotated[bool, Query(description="Leave out what the user has met.")] = True,
    exclude: Annotated[Items, Query(description="Leave these out too.")] = [],  # noqa: B006 - FastAPI copies it
    candidates: Annotated[Items | None, Query(description="Recommend nothing but these.")] = None,
    min_version: Annotated[int, Query(ge=0, description="The oldest generation that will do.")] = 0,
    if_none_match: Annotated[str | None, Header(description="The `ETag` of the list you have.")] = None,
) -> Response:
    """Recommend items. Needs the scope `recommend`.

    Erased, suppressed and never-seen users get one and the same popularity list.
    """
    live = parts.replica.serving()
    if live.version < min_version:
        raise ReplicaBehind(live.version)
    started_at = perf_counter()
    items = parts.replica.recommend(live, user, Wanted(n, exclude_seen, exclude, candidates))
    parts.metrics.recommended(perf_counter() - started_at)
    body = json.dumps({"items": [asdict(item) for item in items]}, separators=(",", ":")).encode()
    headers = _headers(live, body)
    if if_none_match is not None and _names(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _headers(live: Live, body: bytes) -> dict[str, str]:
    content = hashlib.sha256(live.digest.encode() + body).hexdigest()
    return {
        "Alteraser-Model": live.model,
        "Alteraser-Model-Version": str(live.version),
        "Alteraser-Snapshot": live.digest,
        "Alteraser-Watermark": str(live.watermark),
        "ETag": f'"{content[:32]}"',
        "Cache-Control": CACHING,
    }


def _names(if_none_match: str, etag: str) -> bool:
    """Whether the header names this tag; weak and strong ones compare alike (RFC 9110, 13.1.2)."""
    named = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in named or "*" in named
