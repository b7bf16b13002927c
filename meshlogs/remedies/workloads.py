"""What a remedy must know of a workload, gathered from its starts, errors and pod objects."""

import json
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from meshlogs import schema
from meshlogs.columnar import joins
from meshlogs.formats.redirect import ANNOTATIONS, INSTALLERS
from meshlogs.specs import HELPERS, MESH_CONTAINERS
from meshlogs.timelines import minor_version

PROXY = "istio-proxy"
CONFIG = "proxy.istio.io/config"
PLACE = ["cluster", "namespace", "workload"]  # what names a workload
# Verdicts that a remedy treats; of `upstream` only refusals of the metadata server.
HARMS = ("startup_race", "init_race", "proxy_outage", "shutdown_race", "upstream")
JOBS = ("Job", "CronJob")
METADATA_SERVER = "169.254.169.254"
AGENT_PORT, ENVOY_PORT, ENVOY_PORT_SINCE = 15020, 15021, (1, 6)


@dataclass(frozen=True, eq=False)
class Workload:
    """One workload with a harm that a remedy treats; see `workloads`.

    `starts` are its rows of that table, `errors`, `pods` (its pod objects, newest first) and `evidence` (placed; empty
    where the caller has none) what a remedy needs of theirs.
    """

    name: str
    namespace: str | None
    cluster: str | None
    starts: pd.DataFrame
    errors: pd.DataFrame
    pods: pd.DataFrame
    evidence: pd.DataFrame
    native_in_cluster: bool  # some pod of its cluster runs a native sidecar

    @cached_property
    def controller(self) -> str | None:
        """The kind of its controller, from a pod object or guessed from the pods' names."""
        return next(iter(self.starts["controller"].dropna()), None)

    @cached_property
    def harms(self) -> dict[str, int]:
        """Refused connections by verdict, those a remedy treats; all of `HARMS` are there."""
        counts = self.errors["verdict"].value_counts()
        return {name: int(counts.get(name, 0)) for name in HARMS}

    def outcome(self, word: str) -> int:
        """How many of its starts had this outcome."""
        return int((self.starts["outcome"] == word).sum())

    @cached_property
    def harmed_starts(self) -> dict[str, int]:
        """Starts by harm: with at least one refused connection of that verdict, or stalled in Init."""
        verdict, start = (self.errors[name].to_numpy(object) for name in ("verdict", "start_id"))
        of = {name: set(start[verdict == name]) for name in HARMS}
        of["init_race"] |= set(self.starts.loc[self.starts["outcome"] == "init_stalled", "start_id"])
        return {name: len(found) for name, found in of.items()}

    @cached_property
    def raced(self) -> pd.DataFrame:
        """The starts that the start-up race harmed or exposed."""
        return self.starts[self.starts["outcome"].isin(["harmed", "exposed"])]

    @cached_property
    def refused(self) -> tuple[np.ndarray, np.ndarray]:
        """How many connections the start-up race refused, by start; and which row of `starts` that is (-1: none)."""
        counts = self.errors.loc[self.errors["verdict"] == "startup_race", "start_id"].value_counts(sort=False)
        return counts.to_numpy(int), pd.Index(self.starts["start_id"]).get_indexer(counts.index)

    @cached_property
    def ungated(self) -> np.ndarray:
        """Which of its starts are at risk and have nothing yet that holds the application back."""
        starts = self.starts
        held = starts["hold"].eq(True).fillna(False).astype(bool) | (starts["injection"] == "native_sidecar")
        return (starts["at_risk"].fillna(False).astype(bool) & ~held).to_numpy(bool)

    @cached_property
    def versions(self) -> list[str]:
        """Its starts' proxy versions as stated, the newest start's first; of starts at one time the oldest version."""
        told = self.starts[[minor_version(text) is not None for text in self.starts["proxy_version"]]]
        begun = told[["scheduled_lower", "app_started_upper", "proxy_started_upper"]].max(axis=1)
        order = pd.DataFrame({"begun": begun, "minor": told["proxy_version"].map(minor_version)})
        order = order.sort_values(["begun", "minor"], ascending=[False, True], kind="stable")
        return list(dict.fromkeys(told.loc[order.index, "proxy_version"]))

    @cached_property
    def version_text(self) -> str | None:
        """The proxy version of its newest start, as stated: what a new pod is most likely to get."""
        return next(iter(self.versions), None)

    @cached_property
    def version(self) -> tuple[int, int] | None:
        """(major, minor) of its newest start's proxy."""
        return minor_version(self.version_text)

    def older(self, since: tuple[int, int]) -> list[str]:
        """The proxy versions among its starts that are older than this one."""
        return [text for text in self.versions if minor_version(text) < since]

    @cached_property
    def native(self) -> bool:
        """Whether its newest starts already run a native sidecar."""
        told = self.starts["injection"][self.starts["injection"].isin(["sidecar", "native_sidecar"])]
        return bool(len(told)) and bool((told == "native_sidecar").all())

    @cached_property
    def hold(self) -> bool | None:
        """Whether the hook is in its pods: True in any, False in all that are known, None unknown."""
        told = self.starts["hold"].dropna()
        return bool(told.astype(bool).any()) if len(told) else None

    @cached_property
    def hold_failures(self) -> int:
        """How many times the hook was seen to fail (FailedPostStartHook)."""
        return int((self.evidence["kind"] == "hold_failed").sum())

    @cached_property
    def annotations(self) -> dict[str, str]:
        """The annotations of its newest pod object."""
        return self._object("annotations")

    @cached_property
    def labels(self) -> dict[str, str]:
        """The labels of its newest pod object."""
        return self._object("labels")

    @cached_property
    def spec(self) -> dict:
        """The spec of its newest pod object, as `formats.k8s_pods` keeps it."""
        return self._object("spec")

    @cached_property
    def rules(self) -> dict:
        """How its newest pod is redirected (`formats.redirect`); empty where no pod object says."""
        return self._object("redirect")

    @cached_property
    def proxy(self) -> dict:
        """Its proxy's container in the spec."""
        return next((item for item in self.spec.get("containers", []) if item.get("name") == PROXY), {})

    @cached_property
    def other_hook(self) -> str | None:
        """A hook of the proxy that is not the one that holds: its presence drops Istio's."""
        post = self.proxy.get("post_start") or ""
        if post and not ("pilot-agent" in post and "wait" in post.split()):
            return f"postStart {post}"
        pre = self.proxy.get("pre_stop")
        return f"preStop {pre}" if pre and not self.native and not post else None

    @cached_property
    def config(self) -> str | None:
        """Its annotation proxy.istio.io/config, as written."""
        return self.annotations.get(CONFIG)

    @cached_property
    def init_containers(self) -> list[str]:
        """Names in the order of the newest pod's spec."""
        return _names(self.pods["init_containers"].iloc[0]) if len(self.pods) else []

    @cached_property
    def applications(self) -> list[str]:
        """Names of its containers that are neither the mesh's nor an injected helper."""
        told = _names(self.pods["containers"].iloc[0]) if len(self.pods) else self.starts["app_container"].dropna()
        return [name for name in dict.fromkeys(told) if name not in MESH_CONTAINERS | HELPERS]

    @cached_property
    def cni(self) -> bool:
        """Whether the CNI plug-in writes the rules: they stand before every init container."""
        return "istio-validation" in self.init_containers or bool(self.rules.get("cni"))

    @cached_property
    def managed(self) -> bool:
        """Whether the control plane looks like Google's managed one: by the revision that injected its pods."""
        told = self.annotations.get("sidecar.istio.io/status", "") + self.labels.get("istio.io/rev", "")
        return "asm-managed" in told

    @cached_property
    def is_job(self) -> bool:
        """Whether its pods end: a Job's, or by their restart policy."""
        return self.controller in JOBS or self.spec.get("restart_policy") in ("OnFailure", "Never")

    @cached_property
    def ready_port(self) -> int:
        """The port that tells readiness inside the pod: the probe's own, else by version, else the agent's.

        Up to Istio 1.5 the agent answers on 15020; since 1.6 Envoy answers on 15021 as well, which proves that
        its workers run. The agent's answers in all versions: so it is asked where some start's proxy has no other.
        (istio/istio injection-template.yaml)
        """
        probed = (self.proxy.get("readiness") or {}).get("port")
        told = self.annotations.get("status.sidecar.istio.io/port", "")
        stated = probed if isinstance(probed, int) else int(told) if re.fullmatch("[0-9]{1,5}", told) else 0
        if stated and stated != ENVOY_PORT:
            return stated
        newer = stated or (self.version and self.version >= ENVOY_PORT_SINCE)
        return ENVOY_PORT if newer and not self.older(ENVOY_PORT_SINCE) else AGENT_PORT

    @cached_property
    def proxy_deaths(self) -> list[str]:
        """How its proxies ended, as their states and events say: such as `OOMKilled 137`."""
        of = self.evidence[(self.evidence["kind"] == "container_died") & (self.evidence["container"] == PROXY)]
        told = list(of["value"].dropna())
        for text in self.pods["container_states"].dropna():
            for state in json.loads(text):
                ended = (state.get("last_state") or {}).get("terminated")
                if state.get("name") == PROXY and ended and not len(of):
                    told.append(f"{ended.get('reason') or 'exit'} {ended.get('exitCode', '')}".strip())
        return told

    @cached_property
    def stops_s(self) -> list[float]:
        """For each start with shutdown refusals: seconds from the first sign of its stop to the last of them."""
        signs = self.evidence[self.evidence["kind"].isin(["pod_stopping", "proxy_draining", "container_killing"])]
        began = signs.groupby("start_id")["time_lower"].min()
        last = self.errors[self.errors["verdict"] == "shutdown_race"].groupby("start_id")["time"].max()
        took = (last - began.reindex(last.index)).dropna() / pd.Timedelta(1, "s")
        return sorted(float(value) for value in took if value > 0)

    def _object(self, column: str) -> dict:
        text = next((text for text in self.pods[column] if isinstance(text, str)), None)
        value = json.loads(text) if text else {}
        return value if isinstance(value, dict) else {}


def workloads(
    starts: pd.DataFrame, errors: pd.DataFrame, pods: pd.DataFrame, evidence: pd.DataFrame | None = None
) -> list[Workload]:
    """The workloads with a start or a refused connection that a remedy treats, sorted by name."""
    evidence = schema.empty(schema.EVIDENCE).assign(start_id="") if evidence is None else evidence
    told = joins.plain(errors.loc[errors["verdict"].isin(HARMS[:-1]) | _metadata(errors), _OF_ERRORS])
    hit = starts["outcome"].isin(["harmed", "init_stalled"]) | starts["start_id"].isin(told["start_id"])
    key = _keys(starts)
    starts = starts.assign(key=key)[key.isin(key[hit])]
    of_start = starts.set_index("start_id")["key"]
    native = set(starts.loc[starts["injection"] == "native_sidecar", "cluster"].fillna(""))
    facts, objects = joins.plain(evidence.loc[evidence["kind"].isin(KINDS), _OF_EVIDENCE]), _newest_first(pods)
    parts = {
        "errors": _by_key(told, schema.lookup(told["start_id"], of_start)),
        "evidence": _by_key(facts, schema.lookup(facts["start_id"], of_start)),
        "pods": _by_key(objects, _keys_of_pods(objects, starts)),
    }
    found = []
    for name, group in starts.groupby("key", sort=True):
        first = group.iloc[0]
        namespace, workload, cluster = (
            first[column] if isinstance(first[column], str) else None for column in ("namespace", "workload", "cluster")
        )
        mine = {part: groups.get(name, empty) for part, (groups, empty) in parts.items()}
        found.append(
            Workload(
                name=workload or "",
                namespace=namespace,
                cluster=cluster,
                starts=group.drop(columns="key"),
                native_in_cluster=(cluster or "") in native,
                **mine,
            )
        )
    return found


# What is looked at: with all columns thousands of workloads would take a gigabyte.
_OF_EVIDENCE = ["start_id", "kind", "container", "value", "time_lower"]
_SHARED = ["spec", "redirect", "annotations", "labels"]  # texts that the pods of a workload share
_OF_PODS = ["namespace", "pod", "pod_uid", "created", "source", "containers", "init_containers", "container_states"]
_OF_ERRORS = ["start_id", "container", "time", "destination_ip", "destination_port", "verdict", "reason"]
# Kinds of evidence that a remedy looks at.
KINDS = ["hold_failed", "container_died", "pod_stopping", "proxy_draining", "container_killing"]


def _metadata(errors: pd.DataFrame) -> pd.Series:
    """Refusals of the metadata server whose pod may redirect it: whether it does the export does not tell."""
    refused = (errors["verdict"] == "upstream") & (errors["reason"] == "metadata_server")
    return refused & (errors["destination_ip"].isna() | (errors["destination_ip"] == METADATA_SERVER))


def _keys(starts: pd.DataFrame) -> pd.Series:
    """A text that names and sorts the workload of each start."""
    parts = [starts[name].fillna("").astype(str) for name in ("namespace", "workload", "cluster")]
    return parts[0] + "\x00" + parts[1] + "\x00" + parts[2]


def _keys_of_pods(pods: pd.DataFrame, starts: pd.DataFrame) -> pd.Series:
    """The workload of each pod object: of the start with its uid, else with its namespace and name."""
    by_uid = starts.dropna(subset=["pod_uid"]).drop_duplicates("pod_uid").set_index("pod_uid")["key"]
    named = starts.assign(name=starts["namespace"].fillna("") + "/" + starts["pod"].fillna(""))
    by_name = named.drop_duplicates("name").set_index("name")["key"]
    name = pods["namespace"].fillna("") + "/" + pods["pod"].fillna("")
    return schema.lookup(pods["pod_uid"], by_uid).fillna(schema.lookup(name, by_name))


def _newest_first(pods: pd.DataFrame) -> pd.DataFrame:
    order = ["created", "pod", "pod_uid", "source"]
    told = joins.coded(pods.loc[pods["spec"].notna(), [*_OF_PODS, *_SHARED]], _SHARED)
    return told.sort_values(order, ascending=False, kind="stable")


def _by_key(rows: pd.DataFrame, key: pd.Series) -> tuple[dict, pd.DataFrame]:
    """(the rows of each workload, no rows)."""
    return {name: group for name, group in rows.groupby(key.to_numpy(dtype=object), sort=False)}, rows.iloc[:0]


def existing(workload: Workload, setting: str) -> list[str]:
    """A list of the redirection in force, and what the annotation adds to it, as written.

    An annotation replaces the mesh's value, it does not add to it: both must be kept.
    """
    annotation = next(name for name, ours in ANNOTATIONS.items() if ours == setting)
    written = [part for part in re.split(r"[\s,]+", workload.annotations.get(annotation, "")) if part]
    in_force = workload.rules.get(setting) or []
    return list(dict.fromkeys([*(in_force if isinstance(in_force, list) else [in_force]), *written]))


def behind_redirect(workload: Workload) -> bool:
    """Whether some init container stands behind the redirection, by the newest pod's spec."""
    order = [name for name in workload.init_containers if name != PROXY]
    own = [name for name in order if name not in INSTALLERS]
    if workload.native or not own:
        return False
    return workload.cni or ("istio-init" in order and order.index("istio-init") < order.index(own[-1]))


def _names(value) -> list[str]:
    return [] if value is None or isinstance(value, float) else [str(name) for name in value]
