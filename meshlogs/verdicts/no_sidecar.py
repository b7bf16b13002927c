"""The connection was refused, and the pod has no proxy: the mesh has no part in it."""

from meshlogs.verdicts.claims import claim

VERDICT = "no_sidecar"
NEEDS = ("meshed", "has_pod_spec", "ambient", "other_mesh")


def claims(errors):
    """Pods known to have no proxy: proven by their spec, likely by their events.

    In a pod of the ambient mesh only likely: its node's ztunnel may have been restarting; so may another mesh's proxy.
    """
    unmeshed = errors["meshed"] == "no"
    reason = errors["ambient"].map({True: "ambient", False: "no_pod_spec"})
    reason = reason.mask(errors["other_mesh"], "other_mesh")
    alone = ~errors["ambient"] & ~errors["other_mesh"]
    return claim(errors, unmeshed & errors["has_pod_spec"] & alone, unmeshed, reason)
