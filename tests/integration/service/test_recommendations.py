"""What users are shown, and what is shown for those whom nobody may know."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from alteraser.kinds import kind
from tests.integration.service.conftest import MODEL, OTHER_USER, STRANGER, USER

if TYPE_CHECKING:
    from httpx import Response

    from tests.integration.service.conftest import Deployment


def told(answer: Response) -> tuple[int, bytes, dict[str, str]]:
    """All that an answer tells, but its time and its own name."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-trace-id")}
    return answer.status_code, answer.content, headers


def test_the_list_is_the_models_scores_sorted_without_what_was_seen(serving: Deployment) -> None:
    snapshot = serving.snapshot()
    row = snapshot.interactions.users.row(USER)
    assert row is not None
    scores = kind(snapshot.kind).scores(snapshot.parameters, np.array([row]))[0]
    unseen = [item for item in snapshot.interactions.items.ids if item not in serving.seen(USER)]
    best = sorted(unseen, key=lambda item: -scores[snapshot.interactions.items.ids.index(item)])
    assert serving.items(USER, n=10) == best[:10]


def test_seen_items_come_back_where_they_are_wanted(serving: Deployment) -> None:
    n_items = len(serving.snapshot().interactions.items)
    assert len(serving.items(USER, n=1000, exclude_seen=False)) == n_items
    assert len(serving.items(USER, n=1000)) == n_items - len(serving.seen(USER))


def test_items_can_be_excluded_and_candidates_named(serving: Deployment) -> None:
    first, second, third, *_ = serving.items(USER)
    assert serving.items(USER, exclude=[first, "unheard-of"])[:2] == [second, third]
    assert serving.items(USER, candidates=[third, second, "unheard-of"]) == [second, third]
    assert serving.items(USER, candidates=[second], exclude=[second]) == []


def test_the_headers_name_the_generation_that_answered(serving: Deployment) -> None:
    answer = serving.recommend(USER)
    assert answer.headers["Alteraser-Model"] == MODEL
    assert answer.headers["Alteraser-Model-Version"] == "1"
    assert answer.headers["Alteraser-Snapshot"] == serving.parts.replica.serving().digest
    assert answer.headers["Alteraser-Watermark"] == str(serving.snapshot().watermark)
    assert "private" in answer.headers["Cache-Control"]


def test_a_list_the_caller_has_already_is_not_sent_again(deployment: Deployment) -> None:
    first = deployment.recommend(USER)
    path = f"/v1/users/{USER}/recommendations"
    headers = deployment.key() | {"If-None-Match": f'W/{first.headers["ETag"]}, "another"'}
    again = deployment.client.get(path, headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    deployment.ask({"subject": USER})
    assert deployment.client.get(path, headers=headers).status_code == 200


def test_suppressed_erased_and_never_seen_users_get_one_and_the_same_answer(deployment: Deployment) -> None:
    queries: list[dict[str, object]] = [{}, {"n": 3, "exclude_seen": False}, {"n": 1000, "exclude": ["1", "2"]}]

    def answers(user: str) -> list[tuple[int, bytes, dict[str, str]]]:
        return [told(deployment.recommend(user, **query)) for query in queries]

    personal = answers(USER)
    deployment.ask({"subject": USER})
    suppressed = answers(USER)
    assert suppressed == answers(STRANGER)
    assert all(mine[1] != now[1] for mine, now in zip(personal, suppressed, strict=True))
    deployment.unlearn()
    deployment.complete()
    assert answers(USER) == answers(STRANGER)


def test_what_strangers_get_is_ordered_by_popularity(serving: Deployment) -> None:
    data = serving.snapshot().interactions
    shares = dict(zip(data.items.ids, data.by_item.counts / data.n_users, strict=True))
    answer = serving.recommend(STRANGER, n=5).json()["items"]
    scores = [item["score"] for item in answer]
    assert scores == sorted(scores, reverse=True)
    assert all(item["score"] <= shares[item["item"]] < 1.1 * item["score"] * (1 + 1e-9) for item in answer)
    assert max(shares.values()) < 1.1 * scores[0] * (1 + 1e-9)


def test_suppression_holds_as_soon_as_the_request_is_answered(deployment: Deployment) -> None:
    for user in ("1", "2", "3", "4", "5"):
        assert deployment.items(user) != deployment.items(STRANGER)
        deployment.ask({"subject": user})
        assert deployment.items(user) == deployment.items(STRANGER)
    assert deployment.items(OTHER_USER) != deployment.items(STRANGER)


def test_whoever_loses_single_interactions_is_unknown_until_they_are_gone(deployment: Deployment) -> None:
    item = sorted(deployment.seen(USER))[0]
    deployment.ask({"interactions": [{"user": USER, "item": item}]})
    assert deployment.items(USER) == deployment.items(STRANGER)
    deployment.unlearn()
    deployment.complete()
    assert deployment.items(USER) != deployment.items(STRANGER)


def test_a_suppressed_item_is_in_nobodys_list(deployment: Deployment) -> None:
    favourite = deployment.items(USER)[0]
    hit = deployment.items(STRANGER)[0]
    for item in {favourite, hit}:
        deployment.ask({"item": item})
    for user in (USER, OTHER_USER, STRANGER):
        shown = deployment.items(user, n=1000, exclude_seen=False)
        assert not {favourite, hit} & set(shown)
        assert len(deployment.items(user, n=5)) == 5


def test_an_older_generation_than_asked_for_is_not_served(serving: Deployment) -> None:
    assert serving.recommend(USER, min_version=1).status_code == 200
    behind = serving.recommend(USER, min_version=2)
    assert behind.status_code == 412
    assert behind.headers["Retry-After"] == "1"
    assert behind.json()["type"].endswith("replica-behind")


def test_without_a_model_there_is_nothing_to_recommend_yet(shared: Deployment) -> None:
    answer = shared.recommend(USER)
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("nothing-published")


def test_any_id_can_be_asked_for(serving: Deployment) -> None:
    popular = serving.recommend(STRANGER).content
    for user in ("a/b", "Zoë Ⅷ", "with space?&#", "%2F"):
        answer = serving.recommend(quote(user, safe=""))
        assert (answer.status_code, answer.content) == (200, popular)
