"""The model kinds there are, by the name a snapshot's manifest knows them by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from alteraser.errors import UnknownKind
from alteraser.model import ModelKind
from alteraser.neumf import Neumf
from alteraser.wmf import Wmf

KINDS: Mapping[str, ModelKind] = MappingProxyType({model_kind.name: model_kind for model_kind in (Wmf(), Neumf())})


def kind(name: str) -> ModelKind:
    """Return the model kind of that name.

    Raises:
        UnknownKind: There is none.
    """
    try:
        return KINDS[name]
    except KeyError:
        raise UnknownKind(name) from None
