"""The ids of users, items and models, as callers write them."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from alteraser.arrow_columns import LONGEST_ID

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=r"^[^\x00]+$")]
