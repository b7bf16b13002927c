"""Figures: the drawn bars end where the table's columns say."""

import re

import matplotlib
import numpy as np
import pandas as pd
import pytest

import meshlogs as ml

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    matplotlib.pyplot.close("all")


def test_the_waterfall_draws_each_window(fleet):
    ax = ml.plot_waterfall(fleet.starts)
    drawn = [segment[:, 0] for lines in ax.collections for segment in lines.get_segments()]
    rows = fleet.starts[fleet.starts["at_risk"].astype(bool) & fleet.starts["window_lower_s"].notna()]
    assert sorted(ends[0] for ends in drawn) == pytest.approx(sorted(rows["window_lower_s"]))


def test_the_forest_draws_share_and_interval(fleet):
    table = fleet.incidence(["namespace"])
    ax = ml.plot_incidence(table)
    whiskers = np.array(sorted(tuple(segment[:, 0]) for segment in ax.collections[0].get_segments()))
    wanted = table.loc[table["at_risk"] > 0, ["ci_lower", "ci_upper"]].to_numpy() * 100
    assert whiskers == pytest.approx(np.array(sorted(map(tuple, wanted))))
    assert any("of 1)" in label.get_text() for label in ax.get_yticklabels())


def test_the_pods_window_is_shaded_from_app_start_to_last_closed(guide):
    ax = ml.plot_pod(guide, "post-feature-service-v1-67d56cdd-g7fvb")
    shaded = [patch for patch in ax.patches if patch.get_label() == "race window (at least)"]
    assert shaded[0].get_x() == pytest.approx(0.552128897)
    assert shaded[0].get_width() == pytest.approx(42.447871103)


def test_windows_count_what_was_never_seen_ready(guide):
    ax = ml.plot_windows(guide.starts)
    assert "1 never seen ready" in ax.get_title(loc="left")


def test_the_axis_of_a_pod_counts_from_the_second_that_it_names(fleet):
    """A harmed start's refusals, drawn at seconds since the label's own time, are at their own times."""
    start = fleet.starts[fleet.starts["outcome"] == "harmed"].iloc[0]
    ax = ml.plot_pod(fleet, start["start_id"])
    named = pd.Timestamp(re.search(r"time since (.+) UTC", ax.get_xlabel())[1], tz="UTC")
    (drawn,) = (line for line in ax.lines if line.get_label() == "refused: startup_race")
    told = fleet.errors[(fleet.errors["start_id"] == start["start_id"]) & (fleet.errors["verdict"] == "startup_race")]
    true = (told["time"] - named) / pd.Timedelta(1, "s")
    assert sorted(drawn.get_xdata()) == pytest.approx(sorted(true), abs=1e-6)


def hours(*stamps):
    return ml.plot_hours(pd.DataFrame(1, index=["web"], columns=pd.to_datetime(list(stamps), utc=True)))


def test_hours_of_one_year_say_it_once_and_those_of_two_each():
    one = hours("2026-03-02T09", "2026-03-02T10")
    assert [text.get_text() for text in one.get_xticklabels()] == ["03-02 09:00", "03-02 10:00"]
    assert one.get_xlabel() == "time in 2026 (UTC), from"
    two = hours("2025-12-31T23", "2026-01-01T00")
    assert [text.get_text() for text in two.get_xticklabels()] == ["2025-12-31 23:00", "2026-01-01 00:00"]
    assert not two.lines


def test_hours_mark_time_that_is_left_out():
    """Hours 9, 10, then 9 of another day, then 9 two days on: a line before the third column and the fourth."""
    ax = hours("2026-03-02T09", "2026-03-02T10", "2026-03-20T09", "2026-03-22T09")
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"] == [1.5, 2.5]
    assert "dotted line: time left out" in ax.get_xlabel()


def test_hours_prints_the_counts(fleet):
    hours = fleet.errors["time"].dt.floor("h")
    counts = pd.crosstab(fleet.errors["workload"], hours)
    ax = ml.plot_hours(counts)
    assert sum(int(text.get_text()) for text in ax.texts) == len(fleet.errors) == np.sum(counts.to_numpy())


def test_hours_says_how_many_rows_it_leaves_out():
    counts = pd.DataFrame(1, index=[f"w{at}" for at in range(30)], columns=pd.to_datetime(["2026-03-02T09Z"]))
    ax = ml.plot_hours(counts, most=25)
    assert ax.get_title(loc="left") == "30 starts; 5 more rows"
    assert len(ax.get_yticklabels()) == 25


def test_an_empty_table_draws_an_empty_figure(fleet):
    none = fleet.starts.head(0)
    for ax in (
        ml.plot_waterfall(none),
        ml.plot_windows(none),
        ml.plot_incidence(fleet.incidence(["namespace"]).head(0)),
    ):
        assert ax.get_title(loc="left")


def test_compare_draws_each_period_s_interval():
    table = pd.DataFrame(
        [["pay/cart", "before", 40, 21, 0.525, 0.525, 0.37, 0.67], ["pay/cart", "after", 38, 0, 0.0, 0.05, 0.0, 0.12]],
        columns=["group", "period", "starts", "harmed", "share_lower", "share_upper", "ci_lower", "ci_upper"],
    )
    ax = ml.plot_compare(table)
    ends = [segment[:, 0].tolist() for lines in ax.collections for segment in lines.get_segments()]
    assert ends == [pytest.approx([37.0, 67.0]), pytest.approx([0.0, 12.0])]
    assert ax.get_title(loc="left") == "Harmed starts: before 21 of 40, after 0 of 38"
    hatched = [patch.get_width() for patch in ax.patches]
    assert hatched == [pytest.approx(5.0)]


def test_a_dark_figure_has_light_ink_on_dark_paper(guide):
    with ml.plots.dark():
        ax = ml.plot_pod(guide, "post-feature-service-v1-67d56cdd-g7fvb")
    assert ax.get_facecolor()[:3] < (0.2, 0.2, 0.2)
    assert ax.title.get_color() == "#e8eaed"


def test_a_figure_draws_on_the_axes_it_is_given(fleet):
    figure, axes = matplotlib.pyplot.subplots(1, 2)
    assert ml.plot_waterfall(fleet.starts, ax=axes[0]) is axes[0]
    assert ml.plot_windows(fleet.starts, ax=axes[1]) is axes[1]


def test_a_hostile_name_is_drawn_as_text(fleet):
    table = fleet.incidence(["namespace"]).assign(namespace="$\\frac{1}{0}$\x1b[2J")
    ax = ml.plot_incidence(table)
    ax.figure.canvas.draw()
    assert "\x1b" not in ax.get_yticklabels()[0].get_text()
