"""What the pod objects say of each start, and so whether a connection of its containers was redirected."""

import json
from functools import lru_cache

import numpy as np
import pandas as pd

from meshlogs import schema, times
from meshlogs.columnar import joins
from meshlogs.evidence.proxy import PROXY
from meshlogs.evidence.redirection import METADATA_SERVER, PROXY_ID, Redirection, address_of, redirected

MESH_CONTAINERS = {PROXY, "istio-init", "istio-validation", "istio-cni"}
# Injected helpers: never "the application", though their refusals count.
HELPERS = {"vault-agent", "cloud-sql-proxy", "cloudsql-proxy", "linkerd-proxy", "gke-gcsfuse-sidecar"}
OTHER_PROXIES = {"linkerd-proxy", "consul-dataplane", "consul-connect-envoy-sidecar", "kuma-sidecar", "osm-envoy"}
_NO_APP = MESH_CONTAINERS | HELPERS

# Clocks of a node and of the API server are trusted to agree to this much.
CLOCK_SLACK = 2 * times.SECOND

_NO_SPEC = {
    "has_spec": False,
    "spec_injection": None,
    "ambient": False,
    "other_mesh": False,
    "hold_hook": None,
    "redirect": None,
    "pod_ip": None,
    "app_first": None,
    "init_names": (),  # of those that end
    "native_names": (),  # of those that stay, beside the proxy
    "after_proxy": (),
    "as_proxy": (),  # containers that run with the proxy's user or group
    "probed": True,
    "probe_port": None,
    "gates": True,
    "created": None,
    "spec_workload": None,
    "spec_controller": None,
    "spec_revision": None,
    "spec_node": None,
}


def specs_of(starts: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """What the pod objects say of each start: index start_id, null where there is no spec.

    A start finds its pod object by uid; one whose uid is unknown by namespace and name, if only one pod has
    them. The newest object that holds a spec counts. It is another pod's if that came later than the start's `first`
    entry, or has another address than its proxy told (`address`), or if pods of several clusters have that name.
    """
    pods = pods.reset_index(drop=True)
    names = ["created", "pod_uid", "source", "cluster", "namespace", "pod", "pod_ip"]
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
    others = _is_anothers(starts, name_of_start, full.reindex(named))
    named = np.where((named >= 0) & ~others, named, -1)
    place = np.where(starts["pod_uid"].notna(), place, named)
    # Text of `kubectl describe` has no uid: it is that of the one start of its name.
    sure = ~pd.Series(name_of_start).duplicated(keep=False).to_numpy() & ~np.append(has_uid, False)[named]
    place = np.where((place < 0) & sure, named, place)
    elsewhere = joins.asked_once(_differ, starts["address"], full["pod_ip"].reindex(place).set_axis(starts.index))
    place = np.where(elsewhere.astype(bool), -1, place)
    used = np.unique(place[place >= 0])
    told = _told(pods.loc[objects[used]])
    at = pd.Index(used).get_indexer(place)  # -1, the last of each column
    columns = {
        name: pd.Series([*told[name], default], dtype=object).to_numpy()[at] for name, default in _NO_SPEC.items()
    }
    # What the proxy told of the pod's address stands where no object does.
    columns["pod_ip"] = np.where(pd.isna(columns["pod_ip"]), starts["address"].to_numpy(object), columns["pod_ip"])
    columns["named"] = pd.Series(list(zip(starts["pod"], starts["namespace"], strict=True)), dtype=object).to_numpy()
    return pd.DataFrame(columns, index=starts["start_id"].to_numpy(), dtype=object)


def _is_anothers(starts: pd.DataFrame, name: np.ndarray, objects: pd.DataFrame) -> np.ndarray:
    """Whether the object of a start's name, one for each start, cannot be its own; `name` numbers the names."""
    created = times.stamps(objects["created"]) - np.timedelta64(CLOCK_SLACK, "ns")
    cluster, mine = objects["cluster"].to_numpy(object), starts["cluster"].to_numpy(object)
    stated = objects["cluster"].notna().to_numpy() & starts["cluster"].notna().to_numpy()
    sites = pd.DataFrame({"name": name, "cluster": mine}).dropna().drop_duplicates()
    several = np.isin(name, sites["name"][sites["name"].duplicated()])
    return (times.stamps(starts["first"]) < created) | np.where(stated, cluster != mine, several)


def _differ(told: str | None, stated: str | None) -> bool:
    """Whether two addresses of one kind are not the same."""
    if not (isinstance(told, str) and isinstance(stated, str)):
        return False
    one, other = address_of(told), address_of(stated)
    return one is not None and other is not None and one.version == other.version and one != other


def _told(pods: pd.DataFrame) -> dict[str, list]:
    """For each key of `_NO_SPEC` what these pod objects say, one value each."""

    def texts(name):
        return pods[name].astype(object).where(pods[name].notna(), None).tolist()

    names, init = ([_names(one) for one in pods[column]] for column in ("containers", "init_containers"))
    # Pods of one workload share these texts.
    containers = joins.asked_once(_containers, pods["spec"].fillna("{}"), pods["redirect"])
    native = [one["native_names"] for one in containers]
    ambient = joins.asked_once(_ambient, *(pods[name].fillna("{}") for name in ("annotations", "labels")))
    return {
        "has_spec": [True] * len(pods),
        "spec_injection": texts("injection"),
        "ambient": ambient.tolist(),
        "other_mesh": [not OTHER_PROXIES.isdisjoint((*one, *before)) for one, before in zip(names, init, strict=True)],
        "hold_hook": texts("hold_hook"),
        "redirect": texts("redirect"),
        "pod_ip": [
            ",".join(filter(None, (one, *others["pod_ips"]))) or None
            for one, others in zip(texts("pod_ip"), containers, strict=True)
        ],
        "app_first": [next((name for name in one if name not in _NO_APP), None) for one in names],
        "init_names": [tuple(name for name in one if name not in stay) for one, stay in zip(init, native, strict=True)],
        "after_proxy": [one[one.index(PROXY) + 1 :] if PROXY in one else () for one in init],
        "created": pods["created"].tolist(),
        "spec_workload": texts("workload"),
        "spec_controller": texts("controller"),
        "spec_revision": texts("revision"),
        "spec_node": texts("node"),
        **{name: [one[name] for one in containers] for name in _OF_CONTAINERS},
    }


_OF_CONTAINERS = ("native_names", "as_proxy", "probed", "probe_port", "gates")


def _containers(spec: str, rules: str | None) -> dict:
    told = json.loads(spec)
    containers = told.get("containers", [])
    rules = json.loads(rules) if isinstance(rules, str) else {}
    ids = {str(rules.get(name) or PROXY_ID) for name in ("proxy_uid", "proxy_gid")}
    by_name = {container.get("name"): container for container in containers}
    proxy = by_name.get(PROXY, {})
    readiness = proxy.get("readiness") or {}
    return {
        "native_names": tuple(
            name
            for name, container in by_name.items()
            if container.get("kind") == "init" and container.get("restart_policy") == "Always" and name != PROXY
        ),
        "pod_ips": told.get("pod_ips", []),
        "as_proxy": tuple(name for name, container in by_name.items() if _runs_as(container, ids)),
        "probed": not proxy or bool(readiness or proxy.get("startup")),
        "probe_port": readiness.get("port"),
        # The kubelet starts the next container once a native sidecar's startup probe has succeeded.
        "gates": not proxy or bool(proxy.get("startup")),
    }


def _ambient(annotations: str, labels: str) -> bool:
    """Whether the pod's traffic goes to its node's ztunnel, by the annotation that Istio's CNI agent sets."""
    return (
        json.loads(annotations).get("ambient.istio.io/redirection") == "enabled"
        or json.loads(labels).get("istio.io/dataplane-mode") == "ambient"
    )


def _runs_as(container: dict, ids: set[str]) -> bool:
    """Whether the container's user or group is the proxy's, which the redirection lets through."""
    return not ids.isdisjoint(str(container.get(key)) for key in ("run_as_user", "run_as_group"))


def _names(value) -> tuple[str, ...]:
    return tuple(value.tolist()) if isinstance(value, np.ndarray) else tuple(value) if isinstance(value, list) else ()


def destinations(rows: pd.DataFrame, specs: pd.DataFrame) -> pd.DataFrame:
    """Whether each of these connects was redirected: `answer`, `answer_reason` (`redirection.redirected`).

    `rows` have start_id, container, host, ip and port. Each different question is asked once.
    """
    own, pod = (schema.lookup(rows["start_id"], specs[name]) for name in ("pod_ip", "named"))
    as_proxy = schema.lookup(rows["start_id"], specs["as_proxy"])
    exempt = joins.asked_once(tuple.__contains__, as_proxy, rows["container"]).astype(bool)
    exempt = pd.Series(exempt, rows.index)
    # A pod's name is asked for only where the destination may be it: else each pod would be a question of its own.
    own_name = joins.asked_once(_first_label, rows["host"]) == np.array([name for name, _ in pod], dtype=object)
    pod = pod.where(own_name, None)
    rules = schema.lookup(rows["start_id"], specs["redirect"])
    answers = joins.asked_once(_redirected, rows["host"], rows["ip"], rows["port"], rules, own, exempt, pod)
    told = {name: [getattr(answer, field) for answer in answers] for name, field in _ANSWER.items()}
    return pd.DataFrame(told, rows.index, dtype=object)


_ANSWER = {"answer": "answer", "answer_reason": "reason"}


def _first_label(host: str | None) -> str | None:
    return host.lower().partition(".")[0] if isinstance(host, str) else None


def _redirected(*question) -> Redirection:
    host, ip, port, rules, pod_ip = (None if pd.isna(value) else value for value in question[:5])
    return redirected(host, ip, None if port is None else int(port), rules, pod_ip, *question[5:])


@lru_cache(maxsize=10_000)
def excludes(text: str | None) -> bool:
    """Whether rules (JSON; None: unknown) let something else than the metadata server bypass the proxy."""
    rules = json.loads(text or "{}")
    ranges = [entry for entry in rules.get("exclude_ranges") or [] if not entry.startswith(METADATA_SERVER)]
    return bool(ranges or rules.get("exclude_ports") or rules.get("include_ranges", "*") not in ("*", ["*"], None))
