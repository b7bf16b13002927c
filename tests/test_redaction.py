"""A redacted report names no one, says the same by the same, and keeps what the verdicts rest on."""

import json
import re
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import meshlogs as ml
from meshlogs import cli, schema
from meshlogs.redaction import _Replacements

SAMPLE = Path(__file__).parent.parent / "sample_data/fleet"
NAMED = ("pod", "workload", "namespace", "cluster", "project", "node", "pod_uid", "destination_host", "destination_ip",
         "pod_ip", "host", "ip", "source", "start_id")  # fmt: skip
# Names that are words of ours, too, or of everyone.
WORDS = {"default", "localhost", "127.0.0.1", "::1", "169.254.169.254", "metadata.google.internal", "0.0.0.0", "guide"}


@pytest.fixture(scope="module")
def fleet():
    return ml.analyse(SAMPLE)


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


def test_a_notebook_of_ones_own_cannot_be_redacted(tmp_path):
    (tmp_path / "own.ipynb").write_text("{}")
    words = ["report", str(SAMPLE), "--out", str(tmp_path / "o"), "--redact", "--notebook", str(tmp_path / "own.ipynb")]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 2 and "does not go with --redact" in result.output
