"""Where an init container stands: before the redirection, behind it, or behind a native proxy.

The array of init containers decides, not who injected first: a webhook that runs later may insert before.
(istio/istio pkg/kube/inject/webhook.go; hashicorp/vault-k8s#41; linkerd/linkerd2#11124)
"""

import json
import re

import pandas as pd

from meshlogs import joins, schema
from meshlogs.evidence.proxy import PROXY
from meshlogs.evidence.redirection import METADATA_SERVER

INSTALLERS = ("istio-init", "istio-validation")
# Init containers that cannot end before they have reached a server elsewhere: Vault's agent.
_AGENT = re.compile(r"vault-agent-init|(?:.*/)?vault(?:-enterprise)?(?:[:@].*)?")


def behind(container: str, init_names: tuple[str, ...], after_proxy: tuple[str, ...], cni: bool = False) -> str:
    """Whether the redirection stands before this init container and no proxy does: yes, no, proxied or unknown.

    With the CNI plug-in (`istio-validation`, or `cni`) it stands before all init containers.
    """
    if container not in init_names:
        return "unknown"
    if container in after_proxy:
        return "proxied"
    if "istio-validation" in init_names:
        return "yes"
    if "istio-init" not in init_names:
        return "yes" if cni else "unknown"
    return "yes" if init_names.index("istio-init") < init_names.index(container) else "no"


def situate(errors: pd.DataFrame, containers: pd.DataFrame, specs: pd.DataFrame) -> pd.DataFrame:
    """For each failure `is_init` and `behind_redirect`: yes, no, proxied, passed or unknown.

    Without a spec the events tell what they can: a refusal before `istio-init` started was not redirected; a
    container after whose refusals the application ran got what it wanted (passed).
    """
    init = containers[containers["kind"] == "init"]
    cni = pd.Series(joins.asked_once(_by_plugin, specs["redirect"]), specs.index)
    asked, which = joins.questions(errors, ["start_id", "container"])
    asked = joins.plain(asked)
    order = (schema.lookup(asked["start_id"], column) for column in (specs["init_names"], specs["after_proxy"], cni))
    answer = pd.Series(joins.asked_once(behind, asked["container"], *order), dtype=object)
    unspecified = ~schema.lookup(asked["start_id"], specs["has_spec"]).astype(bool)
    is_init = joins.within(asked, init, ["start_id", "container"]) & (asked["container"] != PROXY)
    unsaid = ((answer == "unknown") & unspecified).to_numpy()[which]
    answer = answer.take(which).set_axis(errors.index)
    rules_from = schema.lookup(errors["start_id"], _first(init, "istio-init", "lower"))
    proxy_from = schema.lookup(errors["start_id"], _first(init, PROXY, "upper"))
    answer = answer.mask(unsaid & errors["app_started_upper"].notna(), "passed")
    answer = answer.mask(unsaid & (proxy_from <= errors["time_lower"]), "proxied")
    answer = answer.mask(unsaid & (errors["time_upper"] < rules_from), "no")
    return pd.DataFrame({"is_init": is_init.to_numpy()[which], "behind_redirect": answer})


def _by_plugin(rules: str | None) -> bool:
    return isinstance(rules, str) and json.loads(rules).get("cni") is True


def _first(init: pd.DataFrame, name: str, bound: str) -> pd.Series:
    """When the init container of that name started: index start_id."""
    return init[init["container"] == name].set_index("start_id")[bound]


def running(starts: pd.DataFrame, placed: pd.DataFrame, pods: pd.DataFrame, specs: pd.DataFrame) -> pd.DataFrame:
    """The init container that each start's last evidence shows running: index start_id.

    Columns: `container`; `silent` (none of its lines is in the export); `behind` as above; `agent` (it cannot end
    before it has reached a server elsewhere); `all_redirected` (the pod's rules let nothing it may want bypass).
    Starts without a spec, or whose last init container ended, have no row.
    """
    rows = placed[placed["container"].notna() & ~placed["container"].isin([*INSTALLERS, PROXY])]
    began = rows[rows["kind"].isin(["container_started", "container_created"])]
    died = rows[rows["kind"] == "container_died"].astype({"start_id": "str", "container": "str"})
    ended = died.groupby(["start_id", "container"])["time_upper"].max()
    last = began.sort_values(["start_id", "time_upper", "container"], kind="stable").drop_duplicates(
        "start_id", keep="last"
    )
    last = last.astype({"start_id": "str", "container": "str"})
    key = pd.MultiIndex.from_frame(last[["start_id", "container"]])
    over = ended.reindex(key).set_axis(last.index) >= last["time_lower"]
    last = last[~over.fillna(False).astype(bool)]
    columns = (schema.lookup(last["start_id"], specs[name]) for name in ("has_spec", "init_names", "as_proxy"))
    last = last[joins.asked_once(_waited_for, last["container"], *columns).astype(bool)]
    logged = rows[rows["kind"].isin(["app_logged", "refused", "suspected", "connected"])]
    logged = logged.loc[logged["start_id"].isin(last["start_id"]), ["start_id", "container"]]
    spoke = set(logged.itertuples(index=False, name=None))
    images = _images(pods[pods["pod"].isin(starts["pod"].reindex(last["start_id"]))])
    found = {}
    for start, container in last[["start_id", "container"]].itertuples(index=False, name=None):
        spec = specs.loc[start]
        rules = json.loads(spec["redirect"]) if isinstance(spec["redirect"], str) else {}
        uid, name = starts.loc[start, "pod_uid"], starts.loc[start, "pod"]
        image = images.get((uid if isinstance(uid, str) else name, container), "")
        found[start] = {
            "container": container,
            "silent": (start, container) not in spoke,
            "behind": behind(container, spec["init_names"], spec["after_proxy"], rules.get("cni") is True),
            "agent": bool(_AGENT.fullmatch(container) or _AGENT.fullmatch(image)),
            "all_redirected": _takes_all(rules),
        }
    columns = ["container", "silent", "behind", "agent", "all_redirected"]
    return pd.DataFrame.from_dict(found, orient="index", columns=columns)


def _waited_for(container: str, has_spec: bool, init_names: tuple[str, ...], as_proxy: tuple[str, ...]) -> bool:
    """Whether this is an init container, by a spec, whose connects may be redirected."""
    return has_spec and container in init_names and container not in as_proxy


def _takes_all(rules: dict) -> bool:
    """Whether the rules redirect every destination outside the pod, but for the metadata server."""
    excluded = [entry for entry in rules.get("exclude_ranges") or [] if entry != f"{METADATA_SERVER}/32"]
    everything = rules.get("include_ranges", "*") in ("*", ["*"])
    return (
        bool(rules) and everything and not excluded and not rules.get("exclude_ports") and rules.get("mode") != "NONE"
    )


def _images(pods: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Image of each init container, by the pod's uid (its name where it has none) and the container's name."""
    found = {}
    for row in pods[pods["spec"].notna()][["pod_uid", "pod", "spec"]].itertuples(index=False):
        who = row.pod_uid if isinstance(row.pod_uid, str) else row.pod
        for item in json.loads(row.spec).get("containers", []):
            if item.get("kind") == "init":
                found[who, item.get("name")] = item.get("image") or ""
    return found
