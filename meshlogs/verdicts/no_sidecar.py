"""The connection was refused, and the pod has no proxy: the mesh has no part in it."""

from meshlogs.verdicts.claims import claim

VERDICT = "no_sidecar"
NEEDS = ("meshed", "has_pod_spec", "ambient")


def claims(errors):
    """Pods known to have no proxy: proven by their spec, likely by their events.

    In a pod of the ambient mesh only likely: its node's ztunnel may have been restarting.
    """
    unmeshed = errors["meshed"] == "no"
    reason = errors["ambient"].map({True: "ambient", False: "no_pod_spec"})
    return claim(errors, unmeshed & errors["has_pod_spec"] & ~errors["ambient"], unmeshed, reason)
