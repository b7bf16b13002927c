"""The destination was inside the pod (loopback or its own address): never redirected."""

from meshlogs.verdicts.claims import claim

VERDICT = "local"
NEEDS = ("answer", "meshed", "only_local", "after_open", "explained", "alone")


def claims(errors):
    """Destinations on loopback or the pod's own address; likely where the pod may have no proxy at all.

    Likely, too, what names no destination and was refused while the proxy was open, in a pod whose rules
    redirect everything else: nothing but the pod itself is left.
    """
    inside = errors["answer"] == "local"
    left = errors["only_local"] & errors["after_open"] & ~errors["explained"] & errors["alone"]
    reason = errors["meshed"].map({"yes": "destination_unstated"}).fillna("mesh_unknown")
    return claim(errors, inside & (errors["meshed"] == "yes"), inside | left, reason)
