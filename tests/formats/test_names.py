"""Workloads behind pods; the names are of the forms that Kubernetes' controllers give."""

import pytest

from meshlogs.formats.names import Owner, workload_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("post-feature-service-v1-67d56cdd-g7fvb", ("post-feature-service-v1", "Deployment", "67d56cdd")),
        ("web-3960969699-xpx0v", ("web", "Deployment", "3960969699")),  # before Kubernetes 1.8
        ("cron-1572536160-8fwl4", ("cron", "CronJob", None)),  # seconds, before 1.21
        ("cron-28455120-8fwl4", ("cron", "CronJob", None)),  # minutes
        ("redis-0", ("redis", "StatefulSet", None)),
        ("fluentbit-gke-x7k2p", ("fluentbit-gke", None, None)),
        ("my-a-b-cache", ("my-a-b-cache", "Pod", None)),
        ("", (None, None, None)),
        (None, (None, None, None)),
        ("x" * 300, ("x" * 300, None, None)),
    ],
)
def test_by_name_alone(name, expected):
    assert workload_of(name) == expected


def test_a_name_cut_at_63_letters_has_no_dash_before_its_suffix():
    name = "ingress-controller-ingress-nginx-defaultbackend-57fdfbd9b84t7sr"
    assert len(name) == 63
    assert workload_of(name).workload == "ingress-controller-ingress-nginx-defaultbackend"
    assert workload_of(name).controller == "Deployment"


@pytest.mark.parametrize(
    ("owner", "labels", "expected"),
    [
        (("ReplicaSet", "web-67d56cdd"), {"pod-template-hash": "67d56cdd"}, ("web", "Deployment", "67d56cdd")),
        (("ReplicaSet", "web-f8c8fb8"), {"pod-template-hash": "9474964"}, ("web", "Deployment", "f8c8fb8")),
        (("ReplicaSet", "bare"), {}, ("bare", "ReplicaSet", None)),
        (("ReplicaSet", "roll-6d8f"), {"rollouts-pod-template-hash": "6d8f"}, ("roll-6d8f", "ReplicaSet", None)),
        (("ReplicaSet", "roll-6d8f7"), {"rollouts-pod-template-hash": "6d8f7"}, ("roll", "Rollout", "6d8f7")),
        (("Job", "report-28455120"), {}, ("report", "CronJob", None)),
        (("Job", "report-12345678"), {}, ("report-12345678", "Job", None)),  # minute 12345678 was in 1993
        (("Job", "migrate"), {}, ("migrate", "Job", None)),
        (("DaemonSet", "agent"), {}, ("agent", "DaemonSet", None)),
        (("Node", "node-1"), {}, ("etcd", "Pod", None)),
    ],
)
def test_by_owner(owner, labels, expected):
    pod = "etcd-node-1" if owner[0] == "Node" else "some-pod-xx2zz"
    assert workload_of(pod, {"kind": owner[0], "name": owner[1]}, labels) == expected


def test_labels_of_log_entries():
    top = {
        "logging.gke.io/top_level_controller_name": "nginx-server",
        "logging.gke.io/top_level_controller_type": "Deployment",
        "k8s-pod/pod-template-hash": "7d4f8c9b5",
    }
    assert workload_of("nginx-server-7d4f8c9b5-abcde", None, top) == Owner("nginx-server", "Deployment", "7d4f8c9b5")
    label = {"k8s-pod/pod-template-hash": "1a2b3c"}  # not of the usual alphabet, but told
    assert workload_of("odd-1a2b3c-zz9zz", None, label) == ("odd", "Deployment", "1a2b3c")
