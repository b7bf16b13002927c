"""The pod's traffic was redirected and its proxy, in its first start, did not yet listen."""

from meshlogs.verdicts.claims import claim

VERDICT = "startup_race"
NEEDS = (
    "redirectable",
    "answer",
    "answer_reason",
    "window_reason",
    "start_shown",
    "is_init",
    "may_be_init",
    "gated",
    "stopping",
    "in_first_window",
    "in_closed_part",
    "first_life_sure",
    "attempt_known",
    "bypass",
    "goes_on",
    "assumption_holds",
)


def claims(errors):
    """Refusals before the proxy was first open.

    Proven when the connect lies before the last proof that the proxy was closed; or, since a redirected
    connect that is refused is itself such a proof, when the proxy's log shows its first life without a gap.
    Both only if the pod's own start is in the export: else what looks like the first window may be a later one.
    Without the pod's spec, proven only if nothing in the export speaks of an exclusion. What names no container may be
    an init container's, and so is likely at most.
    """
    mine = errors["redirectable"] & ~errors["is_init"] & ~errors["gated"] & errors["in_first_window"]
    mine &= ~errors["bypass"] & ~errors["goes_on"]
    sure_part = errors["in_closed_part"] | (errors["attempt_known"] & errors["first_life_sure"])
    known = (errors["answer"] == "yes") & sure_part
    assumed = (errors["answer"] == "assumed") & errors["in_closed_part"] & errors["assumption_holds"]
    assumed &= errors["answer_reason"] != "rules_not_shown"  # there is a spec, and it is silent
    reason = errors["window_reason"].mask(~errors["start_shown"] & sure_part, "first_start_assumed")
    reason = reason.mask(errors["answer"] == "assumed", "redirection_assumed")
    reason = reason.mask(errors["answer"] == "unknown", errors["answer_reason"])
    sure = (known | assumed) & errors["start_shown"] & ~errors["stopping"]
    reason = reason.mask(sure & errors["may_be_init"], "container_unnamed")
    sure &= ~errors["may_be_init"]
    return claim(errors, mine & sure, mine, reason)
