"""Whose a line is: by the file's own name, or by what kubectl and stern wrote before it."""

from pathlib import PurePath

import pytest

from meshlogs import formats, times
from meshlogs.formats.whose import owner_of

APP, WEB, DB = "app", "web-67d56cdd-g7fvb", "db-0"
REFUSED = "dial tcp 10.0.0.9:6379: connect: connection refused"
AT = ["2026-03-02T10:00:00.000000001Z", "2026-03-02T10:00:01.5Z", "2026-03-02T10:00:02.250000001Z"]
# (pod, container, time, text), as two containers mix.
LINES = [(WEB, APP, AT[0], REFUSED), (DB, "istio-proxy", AT[1], "Envoy proxy is ready"), (WEB, APP, AT[2], "{oops")]


def read(tmp_path, name, *lines):
    path = tmp_path / name
    path.write_text("".join(f"{line}\n" for line in lines))
    shard = formats.read(path, source=name)
    assert (shard.form, shard.rejects.empty) == ("pod_logs", True)
    return shard.log_entries


def rows_of(entries, *names):
    return [tuple(row) for row in entries[[*names]].itertuples(index=False)]


def told(entries):
    """(pod, container, time, text) of each row."""
    stamps = [None if ns == times.NAT else times.text(ns) for ns in times.to_ns(entries["time"])]
    named = rows_of(entries, "pod", "container", "message")
    return [(pod, container, at, text) for (pod, container, text), at in zip(named, stamps, strict=True)]


STYLES = {
    "kubectl": "[pod/{0}/{1}] {2} {3}",
    "stern": "{0} {1} {2} {3}",
    "stern in color": "\x1b[91m{0}\x1b[0m \x1b[31m{1}\x1b[0m {2} {3}",
    "stern of several namespaces": "shop {0} {1} {2} {3}",
    "stern json": '{{"message":"{2} {3}","nodeName":"n","namespace":"shop","podName":"{0}","containerName":"{1}"}}',
    "stern extjson": '{{"pod": "{0}", "container": "{1}", "message": "{2} {3}"}}',
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", ["all.log", "all.txt", "all", "all.out"])
def test_each_line_names_its_pod(style, name, tmp_path):
    entries = read(tmp_path, name, *(STYLES[style].format(*line) for line in LINES))
    assert told(entries) == LINES
    namespaces = ["shop"] * 3 if style in ("stern of several namespaces", "stern json") else [None] * 3
    assert [name if isinstance(name, str) else None for name in entries["namespace"]] == namespaces


def test_a_line_without_a_time_takes_that_of_its_own_container(tmp_path):
    lines = [
        f"[pod/{WEB}/app] 2026-03-02T10:00:00Z starting",
        f"[pod/{DB}/db] 2026-03-02T10:00:09Z ready",
        f"[pod/{WEB}/app] \tat x",
        f"[pod/{DB}/sh] no time at all",
    ]
    assert told(read(tmp_path, "all.log", *lines))[2:] == [
        (WEB, "app", "2026-03-02T10:00:00Z", "\tat x"),
        (DB, "sh", None, "no time at all"),
    ]


def test_times_that_the_programs_wrote_are_used_where_no_others_are(tmp_path):
    lines = [
        f"[pod/{WEB}/app] 2026-03-02 10:00:00,5 {REFUSED}",
        f"[pod/{DB}/db] I0302 10:00:01.000001       7 a.go:1] x",
    ]
    found = told(read(tmp_path, "all.log", *lines))
    assert [at for *_, at, _ in found] == ["2026-03-02T10:00:00.5Z", "2026-03-02T10:00:01.000001Z"]


def test_without_any_time_the_pods_are_known_still(tmp_path):
    assert told(read(tmp_path, "all.txt", f"[pod/{WEB}/app] {REFUSED}")) == [(WEB, "app", None, REFUSED)]


def test_what_stern_says_of_itself_is_no_line_of_a_container(tmp_path):
    lines = [f"+ {WEB} › app", *(STYLES["stern"].format(*line) for line in LINES), f"- shop {WEB} › istio-proxy"]
    assert told(read(tmp_path, "all.log", *lines)) == LINES


def test_a_message_that_is_json_is_read_as_such(tmp_path):
    line = f'{{"pod": "{WEB}", "container": "app", "message": {{"time":"{AT[1]}","msg":"{REFUSED}","port":6379}}}}'
    entries = read(tmp_path, "all.json", line)
    assert told(entries) == [(WEB, "app", AT[1], REFUSED)]
    assert '"port":6379' in entries["payload"].iloc[0]


def test_no_prefix_is_seen_in_what_a_program_writes_about_other_pods(tmp_path):
    """A controller's log, in the folder of its own pod, whose lines begin with other pods' names."""
    (tmp_path / "ops" / "scaler-0").mkdir(parents=True)
    lines = [f"{WEB} app gone", f"{DB} db gone"]
    entries = read(tmp_path, "ops/scaler-0/logs.txt", *lines)
    assert rows_of(entries, "namespace", "pod", "message") == [("ops", "scaler-0", line) for line in lines]


@pytest.mark.parametrize("text", ["step-1 began", "Worker-12 took job-9 up\n" * 3, "[pod/x] y\n", "+ web › app\n"])
def test_words_are_no_names_of_pods(text, tmp_path):
    (tmp_path / "notes.txt").write_text(text)
    with pytest.raises(formats.InputError):
        formats.detect(tmp_path / "notes.txt")


def test_of_many_containers_the_state_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("meshlogs.formats.pod_logs._CONTAINERS", 2)
    lines = [f"[pod/db-{number}/app] {AT[0]} {number}" for number in (1, 2, 3, 1)]
    assert [pod for pod, *_ in told(read(tmp_path, "all.log", *lines))] == ["db-1", "db-2", "db-3", "db-1"]


@pytest.mark.parametrize(
    ("path", "whose"),
    [
        (f"{WEB}.log", (None, WEB, None)),
        (f"logs/{WEB}_app.txt", (None, WEB, "app")),
        (f"shop_{WEB}_app.log", ("shop", WEB, "app")),
        ("fluentbit-x7k2p.log", (None, "fluentbit-x7k2p", None)),
        ("web-0.log", (None, None, None)),  # as well another file than web.log
        ("nginx-debug.log", (None, None, None)),
        (f"a_b_{WEB}.log", (None, None, None)),
        (f"{WEB}.json", (None, None, None)),
    ],
)
def test_somebody_named_a_file_after_its_pod(path, whose):
    assert owner_of(PurePath(path))[:3] == whose
