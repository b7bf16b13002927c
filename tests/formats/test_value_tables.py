"""What gcloud prints for people: tables with a header, and values without one."""

import pytest

from meshlogs import formats, times
from meshlogs.formats import value_tables

ROWS = (
    "2020-03-31T10:41:15.552128897Z\tshop\tweb-67d56cdd-g7fvb\tweb\tdial tcp: connection refused\n"
    "2020-03-31T10:41:15.652128897Z\tshop\tweb-67d56cdd-g7fvb\tistio-proxy\t2020-03-31T10:41:15.65Z\tinfo\tready\n"
    "2020-03-31T10:41:16Z\tshop\tapi-67d56cdd-x7fvb\tapi\tTraceback\n  File x\n\n\tend\n"
    "2020-03-31T10:41:17Z\tpay\tredis-0\tredis\t\n"
)


def read(text, tmp_path, name="x"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    shard = formats.read(path)
    assert shard.form == "value_tables"
    assert shard.records == len(shard.log_entries) + len(shard.rejects)
    return shard


@pytest.mark.parametrize("change", [
    lambda text: text,
    lambda text: text.replace("\n", "\r\n"),
    lambda text: text.encode("utf-16"),
    lambda text: "\n" + text + "\n\n",
    lambda text: "\ufeff" + text,
])  # fmt: skip
def test_values_tell_which_column_they_are(tmp_path, change):
    shard = read(change(ROWS), tmp_path)
    rows = shard.log_entries
    assert shard.rejects.empty
    assert times.to_ns(rows["time"])[0] == 1585651275552128897
    assert rows["namespace"].tolist() == ["shop", "shop", "shop", "pay"]
    assert rows["pod"].tolist() == ["web-67d56cdd-g7fvb"] * 2 + ["api-67d56cdd-x7fvb", "redis-0"]
    assert rows["container"].tolist() == ["web", "istio-proxy", "api", "redis"]
    assert rows["message"].fillna("").tolist() == [
        "dial tcp: connection refused",
        "2020-03-31T10:41:15.65Z\tinfo\tready",
        "Traceback\n  File x\n\n\tend",
        "",
    ]


def test_columns_in_any_order(tmp_path):
    text = (
        "stderr line one\tERROR\tprojects/p/logs/stderr\t2020-03-31T10:41:16.2Z\t2020-03-31T10:41:15.5Z\tweb-0\n"
        "with\ttab\tINFO\tprojects/p/logs/stdout\t2020-03-31T10:41:17.2Z\t2020-03-31T10:41:16.5Z\tweb-0\n"
    )
    shard = read(text.splitlines()[0] + "\n", tmp_path)
    row = shard.log_entries.iloc[0]
    assert row[["message", "severity", "log_id", "pod"]].tolist() == ["stderr line one", "ERROR", "stderr", "web-0"]
    assert row["time"] < row["receive_time"]


def test_pods_of_a_stateful_set_are_known_beside_their_container(tmp_path):
    rows = read("2020-03-31T10:41:15Z\tredis-0\tredis\tx y\n2020-03-31T10:41:16Z\tredis-1\tredis\tz\n", tmp_path)
    assert rows.log_entries[["pod", "container"]].values.tolist() == [["redis-0", "redis"], ["redis-1", "redis"]]


def test_what_cells_do_not_tell_is_left_open(tmp_path):
    line = "2020-03-31T10:41:15Z\tc\tshop\tweb-67d56cdd-g7fvb\tx y\n"
    text = line + line.replace("shop", "pay").replace("x y", "z z")
    rows = read(text, tmp_path).log_entries
    assert rows[["cluster", "namespace"]].isna().all(axis=None)
    assert rows["message"].tolist() == ["x y", "z z"]


def test_csv_without_a_header_is_read_where_its_cells_tell_and_refused_where_not(tmp_path):
    text = '2020-03-31T10:41:15Z,web-67d56cdd-g7fvb,"dial tcp, a\nrefused"\n2020-03-31T10:41:16Z,web-67d56cdd-g7fvb,x\n'
    assert read(text, tmp_path, "x.csv").log_entries["message"].tolist() == ["dial tcp, a\nrefused", "x"]
    shard = read("2020-03-31T10:41:15Z,web,12\n2020-03-31T10:41:16Z,web,13\n", tmp_path, "x.csv")
    assert shard.rejects["line"].tolist() == [1, 2]
    assert shard.rejects["reason"].str.startswith("no header").all()


TABLE = """\
TIMESTAMP                       POD_NAME            CONTAINER_NAME  TEXT_PAYLOAD
2020-03-31T10:41:15.552128897Z  web-67d56cdd-g7fvb  web             dial tcp:  connection refused
2020-03-31T10:41:16Z            web-67d56cdd-g7fvb  web             Traceback
    second line
2020-03-31T10:41:16.5Z          web-67d56cdd-g7fvb  web

TIMESTAMP                 POD_NAME  REASON   MESSAGE
2020-03-31T10:41:17.123Z  redis-0   Started  Started container redis
"""
BOX = """\
┌──────────────────────────────┬────────────────────┬──────────────┐
│          TIMESTAMP           │      POD_NAME      │ TEXT_PAYLOAD │
├──────────────────────────────┼────────────────────┼──────────────┤
│ 2020-03-31T10:41:15.5521288Z │ web-67d56cdd-g7fvb │ dial x | y   │
└──────────────────────────────┴────────────────────┴──────────────┘
"""


def test_tables_with_a_header_for_each_page(tmp_path):
    shard = read(TABLE, tmp_path)
    rows = shard.log_entries
    assert shard.rejects.empty
    assert rows["message"].fillna("").tolist() == [
        "dial tcp:  connection refused", "Traceback\n    second line", "", "Started container redis",
    ]  # fmt: skip
    assert rows["pod"].tolist() == ["web-67d56cdd-g7fvb"] * 3 + ["redis-0"]
    assert times.to_ns(rows["time"])[0] == 1585651275552128897
    assert shard.events[["pod", "reason", "line"]].values.tolist() == [["redis-0", "Started", 8]]


@pytest.mark.parametrize("table", [
    BOX,
    BOX.translate(str.maketrans("┌┬┐├┼┤└┴┘─│", "+++++++++-|")),
])  # fmt: skip
def test_tables_in_a_box(tmp_path, table):
    row = read(table, tmp_path).log_entries.iloc[0]
    assert (row["pod"], row["message"]) == ("web-67d56cdd-g7fvb", "dial x | y")


def test_the_proxys_lines_are_known_where_no_column_names_the_container(tmp_path):
    text = ROWS.replace("\tshop", "").replace("\tpay", "").replace("\tweb\t", "\t").replace("\tapi\t", "\t")
    text = text.replace("\tistio-proxy\t2020-03-31T10:41:15.65Z", "\t2020-03-31T10:41:15.650000Z")
    rows = read(text.partition("2020-03-31T10:41:17Z")[0], tmp_path).log_entries
    assert rows["container"].fillna("").tolist() == ["", "istio-proxy", ""]


@pytest.mark.parametrize("text", [
    "2022-06-03T14:15:54.137066Z\tinfo\tEnvoy proxy is ready\n",
    "2022-06-03T14:15:54.137Z\tINFO\tsetup\tstarting manager\n2022-06-03T14:15:54.137Z\tINFO\tsetup\tready\n",
    "2022-06-03T14:15:54.137Z\tINFO\tworker-1\tcalling it\n2022-06-03T14:15:54.2Z\tINFO\tworker-2\tgiving up\n",
    "2022-06-03T14:15:54.137Z\tpool-1-thread-2\tINFO\tretrying it\n",
    "NAMESPACE   LAST SEEN   TYPE     REASON    OBJECT       MESSAGE\nshop   1m   Normal   Started   pod/x   y\n",
    "NAME    READY   STATUS    RESTARTS   AGE\nweb-0   2/2     Running   0          3d\n",
    '[2022-06-03T14:15:54.137Z] "GET / HTTP/1.1" 200\n',
])  # fmt: skip
def test_logs_and_other_tables_are_none_of_ours(text):
    assert not value_tables.sniff(text.encode(), "x.log")
