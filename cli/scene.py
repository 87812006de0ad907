"""What the acts of the demo share: showing a user, asking to forget, checking what every receipt promises."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from rich.console import Console

from cli import evidence
from cli.caller import Answer, Caller
from cli.certify import in_words, is_rank_bound
from cli.checklist import Checklist
from cli.clocks import Clocks, follow
from cli.datasets import Dataset
from cli.receipts import verified
from cli.stack import Stack
from ledger.errors import ReceiptInvalid

PATIENCE_S = 600.0
REPLICA_PATIENCE_S = 5.0
LOOK_EVERY_S = 0.1
N_SHOWN = 5
ROUNDING = 1.01
"""Two computations of one bound, on other numbers of threads, may differ by so much."""


@dataclass(frozen=True)
class Scene:
    """A running system with data in it, someone who calls it, and the claims checked so far."""

    console: Console
    stack: Stack
    caller: Caller
    data: Dataset
    checks: Checklist

    @cached_property
    def users(self) -> list[str]:
        """All users, from the fewest interactions to the most."""
        ids, counts = np.unique(self.data.log.users.astype(str), return_counts=True)
        return [str(ids[k]) for k in np.lexsort((ids, counts))]

    def title(self, item: str) -> str:
        """What people call an item."""
        return self.data.titles.get(item, f"item {item}")

    def say(self, text: str) -> None:
        """Print a line as it is."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def heading(self, text: str) -> None:
        """Begin a part."""
        self.console.print(f"\n[bold]{text}[/]", highlight=False)

    def show_user(self, user: str) -> Answer:
        """Say how many rows a user has and what they are recommended."""
        answer = self.caller.recommendations(user)
        n_rows = evidence.rows_of_user(self.stack.deployment, user)
        self.say(f"  user {user}: {n_rows} rows in PostgreSQL; recommended:")
        best = list(zip(answer.items, answer.scores, strict=True))[:N_SHOWN]
        for rank, (item, score) in enumerate(best, start=1):
            self.say(f"    {rank}. {self.title(item)}  ({score:.2f})")
        return answer

    def stranger(self) -> Answer:
        """What a user nobody has ever met is answered."""
        return self.caller.recommendations(f"stranger-{uuid.uuid4()}")

    def is_served_personally(self, user: str) -> bool:
        """Whether a user is answered otherwise than a stranger, now or soon: replicas look now and then."""
        patient_until = time.monotonic() + REPLICA_PATIENCE_S
        while self.caller.recommendations(user) == self.stranger():
            if time.monotonic() > patient_until:
                return False
            time.sleep(LOOK_EVERY_S)
        return True

    def forget(self, what: str, body: Mapping[str, Any]) -> Clocks:
        """Ask over HTTP, print the four clocks as they strike, and check the receipt."""
        self.say(f"  forget {what}: POST /v1/deletion-requests")
        request_id = str(self.caller.delete(body)["id"])
        clocks = follow(self.console, what, self.caller.followed(request_id, patience_s=PATIENCE_S))
        self.checks.check("the request is completed", "completed" in clocks.at)
        if "completed" in clocks.at:
            self._check_receipt(request_id)
        return clocks

    def check_generations(self, before: Answer, after: Answer) -> None:
        """Check that of all snapshots only the one that answers now is on the disk."""
        left = evidence.generations(self.stack.deployment)
        live, superseded = after.snapshot, before.snapshot
        claim = f"snapshots on disk: only the live one, {_short(live)}; gone: {_short(superseded)}"
        self.checks.check(claim, left == {live} and superseded != live)

    def check_proof(self, model: Mapping[str, Any]) -> None:
        """Say what the receipt proves of a model's scores, and check it against a proof from the snapshot on disk."""
        certificate = model["certificate"]
        if certificate is None:
            self.say(f"    nothing is proven of the scores: {model['uncertified']}")
            return
        if is_rank_bound(certificate):
            sigma = certificate["sigma"]
            self.say(f"    rank-bound (sigma {sigma:.3f}): the model has too few dimensions for much to be proven")
        if certificate["influence_bound"] is None:
            self.say(f"    proven: {in_words(certificate)}; the influence left is not bounded")
            return
        again = evidence.proven_distance(self.stack.deployment, model["child"])
        is_so = again <= certificate["distance"] * ROUNDING
        self.checks.check(f"proven, and proven again from the live snapshot: {in_words(certificate)}", is_so)

    def _check_receipt(self, request_id: str) -> None:
        folder = self.stack.home.folder
        receipt, keys = folder / f"receipt-{request_id}.jws", folder / "jwks.json"
        receipt.write_text(self.caller.receipt(request_id), encoding="ascii")
        keys.write_text(self.caller.public_keys(), encoding="ascii")
        try:
            said = verified(receipt, keys)
        except ReceiptInvalid:
            said = {}
        claim = f"the receipt, verified offline: alteraser verify {receipt.name} --jwks {keys.name}"
        self.checks.check(claim, said.get("request_id") == request_id)
        for model in said.get("models", ()):
            self.check_proof(model)


def _short(digest: str) -> str:
    return digest[:12]
