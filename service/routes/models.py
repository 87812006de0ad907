"""The models there are."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from ledger import overview
from ledger.database import unit_of_work
from ledger.errors import UnknownModel
from service.auth import Runtime, needs
from service.problems import documented_with_key
from service.schemas.identifiers import Identifier
from service.schemas.models import ModelDocument, ModelList

router = APIRouter(prefix="/v1/models", tags=["models"], dependencies=[Depends(needs("models:admin", "ops:read"))])


@router.get("", summary="List the models", responses=documented_with_key())
def listed(parts: Runtime) -> ModelList:
    """List every model, the one declared first in front. Needs the scope `models:admin` or `ops:read`."""
    with unit_of_work(parts.database) as session:
        return ModelList(models=[ModelDocument.of(served) for served in overview.models(session)])


@router.get("/{name}", summary="Describe a model", responses=documented_with_key(UnknownModel))
def read(name: Annotated[Identifier, Path()], parts: Runtime) -> ModelDocument:
    """Describe one model and its published generation. Needs the scope `models:admin` or `ops:read`."""
    with unit_of_work(parts.database) as session:
        return ModelDocument.of(overview.model(session, name))
