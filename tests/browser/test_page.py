"""The report in a browser: it opens quickly, asks for nothing, and every part answers to mouse and keys."""

import pytest

import meshlogs as ml
from meshlogs.report import Section
from meshlogs.report.interactive import timeline_data
from meshlogs.report.page import render
from tests.report.hostile import many

GUIDE_POD = "post-feature-service-v1-67d56cdd-g7fvb"


@pytest.fixture(scope="session")
def page_of(written):
    return (written / "report.html").as_uri()


@pytest.fixture
def shown(watch, page_of):
    seen = watch()
    seen.page.goto(page_of)
    seen.page.wait_for_selector(".ml-row")
    yield seen.page
    assert seen.complaints == []
    assert seen.outside == []


def test_the_first_screen_holds_finding_size_and_remedy(shown, picture):
    for part in (".lead", ".act pre", ".cards .card"):
        box = shown.locator(part).first.bounding_box()
        assert box["y"] + box["height"] < 1000
    assert "kubectl patch" in shown.locator(".act pre").inner_text()
    picture(shown, "report", {"x": 0, "y": 0, "width": 1200, "height": 760})


def test_a_table_is_sorted_and_filtered(shown):
    section = shown.locator("#incidence")
    refused = section.get_by_role("button", name="refused", exact=True)
    refused.click()
    numbers = [int(cell.replace(",", "")) for cell in section.locator("tbody td:last-child").all_inner_texts()]
    assert numbers == sorted(numbers, reverse=True)
    assert section.locator('th[aria-sort="descending"]').inner_text().startswith("refused")
    section.get_by_role("searchbox").fill("post-feature")
    assert section.locator("tbody tr:visible").count() == 1
    assert section.get_by_role("status").inner_text().startswith("1 of")


def test_a_click_on_a_pod_shows_its_evidence_and_can_be_sent_as_a_link(shown, watch):
    shown.locator("#timeline").get_by_role("searchbox").fill("post-feature")
    shown.locator(".ml-row").first.click()
    told = shown.locator(".ml-detail").inner_text()
    assert "Readiness probe failed: HTTP probe failed with statuscode: 503" in told
    assert "2020-03-31 10:41:15.552128897" in told
    assert "guide-example/logs.json:2" in told
    address = shown.locator(".ml-detail a").first.get_attribute("href")
    assert address.startswith("https://console.cloud.google.com/logs/query;query=resource.labels.cluster_name%3D")
    other = watch().page
    other.goto(shown.url)
    assert GUIDE_POD in other.locator(".ml-detail h3").inner_text()


def test_a_pods_name_is_a_deep_link(watch, page_of):
    page = watch().page
    page.goto(f"{page_of}#pod={GUIDE_POD}")
    assert page.locator(".ml-detail h3").inner_text() == GUIDE_POD
    assert page.locator(".ml-row[aria-selected=true]").count() == 1


def test_pointing_shows_the_evidence_line(shown, picture):
    row = shown.locator(".ml-row").filter(has_text="post-feature")
    mark = row.locator(".ml-refused").first
    shown.locator("#pods").evaluate("node => node.scrollIntoView()")
    box = mark.bounding_box()
    shown.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    told = shown.get_by_role("tooltip").inner_text()
    assert "startup_race" in told
    assert "connect: connection refused" in told
    assert "guide-example/logs.json:2" in told
    picture(shown, "timeline", {"x": 0, "y": 0, "width": 1200, "height": 640})


def test_dragging_zooms_and_keys_do_all_that_a_mouse_does(shown):
    rows = shown.get_by_role("listbox")
    rows.scroll_into_view_if_needed()
    before = shown.locator(".ml-axis text").all_text_contents()
    box = rows.bounding_box()
    shown.mouse.move(box["x"] + 400, box["y"] + 50)
    shown.mouse.down()
    shown.mouse.move(box["x"] + 500, box["y"] + 50, steps=3)
    shown.mouse.up()
    zoomed = shown.locator(".ml-axis text").all_text_contents()
    assert zoomed != before
    assert shown.locator(".ml-row[aria-selected=true]").count() == 0
    rows.focus()
    shown.keyboard.press("0")
    assert shown.locator(".ml-axis text").all_text_contents() == before
    shown.keyboard.press("ArrowDown")
    shown.keyboard.press("ArrowDown")
    shown.keyboard.press("Enter")
    assert shown.locator(".ml-row[aria-selected=true]").get_attribute("aria-posinset") == "2"
    shown.keyboard.press("ArrowDown")
    shown.keyboard.press("Space")
    assert shown.locator(".ml-row[aria-selected=true]").count() == 2
    shown.keyboard.press("Escape")
    assert shown.locator(".ml-row[aria-selected=true]").count() == 0


def test_a_workload_in_the_table_leads_to_its_pods(shown):
    shown.locator("#incidence").get_by_role("link", name="web-api").click()
    shown.wait_for_function("document.querySelectorAll('.ml-row').length < 5")
    assert all("web-api" in name for name in shown.locator(".ml-name").all_inner_texts())


def test_without_scripts_the_timeline_is_a_picture(watch, page_of):
    seen = watch(java_script_enabled=False)
    seen.page.goto(page_of)
    assert seen.page.locator("figure.still").is_visible()
    assert not seen.page.locator("#timeline").is_visible()
    assert seen.page.locator("#errors tbody tr").count() > 10


def test_on_paper_there_are_pictures_and_no_buttons_to_press(shown):
    shown.emulate_media(media="print")
    assert shown.locator("figure.still").is_visible()
    assert not shown.locator("#timeline").is_visible()
    assert not shown.locator("nav").is_visible()


@pytest.fixture(scope="session")
def page_of_guide(guide, tmp_path_factory):
    return ml.write_report(guide, tmp_path_factory.mktemp("guide")).as_uri()


@pytest.mark.parametrize(
    ("which", "scheme", "width"),
    [("page_of", "light", 1200), ("page_of_guide", "dark", 1200), ("page_of_guide", "light", 375)],
)
def test_axe_finds_no_serious_fault(watch, request, which, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    page = watch(width=width, scheme=scheme).page
    page.goto(f"{request.getfixturevalue(which)}#pod={GUIDE_POD}")
    page.wait_for_selector(".ml-detail")
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    serious = [
        (fault["id"], fault["help"], [node["html"][:200] for node in fault["nodes"][:3]])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_hostile_texts_run_nothing(watch, written_hostile):
    seen = watch()
    dialogs = []
    seen.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    seen.page.goto((written_hostile / "report.html").as_uri())
    seen.page.wait_for_selector(".ml-row")
    seen.page.locator(".ml-row").first.click()
    assert "<img src=x onerror=alert(2)>" in seen.page.locator(".ml-detail").inner_text()
    assert seen.page.locator("img:not([src^='data:'])").count() == 0
    assert (dialogs, seen.complaints, seen.outside) == ([], [], [])


def test_ten_thousand_starts_open_and_scroll(watch, fleet, tmp_path):
    large = many(fleet, 10_000 // len(fleet.starts) + 1)
    pods = Section("pods", "Which pods", '<div id="timeline" class="live"></div>')
    page = tmp_path / "pods.html"
    page.write_text(render([pods], "Ten thousand", timeline_data(large)))
    seen = watch()
    seen.page.goto(page.as_uri())
    seen.page.wait_for_selector(".ml-row")
    assert f"{len(large.starts):,} of {len(large.starts):,} pod starts" in seen.page.locator(".ml-told").inner_text()
    seen.page.get_by_role("listbox").focus()
    seen.page.keyboard.press("End")
    last = seen.page.locator(f'[aria-posinset="{len(large.starts)}"]')
    assert last.is_visible()
    assert seen.page.locator(".ml-row").count() < 60
    assert (seen.complaints, seen.outside) == ([], [])
