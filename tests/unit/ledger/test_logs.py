"""What a log may hold."""

from __future__ import annotations

from ledger.logs import exception_without_message


def test_an_exception_is_logged_by_class_and_place_and_never_by_message() -> None:
    try:
        raise LookupError("user 4711 is unknown")
    except LookupError:
        event = exception_without_message(None, "error", {"event": "task_failed", "exc_info": True})
    assert event["error"] == "LookupError"
    assert "test_logs.py" in event["trace"][-1]
    assert "4711" not in str(event)


def test_an_exception_given_as_a_tuple_is_logged_alike() -> None:
    error = LookupError("user 4711")
    event = exception_without_message(None, "error", {"exc_info": (LookupError, error, None)})
    assert event == {"error": "LookupError", "trace": []}


def test_an_event_without_an_exception_stays_as_it_is() -> None:
    assert exception_without_message(None, "info", {"event": "run_leased"}) == {"event": "run_leased"}
