"""The compact text of log viewers, as the troubleshooting guide of Cloud Service Mesh prints it."""

import io

from meshlogs import times
from meshlogs.formats import compact

POD = "post-feature-service-v1-67d56cdd-g7fvb"
PROXY = "spec.containers{istio-proxy}"
GUIDE = f"""1. An error:

    E 2020-03-31T10:41:15.552128897Z
    post-feature-service {POD} failed to create
    connection to feature-store redis, err=dial tcp 192.168.9.16:19209: connect:
    connection refused post-feature-service {POD}

2. Events:

    I 2020-03-31T10:41:15Z spec.containers{{istio-proxy}} Started container  spec.containers{{istio-proxy}}
    I 2020-03-31T10:41:15Z spec.initContainers{{istio-init}} Created container istio-init
    W 2020-03-31T10:41:58Z {PROXY} Readiness probe failed: HTTP probe failed with statuscode: 503  {PROXY}
Prose right after.
"""


def read(text):
    return compact.read(io.BytesIO(text.encode()), "guide.txt")


def test_the_guides_lines():
    shard = read(GUIDE)
    entry = shard.log_entries.iloc[0]
    assert entry["time"].value == times.parse_ns("2020-03-31T10:41:15.552128897Z")
    assert entry["message"] == (
        "failed to create connection to feature-store redis, err=dial tcp 192.168.9.16:19209: connect: "
        "connection refused"
    )
    assert (entry["container"], entry["pod"], entry["severity"]) == ("post-feature-service", POD, "ERROR")
    assert entry["resource_type"] == "k8s_container" and entry["line"] == 3
    events = shard.events
    assert events["reason"].tolist() == ["Started", "Created", "Unhealthy"]
    assert events["container"].tolist() == ["istio-proxy", "istio-init", "istio-proxy"]
    assert events["container_kind"].tolist() == ["regular", "init", "regular"]
    assert events["type"].tolist() == ["Normal", "Normal", "Warning"]
    assert events["pod"].unique().tolist() == [POD]
    assert events["message"].iloc[2] == "Readiness probe failed: HTTP probe failed with statuscode: 503"
    assert events["time_lower"].iloc[2].value == times.parse_ns("2020-03-31T10:41:58Z")
    assert events["time_upper"].iloc[2].value == times.parse_ns("2020-03-31T10:41:58.999999999Z")
    assert shard.rejects["line"].tolist() == [1, 8, 13]
    assert shard.records == 1 + 3 + 3


def test_with_two_pods_events_have_none():
    line = "E 2020-03-31T10:41:15Z web web-{} refused\n"
    shard = read(line.format(0) + line.format(1) + "I 2020-03-31T10:41:15Z spec.containers{web} Started container\n")
    assert shard.events["pod"].isna().all()
    assert shard.log_entries["pod"].tolist() == ["web-0", "web-1"]


def test_what_has_no_place_is_a_reject():
    shard = read("E 2020-03-31T10:41:15Z\n\nE 2020-13-31T10:41:15Z web web-0 x\nE 2020-03-31T10:41:15Z ?!\n")
    assert len(shard.rejects) == 3 and shard.log_entries.empty
