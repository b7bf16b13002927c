"""A comparison in plain sentences."""

import math

import pandas as pd

from meshlogs.comparison.deployed import asked_in_vain, lost

# An effect's sign, as what was lost.
_LOST = {
    "hold_hook": "the hook that holds the application is",
    "native_sidecar": "native sidecars are",
    "init_before_redirect": "the order with the own init container before the redirection is",
    "exclusions": "destinations excluded from the redirection are",
}
_TOO_FEW = {
    "no_starts": "one of the two holds no start at risk",
    "all_undetermined": "no workload has starts on both sides whose outcome is known",
    "no_harm_before": "no start was harmed before, so nothing can be seen to have got better",
    "undetermined": "so many starts are undetermined that they could turn the answer round",
    "units": "the starts of one rollout count as one, and there are too few rollouts",
    "starts": "the difference, if there is one, is too small for so few",
}


def sentence(facts: dict) -> str:
    """The verdict in one or two sentences."""
    before, after = facts["before"], facts["after"]
    if facts["reason"] == "same_starts":
        return (
            f"Nothing to compare: {_all(facts['in_both'])} in both exports: the same one twice, or a "
            "part of it. Give as AFTER one of the time after the change."
        )
    counts = (
        f"{before['harmed']:,} of {before['at_risk']:,} starts at risk were harmed before, "
        f"{after['harmed']:,} of {after['at_risk']:,} after"
    )
    chance = f"p = {_probability(facts['p_value'])} with {facts['unit']}s as units"
    verdict = facts["verdict"]
    if verdict == "worked":
        return f"It worked: {counts} ({chance}). {_removed(facts)}"
    if verdict == "worse":
        return f"It got worse: {counts} ({chance})."
    if verdict == "no_effect":
        return f"It did not work: {counts} ({chance}). {_removed(facts)}"
    return f"Too few starts to say: {counts}; {_TOO_FEW[facts['reason']]}. {_more(facts)}".rstrip()


def remarks(rows: pd.DataFrame, facts: dict, effect: pd.DataFrame) -> tuple[str, ...]:
    """What a reader should know beside the verdict."""
    if facts["reason"] == "same_starts":
        return ()
    found = []
    if asked_in_vain(effect):
        row = effect.set_index("sign")
        found.append(
            "An annotation asks to hold the application in "
            f"{row.loc['hold_annotation', 'having_after']:,} starts after, the hook is in "
            f"{row.loc['hold_hook', 'having_after']:,}: pods injected before it was set, a lifecycle of the proxy's "
            "own, or a misspelt setting."
        )
    found += [_gone(row) for row in lost(effect).itertuples()]
    took = facts["took_effect"]
    if took == "no":
        found.append("No remedy took effect: as many pods have a hook, a native sidecar or exclusions as before.")
    elif took == "unknown" and facts["reason"] != "no_starts":
        found.append("Whether a remedy took effect is not in the exports: no pod spec, no order of containers.")
    elif took == "partly":
        found.append("A remedy took effect in part of the pods only.")
    if (facts["verdict"], took) in (("worked", "no"), ("worse", "no"), ("worked", "lost")):
        found.append("The share changed all the same: something else did, such as load or the start-up of the proxy.")
    if not _together(rows):
        found.append("No workload is in both: the fleets are compared as a whole, and may differ in much else.")
    elif (lone := int((~rows["shared"]).sum())) > 0:
        found.append(f"{lone:,} starts are of workloads that are only on one side; they are not compared.")
    for name in ("before", "after"):
        side = facts[name]
        if side["undetermined"] * 5 > side["at_risk"]:
            found.append(f"{side['undetermined']:,} of {side['at_risk']:,} starts {name} are undetermined.")
    if facts["in_both"]:
        found.append(f"{facts['in_both']:,} starts are in both exports; they count before only.")
    return tuple(found)


def cost(facts: dict) -> str | None:
    """What it cost in start-up time."""
    told = facts["startup_cost_s"]
    if told["change_lower"] is None or not all(math.isfinite(told[f"change_{end}"]) for end in ("lower", "upper")):
        return None
    low, high = told["change_lower"], told["change_upper"]
    way = "later" if low > 0 else "earlier" if high < 0 else "no later, as far as can be told,"
    if way == "earlier":
        low, high = -high, -low
    return f"The application starts {way} (median, from being scheduled; between {low:.1f} and {high:.1f} s)."


def _gone(row) -> str:
    """That a remedy was lost, and in how many starts."""
    all_of_it = "gone" if not row.having_after else "in fewer starts than before"
    return (
        f"A remedy was lost: {_LOST[row.sign]} {all_of_it} (in {row.having_before:,} of {row.known_before:,} starts "
        f"before, in {row.having_after:,} of {row.known_after:,} after)."
    )


def _all(count: int) -> str:
    return "the one start is" if count == 1 else f"all {count:,} starts are"


def _together(rows: pd.DataFrame) -> bool:
    """Whether some workload has starts on both sides, or one side has none at all."""
    return rows["after"].nunique() < 2 or bool((rows["stratum"] != "").any())


def _removed(facts: dict) -> str:
    part, low, high = facts["removed"], facts["removed_lower"], facts["removed_upper"]
    if part is None or math.isnan(part):
        return ""
    between = "" if math.isnan(low) else f" (95 %: {max(low, 0):.0%} to {max(high, 0):.0%})"
    if facts["verdict"] == "no_effect":
        at_most = math.floor(max(facts["removed_at_most"], 0) * 100) + 1
        return f"It removed less than half of the harm (95 %: less than {at_most}%)."
    if facts["after"]["harmed"] == 0:
        return f"No start is harmed any more{between}."
    return f"It worked in part: {part:.0%} of the harm was removed{between}."


def _more(facts: dict) -> str:
    starts, units = facts["more_starts"], facts["more_units"]
    if facts["reason"] in ("no_starts", "all_undetermined", "no_harm_before"):
        return ""
    if facts["reason"] == "undetermined":
        return "Export what is missing: see the coverage of both."
    if facts["reason"] == "units" and units:
        return f"At least {units:,} more rollouts after are needed before any test can tell."
    if starts is None:
        return (
            "There are too few starts before to tell a remedy that halves the harm, however many come after: "
            "only an export of more of the time before would help."
        )
    more = f" in at least {units:,} more rollouts" if units else ""
    return (
        f"To tell a remedy that halves the harm (four times in five) it needs {math.ceil(starts):,} more after{more}."
    )


def _probability(p: float) -> str:
    return "unknown" if math.isnan(p) else f"{p:.2g}" if p >= 0.0001 else "less than 0.0001"
