"""The model kinds there are, by the name a snapshot's manifest knows them by: this package's own and installed ones.

Any installed distribution adds kinds with entry points of the group `GROUP`, whose name is the kind's and whose object
is a `ModelKind`. Worker, service and command line all look here: to be installed beside them is all that it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from alteraser.errors import KindClaimedTwice, KindNotLoaded, UnknownKind
from alteraser.model import ModelKind
from alteraser.neumf import Neumf
from alteraser.wmf import Wmf

KINDS: Mapping[str, ModelKind] = MappingProxyType({model_kind.name: model_kind for model_kind in (Wmf(), Neumf())})

GROUP = "alteraser.kinds"


@cache
def kind(name: str) -> ModelKind:
    """Return the model kind of that name; an installed one is imported when it is first asked for.

    Raises:
        UnknownKind: There is none.
        KindClaimedTwice: There are several.
        KindNotLoaded: It is an installed one that cannot be imported or is not what its entry point says.
    """
    own, installed = KINDS.get(name), tuple(entry_points(group=GROUP, name=name))
    claimants = (("alteraser",) if own else ()) + tuple(entry_point.value for entry_point in installed)
    if not claimants:
        raise UnknownKind(name)
    if len(claimants) > 1:
        raise KindClaimedTwice(name, claimants)
    return own or _loaded(installed[0])


def _loaded(entry_point: EntryPoint) -> ModelKind:
    name, source = entry_point.name, entry_point.value
    try:
        found: ModelKind = entry_point.load()
    except Exception as error:
        raise KindNotLoaded(name, source, type(error).__name__) from error
    if getattr(found, "name", None) != name:
        raise KindNotLoaded(name, source, "it is no model kind of that name")
    return found
