"""A start of which the export shows no container running is a start all the same."""

import pandas as pd

from meshlogs import schema, timelines


def test_a_container_only_created_has_no_start():
    at = pd.Timestamp("2026-03-02T09:00:00Z")
    row = {"kind": "container_created", "pod": "web-0", "namespace": "shop", "cluster": "prod", "container": "app",
           "container_kind": "regular", "time_lower": at, "time_upper": at, "log_name": "events"}  # fmt: skip
    placed = timelines.place(schema.conform([row], schema.EVIDENCE), schema.empty(schema.PODS))
    (start,) = timelines.reconstruct(placed, schema.empty(schema.PODS)).to_dict("records")
    assert start["start_id"] == "prod/shop/web-0"
    assert pd.isna(start["app_started_upper"])


def test_a_line_without_a_cluster_keeps_the_project_that_it_names():
    at = pd.Timestamp("2026-03-02T09:00:00Z")
    row = {"kind": "app_logged", "project": "shop-prod", "namespace": "shop", "container": "app", "log_name": "stdout",
           "time_lower": at, "time_upper": at}  # fmt: skip
    known = {"pod": "web-0", "project": "other", "location": "europe-west1", "cluster": "prod"}
    rows = [row | {"pod": "alone-0"}, row | {"pod": "web-0"}, row | known]
    placed = timelines.place(schema.conform(rows, schema.EVIDENCE), schema.empty(schema.PODS))
    sites = placed[["pod", "project", "cluster"]].astype(object).where(placed.notna(), None)
    assert sites.drop_duplicates().to_numpy().tolist() == [["web-0", "other", "prod"], ["alone-0", "shop-prod", None]]
