"""What the pod objects say of each start, and so whether a connection of its containers was redirected."""

import json
from functools import lru_cache

import numpy as np
import pandas as pd

from meshlogs import schema
from meshlogs.columnar import joins
from meshlogs.evidence.proxy import PROXY
from meshlogs.evidence.redirection import METADATA_SERVER, PROXY_ID, Redirection, redirected

MESH_CONTAINERS = {PROXY, "istio-init", "istio-validation", "istio-cni"}
# Injected helpers: never "the application", though their refusals count.
HELPERS = {"vault-agent", "cloud-sql-proxy", "cloudsql-proxy", "linkerd-proxy", "gke-gcsfuse-sidecar"}
_NO_APP = MESH_CONTAINERS | HELPERS

_NO_SPEC = {
    "has_spec": False,
    "spec_injection": None,
    "ambient": False,
    "hold_hook": None,
    "redirect": None,
    "pod_ip": None,
    "app_first": None,
    "init_names": (),
    "after_proxy": (),
    "as_proxy": (),  # containers that run with the proxy's user or group
    "probed": True,
    "probe_port": None,
    "created": None,
    "spec_workload": None,
    "spec_controller": None,
    "spec_revision": None,
    "spec_node": None,
}


def specs_of(starts: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """What the pod objects say of each start: index start_id, null where there is no spec.

    A start finds its pod object by uid; one whose uid is unknown by namespace and name, if only one pod has
    them. The newest object that holds a spec counts.
    """
    pods = pods.reset_index(drop=True)
    names = ["created", "pod_uid", "source", "cluster", "namespace", "pod"]
    full = pods.loc[pods["spec"].notna(), names].sort_values(names[:3], kind="stable")
    objects, full = full.index, full.reset_index(drop=True)
    by_uid = full.dropna(subset=["pod_uid"]).drop_duplicates("pod_uid", keep="last")
    number = joins.numbered(pd.concat([full[name], starts[name]]).fillna("") for name in ("namespace", "pod"))
    name, name_of_start = number[: len(full)], number[len(full) :]
    has_uid = full["pod_uid"].notna().to_numpy()
    better = np.isin(name, name[by_uid.index]) & ~has_uid
    one_each = full[~better].drop_duplicates(["cluster", "namespace", "pod", "pod_uid"], keep="last")
    by_name = one_each.index[~one_each.duplicated(["namespace", "pod"], keep=False)].to_numpy()
    # -1: there is none.
    place = np.append(by_uid.index, -1)[pd.Index(by_uid["pod_uid"]).get_indexer(starts["pod_uid"])]
    named = np.append(by_name, -1)[joins.firsts(name[by_name], len(number))[name_of_start]]
    place = np.where(starts["pod_uid"].notna(), place, named)
    # Text of `kubectl describe` has no uid: it is that of the one start of its name.
    sure = ~pd.Series(name_of_start).duplicated(keep=False).to_numpy() & ~np.append(has_uid, False)[named]
    place = np.where((place < 0) & sure, named, place)
    used = np.unique(place[place >= 0])
    told = _told(pods.loc[objects[used]])
    at = pd.Index(used).get_indexer(place)  # -1, the last of each column
    columns = {
        name: pd.Series([*told[name], default], dtype=object).to_numpy()[at] for name, default in _NO_SPEC.items()
    }
    return pd.DataFrame(columns, index=starts["start_id"].to_numpy(), dtype=object)


def _told(pods: pd.DataFrame) -> dict[str, list]:
    """For each key of `_NO_SPEC` what these pod objects say, one value each."""

    def texts(name):
        return pods[name].astype(object).where(pods[name].notna(), None).tolist()

    names, init = ([_names(one) for one in pods[column]] for column in ("containers", "init_containers"))
    # Pods of one workload share these texts.
    containers = joins.asked_once(_containers, pods["spec"].fillna("{}"))
    ambient = joins.asked_once(_ambient, *(pods[name].fillna("{}") for name in ("annotations", "labels")))
    return {
        "has_spec": [True] * len(pods),
        "spec_injection": texts("injection"),
        "ambient": ambient.tolist(),
        "hold_hook": texts("hold_hook"),
        "redirect": texts("redirect"),
        "pod_ip": texts("pod_ip"),
        "app_first": [next((name for name in one if name not in _NO_APP), None) for one in names],
        "init_names": init,
        "after_proxy": [one[one.index(PROXY) + 1 :] if PROXY in one else () for one in init],
        "created": pods["created"].tolist(),
        "spec_workload": texts("workload"),
        "spec_controller": texts("controller"),
        "spec_revision": texts("revision"),
        "spec_node": texts("node"),
        **{name: [one[name] for one in containers] for name in ("as_proxy", "probed", "probe_port")},
    }


def _containers(spec: str) -> dict:
    containers = json.loads(spec).get("containers", [])
    by_name = {container.get("name"): container for container in containers}
    proxy = by_name.get(PROXY, {})
    readiness = proxy.get("readiness") or {}
    return {
        "as_proxy": tuple(name for name, container in by_name.items() if _runs_as_proxy(container)),
        "probed": not proxy or bool(readiness or proxy.get("startup")),
        "probe_port": readiness.get("port"),
    }


def _ambient(annotations: str, labels: str) -> bool:
    """Whether the pod's traffic goes to its node's ztunnel, by the annotation that Istio's CNI agent sets."""
    return (
        json.loads(annotations).get("ambient.istio.io/redirection") == "enabled"
        or json.loads(labels).get("istio.io/dataplane-mode") == "ambient"
    )


def _runs_as_proxy(container: dict) -> bool:
    """Whether the container's user or group is the proxy's, which the redirection lets through."""
    return PROXY_ID in {str(container.get(key)) for key in ("run_as_user", "run_as_group")}


def _names(value) -> tuple[str, ...]:
    return tuple(value.tolist()) if isinstance(value, np.ndarray) else tuple(value) if isinstance(value, list) else ()


def destinations(rows: pd.DataFrame, specs: pd.DataFrame, addresses: pd.Series | None = None) -> pd.DataFrame:
    """Whether each of these connects was redirected: `answer`, `answer_reason` (`redirection.redirected`).

    `rows` have start_id, container, host, ip and port; `addresses` gives a start's own address where its
    spec does not. Each different question is asked once.
    """
    own = schema.lookup(rows["start_id"], specs["pod_ip"])
    if addresses is not None:
        own = own.fillna(schema.lookup(rows["start_id"], addresses))
    as_proxy = schema.lookup(rows["start_id"], specs["as_proxy"])
    exempt = joins.asked_once(tuple.__contains__, as_proxy, rows["container"]).astype(bool)
    run_as = pd.Series(np.where(exempt, PROXY_ID, None), rows.index, dtype="str")
    rules = schema.lookup(rows["start_id"], specs["redirect"])
    answers = joins.asked_once(_redirected, rows["host"], rows["ip"], rows["port"], rules, own, run_as)
    told = {name: [getattr(answer, field) for answer in answers] for name, field in _ANSWER.items()}
    return pd.DataFrame(told, rows.index, dtype=object)


_ANSWER = {"answer": "answer", "answer_reason": "reason"}


def _redirected(*question) -> Redirection:
    host, ip, port, rules, pod_ip, run_as = (None if pd.isna(value) else value for value in question)
    return redirected(host, ip, None if port is None else int(port), rules, pod_ip, run_as)


@lru_cache(maxsize=10_000)
def excludes(text: str | None) -> bool:
    """Whether rules (JSON; None: unknown) let something else than the metadata server bypass the proxy."""
    rules = json.loads(text or "{}")
    ranges = [entry for entry in rules.get("exclude_ranges") or [] if not entry.startswith(METADATA_SERVER)]
    return bool(ranges or rules.get("exclude_ports") or rules.get("include_ranges", "*") not in ("*", ["*"], None))
