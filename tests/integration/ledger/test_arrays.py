"""Values sent as arrays arrive as those of single rows would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.database import unit_of_work
from ledger.recording import NewRequest, record_all

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene


def test_no_payload_is_null_and_not_the_json_of_it(scene: Scene) -> None:
    scene.train()
    news = [
        NewRequest("shop", "subject", "anna"),
        NewRequest("shop", "interactions", "bert", items=("alien",)),
        NewRequest("shop", "item", item="alien"),
    ]
    for batch in (news, news[:1]):
        with unit_of_work(scene.database) as session:
            record_all(session, batch, scene.pseudonyms)
    spelled = "SELECT array_agg(coalesce(payload::text, 'NULL') ORDER BY sequence) FROM deletion_requests"
    assert scene.ask(spelled) == ["NULL", '{"items": ["alien"]}', "NULL", "NULL"]
    assert scene.ask("SELECT count(*) FROM deletion_requests WHERE payload = 'null'::jsonb") == 0
