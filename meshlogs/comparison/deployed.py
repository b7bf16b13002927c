"""Did a remedy take effect: what the pods themselves show, before and after. An annotation alone proves nothing."""

import json

import pandas as pd

from meshlogs.formats.redirect import INSTALLERS
from meshlogs.remedies.workloads import METADATA_SERVER

# sign: what it means; the first two are effects, the others are only intentions until an effect shows.
SIGNS = {
    "hold_hook": "the proxy is first and its hook waits for it",
    "native_sidecar": "the proxy is a native sidecar",
    "init_before_redirect": "an init container of its own comes before the redirection",
    "exclusions": "destinations are excluded from the redirection",
    "hold_annotation": "an annotation asks to hold the application",
    "native_annotation": "an annotation asks for a native sidecar",
    "drain_annotation": "an annotation sets how the proxy drains",
    "memory_annotation": "an annotation sets the proxy's memory",
}
EFFECTS = ("hold_hook", "native_sidecar", "init_before_redirect", "exclusions")
MOST, SOME = 0.9, 0.05


def signs(old: pd.DataFrame, old_pods: pd.DataFrame, new: pd.DataFrame, new_pods: pd.DataFrame) -> pd.DataFrame:
    """One row per sign: `sign, meaning, known_before, having_before, known_after, having_after` (counts of starts)."""
    sides = {"before": _of(old, old_pods), "after": _of(new, new_pods)}
    rows = []
    for sign, meaning in SIGNS.items():
        row = {"sign": sign, "meaning": meaning}
        for name, table in sides.items():
            told = table[sign].dropna()
            row |= {f"known_{name}": len(told), f"having_{name}": int(told.astype(bool).sum())}
        rows.append(row)
    return pd.DataFrame(rows)


def took_effect(table: pd.DataFrame) -> str:
    """`yes`, `partly`, `lost`, `no`, or `unknown`: by how much the share of starts with an effect's sign changed."""
    rises = [rise for rise in (_rise(table, sign) for sign in EFFECTS) if rise is not None]
    if not rises:
        return "unknown"
    if max(rises) >= SOME:
        return "yes" if max(rises) >= MOST else "partly"
    return "lost" if min(rises) <= -SOME else "no"


def lost(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the effects that markedly fewer starts show after; a hook that gave way to native sidecars is none.

    A native sidecar needs no hook, so that more of the one are fewer of the other.
    """
    fell = [sign for sign in EFFECTS if (_rise(table, sign) or 0) <= -SOME]
    if (_rise(table, "native_sidecar") or 0) >= SOME:
        fell = [sign for sign in fell if sign != "hold_hook"]
    return table[table["sign"].isin(fell)]


def asked_in_vain(table: pd.DataFrame) -> bool:
    """Whether an annotation asks to hold in more of the starts after than have the hook."""
    row = table.set_index("sign")
    asked, got = row.loc["hold_annotation"], row.loc["hold_hook"]
    return bool(asked["having_after"] > got["having_after"] and got["known_after"])


def _rise(table: pd.DataFrame, sign: str) -> float | None:
    row = table.set_index("sign").loc[sign]
    if not row["known_before"] or not row["known_after"]:
        return None
    return row["having_after"] / row["known_after"] - row["having_before"] / row["known_before"]


def _of(starts: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """The signs of each meshed start: True, False, or null where the export does not tell."""
    meshed = starts[starts["meshed"].eq(True).fillna(False).astype(bool)]
    native = (meshed["injection"] == "native_sidecar").astype(object).where(meshed["injection"] != "unknown")
    hold = meshed["hold"].astype(object).where(meshed["hold"].notna())
    own = pd.DataFrame({"hold_hook": hold.where(native.ne(True), False), "native_sidecar": native})
    full = pods[pods["spec"].notna()].sort_values(["created", "source"], kind="stable")
    told = pd.DataFrame([_of_pod(pod) for _, pod in full.iterrows()], index=full.index, columns=list(SIGNS)[2:])
    by_uid = told.set_axis(full["pod_uid"])[~full["pod_uid"].duplicated(keep="last").to_numpy()]
    names = pd.MultiIndex.from_frame(full[["namespace", "pod"]])
    by_name = told.set_axis(names)[~names.duplicated(keep="last")]
    named = by_name.reindex(pd.MultiIndex.from_frame(meshed[["namespace", "pod"]])).set_axis(meshed.index)
    known = by_uid[by_uid.index.notna()].reindex(meshed["pod_uid"]).set_axis(meshed.index)
    seen = meshed["pod_uid"].notna()
    return own.join(known.where(seen, named)).reindex(columns=list(SIGNS))


def _of_pod(pod: pd.Series) -> dict:
    notes = json.loads(pod["annotations"]) if isinstance(pod["annotations"], str) else {}
    rules = json.loads(pod["redirect"]) if isinstance(pod["redirect"], str) else {}
    config = notes.get("proxy.istio.io/config", "")
    excluded = [entry for entry in rules.get("exclude_ranges") or [] if not entry.startswith(METADATA_SERVER)]
    return {
        "init_before_redirect": _init_first(pod["init_containers"]),
        "exclusions": bool(excluded or rules.get("exclude_ports")),
        "hold_annotation": "holdApplicationUntilProxyStarts" in config,
        "native_annotation": notes.get("sidecar.istio.io/nativeSidecar") == "true",
        "drain_annotation": "terminationDrainDuration" in config or "EXIT_ON_ZERO" in config,
        "memory_annotation": "sidecar.istio.io/proxyMemoryLimit" in notes,
    }


def _init_first(names) -> bool | None:
    """Whether the first init container of the user's comes before `istio-init`; None where there is neither."""
    order = [] if names is None or isinstance(names, float) else list(names)
    own = [name for name in order if name not in (*INSTALLERS, "istio-proxy")]
    if not own or "istio-init" not in order:
        return None
    return order.index(own[0]) < order.index("istio-init")
