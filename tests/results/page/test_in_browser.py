"""The report in a real browser: drawn without a fault or a request, sorted, filtered, brushed, dark, and on a phone."""

import pytest

from hpsearch.results.page import page
from tests.browser import opened_page
from tests.results.page.studies import STUDIES, confirmed, cooled, mixed


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    path = folder / "report.html"
    path.write_text(page(confirmed(cooled(mixed(24)), {0: [3.1, 3.2], 1: [2.6]}), folder), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def heard(browser, file):
    """The report, opened once for all tests that leave it as they found it."""
    with opened_page(browser) as found:
        load(found.page, file)
        yield found


@pytest.fixture
def shown(heard):
    heard.page.set_viewport_size({"width": 1280, "height": 800})
    yield heard.page
    heard.page.fill("#filter", "")
    if heard.page.is_visible("#clear"):
        heard.page.click("#clear")
    assert (heard.errors, heard.requests) == ([], [])


def load(shown, path):
    shown.goto(path.as_uri())
    shown.wait_for_selector("html[data-ready=yes]")
    return shown


def plot(shown, name):
    """Scrolls to a chart and waits until plotly has drawn it."""
    shown.locator(f"[data-chart={name}]").scroll_into_view_if_needed()
    shown.wait_for_selector(f"[data-chart={name}] svg.main-svg")
    return shown.locator(f"[data-chart={name}]")


def column(shown, index):
    return shown.eval_on_selector_all(
        "#table tbody tr:not([hidden])", "(rows, i) => rows.map(row => row.cells[i].textContent.trim())", index
    )


def test_all_charts_are_drawn_without_a_fault_or_a_request(shown):
    names = shown.eval_on_selector_all(".plot", "plots => plots.map(plot => plot.dataset.chart)")
    assert {"curves", "history", "importances", "parallel", "spending", "slice-0"} <= set(names)
    for name in names:
        plot(shown, name)


@pytest.mark.parametrize("kind", ["nothing yet", "nothing but nan"])
def test_studies_without_results_show_no_fault(browser_page, tmp_path, kind):
    (tmp_path / "report.html").write_text(page(STUDIES[kind](), tmp_path), encoding="utf-8")
    shown = load(browser_page.page, tmp_path / "report.html")
    assert shown.is_hidden("#fault")
    assert browser_page.errors == []


def test_the_table_is_sorted_by_click_and_by_key(shown):
    assert column(shown, 0)[0] == "1 ★"
    head = shown.locator("#table thead button", has_text="learning_rate")
    head.click()
    rates = [float(value) for value in column(shown, 6)]
    assert rates == sorted(rates)
    assert len(rates) == 24
    head.press("Enter")
    assert [float(value) for value in column(shown, 6)] == sorted(rates, reverse=True)
    assert shown.locator("#table th[aria-sort=descending]").inner_text().startswith("learning_rate")


def test_the_table_is_filtered_by_words_and_outcomes(shown):
    shown.fill("#filter", "schedule=cosine completed")
    assert {(row, "completed") for row in column(shown, 8)} == {("cosine", "completed")}
    shown.fill("#filter", "")
    shown.click("[data-outcome=pruned]")
    assert "pruned" not in column(shown, 1)
    assert shown.inner_text("#shown") == "21 of 24 trials"
    shown.click("#clear")
    assert len(column(shown, 0)) == 24


def test_brushing_parallel_coordinates_selects_rows(shown):
    plot(shown, "parallel")
    limits = "{'dimensions[0].constraintrange': [[-4, -2]]}"
    shown.evaluate(f"Plotly.restyle(document.querySelector('[data-chart=parallel]'), {limits})")
    shown.wait_for_function("document.querySelector('#shown').textContent.includes(' of ')")
    assert all(float(value) <= 1e-2 for value in column(shown, 6))


def test_pointing_at_a_curve_shows_its_config_and_a_click_selects_it(shown):
    box = plot(shown, "curves")
    place = box.evaluate(
        """plot => { const last = plot.data.at(-1), at = plot.getBoundingClientRect(), size = plot._fullLayout;
        return [at.x + size._size.l + size.xaxis.l2p(last.x[0]), at.y + size._size.t + size.yaxis.l2p(last.y[0])]; }"""
    )
    shown.mouse.move(*place)
    shown.wait_for_selector("[data-chart=curves] .hovertext")
    assert "learning_rate = " in box.locator(".hovertext").text_content()
    shown.mouse.click(*place)
    assert "trial 1: overfit" in shown.inner_text("#selected")
    assert shown.locator("#table tr.chosen").get_attribute("data-n") == "1"
    shown.click("#selected button")
    assert shown.is_hidden("#selected")


def test_curves_over_tokens_with_training_loss(shown):
    box = plot(shown, "curves")
    before = box.evaluate("plot => plot.data.length")
    shown.check("#training")
    shown.check("#curves input[value=tokens]")
    assert box.evaluate("plot => plot.data.length") > before
    assert box.evaluate("plot => plot.layout.xaxis.title.text") == "tokens seen"
    shown.check("#logx")
    assert box.evaluate("plot => plot._fullLayout.xaxis.type") == "log"


def test_dark_by_the_system_and_by_the_button(browser_page, file):
    browser_page.page.emulate_media(color_scheme="dark")
    shown = load(browser_page.page, file)
    ground = "getComputedStyle(document.body).backgroundColor"
    assert shown.evaluate(ground) == "rgb(20, 23, 26)"
    colour = "plot => plot._fullLayout.font.color"
    assert plot(shown, "curves").evaluate(colour) == "#e6e9ec"
    shown.click("#theme")
    assert shown.evaluate(ground) == "rgb(246, 247, 249)"
    assert plot(shown, "curves").evaluate(colour) == "#1c2126"


@pytest.mark.parametrize("width", [360, 800])
def test_a_narrow_page_is_not_scrolled_sideways(shown, width):
    shown.set_viewport_size({"width": width, "height": 700})
    for name in ("curves", "parallel", "spending"):
        plot(shown, name)
    assert shown.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [360, 1280])
def test_every_column_of_a_wide_table_can_be_scrolled_into_view_within_its_box(shown, width):
    shown.set_viewport_size({"width": width, "height": 700})
    box = shown.locator("#trials .scroll")
    wide = box.evaluate("box => box.scrollWidth > box.clientWidth")
    assert wide or width == 1280
    for place in range(box.locator("thead th").count()):
        head = box.locator("thead th").nth(place)
        head.evaluate("head => head.scrollIntoView({inline: 'center', block: 'nearest'})")
        seen = head.bounding_box()
        frame = box.bounding_box()
        assert seen["x"] >= frame["x"] - 1
        assert seen["x"] + min(seen["width"], 100) <= frame["x"] + frame["width"] + 1
    assert shown.evaluate("document.documentElement.scrollWidth") == width
    if wide:  # and that there is more is seen
        assert "linear-gradient" in box.evaluate("box => getComputedStyle(box).backgroundImage")


def test_printing_draws_every_chart_on_white(browser_page, file):
    browser_page.page.emulate_media(color_scheme="dark")
    shown = load(browser_page.page, file)
    shown.emulate_media(media="print")
    shown.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    drawn = "[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('svg.main-svg'))"
    shown.wait_for_function(drawn)
    assert plot(shown, "history").evaluate("plot => plot._fullLayout.font.color") == "#1c2126"
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.evaluate("getComputedStyle(document.body).color") == "rgb(28, 33, 38)"  # not a dark screen's


def test_what_is_wider_than_a_screens_part_fits_a_printed_page(browser_page, file):
    """A4 with margins of half an inch has 698 pixels: all columns of the table and all charts stand on it."""
    shown = load(browser_page.page, file)
    shown.set_viewport_size({"width": 698, "height": 1000})
    shown.emulate_media(media="print")
    shown.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    shown.wait_for_function("[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('svg.main-svg'))")
    beyond = "all => all.filter(one => one.getBoundingClientRect().right > 699).map(one => one.outerHTML.slice(0, 80))"
    for part in ("#table th, #table td", "#winner th, #winner td", ".plot svg.main-svg"):
        assert shown.eval_on_selector_all(part, beyond) == [], part
    assert shown.eval_on_selector("#trials .scroll", "box => getComputedStyle(box).overflowX") == "visible"


def test_without_webgl_the_one_chart_that_needs_it_says_so(browser_page, file):
    browser_page.page.add_init_script(
        "const given = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        "  return kind.includes('webgl') ? null : given.call(this, kind, ...more); };"
    )
    shown = load(browser_page.page, file)
    chart = shown.locator("[data-chart=parallel]")
    chart.scroll_into_view_if_needed()
    shown.wait_for_function("document.querySelector('[data-chart=parallel]').textContent.includes('no WebGL')")
    assert plot(shown, "curves").count() == 1
    assert browser_page.errors == []


def test_headings_and_tables_are_marked_up_for_screen_readers(shown):
    assert shown.locator("h1").count() == 1
    unnamed = "plots => plots.filter(plot => !plot.getAttribute('aria-label')).length"
    assert shown.eval_on_selector_all(".plot", unnamed) == 0
    assert shown.eval_on_selector_all("table", "all => all.every(one => one.caption && one.querySelector('th[scope]'))")
