"""What a person is told to run, to read and to ask for: commands, evidence, what is missing."""

import json
import re
import shlex
from types import SimpleNamespace

import pandas as pd
import pytest

import meshlogs as ml
from meshlogs import schema, times
from meshlogs.remedies.advice import INSTEAD
from meshlogs.report import machine, sections, summary, ticket
from meshlogs.report.tables import commands, harmed_by_hour, seen

from .hostile import stand_in

NINE = times.parse_ns("2026-03-02T09:00:00Z")
HOUR = 3_600 * times.SECOND


def remedy(kind="Deployment", workload="web", cluster="blue", name="hold_application", traps=None, patch=True, **more):
    patched = {"patch_file": f"patches/{cluster}_shop_{workload}/{name}/patch.yaml", "patch": f"kind: {kind}\n"}
    return {
        "workload": workload, "namespace": "shop", "cluster": cluster, "remedy": name, "applies": True, "traps": traps,
        "why": "so", "expected_effect": "it helps", "errors_removed_upper": 1, **(patched if patch else {}), **more,
    }  # fmt: skip


def advised(*rows, **tables):
    return SimpleNamespace(remedies=schema.conform(list(rows), schema.REMEDIES), **tables)


# Commands


@pytest.mark.parametrize("kind", ["Job", "Pod"])
def test_what_takes_no_patch_gets_no_command(kind):
    (found,) = commands(advised(remedy(kind, traps=f"{INSTEAD[kind]}; mind the step")))
    assert found.command is None
    assert found.instead == INSTEAD[kind]
    assert found.lines() == [
        "# web (shop, blue): hold application",
        f"# {INSTEAD[kind]}: patches/blue_shop_web/hold_application/patch.yaml",
        "# trap: mind the step",
    ]


def test_a_cron_jobs_template_can_be_patched():
    (found,) = commands(advised(remedy("CronJob")))
    assert found.command.startswith("kubectl patch cronjob/web -n shop ")


def test_traps_and_cluster_stand_beside_the_command():
    both = advised(
        remedy(traps="nothing reads it; try it first"),
        remedy(cluster="green"),
        remedy(cluster="green", name="wait_for_proxy"),
    )
    blue, green = commands(both)
    assert blue.lines() == [
        "# web (shop, blue): hold application",
        "# trap: nothing reads it",
        "# trap: try it first",
        "kubectl patch deployment/web -n shop --patch-file patches/blue_shop_web/hold_application/patch.yaml",
    ]
    assert green.lines()[0] == "# web (shop, green): hold application"


def test_no_name_is_more_than_a_comment_or_a_word():
    name = "web\nrm -rf ~ `x` $(x)"
    (found,) = commands(advised(remedy(workload=name, traps="a\nb", namespace=None, cluster=None)))
    head, trap, command = found.lines()
    assert head.startswith("# web\\nrm") and trap == "# trap: a\\nb"
    assert shlex.split(found.command)[2] == f"deployment/{name}"
    assert "\n" not in command


# One fleet of a Job, a bare pod, a cron job and a deployment, from its logs on


def meshed_pod(name, owner=None, second=2):
    begun = "2026-03-02T09:00:0"
    owners = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
    ports = "15090,15021,15020"
    arguments = ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-i", "*", "-x", "", "-d", ports]
    states = [("app", second), ("istio-proxy", second + 1)]
    image = "istio/proxyv2:1.20.3"
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "batch", "uid": f"{name}-uid", "creationTimestamp": f"{begun}0Z",
                     "ownerReferences": owners, "annotations": {"sidecar.istio.io/status": "{}"}},
        "spec": {
            "restartPolicy": "Never" if owner and owner[0] == "Job" else "Always",
            "initContainers": [{"name": "istio-init", "image": image, "args": arguments}],
            "containers": [{"name": "app", "image": "x"}, {"name": "istio-proxy", "image": image}],
        },
        "status": {"phase": "Running", "startTime": f"{begun}0Z", "containerStatuses": [
            {"name": container, "ready": True, "state": {"running": {"startedAt": f"{begun}{at}Z"}}}
            for container, at in states]},
    }  # fmt: skip


def entry(pod, container, second, text):
    time = f"2026-03-02T09:00:{second}Z"
    labels = {"project_id": "p", "location": "l", "cluster_name": "blue", "namespace_name": "batch", "pod_name": pod}
    return {
        "insertId": f"{pod}-{second}", "logName": "projects/p/logs/stderr", "timestamp": time, "textPayload": text,
        "resource": {"type": "k8s_container", "labels": labels | {"container_name": container}},
    }  # fmt: skip


REFUSED = "dial tcp 10.0.0.9:6379: connect: connection refused"


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """The folder of an export in which each of these raced once."""
    folder = tmp_path_factory.mktemp("kinds")
    pods = [
        meshed_pod("import-abcde", ("Job", "import")),
        meshed_pod("lonely"),
        meshed_pod("nightly-29540000-x7k2p", ("Job", "nightly-29540000")),
        meshed_pod("web-67d56cdd9-abcde", ("ReplicaSet", "web-67d56cdd9")),
    ]
    (folder / "pods.json").write_text(json.dumps({"kind": "List", "items": pods}))
    lines = [
        entry(pod["metadata"]["name"], container, second, text)
        for pod in pods
        for container, second, text in (
            ("istio-proxy", "03.1", "2026-03-02T09:00:03.100000Z\tinfo\tStarting proxy agent"),
            ("app", "03.5", REFUSED),
            ("istio-proxy", "05.1", "2026-03-02T09:00:05.100000Z\twarn\tEnvoy proxy is NOT ready: config not received"),
            ("istio-proxy", "07.1", "2026-03-02T09:00:07.100000Z\tinfo\tEnvoy proxy is ready"),
        )
    ]
    (folder / "logs.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def raced(kinds):
    """That export, judged; to read."""
    return ml.analyse(kinds)


def test_the_ticket_has_no_command_that_cannot_work(raced):
    told = ticket(raced, ["namespace", "workload"])
    block = re.search(r"```sh\n(.*?)\n```\n", told, re.DOTALL).group(1).split("\n")
    run = [line for line in block if not line.startswith("#")]
    assert [line.split()[2] for line in run] == ["cronjob/nightly", "deployment/web"]
    assert f"# {INSTEAD['Job']}: patches/blue_batch_import/wait_for_proxy/patch.yaml" in block
    assert f"# {INSTEAD['Pod']}: patches/blue_batch_lonely/hold_application/patch.yaml" in block
    waiting = "# trap: nothing reads PROXY_READY_URL until the code of patches/code is in the image"
    assert block.count(waiting) == 2  # of the Job and of the cron job
    told = machine(raced, ["namespace"])
    assert told["commands"] == run
    assert [action["command"] for action in told["actions"]].count(None) == 2
    page = "".join(section.html for section in sections(raced, ["namespace", "workload"]))
    assert not re.search(r"kubectl patch (job|pod)/", page)


def test_a_story_tells_the_traps_beside_the_patch(raced):
    told = ml.explain(raced, "import-abcde")
    before, _, _ = told.partition("    apiVersion: batch/v1")
    assert f"    # trap: {INSTEAD['Job']}" in before
    assert "    # trap: nothing reads PROXY_READY_URL" in before


def test_a_story_tells_the_remedies_of_its_own_cluster(kinds):
    fleet = ml.analyse(kinds)  # one of its own, to change
    other = fleet.remedies.assign(cluster="green", why="of the other cluster")
    fleet.__dict__["remedies"] = pd.concat([fleet.remedies, other], ignore_index=True)
    assert "of the other cluster" not in ml.explain(fleet, "web-67d56cdd9-abcde")


def test_workloads_are_counted_by_cluster_namespace_and_name(raced):
    """Four workloads were harmed: two can be held by a patch, the Job and the cron job cannot."""
    finding = summary(raced)["finding"]
    assert "in 4 workloads." in finding
    assert "patches for 2 workloads are ready; in 2 others that is blocked" in finding


@pytest.mark.parametrize("name", ["fleet", "vault"])
def test_the_numbers_of_workloads_add_up(samples, name):
    fleet = ml.analyse(samples / name)
    harmed = fleet.starts[fleet.starts["outcome"] == "harmed"]
    count = len(harmed[["cluster", "namespace", "workload"]].drop_duplicates())
    held = fleet.remedies[fleet.remedies["remedy"] == "hold_application"]
    assert len(held) == count
    finding = summary(fleet)["finding"]
    assert f"in {count} workloads." in finding
    told = re.search(r"patches for (\d+) workloads? (?:are|is) ready(?:; in (\d+) others?)?", finding)
    assert int(told[1]) + int(told[2] or 0) == count


def test_of_two_clusters_the_worst_workload_says_which(raced):
    assert "did not yet listen, in 4 workloads." in summary(raced)["finding"]  # one start each: none is the worst
    again = raced.starts[raced.starts["workload"] == "web"]
    starts = pd.concat([raced.starts, again, raced.starts.assign(cluster="green")], ignore_index=True)
    two = stand_in(raced, starts=starts, errors=raced.errors, evidence=raced.evidence, remedies=raced.remedies)
    assert "most in batch/web of blue (2), in 8 workloads." in summary(two)["finding"]


# When


def harmed(workload, hour, namespace="pay", cluster="blue"):
    begun = {"app_started_lower": NINE + hour * HOUR, "app_started_upper": NINE + hour * HOUR}
    place = {"workload": workload, "namespace": namespace, "cluster": cluster}
    return {"outcome": "harmed", "start_id": f"{cluster}{namespace}{workload}{hour}", **place, **begun}


def test_workloads_of_one_name_are_rows_of_their_own():
    starts = [harmed("orders", 0), harmed("orders", 2), harmed("orders", 2, namespace="shop")]
    counts = harmed_by_hour(schema.conform(starts, schema.STARTS))
    assert counts.index.tolist() == ["pay/orders", "shop/orders"]
    assert counts.to_numpy().tolist() == [[1, 0, 1], [0, 0, 1]]
    starts += [harmed("orders", 2, cluster="green"), harmed(None, 1, namespace=None, cluster=None)]
    counts = harmed_by_hour(schema.conform(starts, schema.STARTS))
    assert counts.index.tolist() == ["blue/pay/orders", "blue/shop/orders", "green/pay/orders", "unknown"]


# What is not known


def lacking(*rows, starts=()):
    coverage = schema.conform(list(rows), schema.COVERAGE)
    return SimpleNamespace(limits=(None, None), coverage=coverage, starts=schema.conform(list(starts), schema.STARTS))


def unknown(**row):
    from meshlogs.report.ticket import _unknown

    return _unknown(lacking({"kind": "proxy_logs", "missing": "none in this hour", **row}))


def test_what_is_missing_says_which_source_where_and_when():
    told = unknown(cluster="blue", hour=NINE, query='resource.type="k8s_container"')
    assert told[2:] == [
        "- **proxy logs** (blue, 2026-03-02 09:00 UTC): none in this hour; this fetches it: "
        '`resource.type="k8s_container"`'
    ]
    assert unknown()[2:] == ["- **proxy logs**: none in this hour"]


def test_a_query_is_whole_or_a_command_that_prints_it():
    assert f"`{'x' * 400}`" in unknown(query="x" * 400)[2]
    told = unknown(query="x" * 401)[2]
    assert "xx" not in told
    assert "`meshlogs query --for-report FOLDER --kind proxy_logs` prints the query" in told
    assert "`meshlogs query --for-report FOLDER` prints" in unknown(query="x" * 401, kind="pods")[2]


def test_the_command_prints_a_query_of_many_pods(tmp_path):
    """The command that the ticket names, run on the report that the ticket is of."""
    from click.testing import CliRunner

    from meshlogs.cli import main

    ml.simulate_fleet(tmp_path, pods=30, seed=5, without=["app_logs"])
    run = CliRunner().invoke(main, ["report", str(tmp_path / "export"), "--out", str(tmp_path / "out")])
    assert run.exit_code == 0, run.output
    told = (tmp_path / "out" / "report.md").read_text()
    assert "…`" not in told.split("## What is not known")[1]
    command = re.search(r"`meshlogs (query --for-report FOLDER --kind \w+)`", told).group(1)
    printed = CliRunner().invoke(main, command.replace("FOLDER", str(tmp_path / "out")).split()).output
    pods = pd.read_parquet(tmp_path / "out/tables/starts.parquet").query("reason == 'no_app_logs'")["pod"]
    assert len(pods) > 5 and all(f'"{pod}"' in printed for pod in pods)


def test_what_was_read_is_said_without_empty_lists():
    assert seen(lacking({"entries": 1, "first": NINE, "last": NINE})) == (
        "From 1 log entry, event or pod; 2026-03-02 09:00 to 2026-03-02 09:00 UTC."
    )
    assert seen(lacking({"entries": 2}, starts=[{"cluster": "blue"}])) == (
        "From 2 log entries, events and pods of blue."
    )


def test_the_evidence_of_a_pod_is_its_race(raced):
    """An upstream refusal that came first is no evidence of what became of the start."""
    errors = raced.errors
    mine = errors[errors["pod"] == "web-67d56cdd9-abcde"]
    first = mine.assign(verdict="upstream", message="another cause", time=mine["time"] - pd.Timedelta(1, "s"))
    errors = pd.concat([first, errors], ignore_index=True)
    spoiled = stand_in(
        raced, starts=raced.starts, errors=errors, evidence=raced.evidence, remedies=raced.remedies, pods=raced.pods
    )
    told = ticket(spoiled, ["namespace"])
    assert "startup_race proven" in told and "another cause" not in told
    (pod,) = [pod for pod in machine(spoiled, ["namespace"])["pods"] if pod["pod"] == "web-67d56cdd9-abcde"]
    assert pod["first_error"]["verdict"] == "startup_race"
