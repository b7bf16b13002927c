"""What truly happened, written beside the export: every pod start and every refused connection that was reported."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path

from meshlogs import times
from meshlogs.simulate.clients import EVERY
from meshlogs.simulate.process import Pod

ERRORS = (
    "cluster namespace pod pod_uid container insert_id insert_ids time_ns attempt_ns destination_host destination_ip "
    "destination_port verdict suspected runtime"
).split()


def error_rows(pod: Pod, told: list[list[str]], logs: list[dict]) -> list[dict]:
    """The truth of each refused connection that a program reported; `attempt_ns` is the last refused connect of it."""
    times_of = {row["insertId"]: row["timestamp"] for row in logs}
    made = [(a.time, a.container, a.target, a.client, a.verdict, EVERY[a.client].suspected) for a in pod.attempts]
    made += [(at, "app", target, pod.workload.client, "upstream", False) for at, target in pod.reports]
    return [
        {
            "cluster": pod.workload.cluster,
            "namespace": pod.workload.namespace,
            "pod": pod.name,
            "pod_uid": pod.uid,
            "container": container,
            "insert_id": ids[0],
            "insert_ids": ";".join(ids),
            "time_ns": times.parse_ns(times_of[ids[0]]),
            "attempt_ns": at,
            "destination_host": target.host,
            "destination_ip": target.ip,
            "destination_port": target.port,
            "verdict": verdict,
            "suspected": suspected,
            "runtime": EVERY[client].runtime,
        }
        for (at, container, target, client, verdict, suspected), ids in zip(made, told, strict=True)
    ]


def outcome(pod: Pod) -> str:
    """What came of a pod start, in the words of the analysis."""
    verdicts = {attempt.verdict for attempt in pod.attempts}
    if not pod.meshed:
        return "not_meshed"
    if "startup_race" in verdicts:
        return "harmed"
    if "init_race" in verdicts:
        return "init_stalled"
    if not pod.runs("app"):
        return "undetermined"
    return "exposed" if pod.runs("app")[0].started < pod.ready[0] else "safe"


def start_row(pod: Pod) -> dict:
    """The truth of a pod start."""
    app, proxy = pod.runs("app"), pod.runs("istio-proxy")
    return {
        "cluster": pod.workload.cluster,
        "namespace": pod.workload.namespace,
        "pod": pod.name,
        "pod_uid": pod.uid,
        "app_start_ns": app[0].started if app else "",
        "proxy_start_ns": proxy[0].started if proxy else "",
        "proxy_ready_ns": pod.ready[0] if pod.ready else "",
        "outcome": outcome(pod),
        "injection": "native_sidecar" if pod.native else "sidecar" if pod.meshed else "none",
        "hold": pod.hold,
        "scenario": pod.scenario,
    }


def write_truth(out: Path, starts: list[dict], errors: list[dict]) -> None:
    """Write starts.csv, errors.csv and the counts in summary.json."""
    out.mkdir(parents=True, exist_ok=True)
    _write_csv(out / "starts.csv", starts, list(starts[0]))
    _write_csv(out / "errors.csv", errors, ERRORS)
    counts = {"starts": len(starts), "errors": len(errors)}
    counts["outcomes"] = _counted(row["outcome"] for row in starts)
    counts["verdicts"] = _counted(row["verdict"] for row in errors)
    (out / "summary.json").write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")


def _counted(words: Iterable[str]) -> dict[str, int]:
    words = list(words)
    return {word: words.count(word) for word in sorted(set(words))}


def _write_csv(path: Path, rows: list[dict], columns: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
