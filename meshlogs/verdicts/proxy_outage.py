"""The proxy had been ready, then crashed or was restarted, and was not back."""

from meshlogs.verdicts.claims import claim

VERDICT = "proxy_outage"
NEEDS = (
    "redirectable",
    "answer",
    "answer_reason",
    "is_init",
    "down_before",
    "down_after_soon",
    "stopping",
    "in_first_window",
    "bypass",
    "opened_seen",
)


def claims(errors):
    """Refusals after the proxy was first open, with its end or its restart in the export and no opening between."""
    later = errors["redirectable"] & ~errors["is_init"] & ~errors["in_first_window"] & ~errors["bypass"]
    died = later & errors["down_before"] & ~errors["stopping"]
    came_back = later & errors["down_after_soon"] & ~errors["stopping"]
    reason = errors["answer_reason"].where(errors["answer"] != "yes", "death_not_seen")
    reason = reason.mask(errors["answer"] == "assumed", "redirection_assumed")
    reason = reason.mask(died & (errors["answer"] == "yes"), "ready_not_seen")
    return claim(errors, died & errors["opened_seen"] & (errors["answer"] == "yes"), died | came_back, reason)
