"""HTML pages, rendered on the server from `templates/`."""

from __future__ import annotations

from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from ledger.tables import Run

NOTHING = "–"


def moment(at: datetime | None) -> str:
    """A moment to the millisecond, in UTC."""
    return NOTHING if at is None else f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}"


def since(at: datetime | None, start: datetime) -> str:
    """How long after `start` it was."""
    if at is None:
        return NOTHING
    seconds = (at - start).total_seconds()
    return f"+{seconds * 1000:.0f} ms" if seconds < 1 else f"+{seconds:,.2f} s"


def short(name: object) -> str:
    """The first characters of a digest or id, enough to tell it from others."""
    return NOTHING if name is None else str(name)[:12]


def small(value: float | None) -> str:
    """A residual, with three digits."""
    return NOTHING if value is None else f"{value:.2e}"


def proven(run: Run) -> str:
    """The proven error of a run's scores as a share of their size, or why there is none."""
    if run.certificate is None:
        return run.uncertified or NOTHING
    return small(run.certificate["rmse_ratio"])


def rendered(template: str, **values: object) -> str:
    """A page of these values; every one of them is escaped."""
    return _PAGES.get_template(template).render(values)


_PAGES = Environment(
    loader=PackageLoader("service"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.filters |= {"moment": moment, "since": since, "short": short, "small": small, "proven": proven}
