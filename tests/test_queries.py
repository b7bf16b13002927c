"""Queries: read by eye, parsed by a library, and safe with any name."""

import json
import re
import shlex

import pytest
import sqlglot
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

import meshlogs as ml
from meshlogs import cli, coverage, output, queries
from meshlogs.evidence import signatures

POD = "post-feature-service-v1-67d56cdd-g7fvb"
SQL = ("bigquery", "log-analytics")


def test_the_events_of_the_guides_pod():
    assert ml.query(
        "events", project="p", clusters=["c"], pods=[POD], since="2020-03-31T10:00:00.123456789Z", until="2020-04-01"
    ) == [
        'resource.type=("k8s_pod" OR "gke_cluster")\n'
        'log_id("events")\n'
        'resource.labels.project_id="p"\n'
        'resource.labels.cluster_name="c"\n'
        f'(resource.labels.pod_name="{POD}" OR jsonPayload.involvedObject.name="{POD}")\n'
        'timestamp>="2020-03-31T10:00:00.123456789Z"\n'
        'timestamp<="2020-04-01T00:00:00Z"'
    ]


def test_the_refused_lines_are_those_of_the_signatures():
    found = ml.query("refused")[0]
    pattern = json.loads(re.search(r'textPayload=~("(?:[^"\\]|\\.)*")', found)[1])
    missed = [row.example for row in signatures.SIGNATURES if not re.search(pattern, row.example)]
    assert pattern == signatures.TRIGGER and not missed


def test_a_workload_is_the_beginning_of_its_pods_names():
    assert 'resource.labels.pod_name=~"^(web)(-|$)"' in ml.query("proxy_logs", workloads=["web"])[0]
    assert 'protoPayload.resourceName=~"(^|/)pods/(web)(-[^/]*)?(/|$)"' in ml.query("audit", workloads=["web"])[0]


def test_many_pods_are_several_queries_none_too_long():
    names = [f"a-pod-with-a-name-of-a-usual-length-{number:05}" for number in range(1000)]
    found = ml.query("refused", pods=names)
    assert len(found) == 10 and max(map(len, found)) < 20_000
    assert [name for text in found for name in re.findall(r"a-pod[\w-]+", text)] == names


def test_tables_of_a_sink_for_the_days_in_question():
    found = ml.query("events", dialect="bigquery", table="p.logs", since="2020-03-31T23:00Z", until="2020-04-01")[0]
    assert "FROM `p.logs.events*`" in found
    assert "(_TABLE_SUFFIX = '' OR (_TABLE_SUFFIX >= '_20200331' AND _TABLE_SUFFIX <= '_20200401'))" in found


@pytest.mark.parametrize("dialect", SQL)
@pytest.mark.parametrize("kind", queries.KINDS)
def test_sql_is_one_statement_that_reads_one_table_a_log(kind, dialect):
    text = ml.query(kind, dialect=dialect, namespaces=["shop"], pods=[POD], since="2020-03-31", until="2020-04-01")[0]
    statements = sqlglot.parse(text, dialect="bigquery")
    assert len(statements) == 1
    tables = len(list(statements[0].find_all(exp.Table)))
    assert tables == (1 if dialect == "log-analytics" or kind in ("events", "audit") else 2)


NAMES = st.text(min_size=1, max_size=12) | st.sampled_from(
    ["'; DROP TABLE x; --", '" OR "1"="1', "\\", "$(id)", "`id`", "a\nb"]
)


@given(NAMES, st.sampled_from(list(queries.KINDS)), st.sampled_from(SQL))
def test_a_name_cannot_break_out_of_sql(name, kind, dialect):
    def shape(names):
        text = ml.query(kind, dialect=dialect, clusters=[names], namespaces=[names], pods=[names], workloads=[names])[0]
        (statement,) = sqlglot.parse(text, dialect="bigquery")
        return [type(node) for node in statement.walk()]

    assert shape(name) == shape("web")


@given(NAMES, st.sampled_from(list(queries.KINDS)))
def test_a_name_cannot_break_out_of_a_filter_or_a_command(name, kind):
    def shape(names):
        text = ml.query(kind, project=names, clusters=[names], pods=[names], workloads=[names])[0]
        return re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', text)

    assert shape(name) == shape("web")
    command = ml.query(kind, dialect="gcloud", project=name, pods=[name])[0]
    words = shlex.split(command)
    assert words[:3] == ["gcloud", "logging", "read"] and words[4:6] == ["--order=asc", "--format=json"]
    assert words[6:] == [f"--project={name}", "--freshness=30d"]


def test_unknown_words_are_told():
    with pytest.raises(ValueError, match="no kind 'x' or dialect 'logging'; there are refused"):
        ml.query("x")


def asked(*words):
    return CliRunner().invoke(cli.main, ["query", *map(str, words)])


def printed(*words):
    result = asked(*words)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands_choices_are_the_modules():
    assert cli.EVIDENCE == tuple(queries.KINDS) and cli.DIALECTS == queries.DIALECTS


def test_the_command_prints_the_guides_steps():
    told = printed("--for", POD, "--cluster", "c")
    assert [line.split()[1] for line in told.splitlines() if line.startswith("--")] == [
        "refused:", "proxy_logs:", "events:", "audit:",
    ]  # fmt: skip
    assert f'resource.labels.pod_name="{POD}"' in told
    assert 'pod_name=~"^(web)(-|$)"' in printed("--for", "web", "--kind", "events")
    assert printed("--dialect", "gcloud", "--kind", "events").startswith("# events")


def test_what_a_report_leaves_open(tmp_path):
    ml.simulate_fleet(tmp_path, pods=30, seed=5, without=["proxy_logs", "pod_specs"])
    output.write_fleet(ml.analyse(tmp_path / "export"), tmp_path / "out", by=["namespace"])
    told = printed("--for-report", tmp_path / "out")
    assert "-- proxy_logs: would settle" in told and 'container_name="istio-proxy"' in told
    assert "FROM `PROJECT.DATASET.stdout*`" in printed("--for-report", tmp_path / "out", "--dialect", "bigquery")
    of_report = ("--for-report", tmp_path / "out")
    words = ("--kind", "proxy_logs", "--project", "p", "--since", "2020-01-01", "--dialect", "gcloud")
    limited = printed(*of_report, *words)
    assert limited.count("--project=p") == limited.count("gcloud logging read") > 0
    assert set(re.findall(r'timestamp>="([^"]*)"', limited)) == {"2020-01-01T00:00:00Z"}
    cluster = re.search(r'cluster_name="([^"]*)"', limited)[1]
    assert set(re.findall(r'cluster_name="([^"]*)"', printed(*of_report, "--cluster", cluster))) == {cluster}
    assert printed(*of_report, "--cluster", "no-such").startswith("nothing is undetermined")
    assert printed(*of_report, "--namespace", "no-such").startswith("nothing is undetermined")
    begun = asked(*of_report, "--until", "2020-01-01")
    assert begun.exit_code == 2 and "--since is not before --until" in begun.output
    pod = ml.schema.load(tmp_path / "out", "starts", ml.schema.STARTS)["pod"][0]
    nobody = asked(*of_report, "--for", f"{pod}x")
    assert nobody.exit_code == 2
    assert f"no pod named '{pod}x' in this export. Nearest: {pod}" in nobody.output
    missing = asked("--for-report", tmp_path)
    assert missing.exit_code == 2 and "no tables/starts.parquet" in missing.output


def test_what_no_log_holds_is_asked_of_kubectl():
    question = coverage.Question("pods", "", queries.Scope(namespaces=("shop", "it's")))
    assert question.asked() == [
        "kubectl get pods --namespace shop -o json",
        """kubectl get pods --namespace 'it'"'"'s' -o json""",
    ]
