"""A real system, started as somebody would, and a real Chromium to look at it with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, ViewportSize, sync_playwright

from alteraser.synthetic import synthetic
from tests.processes import announced, descendants, wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ALTERASER_")}
EXACT = {"ALTERASER_WORKER_TOLERANCE": "1e-10", "OMP_NUM_THREADS": "1"}
"""The worker's: at the default tolerance a deletion takes a step or two, which is no curve to look at."""
STOPPED_S, GOING_S = 0.1, 0.01
PATIENCE_S = 120.0
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 375, "height": 740}


@dataclass(frozen=True)
class Watched:
    """A running `alteraser up` with a trained model."""

    process: subprocess.Popen[str]
    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def forget(self, subject: str) -> str:
        """Ask that a user be forgotten; the request's id."""
        asked = httpx.post(f"{self.url}/v1/deletion-requests", json={"subject": subject}, headers=self.headers)
        return str(asked.raise_for_status().json()["id"])

    def request(self, request_id: str) -> dict[str, object]:
        """A request as the interface tells it."""
        found = httpx.get(f"{self.url}/v1/deletion-requests/{request_id}", headers=self.headers)
        said: dict[str, object] = found.raise_for_status().json()
        return said

    @property
    def worker(self) -> int:
        """The process id of the worker."""
        started = descendants(self.process.pid)
        return next(pid for pid in started if b"workers\0worker" in Path(f"/proc/{pid}/cmdline").read_bytes())

    @contextmanager
    def worker_stopped(self) -> Iterator[None]:
        """Have the worker do nothing while the block runs."""
        worker = self.worker
        os.kill(worker, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(worker, signal.SIGCONT)

    @contextmanager
    def worker_slowed(self) -> Iterator[None]:
        """Stop the worker ten times a second while the block runs, so that people can watch what it does."""
        worker, ended = self.worker, Event()

        def slow() -> None:
            while not ended.wait(GOING_S):
                os.kill(worker, signal.SIGSTOP)
                ended.wait(STOPPED_S)
                os.kill(worker, signal.SIGCONT)

        slowing = Thread(target=slow)
        slowing.start()
        try:
            yield
        finally:
            ended.set()
            slowing.join()


@dataclass
class Window:
    """A page in a browser, and everything that went wrong in it. Not frozen: Playwright marks what listens to it."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go to a page of the system."""
        answer = self.page.goto(self.url + path)
        assert answer is not None
        assert answer.ok, (path, answer.status)

    def sign_in(self, key: str) -> None:
        """Sign in the way a person does."""
        self.open("/ops/session")
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.url}/ops")

    def complain(self, message: ConsoleMessage) -> None:
        """Note an error or a warning on the console."""
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def fail(self, error: Error) -> None:
        """Note an error that no script caught."""
        self.complaints.append(str(error))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", type=Path, help="the folder to keep pictures of the pages in")


@pytest.fixture(scope="module")
def chromium() -> str:
    """The browser's program; without one there is nothing to test, and that is a failure."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.fail(f"there is no Chromium here: install one of {', '.join(NAMES)}", pytrace=False)
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def system(chromium: str, server_dir: Path) -> Iterator[Watched]:
    """The system with a model of three hundred made-up users."""
    del chromium
    home = server_dir / "home"
    command = [sys.executable, "-m", "cli", "up", "--home", str(home), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, env=ENVIRONMENT | EXACT, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            ready = announced(process)
            watched = Watched(process, ready.url, ready.key)
            _train(home)
            wait_until(lambda: httpx.get(f"{watched.url}/readyz").is_success, within_s=PATIENCE_S)
            yield watched
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)


@pytest.fixture
def window(browser: Browser, system: Watched) -> Iterator[Callable[..., Window]]:
    """Opens windows, and at the end looks at what their consoles said."""
    opened: list[Window] = []

    def opening(
        scheme: Literal["light", "dark"] = "light", *, phone: bool = False, context: BrowserContext | None = None
    ) -> Window:
        if context is None:
            context = browser.new_context(viewport=PHONE if phone else DESKTOP, color_scheme=scheme)
        context.set_default_timeout(PATIENCE_S * 1000)
        page = context.new_page()
        window = Window(page, system.url)
        page.on("console", window.complain)
        page.on("pageerror", window.fail)
        opened.append(window)
        return window

    yield opening
    for each in opened:
        each.page.close()
        assert each.complaints == []


def _train(home: Path) -> None:
    log = synthetic(n_users=300, n_items=200, n_interactions=6_000, seed=1)
    file = home / "interactions.csv"
    file.write_text("user,item\n" + "".join(f"{u},{i}\n" for u, i in zip(log.users, log.items, strict=True)))
    for arguments in (["import", str(file)], ["train", "--set", "d=8", "--set", "saturate=0"]):
        command = [sys.executable, "-m", "cli", *arguments, "--home", str(home)]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
