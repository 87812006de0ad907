"""The operations pages in a real browser, during a live deletion."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import DESKTOP, PATIENCE_S, Watched, Window
from tests.processes import wait_until

pytestmark = pytest.mark.browser

PAGES = {
    "Overview": "/ops",
    "Requests": "/ops/requests",
    "Runs": "/ops/runs",
    "Snapshots": "/ops/snapshots",
    "Replicas": "/ops/replicas",
    "Log": "/ops/log",
    "Alarms": "/ops/alarms",
}
RULES = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
MOST_BYTES = 150_000
PICTURES = {
    "alarms-light",
    "log-light-phone",
    "overview-dark",
    "overview-light",
    "overview-light-phone",
    "request-dark-phone",
    "request-light",
    "run-light",
    "snapshots-light",
}
"""Those that the documents show."""
REACHABLE = ":is(main, footer) :is(a, button, select, input:not([type=hidden]), summary, [tabindex='0']):visible"


@pytest.fixture(autouse=True)
def patience() -> None:
    """A machine that does something else besides is slow."""
    expect.set_options(timeout=PATIENCE_S * 1000)


@pytest.fixture
def keep(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Window, str], None]:
    """Saves pictures of what a window shows."""
    folder: Path = request.config.getoption("--screenshots") or tmp_path
    folder.mkdir(parents=True, exist_ok=True)

    def saved(window: Window, name: str) -> None:
        if name not in PICTURES:
            return
        path = folder / f"{name}.png"
        window.page.screenshot(path=path)
        assert path.stat().st_size < MOST_BYTES, name

    return saved


def test_a_deletion_is_seen_as_it_happens_without_a_reload(
    window: Callable[..., Window], system: Watched, keep: Callable[[Window, str], None]
) -> None:
    watching = window()
    watching.sign_in(system.key)
    page = watching.page
    following = window(context=page.context)
    with system.worker_slowed():
        watching.open(f"/ops/requests/{system.forget('7')}")
        page.evaluate("globalThis.isStillHere = true")
        expect(page.locator("p[role=status]")).to_contain_text("in progress")
        path = page.locator("dd a[href^='/ops/runs/']").get_attribute("href")
        following.open(path or "")
        residuals = _watched(following.page)
    assert len(residuals) >= 3
    assert residuals[0] > 100 * residuals[-1]
    expect(page.locator("p[role=status]")).to_contain_text("completed")
    expect(page.locator("ol.clocks li.struck")).to_have_count(4)
    assert page.evaluate("isStillHere")
    keep(watching, "request-light")
    keep(following, "run-light")


def _watched(page: Page) -> list[float]:
    """The residuals that a run's page shows one after the other until the run has ended, without a reload."""
    page.evaluate("globalThis.isStillHere = true")
    expect(page.locator("p[role=status]")).to_contain_text("live")
    seen: list[float] = []
    while "live" in page.locator("p[role=status]").inner_text():
        said = re.match(r"[\d.]+e[+-]\d+", page.locator("#residual").inner_text())
        if said and float(said.group()) not in seen[-1:]:
            seen.append(float(said.group()))
        page.wait_for_timeout(100)
    expect(page.locator("#gates ~ div")).to_contain_text("passed")
    expect(page.locator("figure.chart canvas")).to_have_count(1)
    assert page.evaluate("isStillHere")
    return seen


def test_every_page_is_reached_by_clicks_and_its_numbers_by_links(
    window: Callable[..., Window], system: Watched, keep: Callable[[Window, str], None]
) -> None:
    clicking = window()
    clicking.sign_in(system.key)
    page = clicking.page
    for name, path in PAGES.items():
        page.get_by_role("navigation").get_by_role("link", name=name).click()
        page.wait_for_url(system.url + path)
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        expect(page.get_by_role("navigation").locator("[aria-current=page]")).to_have_text(name)
        keep(clicking, f"{name.lower()}-light")
    page.get_by_role("navigation").get_by_role("link", name="Overview").click()
    page.locator("dl.figures div", has_text="completed").get_by_role("link").click()
    page.locator("tbody").get_by_role("link").first.click()
    page.get_by_role("link", name=re.compile("^entry")).click()
    expect(page.locator("#checks")).to_have_attribute("data-outcome", "good")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{system.url}/ops")
    expect(page.get_by_label("API key")).to_be_visible()
    clicking.complaints.clear()  # the browser notes that whoever signed out was asked for a key


def test_the_log_is_verified_in_the_browser_and_a_changed_entry_shows(
    window: Callable[..., Window], system: Watched
) -> None:
    checking = window()
    checking.sign_in(system.key)
    page = checking.page
    checking.open("/ops/log")
    checks = page.locator("#checks")
    expect(checks).to_have_attribute("data-outcome", "good")
    expect(checks).to_contain_text("the signature is good")
    expect(checks).to_contain_text("looks for the first time")
    page.get_by_role("button", name="Verify again").click()
    expect(checks).to_contain_text("is where it begins now")
    expect(checks).to_have_attribute("data-outcome", "good")
    page.route("**/v1/log/entries/*", _changed)
    page.get_by_role("button", name="Verify again").click()
    expect(checks).to_contain_text("NOT IN THE SIGNED LOG")
    expect(checks).to_have_attribute("data-outcome", "bad")
    page.unroute("**/v1/log/entries/*")
    page.route("**/v1/log/checkpoint", _grown)
    page.get_by_role("button", name="Verify again").click()
    expect(checks).to_contain_text("THE SIGNATURE IS WRONG")


def _changed(route: Route) -> None:
    """Answer with an entry in which one letter is another."""
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace("event", "Event"))


def _grown(route: Route) -> None:
    """Answer with a checkpoint of another name."""
    answer = route.fetch()
    origin, rest = answer.text().split("\n", 1)
    size, tail = rest.split("\n", 1)
    route.fulfill(response=answer, body=f"{origin}\n{int(size) - 1}\n{tail}")


def test_a_pending_request_is_cancelled_with_a_click(window: Callable[..., Window], system: Watched) -> None:
    acting = window()
    acting.sign_in(system.key)
    with system.worker_stopped():
        request_id = system.forget("8")
        acting.open(f"/ops/requests/{request_id}")
        acting.page.get_by_role("button", name="Cancel the request").click()
        expect(acting.page.locator("p[role=status]")).to_contain_text("cancelled")
    assert system.request(request_id)["state"] == "cancelled"
    acting.open("/ops/log")
    expect(acting.page.locator("#live")).to_contain_text("cancelled by operator")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_pages_are_accessible_and_fit_on_the_screen(
    window: Callable[..., Window], system: Watched, keep: Callable[[Window, str], None], scheme: str, phone: bool
) -> None:
    looking = window(scheme, phone=phone)
    looking.sign_in(system.key)
    detail = [_first_link(looking, path) for path in ("/ops/requests", "/ops/runs")]
    for path in [*PAGES.values(), *detail, "/ops/session"]:
        looking.open(path)
        found = Axe().run(looking.page, options=RULES).response["violations"]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == [], path
        assert looking.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        if scheme == "dark" or phone:
            name = path.split("/")[2] if path.count("/") > 1 else "overview"
            is_detail = path in detail
            keep(looking, f"{name.rstrip('s') if is_detail else name}-{scheme}{'-phone' if phone else ''}")


def _first_link(window: Window, path: str) -> str:
    """Where the first row of a page leads."""
    window.open(path)
    link = window.page.locator("tbody").get_by_role("link").first.get_attribute("href")
    assert link is not None
    return link


WRITTEN = """globalThis.written = [];
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  written.push(`${text} at ${Math.round(x)}`);
  return fillText.call(this, text, x, y);
};"""
"""Has a page keep what is written on its canvases, and how far from their left."""


def test_a_chart_tells_the_same_time_wherever_it_is_looked_at(
    browser: Browser, window: Callable[..., Window], system: Watched
) -> None:
    def written(timezone: str) -> set[str]:
        context = browser.new_context(timezone_id=timezone, viewport=DESKTOP)
        looking = window(context=context)
        looking.sign_in(system.key)
        context.add_init_script(WRITTEN)
        looking.open("/ops?span=month")
        wait_until(lambda: _after(looking.page, 200) and looking.page.evaluate("written.length > 0"), within_s=30)
        said: list[str] = looking.page.evaluate("written")
        return set(said)

    assert written("Etc/UTC") == written("Asia/Kathmandu")


def test_everything_can_be_reached_and_done_with_the_keyboard(window: Callable[..., Window], system: Watched) -> None:
    typing = window()
    typing.sign_in(system.key)
    page = typing.page
    for path in PAGES.values():
        typing.open(path)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        wanted = page.locator(REACHABLE).count()
        reached = [_next_in_focus(page) for _ in range(wanted)]
        assert reached[-1] == "pause", path
        assert all(reached)


def _next_in_focus(page: Page) -> str:
    """Press the tab key: the id or the text of what has the focus then; empty where that cannot be seen."""
    page.keyboard.press("Tab")
    found: str = page.evaluate(
        "(each => getComputedStyle(each).outlineStyle === 'none' ? '' : each.id || each.textContent || each.tagName)"
        "(document.activeElement)"
    )
    return found


def test_updates_stop_when_nobody_looks_and_when_somebody_says_so(
    window: Callable[..., Window], system: Watched
) -> None:
    waiting = window()
    waiting.sign_in(system.key)
    page = waiting.page
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    wait_until(lambda: _after(page, 500) and len(fetched) >= 2, within_s=30)
    page.get_by_role("button", name="Pause updates").click()
    expect(page.locator("#told")).to_have_text("Updates are paused.")
    page.wait_for_timeout(500)
    fetched.clear()
    page.wait_for_timeout(5000)
    assert fetched == []
    page.get_by_role("button", name="Pause updates").click()
    wait_until(lambda: _after(page, 500) and bool(fetched), within_s=30)


def _after(page: Page, milliseconds: int) -> bool:
    page.wait_for_timeout(milliseconds)
    return True
