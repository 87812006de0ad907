"""Run the web process: `python -m service`."""

from __future__ import annotations

import sys

from pydantic import ValidationError

from ledger.errors import SecretMalformed, SecretMissing
from ledger.logs import log_as_json
from service.errors import StartRefused
from service.server import serve
from service.settings import ServiceSettings

REFUSED = 2


def main() -> int:
    """Serve until told to stop; 0 then, 2 where the process cannot start."""
    try:
        settings = ServiceSettings()
        log_as_json()
        serve(settings)
    except ValidationError as error:
        return _refuse("; ".join(_faults(error)))
    except (StartRefused, SecretMissing, SecretMalformed) as error:
        return _refuse(str(error))
    return 0


def _faults(error: ValidationError) -> list[str]:
    """What is wrong with the settings, without their values: some are secret."""
    return [
        _fault(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors(include_input=False)
    ]


def _fault(field: str, message: str) -> str:
    return f"ALTERASER_{field.upper()}: {message}" if field else message


def _refuse(reason: str) -> int:
    sys.stderr.write(f"alteraser service: {reason}\n")
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
