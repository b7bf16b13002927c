"""The finding says what is known and how much is not: never more, and the open part in the same breath."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd

from meshlogs import plots, schema
from meshlogs.incidence import incidence_by
from meshlogs.report.summary import sentences, summary


def fleet(*outcomes, verdicts=(), **columns):
    """A fleet of starts with these outcomes, (outcome, at risk, reason) each, and refused connections."""
    starts = [
        {
            "start_id": f"s{at}", "pod": f"p{at}", "cluster": "c", "namespace": "shop", "workload": "web",
            "outcome": outcome, "at_risk": at_risk, "reason": reason, "meshed": reason != "mesh_unknown" or None,
            "refused": 0, **columns,
        }
        for at, (outcome, at_risk, reason) in enumerate(outcomes)
    ]  # fmt: skip
    errors = [{"start_id": "s0", "verdict": verdict, "suspected": False} for verdict in verdicts]
    return SimpleNamespace(
        limits=(None, None),
        starts=schema.conform(starts, schema.STARTS),
        judged=schema.conform(errors, schema.ERRORS),
        rejects=schema.empty(schema.REJECTS),
        remedies=schema.empty(schema.REMEDIES),
    )


SAFE, HARMED, EXPOSED = ("safe", True, None), ("harmed", True, None), ("exposed", True, None)
NO_LOGS, PULL = ("undetermined", True, "no_app_logs"), ("undetermined", False, "image_pull")
UNKNOWN = ("undetermined", False, "mesh_unknown")


def told(*outcomes, **more):
    one = fleet(*outcomes, **more)
    return sentences(one, summary(one))


def test_nothing_known_is_no_reassurance():
    first, *others = told(NO_LOGS, NO_LOGS, SAFE, PULL)
    assert first == "No start is known to be harmed by the start-up race; 2 of 3 at risk cannot be told."
    assert others == ["3 starts cannot be told, 2 of them at risk."]


def test_all_known_may_reassure():
    assert told(SAFE, SAFE) == ["No start was harmed by the start-up race, of 2 at risk."]
    assert told(SAFE, EXPOSED, PULL) == [
        "No start was harmed by the start-up race, of 2 at risk; 1 ran before their proxy was ready.",
        "1 start cannot be told.",
    ]


def test_a_pod_that_may_have_a_proxy_may_be_at_risk():
    first, *others = told(UNKNOWN, verdicts=["undetermined"])
    assert first == (
        "No start is known to be at risk among 1 pod start; of 1 the export does not tell whether it has a proxy."
    )
    assert others == ["1 refused connection reported.", "Why 1 connection was refused cannot be told."]
    first, *others = told(UNKNOWN, UNKNOWN, PULL, ("not_meshed", False, None))
    assert "among 4 pod starts; of 2 the export does not tell whether they have a proxy" in first
    assert others == ["3 starts cannot be told.", "0 refused connections reported."]
    assert told(PULL)[0] == "No start at risk was found among 1 pod start."


def test_the_share_is_a_range_where_starts_are_open():
    first, *others = told(HARMED, SAFE, SAFE, NO_LOGS, verdicts=["startup_race", "undetermined", "undetermined"])
    # Wilson, 95 %: the lower end for 1 of 4, the upper end for 2 of 4
    assert first.startswith(
        "1 of 4 starts at risk was harmed, 1 cannot be told (25 to 50 %, 95 % CI 5 to 85 %): 1 connection was refused"
    )
    assert others == ["Why 2 connections were refused cannot be told."]


def test_titles_of_figures_tell_the_open_part_too():
    starts = fleet(NO_LOGS, NO_LOGS, SAFE, window_lower_s=1.0, window_upper_s=2.0).starts
    title = "0 of 3 starts at risk were harmed, 2 cannot be told"
    assert plots.plot_waterfall(starts).get_title("left") == title
    assert plots.plot_incidence(incidence_by(starts)).get_title("left") == title
    plt.close("all")


def test_a_pod_of_which_nothing_is_dated_is_drawn_without_a_legend(guide):
    """As a pod that stalls in Init without a word; a warning of Matplotlib would be an error here."""
    bounds = [name for name in guide.starts.columns if name.endswith(("_lower", "_upper"))]
    bare = SimpleNamespace(
        limits=(None, None),
        start_of=lambda _: guide.starts.assign(outcome="init_stalled", **dict.fromkeys(bounds, pd.NaT)),
        evidence_of=lambda _: guide.evidence[guide.evidence["container"] != "istio-proxy"],
        errors_of=lambda _: guide.errors.iloc[:0],
    )
    assert plots.plot_pod(bare, "x").get_legend() is None
    assert plots.plot_pod(guide, guide.starts["pod"].iloc[0]).get_legend() is not None
    plt.close("all")
