"""Google's worked example: what the guide finds by eye, found."""

import pandas as pd
import pytest

import meshlogs as ml

POD = "post-feature-service-v1-67d56cdd-g7fvb"


def test_the_guides_verdict(guide):
    (_, error), *others = guide.errors.iterrows()
    assert not others
    assert (error["verdict"], error["certainty"]) == ("startup_race", "proven")
    assert error["time"] == pd.Timestamp("2020-03-31T10:41:15.552128897Z")
    assert (error["destination_host"], error["destination_port"]) == ("192.168.9.16", 19209)
    assert error["insert_id"] == "guide-error-1"


def test_the_guides_window(guide):
    start = guide.start_of(POD).iloc[0]
    assert start["outcome"] == "harmed"
    assert start["window_lower_s"] == pytest.approx(42.447871103, abs=1e-9)
    assert start["window_upper_s"] == float("inf")
    assert start["proxy_ready_lower"] == pd.Timestamp("2020-03-31T10:41:58Z")
    assert pd.isna(start["proxy_ready_upper"])
    assert (start["workload"], start["revision"], start["proxy_version"]) == (
        "post-feature-service-v1",
        "67d56cdd",
        "1.3.3",
    )


def test_the_compact_text_of_the_guide_gives_the_same(tmp_path):
    text = """
    E 2020-03-31T10:41:15.552128897Z
    post-feature-service post-feature-service-v1-67d56cdd-g7fvb failed to create
    connection to feature-store redis, err=dial tcp 192.168.9.16:19209: connect:
    connection refused post-feature-service post-feature-service-v1-67d56cdd-g7fvb

    I 2020-03-31T10:41:15Z spec.containers{istio-proxy} Container image "docker.io/istio/proxyv2:1.3.3" already
    present on machine  spec.containers{istio-proxy}
    I 2020-03-31T10:41:15Z spec.containers{istio-proxy} Created container  spec.containers{istio-proxy}
    I 2020-03-31T10:41:15Z spec.containers{istio-proxy} Started container  spec.containers{istio-proxy}
    I 2020-03-31T10:41:15Z spec.containers{APP-CONTAINER-NAME} Created container  spec.containers{APP-CONTAINER-NAME}
    W 2020-03-31T10:41:17Z spec.containers{istio-proxy} Readiness probe failed: HTTP probe failed with
    statuscode: 503  spec.containers{istio-proxy}
    W 2020-03-31T10:41:58Z spec.containers{istio-proxy} Readiness probe failed: HTTP probe failed with
    statuscode: 503  spec.containers{istio-proxy}
    """
    (tmp_path / "guide.txt").write_text(text)
    found = ml.analyse(tmp_path / "guide.txt")
    assert found.errors[["verdict", "certainty"]].values.tolist() == [["startup_race", "proven"]]
    assert found.starts["window_lower_s"].iloc[0] == pytest.approx(42.447871103, abs=1e-9)


def test_the_api_of_the_readme(samples):
    export = ml.read(samples / "fleet")
    found = ml.analyse(export)
    assert {"harmed", "at_risk"} <= set(found.incidence(by=["namespace", "workload"]).columns)
    ax = ml.plot_pod(found, POD)
    assert "42.4 s" in ax.get_title(loc="left")
    evidence = ml.evidence_for(found, found.errors[found.errors["pod"] == POD].iloc[0])
    assert evidence.loc[evidence["kind"] == "probe_failed", "line"].notna().all()
    assert "startup_race, proven" in ml.explain(found, POD)


def test_an_unknown_pod_names_the_nearest(guide):
    with pytest.raises(ml.UnknownPodError, match="Nearest: post-feature-service"):
        ml.explain(guide, "post-feature-service")


def test_both_copies_of_the_example_are_one(samples):
    for name in ("logs.json", "events.json"):
        assert (samples / "guide" / name).read_bytes() == (samples / "fleet/guide-example" / name).read_bytes()
