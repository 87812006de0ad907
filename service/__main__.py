"""Run the web process: `python -m service`."""

from __future__ import annotations

import sys

from pydantic import ValidationError

from alteraser import crash
from alteraser.errors import UnknownCrashPoint
from ledger.errors import SecretMalformed, SecretMissing, TracingRefused
from ledger.logs import log_as_json
from ledger.settings import faults
from ledger.tracing import trace_as_asked
from service.errors import StartRefused
from service.listening import bound
from service.settings import ServiceSettings

REFUSED = 2


def main() -> int:
    """Serve until told to stop; 0 then, 2 where the process cannot start."""
    try:
        settings = ServiceSettings()
        if settings.crash_at is not None:
            crash.arm(settings.crash_at)
        log_as_json()
        trace_as_asked("web")
        with bound(settings.service_host, settings.service_port) as listening:
            from service.server import serve  # loads torch, which takes seconds: only where all else is well

            serve(settings, listening)
    except ValidationError as error:
        return _refuse(faults(error))
    except (StartRefused, SecretMissing, SecretMalformed, TracingRefused, UnknownCrashPoint) as error:
        return _refuse(str(error))
    return 0


def _refuse(reason: str) -> int:
    sys.stderr.write(f"alteraser service: {reason}\n")
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
