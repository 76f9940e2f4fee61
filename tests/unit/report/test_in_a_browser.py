"""The page of decision routes in a headless Chromium: it is opened and clicked through."""

import shutil

import pytest

from model_lego.report import write_routes
from tests.routed import planted_routes

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser():
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no page is clicked through")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"there is no browser ({', '.join(BROWSERS)}): no page is clicked through")
    with sync.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser, tmp_path):
    """The page, opened; it must neither complain nor ask for anything else."""
    write_routes(planted_routes(), tmp_path / "routes.html")
    opened = browser.new_page(viewport={"width": 1300, "height": 900})
    opened.set_default_timeout(20_000)
    said, asked = [], []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto((tmp_path / "routes.html").as_uri())
    yield opened
    opened.close()
    assert said == []
    assert asked == [(tmp_path / "routes.html").as_uri()]


def dots(page):
    return page.locator("#stage circle").count()


def edges(page):
    return int(page.locator("#stage").get_attribute("data-edges"))


def used(subjects, channels):
    return int(planted_routes().relevant[list(subjects)][:, channels].any(0).sum())


def test_classes_are_switched_on_and_off(page):
    routes = planted_routes()
    columns = [routes.layers[0].reads, *(layer.writes for layer in routes.layers)]
    assert page.locator("#classes input").count() == 5
    assert dots(page) == sum(used([0, 1], channels) for channels in columns)  # of many classes two are shown first
    before = edges(page)
    page.locator("#classes input").nth(1).uncheck()
    assert dots(page) == sum(used([0], channels) for channels in columns)
    assert 0 < edges(page) < before
    page.locator("#classes input").nth(0).uncheck()
    assert (dots(page), edges(page)) == (0, 0)


def test_pointing_at_a_channel_tells_about_it(page):
    routes = planted_routes()
    layer = routes.layer("conv2")
    channel = int(layer.shared.nonzero()[0])
    number = int(layer.writes[channel])
    place = [one.name for one in routes.layers].index("conv2") + 1
    dot = page.locator(f"circle[data-channel='{number}'][data-column='{place}']")
    dot.hover()
    users = [name for name, mine in zip(routes.names, routes.relevant[:, number].tolist(), strict=True) if mine]
    told = page.locator("#tip").inner_text()
    assert f"conv2, channel {channel}" in told
    assert f"shared by {len(users)}" in told
    assert all(name in told for name in users)
    share = 100 * float(routes.contributions[routes.names.index(users[0]), number])
    assert abs(float(page.locator("#tip .row").first.inner_text().split()[-2]) - share) < 0.3
    page.mouse.move(5, 5)
    assert page.locator("#tip").is_hidden()
    dot.click()
    page.mouse.move(5, 5)
    assert page.locator("#tip").is_visible()  # a click holds it
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def test_a_layer_is_looked_into_and_left_again(page):
    page.get_by_role("button", name="fc1").click()
    assert page.locator("#where").inner_text() == "fc1"
    layer = planted_routes().layer("fc1")
    assert dots(page) == used([0, 1], layer.reads) + used([0, 1], layer.writes)
    assert edges(page) > 0
    page.get_by_role("button", name="back to the whole network").click()
    assert page.locator("#where").inner_text() == "whole network"
    page.get_by_role("button", name="conv2").focus()
    page.keyboard.press("Enter")
    assert page.locator("#where").inner_text() == "conv2"
    page.keyboard.press("Escape")
    assert page.locator("#where").inner_text() == "whole network"


def test_weak_edges_are_hidden(page):
    before = edges(page)
    page.locator("#strength").fill("90")
    assert page.locator("#least").inner_text() == "90 %"
    assert 0 < edges(page) < before


def test_the_page_is_drawn_on_dark_ground_too(page):
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    assert edges(page) > 0
