"""The destination itself refused: it bypasses the proxy, or the proxy, being up, reports the refusal."""

from meshlogs.verdicts.claims import claim

VERDICT = "upstream"
NEEDS = (
    "kind",
    "doubtful",
    "answer",
    "answer_reason",
    "is_init",
    "behind_redirect",
    "bypass",
    "carried",
    "after_open",
    "excludes",
    "alone",
    "meshed",
    "explained",
)


def claims(errors):
    """Reports of the proxy, destinations the pod's rules let through, and what is refused though the proxy is up.

    Without a pod's spec the last is only likely: a redirected destination cannot be refused by
    anyone but a proxy that does not listen.
    """
    reported = errors["kind"] == "upstream_refused"
    meshed = errors["meshed"] == "yes"
    bypasses = meshed & (errors["answer"] == "no")
    before_rules = meshed & errors["is_init"] & (errors["behind_redirect"] == "no") & (errors["answer"] != "local")
    unknown = errors["answer"].isin(["assumed", "unknown"]) & meshed & ~errors["is_init"]
    unknown &= errors["answer_reason"] != "destination_unstated"  # it may as well be inside the pod
    # With a redirected one refused beside it, the proxy was not open after all.
    proxy_up = unknown & errors["after_open"] & ~errors["explained"] & errors["alone"] & ~errors["carried"]
    learned = unknown & errors["bypass"]
    # Refused while the proxy was open, so not redirected: of what a pod excludes rather than of itself.
    unstated = meshed & (errors["answer_reason"] == "destination_unstated") & errors["excludes"] & ~errors["is_init"]
    learned |= unstated & errors["after_open"] & ~errors["explained"] & errors["alone"]
    reason = errors["answer_reason"].where(errors["answer"] == "unknown", "redirection_assumed")
    return claim(errors, (reported & ~errors["doubtful"]) | bypasses | before_rules, proxy_up | learned, reason)
