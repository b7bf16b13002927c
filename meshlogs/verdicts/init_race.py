"""An init container was redirected to a proxy that starts only after the init containers."""

from meshlogs.verdicts.claims import claim

VERDICT = "init_race"
NEEDS = ("is_init", "behind_redirect", "answer", "answer_reason", "meshed")


def claims(errors):
    """Init containers behind the redirection, by the order in the pod's spec; else likely by the mesh's default.

    `behind_redirect`: yes, no, proxied, passed or unknown (`verdicts.init_order`). An init container that runs before
    `istio-init`, or behind a native sidecar, is not behind a redirection to nothing; one that got what it wanted
    in the end (passed) was not either.
    """
    mine = errors["is_init"] & (errors["meshed"] == "yes") & errors["answer"].isin(["yes", "assumed", "unknown"])
    known = mine & (errors["behind_redirect"] == "yes")
    guessed = mine & (errors["behind_redirect"] == "unknown")
    reason = errors["answer_reason"].where(known, "redirection_assumed")
    return claim(errors, known & (errors["answer"] == "yes"), known | guessed, reason)
