"""The connection was refused, and the pod has no proxy: the mesh has no part in it."""

from meshlogs.verdicts.claims import claim

VERDICT = "no_sidecar"
NEEDS = ("meshed", "has_pod_spec")


def claims(errors):
    """Pods known to have no proxy: proven by their spec, likely by their events."""
    unmeshed = errors["meshed"] == "no"
    return claim(errors, unmeshed & errors["has_pod_spec"], unmeshed, "no_pod_spec")
