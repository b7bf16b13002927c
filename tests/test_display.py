"""Tables in a notebook: the columns one looks at, units, and no text of an input as markup."""

import pandas as pd
import pytest

import meshlogs as ml


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("starts", ["outcome", "window [s]", "proxy ready (UTC)"]),
        ("errors", ["destination", "verdict", "file and line"]),
        ("evidence", ["what", "evidence", "file and line"]),
        ("remedies", ["remedy", "applies", "blocked by"]),
        ("coverage", ["source", "entries", "what fetches it"]),
    ],
)
def test_each_table_shows_what_one_looks_at(fleet, name, heads):
    told = ml.show(getattr(fleet, name), most=3)._repr_html_()
    for head in heads:
        assert f">{head}</th>" in told
    assert told.count("<tr>") == 4


def test_incidence_shows_its_own_groups(fleet):
    told = ml.show(fleet.incidence(["cluster", "proxy_version"]))._repr_html_()
    assert ">cluster</th>" in told
    assert ">proxy version</th>" in told
    assert ">harmed [% of at risk]</th>" in told


def test_the_guides_window_has_no_end(guide):
    told = ml.show(guide.starts)._repr_html_()
    assert "≥ 42.4" in told
    assert "2020-03-31 10:41:15.552" in told
    assert "≥ 2020-03-31 10:41:58.000" in told


def test_rows_left_out_are_said(fleet):
    assert f"{len(fleet.errors) - 5:,} more rows" in ml.show(fleet.errors, most=5)._repr_html_()
    assert "more rows" not in ml.show(fleet.errors.head(5), most=5)._repr_html_()


def test_any_table_will_do_and_no_text_is_markup():
    table = pd.DataFrame({"<b>": ["<script>", None], "n": [1.5, 2.0], "when": [pd.Timestamp("2026-03-02T09Z"), pd.NaT]})
    told = ml.show(table)._repr_html_()
    assert "<script>" not in told
    assert "&lt;script&gt;" in told
    assert "&lt;b&gt;" in told
    assert ml.show(table).table is table


def test_a_fleet_introduces_itself(fleet, guide):
    assert f"{len(fleet.starts):,} pod starts" in fleet._repr_html_()
    assert "<b>1 pod start</b>" in guide._repr_html_()
    assert "1 refused connection" in guide._repr_html_()


def test_an_empty_table_is_a_table(fleet):
    assert "<tr>" in ml.show(fleet.errors.head(0))._repr_html_()
