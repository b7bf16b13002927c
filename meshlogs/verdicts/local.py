"""The destination was inside the pod (loopback or its own address): never redirected."""

from meshlogs.verdicts.claims import claim

VERDICT = "local"
NEEDS = ("answer", "meshed")


def claims(errors):
    """Destinations on loopback or the pod's own address; likely where the pod may have no proxy at all."""
    inside = errors["answer"] == "local"
    return claim(errors, inside & (errors["meshed"] == "yes"), inside, "mesh_unknown")
