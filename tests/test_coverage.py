"""What an export lacks, told with the query that would fetch it; the filters are read by eye."""

import pandas as pd

import meshlogs as ml
from meshlogs import coverage, schema

NINE = pd.Timestamp("2026-03-02T09:00:00Z")


def surveyed(*rows):
    full = [
        {"kind": kind, "cluster": cluster, "hour": NINE + pd.Timedelta(hour, "h"), "entries": 5,
         "first": NINE + pd.Timedelta(hour, "h"), "last": NINE + pd.Timedelta(hour + 1, "h")}
        for kind, cluster, hour in rows
    ]  # fmt: skip
    return schema.conform(full, schema.COVERAGE)


def test_an_hour_in_which_the_proxies_are_silent_is_a_gap():
    found = coverage.gaps(
        surveyed(("app_logs", "a", 0), ("app_logs", "a", 1), ("proxy_logs", "a", 0), ("events", "a", 0))
    )
    assert found[["kind", "cluster", "hour"]].values.tolist() == [["proxy_logs", "a", NINE + pd.Timedelta(1, "h")]]
    assert found["query"].iloc[0] == (
        'resource.type=("k8s_container" OR "container") resource.labels.container_name="istio-proxy" '
        'resource.labels.cluster_name="a" timestamp>="2026-03-02T10:00:00Z" timestamp<="2026-03-02T11:00:00Z"'
    )


def test_a_source_that_only_other_clusters_have_is_a_gap():
    found = coverage.gaps(surveyed(("app_logs", "a", 0), ("app_logs", "b", 0), ("proxy_logs", "b", 0)))
    assert found[["kind", "cluster"]].values.tolist() == [["proxy_logs", "a"]]


def test_nothing_is_missing_in_a_whole_export():
    assert coverage.gaps(surveyed(("app_logs", "a", 0), ("proxy_logs", "a", 0), ("events", "a", 0))).empty


def test_everything_undetermined_has_the_query_that_would_settle_it(tmp_path):
    ml.simulate_fleet(tmp_path, pods=40, seed=5, without=["proxy_logs", "pod_specs"])
    fleet = ml.analyse(tmp_path / "export")
    told = fleet.coverage["missing"].str.extract(r": (\w+)$")[0]
    reasons = {*fleet.starts.loc[fleet.starts["outcome"] == "undetermined", "reason"]}
    reasons |= {*fleet.errors.loc[fleet.errors["verdict"] == "undetermined", "reason"]}
    assert reasons & set(coverage.SETTLED_BY) - {"undetermined_errors"} <= set(told)
    assert fleet.coverage.loc[told.notna(), "query"].notna().all()


def test_names_in_a_query_cannot_break_out_of_it():
    starts = schema.conform(
        [{"outcome": "undetermined", "reason": "overlap", "cluster": 'c" OR "1"="1', "namespace": "n", "pod": "p\\"}],
        schema.STARTS,
    )
    query = coverage.settle(starts, schema.empty(schema.ERRORS))["query"].iloc[0]
    assert 'resource.labels.cluster_name="c\\" OR \\"1\\"=\\"1"' in query
    assert 'resource.labels.pod_name="p\\\\"' in query
