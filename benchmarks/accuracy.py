"""How often verdicts and intervals are right, under sources that are missing: writes docs/ACCURACY.md.

Fleets come from the simulator, whose truth is written before any analysis; the last part is 24 starts of a real
Envoy behind real redirection. Run by `make accuracy`.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import meshlogs as ml
from meshlogs import times

ROOT = Path(__file__).parent.parent
SETTINGS = {
    "all sources": {},
    "no proxy logs": {"without": ["proxy_logs"]},
    "no events": {"without": ["events"]},
    "no pod specs": {"without": ["pod_specs"]},
    "pod specs and app logs": {"without": ["proxy_logs", "events"]},
    "app logs and events": {"without": ["proxy_logs", "pod_specs"]},
    "app and proxy logs": {"without": ["events", "pod_specs"]},
    "app logs alone": {"without": ["proxy_logs", "events", "pod_specs"]},
    "20 % of events lost": {"lost_events": 0.2},
    "legacy resources": {"legacy": True},
    "newest kubelet texts": {"kubelet": "1.35"},
    "one hour of retention": {"retention_s": 3600},
    "native sidecars for two of three": {"native": 0.67},
}
PODS, SEEDS = 200, range(500, 505)


def beside(found, truth: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(errors, starts): the truth's rows with ours beside them; a failure is found by any of its entries."""
    errors, starts = pd.read_csv(truth / "errors.csv"), pd.read_csv(truth / "starts.csv")
    entry_of = {one: row.insert_id for row in errors.itertuples() for one in row.insert_ids.split(";")}
    ours = found.errors.assign(insert_id=found.errors["insert_id"].map(lambda one: entry_of.get(one, one)))
    errors = errors.merge(ours, on="insert_id", how="outer", suffixes=("_true", ""))
    # Without uids a name stands for its pod; names that stand for two are left out.
    key = ["pod_uid"] if found.starts["pod_uid"].notna().any() else ["cluster", "namespace", "pod"]
    known = found.starts.dropna(subset=key).drop_duplicates(key, keep=False)
    starts = starts.drop_duplicates(key, keep=False)
    return errors, starts.merge(known, on=key, how="inner", suffixes=("_true", ""))


def measure(errors: pd.DataFrame, starts: pd.DataFrame) -> dict:
    """The figures of one setting."""
    true = errors[errors["verdict_true"].notna()]
    found = true["verdict"].notna()
    right = true["verdict"] == true["verdict_true"]
    open_ = true["verdict"] == "undetermined"
    wrong = found & ~right & ~open_
    ready = starts["proxy_ready_ns"].to_numpy(float)
    lower, upper = times.to_ns(starts["proxy_ready_lower"]), times.to_ns(starts["proxy_ready_upper"])
    known = ~np.isnan(ready)
    holds = ((lower == times.NAT) | (lower <= ready)) & ((upper == times.NAT) | (upper >= ready))
    same = starts["outcome"] == starts["outcome_true"]
    both = known & (lower != times.NAT) & (upper != times.NAT)
    width = (upper[both] - lower[both]) / times.SECOND
    return {
        "errors": len(true),
        "right": right.mean(),
        "wrong": wrong.mean(),
        "undetermined": open_.mean(),
        "missed": (~found).mean(),
        "false rows": int(errors["verdict_true"].isna().sum()),
        "proven": (true["certainty"] == "proven").mean(),
        "proven and wrong": int((wrong & (true["certainty"] == "proven")).sum()),
        "starts": len(starts),
        "outcome right": same.mean(),
        "outcome wrong": (~same & (starts["outcome"] != "undetermined")).mean(),
        "interval holds": holds[known].mean() if known.any() else np.nan,
        "both ends": both.sum() / max(known.sum(), 1),
        "width p50 [s]": np.median(width) if len(width) else np.nan,
        "width p90 [s]": np.quantile(width, 0.9) if len(width) else np.nan,
    }


def confusion(errors: pd.DataFrame) -> pd.DataFrame:
    """Truth by verdict."""
    given = errors["verdict"].fillna("missed")
    return pd.crosstab(errors["verdict_true"].fillna("no refusal"), given)


def main() -> None:
    """Run all settings and write the page."""
    rows, matrices = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, options in SETTINGS.items():
            pairs = []
            for seed in SEEDS:
                out = Path(folder) / f"{name}-{seed}".replace(" ", "-").replace("%", "")
                ml.simulate_fleet(out, pods=PODS, seed=seed, **options)
                pairs.append(beside(ml.analyse(out / "export"), out / "truth"))
            errors, starts = (pd.concat(part, ignore_index=True) for part in zip(*pairs, strict=True))
            rows[name], matrices[name] = measure(errors, starts), confusion(errors)
            sys.stderr.write(f"{name}: {rows[name]['right']:.4f} right\n")
    (ROOT / "docs/ACCURACY.md").write_text(page(pd.DataFrame(rows).T, matrices), encoding="utf-8")


def page(table: pd.DataFrame, matrices: dict[str, pd.DataFrame]) -> str:
    """The page as Markdown."""
    shares = ("right", "wrong", "undetermined", "missed", "proven", "interval holds", "both ends")
    shares += ("outcome right", "outcome wrong")
    shown = table.copy().astype(object)
    for column in shown:
        if column in shares:
            shown[column] = [f"{value:.2%}" if pd.notna(value) else "–" for value in table[column]]
        elif column.startswith("width"):
            shown[column] = [f"{value:.2f}" if pd.notna(value) else "–" for value in table[column]]
        else:
            shown[column] = [f"{int(value):,}" for value in table[column]]
    verdicts, intervals = list(shown.columns[:8]), list(shown.columns[8:])
    parts = [
        "# Accuracy",
        "",
        f"Made by `make accuracy`: {len(SEEDS)} simulated fleets of {PODS} pods in each setting. The simulator is our own, "
        "so this shows where the analysis holds against a model of the process, not against every cluster. Its truth is "
        "written before any analysis, and neither knows the other.",
        "",
        "## Verdicts",
        "",
        _markdown(shown[verdicts]),
        "",
        "`proven and wrong` must be 0 everywhere. Every fleet holds each of the simulator's stories at least once, so "
        "the harsh ones are far more common than in a cluster. What is wrong is mostly a text that names no destination (a bare "
        "`java.net.ConnectException`) of a program that is refused by its own pod and by the closed proxy at once. With "
        "application logs alone almost everything is undetermined, as it should be.",
        "",
        "## Readiness intervals",
        "",
        _markdown(shown[intervals]),
        "",
        "`both ends`: share of starts with a true readiness whose interval has an upper end in the export. An outcome that is "
        "neither right nor wrong is undetermined.",
        "",
        "## A real Envoy",
        "",
        f"{_real()}",
        "",
        "Lines of the same Envoy and clients in each phase of the proxy's life, from their logs and the pod's spec alone "
        "(`tests/data/recorded_phases`; `tests/test_recorded_phases.py` holds that no verdict contradicts its phase):",
        "",
        _markdown(_phases()),
        "",
        "## Truth (rows) and verdict (columns)",
        "",
    ]
    for name in ("all sources", "no proxy logs", "no events", "no pod specs"):
        parts += [f"### {name}", "", _markdown(matrices[name].map(lambda count: f"{count:,}")), ""]
    return "\n".join(parts)


def _phases() -> pd.DataFrame:
    errors = ml.analyse(ROOT / "tests/data/recorded_phases").errors
    return pd.crosstab(errors["pod"], errors["verdict"]).map(lambda count: f"{count:,}")


def _real() -> str:
    starts = [json.loads(line) for line in (ROOT / "tests/data/real_starts.jsonl").read_text().splitlines()]
    refused = sum(start["app_refused_lines"] for start in starts)
    return (
        f"`tests/test_real_envoy.py` holds {len(starts)} recorded starts of Envoy 1.40 behind Istio's redirection rules, with "
        f"{refused} refused connections of clients in {len({start['runtime'] for start in starts})} runtimes, against their "
        "true times on every test run, with and without the proxy's log: each refused line is found once, each verdict is "
        "`startup_race`, each interval holds the first connect that succeeded."
    )


def _markdown(table: pd.DataFrame) -> str:
    head = ["", *map(str, table.columns)]
    lines = [head, ["---", *["---:"] * len(table.columns)]]
    lines += [[str(name), *map(str, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
