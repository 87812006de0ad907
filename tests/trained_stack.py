"""The whole system as `alteraser up` runs it, with a small model that is served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from sqlalchemy import text

from alteraser.synthetic import synthetic
from cli.stack import Stack, running
from ledger import api_keys, interactions
from ledger.database import Database, unit_of_work
from ledger.pseudonym import Pseudonyms
from workers.settings import WorkerSettings
from workers.training import train_once
from workers.workbench import open_workbench

MODEL = "main"
PERSON = "someone-very-private"
TENANT = "acme"


@dataclass(frozen=True, slots=True)
class TrainedStack:
    """A running system, its ledger, and someone who may do everything.

    Attributes:
        stack: The processes.
        database: The ledger, over a connection of the test's own.
        caller: Has every scope.
    """

    stack: Stack
    database: Database
    caller: httpx.Client

    def key(self, *scopes: str) -> str:
        """A key with these scopes; with all of them where none is named."""
        with unit_of_work(self.database) as session:
            return api_keys.create(session, TENANT, "test", scopes or api_keys.SCOPES)

    def ask(self, **headers: str) -> str:
        """Ask over HTTP that the person be forgotten; the path of the request."""
        asked = self.caller.post("/v1/deletion-requests", json={"subject": PERSON}, headers=headers)
        return asked.raise_for_status().headers["Location"]


@contextmanager
def trained_stack(folder: Path) -> Iterator[TrainedStack]:
    """Run the system while the block runs; it knows `PERSON` and others, and serves a model of them."""
    with running(folder, host="127.0.0.1", port=0) as stack:
        settings = WorkerSettings.model_validate(asdict(stack.deployment))
        workbench = open_workbench(settings)
        with closing(workbench):
            with unit_of_work(workbench.database) as session:
                interactions.import_log(session, synthetic(60, 40, 700, seed=1), Pseudonyms.load(settings.secrets_dir))
                like = "INSERT INTO interactions SELECT :person, item_id FROM interactions WHERE user_id = '7'"
                session.execute(text(like), {"person": PERSON})
            train_once(workbench, MODEL, given={"d": 4})
            stack.wait_until_ready()
            with unit_of_work(workbench.database) as session:
                key = api_keys.create(session, TENANT, "test", api_keys.SCOPES)
            headers = {"Authorization": f"Bearer {key}"}
            with httpx.Client(base_url=stack.url, headers=headers, timeout=90) as caller:
                yield TrainedStack(stack, workbench.database, caller)
