"""Figures: the drawn bars end where the table's columns say."""

import matplotlib
import numpy as np
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


def test_hours_prints_the_counts(fleet):
    import pandas as pd

    hours = fleet.errors["time"].dt.floor("h")
    counts = pd.crosstab(fleet.errors["workload"], hours)
    ax = ml.plot_hours(counts)
    assert sum(int(text.get_text()) for text in ax.texts) == len(fleet.errors) == np.sum(counts.to_numpy())
