"""Where an init container stands: before the redirection, behind it, or behind a native proxy.

The array of init containers decides, not who injected first: a webhook that runs later may insert before.
(istio/istio pkg/kube/inject/webhook.go; hashicorp/vault-k8s#41; linkerd/linkerd2#11124)
"""

import json
import re

import numpy as np
import pandas as pd

from meshlogs import times
from meshlogs.columnar import joins
from meshlogs.evidence.proxy import PROXY
from meshlogs.evidence.redirection import METADATA_SERVER
from meshlogs.timelines import Known

INSTALLERS = ("istio-init", "istio-validation")
# Init containers that cannot end before they have reached a server elsewhere: Vault's agent.
_AGENT = re.compile(r"vault-agent-init|(?:.*/)?vault(?:-enterprise)?(?:[:@].*)?")


def behind(container: str, init_names: tuple[str, ...], after_proxy: tuple[str, ...], rules: str | None) -> str:
    """Whether the redirection stands before this init container and no proxy does: yes, no, proxied or unknown.

    With the CNI plug-in (`istio-validation`, or said by the pod's rules) it stands before all init containers.
    """
    if container not in init_names:
        return "unknown"
    if container in after_proxy:
        return "proxied"
    if "istio-validation" in init_names:
        return "yes"
    if "istio-init" not in init_names:
        return "yes" if _by_plugin(rules) else "unknown"
    return "yes" if init_names.index("istio-init") < init_names.index(container) else "no"


_ANSWERS = ["unknown", "yes", "no", "proxied", "passed"]


def situate(errors: pd.DataFrame, containers: pd.DataFrame, specs: pd.DataFrame) -> dict[str, np.ndarray]:
    """For each failure `is_init` and `behind_redirect`: yes, no, proxied, passed or unknown.

    Without a spec the events tell what they can: a refusal before `istio-init` started was not redirected; a
    container after whose refusals the application ran got what it wanted (passed).
    """
    init = containers[containers["kind"] == "init"]
    asked, which = joins.questions(errors, ["start_id", "container"])
    named = init.astype({"container": asked["container"].dtype})  # coded alike
    is_init = joins.within(asked, named, ["start_id", "container"]) & ~joins.is_one(asked["container"], [PROXY])
    place = joins.standing(asked["start_id"], specs.index)
    by_spec = np.flatnonzero(joins.is_one(asked["container"], _init_names(specs)))
    told = specs[["init_names", "after_proxy", "redirect"]].take(place[by_spec])
    order = joins.asked_once(behind, asked["container"].take(by_spec), *(told[name] for name in told))
    answer = np.zeros(len(asked), np.int8)  # unknown
    answer[by_spec] = pd.Categorical(order, categories=_ANSWERS).codes
    unspecified = ~specs["has_spec"].to_numpy(bool)[place]
    unsaid, answer = ((answer == 0) & unspecified)[which], answer[which]
    begin, end, app_started = (times.stamps(errors[name]) for name in ("time_lower", "time_upper", "app_started_upper"))
    start = errors["start_id"].array.codes
    rules_from, proxy_from = _first(init, "istio-init", "lower")[start], _first(init, PROXY, "upper")[start]
    answer[unsaid & ~np.isnat(app_started)] = _ANSWERS.index("passed")
    answer[unsaid & (proxy_from <= begin)] = _ANSWERS.index("proxied")
    answer[unsaid & (end < rules_from)] = _ANSWERS.index("no")
    return {"is_init": is_init.to_numpy()[which], "behind_redirect": pd.Categorical.from_codes(answer, _ANSWERS)}


def _init_names(specs: pd.DataFrame) -> list[str]:
    """What some spec calls an init container."""
    return sorted(set().union(*specs["init_names"]))


def _by_plugin(rules: str | None) -> bool:
    return isinstance(rules, str) and json.loads(rules).get("cni") is True


def _first(init: pd.DataFrame, name: str, bound: str) -> np.ndarray:
    """When the init container of that name started, by the code of its start."""
    rows = init[init["container"] == name]
    return times.stamps(joins.earliest(rows[bound], rows["start_id"]))


def running(starts: pd.DataFrame, known: Known, pods: pd.DataFrame) -> pd.DataFrame:
    """The init container that each start's last evidence shows running: index start_id.

    Columns: `container`; `silent` (none of its lines is in the export); `behind` as above; `agent` (it cannot end
    before it has reached a server elsewhere); `all_redirected` (the pod's rules let nothing it may want bypass).
    Starts without a spec, or whose last init container ended, have no row.
    """
    last = _still_running(known)
    spoke, last = _spoke(known.facts, last), joins.plain(last)
    here = starts[["pod_uid", "pod"]].reindex(last["start_id"])
    images = _images(pods[pods["pod"].isin(here["pod"])]) if len(last) else {}
    names = ["init_names", "after_proxy", "redirect"]
    told = known.specs[names].reindex(last["start_id"]).join(here)
    found = {}
    for container, spec in zip(last["container"], told.itertuples(), strict=True):
        rules = spec.redirect if isinstance(spec.redirect, str) else None
        image = images.get((spec.pod_uid if isinstance(spec.pod_uid, str) else spec.pod, container), "")
        found[spec.Index] = {
            "container": container,
            "silent": (spec.Index, container) not in spoke,
            "behind": behind(container, spec.init_names, spec.after_proxy, rules),
            "agent": bool(_AGENT.fullmatch(container) or _AGENT.fullmatch(image)),
            "all_redirected": _takes_all(json.loads(rules or "{}")),
        }
    columns = ["container", "silent", "behind", "agent", "all_redirected"]
    return pd.DataFrame.from_dict(found, orient="index", columns=columns)


def _spoke(facts: pd.DataFrame, last: pd.DataFrame) -> set[tuple[str, str]]:
    """The containers, with their starts, of which a line is in the export; of the starts of `last` alone."""
    if last.empty:
        return set()
    lines = joins.is_one(facts["kind"], ["app_logged", "refused", "suspected", "connected"])
    lines &= joins.marked(facts["start_id"], last["start_id"])
    return set(joins.distinct(facts[["start_id", "container"]][lines], list(last)).itertuples(index=False, name=None))


def _still_running(known: Known) -> pd.DataFrame:
    """`start_id, container` where the container that began last in a start is an init container and did not end."""
    began = known.of("container_started", "container_created")
    began = began[began["container"].notna().to_numpy() & ~joins.is_one(began["container"], [*INSTALLERS, PROXY])]
    start, container = (began[name].array.codes for name in ("start_id", "container"))
    began = began.take(np.lexsort((container, times.to_ns(began["time_upper"]), start)))
    last = began[np.diff(began["start_id"].array.codes, append=-1) != 0]
    last = last[joins.is_one(last["container"], _init_names(known.specs))]
    spec = known.specs[["has_spec", "init_names", "as_proxy"]].take(joins.standing(last["start_id"], known.specs.index))
    last = last[joins.asked_once(_waited_for, last["container"], *(spec[name] for name in spec)).astype(bool)]
    died = known.of("container_died")
    died = died[joins.marked(died["start_id"], last["start_id"])]
    pair = joins.numbered(pd.concat([last[name], died[name]]) for name in ("start_id", "container"))
    same = pair[len(last) :]  # those of `last` all differ, and come first
    ended = joins.latest_of(died["time_upper"], np.where(same < len(last), same, -1), len(last))
    over = times.stamps(ended) >= times.stamps(last["time_lower"])
    return last[["start_id", "container"]][~over]


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
