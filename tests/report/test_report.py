"""The page: no network, well nested, plain findings, an honest empty fleet."""

import re
from html.parser import HTMLParser

import pytest

import meshlogs as ml
from meshlogs.report import summary, terminal_table

VOID = {"meta", "img", "br", "input", "link", "hr", "source"}


class Nesting(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.loads, self.links, self.ids, self.scripts = [], [], [], [], 0

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "href" and tag == "a":
                self.links.append(value)
            elif name in ("src", "href", "srcset", "action"):
                self.loads.append(value)
            assert not name.startswith("on"), f"{tag} has {name}"
            if name == "id":
                self.ids.append(value)
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(written):
    return (written / "report.html").read_text()


def test_the_page_is_well_nested_and_loads_nothing(page):
    parser = Nesting()
    parser.feed(page)
    assert parser.open == []
    assert all(value.startswith("data:image/svg+xml;base64,") for value in parser.loads)
    assert len(parser.ids) == len(set(parser.ids))
    inside = [value for value in parser.links if value.startswith("#")]
    assert all(value[1:] in parser.ids for value in inside if not value.startswith(("#pod=", "#find=")))
    outside = [value for value in parser.links if not value.startswith("#")]
    assert outside
    assert all(value.startswith("https://console.cloud.google.com/logs/query;query=") for value in outside)
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in page
    assert not re.search(r"url\(['\"]?(?!#)|@import|<link", page.replace("url(#${key}-hatch)", ""))


def test_the_page_opens_with_the_finding(page):
    assert "24 of 37 starts at risk were harmed (65 %, 95 % CI 49 to 78 %)" in page
    assert page.index("24 of 37") < page.index('<h2 id="incidence-title">')
    assert "42.4" in page or "≥" in page


def test_the_summary_counts_everything(fleet):
    counts = summary(fleet)
    outcomes = ("harmed", "exposed", "safe", "init_stalled", "undetermined", "not_meshed")
    assert sum(counts[name] for name in outcomes) == counts["starts"] == 42
    assert sum(counts["errors"].values()) == len(fleet.errors) == 279


def test_an_export_without_pods_says_so(tmp_path):
    entry = '{"logName": "projects/p/logs/x", "timestamp": "2026-03-02T09:00:00Z", "textPayload": "hello"}\n'
    (tmp_path / "x.json").write_text(entry)
    fleet = ml.analyse(tmp_path)
    assert "No pod start was found" in summary(fleet)["finding"]
    assert "No pod start was found" in ml.write_report(fleet, tmp_path / "out").read_text()
    assert "none" in terminal_table(fleet)
