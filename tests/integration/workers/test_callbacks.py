"""Whoever asked to be told is told of every change: signed, again until it is heard, and nowhere it must not go."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text

from ledger import receipts, recording, requests
from ledger.database import unit_of_work
from ledger.pseudonym import Pseudonyms
from ledger.recording import NewRequest
from ledger.settings import SharedSettings
from tests.receiver import Receiver, receiver
from workers.callbacks import deliver_due
from workers.certificates import certify_published
from workers.completion import complete_ready
from workers.pipeline import run_once
from workers.settings import WorkerSettings
from workers.workbench import Workbench

MODEL = "main"
USER = "7"


@pytest.fixture
def settings(settings: WorkerSettings) -> WorkerSettings:
    """Callbacks may go to this machine, and are given up after three attempts."""
    return settings.model_copy(
        update={"callback_private": True, "worker_callback_timeout_s": 1.0, "worker_callback_tries": 3}
    )


@pytest.fixture
def listener() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def ask(workbench: Workbench, *urls: str, user: str = USER) -> UUID:
    """Record a deletion whose changes are to be told."""
    new = NewRequest("acme", "subject", user, callback_urls=urls)
    with unit_of_work(workbench.database) as session:
        return recording.record(session, new, Pseudonyms.load(workbench.settings.secrets_dir)).request_id


def cancel(workbench: Workbench, request_id: UUID) -> None:
    with unit_of_work(workbench.database) as session:
        requests.cancel(session, "acme", request_id)


def rows(workbench: Workbench, question: str) -> list[Any]:
    with unit_of_work(workbench.database) as session:
        return list(session.execute(text(question)))


def rest(workbench: Workbench) -> None:
    """Let every pause be over."""
    with unit_of_work(workbench.database) as session:
        session.execute(text("UPDATE callbacks SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL"))


def test_every_change_is_told_signed_and_without_an_identity(
    trained: Workbench, listener: Receiver, swap: Callable[[], None]
) -> None:
    request_id = ask(trained, f"{listener.url}/told?of=1")
    run_once(trained, MODEL)
    swap()
    certify_published(trained)
    complete_ready(trained)
    assert listener.heard == []
    assert deliver_due(trained) == 3
    assert sorted(listener.states(request_id)) == ["completed", "in_progress", "unlearned"]
    in_order = sorted(listener.heard, key=lambda each: each.said["data"]["number"])
    assert [each.state for each in in_order] == ["in_progress", "unlearned", "completed"]
    assert len({each.headers["webhook-id"] for each in listener.heard}) == 3
    keys = receipts.jwks(trained.settings.secrets_dir)
    for heard in listener.heard:
        assert heard.path == "/told?of=1"
        assert heard.is_signed_by(keys)
        assert not replace(heard, body=heard.body + b" ").is_signed_by(keys)
        assert heard.said["type"] == f"deletion_request.{heard.state}"
        assert heard.said["data"].keys() == {"id", "state", "number"}
    assert deliver_due(trained) == 0


def test_urls_are_forgotten_with_the_request_and_with_the_delivery(trained: Workbench, listener: Receiver) -> None:
    cancel(trained, ask(trained, listener.url))
    assert rows(trained, "SELECT * FROM callback_urls") == []
    deliver_due(trained)
    assert [row.url for row in rows(trained, "SELECT url FROM callbacks")] == [None]


def test_each_of_several_urls_is_told(trained: Workbench, listener: Receiver) -> None:
    cancel(trained, ask(trained, f"{listener.url}/a", f"{listener.url}/b"))
    deliver_due(trained)
    assert {each.path for each in listener.heard} == {"/a", "/b"}


def test_a_change_that_is_rolled_back_is_told_to_nobody(trained: Workbench, listener: Receiver) -> None:
    request_id = ask(trained, listener.url)
    with suppress(ZeroDivisionError), unit_of_work(trained.database) as session:
        requests.cancel(session, "acme", request_id)
        raise ZeroDivisionError
    assert deliver_due(trained) == 0


@pytest.mark.parametrize("status", [500, 302, 307, 404])
def test_whoever_does_not_hear_is_told_again_with_the_same_id(
    trained: Workbench, listener: Receiver, status: int
) -> None:
    listener.statuses = [status]
    cancel(trained, ask(trained, listener.url))
    assert deliver_due(trained) == 1
    assert deliver_due(trained) == 0
    (waiting,) = rows(trained, "SELECT failure, next_attempt_at > now() AS rests FROM callbacks")
    assert (waiting.failure, waiting.rests) == (f"status {status}", True)
    rest(trained)
    assert deliver_due(trained) == 1
    first, second = listener.heard
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert {each.path for each in listener.heard} == {"/"}


def test_what_nobody_hears_is_given_up_and_stays_to_be_seen(trained: Workbench, listener: Receiver) -> None:
    listener.statuses = [500, 503, 500]
    cancel(trained, ask(trained, listener.url))
    for _ in range(5):
        deliver_due(trained)
        rest(trained)
    assert len(listener.heard) == 3
    (dead,) = rows(trained, "SELECT dead_at, delivered_at, attempts, url, failure FROM callbacks")
    assert dead.dead_at is not None
    assert (dead.delivered_at, dead.attempts, dead.url, dead.failure) == (None, 3, listener.url, "status 500")
    assert rows(trained, "SELECT 1 FROM log_entries WHERE entry LIKE '%callback_given_up%'")


def test_whoever_is_gone_is_told_no_more(trained: Workbench, listener: Receiver) -> None:
    listener.statuses = [410]
    cancel(trained, ask(trained, listener.url))
    deliver_due(trained)
    rest(trained)
    assert deliver_due(trained) == 0
    assert rows(trained, "SELECT failure FROM callbacks WHERE dead_at IS NOT NULL")[0].failure == "status 410"


def test_whoever_does_not_answer_is_waited_for_no_longer_than_the_time_out(
    trained: Workbench, listener: Receiver
) -> None:
    listener.pause_s = 1.5
    cancel(trained, ask(trained, listener.url))
    deliver_due(trained)
    assert rows(trained, "SELECT failure FROM callbacks")[0].failure == "ReadTimeout"


def test_nobody_listening_is_no_reason_not_to_complete(
    trained: Workbench, swap: Callable[[], None], listener: Receiver
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        nowhere = f"http://localhost:{closed.getsockname()[1]}"
    ask(trained, nowhere)
    heard_id = ask(trained, listener.url, user="8")
    run_once(trained, MODEL)
    swap()
    certify_published(trained)
    assert complete_ready(trained) == 2
    assert deliver_due(trained) == 6
    assert len(listener.states(heard_id)) == 3
    assert {row.failure for row in rows(trained, "SELECT failure FROM callbacks WHERE url IS NOT NULL")} == {
        "ConnectError"
    }


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_private_address_behind_a_name_is_never_connected_to(
    trained: Workbench, listener: Receiver, scheme: str
) -> None:
    strict = replace(trained, settings=trained.settings.model_copy(update={"callback_private": False}))
    cancel(trained, ask(trained, listener.url.replace("http", scheme, 1)))
    deliver_due(strict)
    assert listener.heard == []
    (refused,) = rows(trained, "SELECT failure FROM callbacks")
    assert refused.failure == {"http": "it must begin with https://", "https": "its address is not public"}[scheme]


def test_over_tls_the_certificate_is_that_of_the_name_and_not_of_the_address(
    trained: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate(tmp_path / "right.pem", x509.DNSName("localhost"))))
    for name, is_heard in (("right.pem", True), ("wrong.pem", False)):
        path = tmp_path / name
        if not is_heard:
            authority = certificate(path, x509.IPAddress(ip_address("127.0.0.1")))
            monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(path)
        with receiver(tls) as listener:
            cancel(trained, ask(trained, listener.url))
            deliver_due(trained)
            assert bool(listener.heard) == is_heard


def certificate(path: Path, name: x509.GeneralName) -> Path:
    """Write a certificate for the name that vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_private_addresses_are_refused_unless_a_setting_says_otherwise() -> None:
    assert SharedSettings.model_fields["callback_private"].default is False
