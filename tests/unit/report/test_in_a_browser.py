"""The page of decision routes in a headless Chromium: it is opened and clicked through."""

import contextlib
import shutil

import pytest

from model_lego.report import write_report, write_routes
from tests.support.routed import planted_assembly, planted_routes, planted_top_images

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


@contextlib.contextmanager
def opened(browser, file):
    """A page, opened; it must neither complain nor ask for anything else."""
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(20_000)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    yield page
    page.close()
    assert said == []
    assert [address for address in asked if not address.startswith("data:image/")] == [file.as_uri()]


@pytest.fixture
def page(browser, tmp_path):
    """The page of the routes through one network."""
    write_routes(planted_routes(), tmp_path / "routes.html")
    with opened(browser, tmp_path / "routes.html") as page:
        yield page


@pytest.fixture
def illustrated(browser, tmp_path):
    """The page of the same routes with the images that their channels answer to."""
    write_routes(planted_routes().with_top_images(planted_top_images()), tmp_path / "routes.html")
    with opened(browser, tmp_path / "routes.html") as page:
        yield page


@pytest.fixture
def report(browser, tmp_path):
    """The page about an assembly of two parts."""
    assembly, routes = planted_assembly()
    write_report(assembly, tmp_path / "report.html", routes=routes)
    with opened(browser, tmp_path / "report.html") as page:
        yield page


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


def test_a_page_of_one_network_has_no_choice_of_parts(page):
    assert page.locator("#part").is_hidden()


def test_the_parts_of_an_assembly_are_shown_in_turn(report):
    _, routes = planted_assembly()
    choice = report.locator("#part")
    titles = ["part 1 (green & blue, red)", "part 2 (</script>, <b>grey</b>, red)"]
    assert choice.locator("option").all_inner_texts() == titles
    for number in (0, 1, 0):
        choice.select_option(str(number))
        mine = routes[number]
        columns = [mine.layers[0].reads, *(layer.writes for layer in mine.layers)]
        assert dots(report) == sum(int(mine.relevant[:, channels].any(0).sum()) for channels in columns)
        assert report.locator("#classes label").all_inner_texts() == list(mine.names)
        assert edges(report) > 0
        for block in report.locator("[data-part]").all():
            assert block.is_visible() == (block.get_attribute("data-part") == str(number))
        assert report.locator("[data-part] h3:visible").all_inner_texts() == [titles[number]] * 2


def test_another_part_starts_with_its_whole_network(report):
    report.get_by_role("button", name="fc1").click()
    report.locator("#stage circle").first.click()
    report.locator("#classes input").first.uncheck()
    report.locator("#part").select_option("1")
    assert report.locator("#where").inner_text() == "whole network"
    assert report.locator("#tip").is_hidden()
    assert report.locator("#classes input:checked").count() == 3


def test_pointing_at_a_channel_shows_the_images_that_it_answers_to(illustrated):
    routes, top = planted_routes(), planted_top_images()
    names = [layer.name for layer in routes.layers]
    layer = top.layer("fc2")  # reads what fc1 writes
    used = routes.layer("fc2").inputs[:2].any(0)
    place = int((used & (layer.images[:, 0] >= 0)).nonzero()[0])
    column = names.index("fc1") + 1
    illustrated.locator(f"circle[data-channel='{int(layer.reads[place])}'][data-column='{column}']").hover()
    photos = illustrated.locator("#tip figure")
    wanted = [f"image {photo.name}: {photo.label}" for photo in top.of("fc2", place)]
    assert [photos.nth(at).locator("img").get_attribute("alt") for at in range(photos.count())] == wanted
    assert illustrated.locator("#tip .ring").count() == 0  # fc2 reads vectors
    assert photos.first.locator("img").evaluate("image => image.complete && image.naturalWidth") == 8
    early = illustrated.locator("circle[data-column='1']").first
    early.hover()
    assert illustrated.locator("#tip .ring").count() == illustrated.locator("#tip figure").count() > 0


def test_the_strongest_channels_of_each_class_show_their_images_at_once(illustrated):
    routes = planted_routes()
    albums = illustrated.locator("#answers .album")
    assert albums.locator("h3").all_inner_texts() == list(routes.names)
    assert albums.first.locator("figure img").count() > 0
    assert illustrated.locator("#answers figure").count() == illustrated.locator("#answers figure img").count()


def test_the_arrow_keys_lead_from_channel_to_channel(illustrated):
    circles = illustrated.locator("#stage circle")
    illustrated.locator("#stage circle[tabindex='0']").focus()
    assert illustrated.locator("#tip").is_visible()
    for key, column in (("ArrowRight", "1"), ("ArrowRight", "2"), ("ArrowLeft", "1")):
        illustrated.keyboard.press(key)
        assert illustrated.evaluate("document.activeElement.dataset.column") == column
        assert illustrated.locator("#stage circle.chosen").count() >= 1
    before = illustrated.evaluate("document.activeElement.getAttribute('cy')")
    illustrated.keyboard.press("ArrowUp")
    assert float(illustrated.evaluate("document.activeElement.getAttribute('cy')")) <= float(before)
    assert circles.count() > 0


def test_a_page_without_images_says_nothing_of_them(page):
    assert page.locator("#answers").count() == 0
    page.locator("#stage circle").first.hover()
    assert page.locator("#tip figure").count() == 0
