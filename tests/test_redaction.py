"""A redacted report names no one, says the same by the same, and keeps what the verdicts rest on."""

import base64
import json
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import meshlogs as ml
from meshlogs import cli, remedies, schema
from meshlogs.redaction import _needed, _Replacements
from tests.spellings import SPELLINGS

SAMPLE = Path(__file__).parent.parent / "sample_data/fleet"
NAMED = ("pod", "workload", "namespace", "cluster", "project", "node", "pod_uid", "destination_host", "destination_ip",
         "pod_ip", "host", "ip", "source", "start_id")  # fmt: skip
# Names that are words of ours, too, or of everyone.
WORDS = {"default", "localhost", "127.0.0.1", "::1", "169.254.169.254", "metadata.google.internal", "0.0.0.0", "guide"}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    out = tmp_path_factory.mktemp("shared")
    result = CliRunner().invoke(cli.main, ["report", str(SAMPLE), "--out", str(out), "--redact", "--csv"])
    assert result.exit_code == 0, result.output
    (out / "printed.txt").write_text(result.stdout.replace(str(out), ""))
    return out


def texts(folder):
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            yield path.name, pq.read_table(path).to_pandas().astype(str).to_csv()
        elif path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")


def test_no_name_of_the_fleet_is_left_in_any_file(fleet, out):
    tables = [fleet.starts, fleet.errors, fleet.pods, fleet.evidence]
    names = {name for table in tables for column in NAMED if column in table for name in table[column].dropna()} - WORDS
    assert len(names) > 200
    pattern = re.compile(
        r"(?<![\w.-])(?:" + "|".join(map(re.escape, sorted(names, key=len, reverse=True))) + r")(?![\w-])"
    )
    english = {
        "orders",
        "inventory",
        "search",
        "gateway",
        "worker",
        "checkout",
        "redis",
        "postgres",
        "kafka",
        "billing",
    }
    for name, text in texts(out):
        found = set(pattern.findall(text)) - english
        assert not found, f"{sorted(found)[:5]} in {name}"
        assert str(SAMPLE) not in text and "sample_data" not in text


def test_the_findings_stay(fleet, out):
    shared = ml.redact(fleet)
    for table, columns in (
        ("starts", ["outcome", "reason", "app_started_lower", "proxy_ready_upper", "window_lower_s", "proxy_version"]),
        ("errors", ["verdict", "certainty", "reason", "time", "signature", "destination_port", "insert_id", "line"]),
    ):
        pd.testing.assert_frame_equal(getattr(shared, table)[columns], getattr(fleet, table)[columns])
    summary = json.loads((out / "summary.json").read_text())
    assert summary["starts"] == len(fleet.starts)
    assert shared.incidence(["namespace"])["harmed"].sum() == fleet.incidence(["namespace"])["harmed"].sum()
    for name, layout in (("starts", schema.STARTS), ("errors", schema.ERRORS), ("pods", schema.PODS)):
        assert schema.conform(getattr(shared, name), layout, name).equals(schema.load(out, name, layout))


def test_the_same_is_called_the_same_everywhere(fleet):
    shared = ml.redact(fleet)
    for table in ("errors", "evidence", "pods"):
        old, new = getattr(fleet, table), getattr(shared, table)
        for column in ("pod", "namespace", "cluster"):
            told = dict(zip(fleet.starts[column].dropna(), shared.starts[column].dropna(), strict=True))
            both = old[column].notna() & old[column].isin(told)
            assert (old.loc[both, column].map(told) == new.loc[both, column]).all()
    assert set(shared.errors["start_id"].dropna()) <= set(shared.starts["start_id"])
    assert ml.redact(fleet).starts.equals(shared.starts)


def test_texts():
    table = pd.DataFrame(
        {"pod": ["orders-5d7874bf7-rxffd"], "workload": ["orders"], "cluster": ["blue"], "host": ["redis"]}
    )
    text = _Replacements([table]).text
    assert text(
        "dial tcp: lookup redis.shop.svc.cluster.local: ann@acme.example in orders-db of orders-5d7874bf7-rxffd"
    ) == ("dial tcp: lookup host-2: someone-1@example.invalid in name-1 of pod-1")
    assert text("10.1.2.3:80 [fd00::7]:80 ::ffff:10.1.2.3 127.0.0.1 10.1.2.3") == (
        "198.18.0.1:80 [2001:db8::1]:80 2001:db8::2 127.0.0.1 198.18.0.1"
    )
    assert text("java.net.ConnectException at com.acme.Main org.apache.kafka.X docs.cloud.google.com 12:30:59") == (
        "java.net.ConnectException at package-1 org.apache.kafka.X docs.cloud.google.com 12:30:59"
    )


NAMES = {"pod": ["acmepay-67d56cdd-g7fvb"], "workload": ["acmepay"], "namespace": ["acmens"], "ip": ["10.77.66.55"]}


@pytest.mark.parametrize(
    "text, left",
    [
        ("aCmEpAy AcmePay ACMEPAY_X", "workload-1 workload-1 name-1"),
        ("(acmens%2Facmepay)", "(namespace-1/workload-1)"),
        ("/x%252Facmepay", "/x/workload-1"),
        (r"failed:\nacmepay \u003dacmens", "failed: workload-1 =namespace-1"),
        ("http%3A%2F%2F10.77.66.55%3A80", "http://198.18.0.1:80"),
        ("redis%3A%2F%2Fu%3Apw9%40acmepay", "redis://[secret]@workload-1"),
        ("ann%40acme.example", "someone-1@example.invalid"),
        ("010.077.066.055:80 10.77.66.55", "198.18.0.1:80 198.18.0.1"),
        ("10-77-66-55 ip-10-77-66-55", "198-18-0-1 name-1"),
        ('pulling image "reg.acme.example/pay/app:1"', 'pulling image "image-1"'),
        ("projects/acmens/logs/events%2Fx", "projects/namespace-1/logs/events%2Fx"),
        ("100%acmepay", "100%workload-1"),
        (r"C:\temp\new 50%20 1.2.3", r"C:\temp\new 50%20 1.2.3"),
    ],
)
def test_a_name_is_found_however_it_is_spelt(text, left):
    assert _Replacements([pd.DataFrame(NAMES)]).text(text) == left


POD, NAMESPACE, UID = "acmepay-67d56cdd-g7fvb", "acmens", "12345678-1234-1234-1234-123456789abc"
SECRET = "hunter2Xz9Qw7Lp4"
# Where names and secrets lie that no table of names tells.
HIDDEN = {name: f"hidden{name}9x" for name in (
    "hook", "login", "message", "user_volume", "template", "token", "annotation", "label", "probe", "printed",
    "account", "environment", "arguments", "column", "junk", "tag", "ended", "sidecar", "title", "metadata", "excerpt",
)}  # fmt: skip


def entry(number, second, message, container="web", **more):
    place = {"cluster_name": "acmecluster", "namespace_name": NAMESPACE, "pod_name": POD, "project_id": "acmeproject"}
    return {
        "insertId": f"i{number}",
        "logName": "projects/acmeproject/logs/stderr",
        "resource": {"type": "k8s_container", "labels": place | {"container_name": container}},
        "timestamp": f"2026-03-02T09:00:{second:012.9f}Z",
        "textPayload": message,
    } | more


def pod():
    of = HIDDEN
    hook = f"export DB_PASSWORD={of['hook']}; curl -u root:{of['login']} http://x"
    config = f"{{concurrency: 2, proxyMetadata: {{API_TOKEN: {of['token']}, {of['metadata']}: a}}}}"
    notes = {
        "proxy.istio.io/config": config,
        "sidecar.istio.io/userVolume": f'[{{"x":"{of["user_volume"]}"}}]',
        "sidecar.istio.io/status": f'{{"containers":["istio-proxy"],"imagePullSecrets":["{of["sidecar"]}"]}}',
        "vault.hashicorp.com/agent-inject-template-x": of["template"],
        "acme.example/token": of["annotation"],
    }
    started = [{"name": name, "restartCount": 0, "state": {"running": {"startedAt": f"2026-03-02T09:00:0{second}Z"}}}
               for name, second in (("web", 3), ("istio-proxy", 4))]  # fmt: skip
    died = {"terminated": {"exitCode": 1, "message": of["ended"], "finishedAt": "2026-03-02T09:00:02Z"}}
    web = {
        "name": "web",
        "image": f"registry/acme:{of['tag']}",
        "args": ["--token", of["arguments"]],
        "env": [{"name": "PASSWORD", "value": of["environment"]}],
        "readinessProbe": {"httpGet": {"path": f"/h?key={of['probe']}", "port": 80}},
        "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", hook]}}},
    }
    proxy = {"name": "istio-proxy", "image": "proxyv2:1.20.1", "lifecycle": {"preStop": {"exec": {"command": [hook]}}}}
    ready = {"type": "Ready", "status": "True", "message": of["message"], "lastTransitionTime": "2026-03-02T09:00:08Z"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": POD,
            "namespace": NAMESPACE,
            "uid": UID,
            "labels": {"a": of["label"]},
            "annotations": notes,
        },
        "spec": {"serviceAccountName": of["account"], "nodeName": "acmenode-1", "containers": [web, proxy]},
        "status": {"containerStatuses": [started[0] | {"lastState": died}, started[1]], "conditions": [ready]},
    }


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """An export with a secret in every spelling and every place."""
    folder = tmp_path_factory.mktemp("planted")
    refused = "dial tcp 10.77.66.55:{}: connect: connection refused"
    lines = [entry(0, 3.9, "starting"), entry(1, 4.1, refused.format(6379))]
    lines.append(entry(2, 7, "2026-03-02T09:00:06.999999Z\tinfo\tEnvoy proxy is ready", "istio-proxy"))
    for number, spelling in enumerate(SPELLINGS, 10):
        lines.append(entry(number, 4 + number / 1000, f"{refused.format(6000 + number)} {spelling.format(SECRET)}"))
    lines.append(entry(3, 4.9, f"{refused.format(7000)} 010.077.066.055 aCmEpAy acmens%2Facmepay"))
    event = {
        "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": "FailedPostStartHook",
        "message": f"Exec lifecycle hook ([sh -c x]) for Container \"web\" failed: {HIDDEN['printed']}",
        "metadata": {"name": f"{POD}.1", "namespace": NAMESPACE, "uid": "e1"}, "count": 1,
        "involvedObject": {"kind": "Pod", "name": POD, "namespace": NAMESPACE, "uid": UID,
                           "fieldPath": "spec.containers{web}"},
        "firstTimestamp": "2026-03-02T09:00:03Z", "lastTimestamp": "2026-03-02T09:00:03Z",
    }  # fmt: skip
    damaged = json.dumps(entry(4, 5, HIDDEN["excerpt"]))[:-5]
    (folder / "acmefile.json").write_text("".join(json.dumps(line) + "\n" for line in lines) + damaged + "\n")
    (folder / "pods.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod(), event]}))
    (folder / "junk.txt").write_text(f"just {HIDDEN['junk']} DB_PASSWORD={SECRET}\nPIN={HIDDEN['title']}\n")
    pq.write_table(pa.table({HIDDEN["column"]: [1]}), folder / "other.parquet")
    return folder


def test_no_planted_secret_or_name_is_left_in_any_file(planted, tmp_path):
    result = CliRunner().invoke(cli.main, ["report", str(planted), "--out", str(tmp_path), "--redact", "--csv"])
    assert result.exit_code == 0, result.output
    secret = {SECRET, *HIDDEN.values(), *sum(NAMES.values(), []), "acmecluster", "acmeproject", "acmenode", "acmefile",
              "010.077.066.055"}  # fmt: skip
    files = [("printed", result.stdout), *texts(tmp_path)]
    assert {name.rpartition(".")[2] for name, _ in files} >= {"parquet", "csv", "html", "ipynb", "yaml", "json"}
    for name, text in files:
        within = b" ".join(map(base64.b64decode, re.findall(r"base64,((?:[A-Za-z0-9+/]{4}){10,})", text)))
        found = {word for word in secret if word.lower() in (text + within.decode("utf-8", "replace")).lower()}
        assert not found, f"{found} in {name}"


def test_what_is_left_out_decides_nothing(planted, fleet):
    for whole in (ml.analyse(planted), fleet):
        shared = ml.redact(whole)
        assert len(whole.errors) and shared.starts["outcome"].equals(whole.starts["outcome"])
        kept = ["kind", "time_lower", "time_upper", "line", "entries", "port"]
        pd.testing.assert_frame_equal(shared.evidence[kept], whole.evidence[kept])
        numbers = [field.name for field in schema.REMEDIES if field.type != schema.TEXT] + ["remedy", "treats"]
        pd.testing.assert_frame_equal(shared.remedies[numbers], whole.remedies[numbers])
        containers = [
            [len(json.loads(text)["containers"]) for text in of.pods["spec"].dropna()] for of in (shared, whole)
        ]
        assert containers[0] == containers[1]
        assert len(shared.remedies) and shared.remedies["patch"].isna().equals(whole.remedies["patch"].isna())


@pytest.mark.parametrize(
    "config, left",
    [
        ("concurrency: 4\nterminationDrainDuration: 9s", "{concurrency: 4, terminationDrainDuration: 9s}"),
        ("proxyMetadata: {A_TOKEN: x, MINIMUM_DRAIN_DURATION: 9s}", "{proxyMetadata: {MINIMUM_DRAIN_DURATION: 9s}}"),
        ("tracing: {holdApplicationUntilProxyStarts: true}", "{} # holdApplicationUntilProxyStarts"),
        (
            "holdApplicationUntilProxyStarts: true: x",
            "{holdApplicationUntilProxyStarts",
        ),  # no YAML, and none made of it
        ("&a {x: *a}", "{}"),
        ("", "{}"),
    ],
)
def test_of_the_proxys_configuration_known_settings_stay(config, left):
    pods = schema.conform([{"annotations": json.dumps({"proxy.istio.io/config": config, "a": "b"})}], schema.PODS)
    assert json.loads(_needed(pods)["annotations"].iloc[0]) == {"proxy.istio.io/config": left}
    told = [remedies.manifests.config_with(text, {}) is None for text in (config, left)]
    assert told[0] == told[1]


def test_a_notebook_of_ones_own_cannot_be_redacted(tmp_path):
    (tmp_path / "own.ipynb").write_text("{}")
    words = ["report", str(SAMPLE), "--out", str(tmp_path / "o"), "--redact", "--notebook", str(tmp_path / "own.ipynb")]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 2 and "does not go with --redact" in result.output
