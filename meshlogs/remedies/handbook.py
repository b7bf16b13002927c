"""The page docs/REMEDIES.md, written from what the remedies say of themselves: it cannot fall behind them."""

from meshlogs.remedies import REMEDIES

_HEAD = """# Remedies: when each works, its traps, how to see that it took effect

Written from `meshlogs/remedies/` (`python -m meshlogs.remedies.handbook`); a test holds the two together.

`meshlogs report` proposes a remedy only for a workload that had the harm it treats, and says in
`tables/remedies.parquet` for each: does it apply (`applies`), what stands in its way (`blocked_by`), what can go
wrong here (`traps`), what it would have saved and cost (`errors_removed_lower` to `delay_p90_upper_s`), and how to see
that it took effect (`check`). Numbers are bounds from the windows measured: where the export leaves an interval open,
they say at least and at most. The proxy's version is that of the workload's newest start, as the next pod will most
likely have it; if older starts had one that is too old for the remedy, a trap says so.

Each remedy has a folder `patches/CLUSTER_NAMESPACE_WORKLOAD/REMEDY/`:

- `patch.yaml`, a strategic-merge patch of the controller. It holds the whole new value of an annotation with what was
  there kept: `kubectl patch deployment NAME -n NAMESPACE --patch-file patch.yaml`. A Job's template cannot be changed
  in place, and a bare pod is injected only when it is created: put the patch into their manifest and create them anew
- `kustomization.yaml`, the same as a kustomize component: name its folder under `components:` of your kustomization
- `istio-operator.yaml`, the same for the whole mesh, where that is possible: a file for `istioctl install -f`; with
  Helm its `values` are the chart's, and its `components.pilot.k8s.env` is the chart istiod's `env`

Names that no object can have (they come from logs) get no patch. meshlogs applies nothing. After a rollout,
`meshlogs compare BEFORE AFTER` says whether a remedy took effect and whether it worked.
"""


def handbook() -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *(_section(remedy) for remedy in REMEDIES)])


def _section(remedy) -> str:
    treats = ", ".join(f"`{verdict}`" for verdict in remedy.TREATS)
    lines = [f"## `{remedy.REMEDY}`", "", remedy.__doc__.strip(), "", f"- Treats: {treats}", f"- When: {remedy.WHEN}"]
    lines += [f"- Trap: {trap} ({source})" for trap, source in remedy.TRAPS]
    lines += [f"- Took effect: {remedy.CHECK}", f"- Sources: {', '.join(remedy.SOURCES)}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    import sys

    sys.stdout.write(handbook())
