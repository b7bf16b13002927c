"""The pod was being stopped and its proxy had already gone."""

from meshlogs.verdicts.claims import claim

VERDICT = "shutdown_race"
NEEDS = (
    "redirectable",
    "answer",
    "answer_reason",
    "is_init",
    "stopping",
    "exited_by_stop",
    "open_after",
    "in_first_window",
    "bypass",
)


def claims(errors):
    """Refusals after the pod began to stop and no sign of an open proxy since; proven once Envoy's end is seen."""
    stopping = errors["redirectable"] & ~errors["is_init"] & errors["stopping"] & ~errors["open_after"]
    proven = stopping & errors["exited_by_stop"] & (errors["answer"] == "yes")
    reason = errors["answer_reason"].where(errors["answer"] != "yes", "stop_not_seen")
    reason = reason.mask(errors["answer"] == "assumed", "redirection_assumed")
    return claim(errors, proven, stopping & ~errors["in_first_window"] & ~errors["bypass"], reason)
