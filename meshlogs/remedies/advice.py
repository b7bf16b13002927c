"""The form in which a remedy answers."""

from typing import NamedTuple

from meshlogs.remedies.effects import Effect, count
from meshlogs.remedies.workloads import Workload

# Kinds that take no patch in the cluster, and what to do instead.
INSTEAD = {
    "Job": "a Job's pod template cannot be changed in place: put the patch into its manifest, delete the Job and "
    "create it anew",
    "Pod": "a pod is injected only when it is created: put the patch into its manifest, delete the pod and create it "
    "anew",
}


class Advice(NamedTuple):
    """Why it is proposed, what blocks it, what it would save and cost, what can go wrong here, and its files.

    `effect_text` replaces the sentence of the effect where numbers alone would mislead.
    """

    why: str
    blocked: str | None
    effect: Effect
    traps: tuple[str, ...] = ()
    files: dict = {}
    effect_text: str | None = None


def why_raced(workload: Workload) -> str:
    """How many of its starts ran before their proxy was ready."""
    at_risk, harmed = int(workload.starts["at_risk"].fillna(False).sum()), workload.outcome("harmed")
    were = "was" if harmed == 1 else "were"
    return (
        f"of {count(at_risk, at_risk, 'start')} at risk {len(workload.raced)} ran before the proxy was ready, "
        f"{harmed} {were} harmed"
    )


def why_stalled(workload: Workload) -> str:
    """How many of its starts hang in Init."""
    total, stalled = len(workload.starts), workload.outcome("init_stalled")
    return (
        f"of {count(total, total, 'start')} {stalled} {'hangs' if stalled == 1 else 'hang'} in Init: an init container "
        "is redirected to a proxy that starts only after it"
    )


def refusals(number: int) -> str:
    """That many refused connections, as the subject of a sentence.

    >>> refusals(1)
    '1 connection was refused'
    """
    return f"{count(number, number, 'connection')} {'was' if number == 1 else 'were'} refused"


def version_of(workload: Workload) -> str:
    """Its newest proxy's version as text."""
    return workload.version_text or "unknown"


def version_traps(workload: Workload, since: tuple[int, int]) -> tuple[str, ...]:
    """That some of its starts had a proxy which is too old for the remedy, though the newest start's is not."""
    old = workload.older(since)
    if not old or workload.version < since:
        return ()
    return (f"its newest start has proxy {version_of(workload)}, others had {', '.join(old)[:100]}, which is too old",)


def rollout_traps(workload: Workload) -> tuple[str, ...]:
    """What the kind of controller demands: templates that cannot be changed in place."""
    if workload.controller in INSTEAD:
        return (INSTEAD[workload.controller],)
    if workload.controller == "ReplicaSet":
        return ("a ReplicaSet does not replace its pods: delete them after the patch",)
    if workload.controller in ("Rollout", None):
        return ("its controller is not known to have a pod template of a built-in kind: put the annotation there",)
    return ()
