"""Real recordings: two cluster snapshots, audit entries, a captured event stream, proxy logs."""

import pandas as pd
import pytest

import meshlogs as ml

# Read by eye from the proxies' own logs ("Envoy proxy is ready") and the container statuses. (UTC)
READY = {
    "ingress-controller-ingress-nginx-controller-6b8bb69d6d-74bgb": "2022-06-03T03:38:32.007109Z",
    "ingress-controller-ingress-nginx-defaultbackend-56c5fbc6b85wvn7": "2022-06-03T03:38:30.629876Z",
    "ingress-controller-ingress-nginx-controller-585d79996-g48pc": "2022-06-03T14:15:54.137066Z",
    "ingress-controller-ingress-nginx-defaultbackend-57fdfbd9b84t7sr": "2022-06-03T14:15:33.228019Z",
}


@pytest.fixture(scope="module", params=["ingress-invalid-shape", "ingress-lb-limit"])
def snapshot(request, recordings):
    return ml.analyse(ml.read(recordings / "verrazzano" / request.param))


def test_a_cluster_snapshot_loads_with_nothing_rejected(snapshot):
    assert snapshot.rejects.empty
    assert len(snapshot.starts) == 2
    assert snapshot.starts[["has_app_logs", "has_proxy_logs", "has_pod_spec"]].all().all()


def test_readiness_intervals_hold_what_the_proxys_log_states(snapshot):
    for start in snapshot.starts.itertuples():
        ready = pd.Timestamp(READY[start.pod])
        assert start.proxy_ready_lower <= ready <= start.proxy_ready_upper
        assert start.proxy_ready_upper - ready < pd.Timedelta("10ms")


def test_pods_without_a_refused_connection_are_exposed_not_harmed(snapshot):
    assert snapshot.errors.empty
    assert set(snapshot.starts["outcome"]) == {"exposed"}


def test_everything_else_loads(recordings):
    export = ml.read(recordings)
    forms = export.files.set_index("source")["form"]
    known = forms[~forms.index.str.contains("LICENSE|README")]
    assert "unknown" not in set(known)
    rejected = export.rejects["source"]
    assert rejected.str.contains("LICENSE|README").all()
