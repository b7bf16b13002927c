"""Remedies of known truth: what `compare` says, how often it is wrong, and what it says where it cannot tell."""

import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import fisher_exact
from scipy.stats import t as student

import meshlogs as ml
from meshlogs import comparison, output, schema, times
from meshlogs.cli import main
from meshlogs.comparison import inference, units

_spec = importlib.util.spec_from_file_location("fleets", Path(__file__).with_name("fleets.py"))
fleets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fleets)
changed, fleet, generator, remedied = fleets.changed, fleets.fleet, fleets.generator, fleets.remedied


def verdicts(kept, runs, **options):
    """The verdicts over made fleets whose remedy keeps this part of the harm."""
    found = []
    for seed in range(runs):
        before, after = remedied(generator([seed, 7]), 0.5, kept, **options)
        sides = [units.at_risk(side.starts).assign(after=flag) for side, flag in ((before, False), (after, True))]
        found.append(comparison.judge(units.with_units(pd.concat(sides, ignore_index=True)))["verdict"])
    return pd.Series(found).value_counts() / runs


# Error rates. Of 60 runs with a true rate of 5 %, more than 8 wrong ones come less than 1 time in 100.
RUNS, MOST_WRONG = 60, 8 / 60
CORRELATED = {"workloads": 4, "rollouts": 4, "pods": 5, "noise": 0.2}


def test_a_remedy_that_works_is_seen():
    assert verdicts(0.0, 20, **CORRELATED)["worked"] == 1.0


def test_a_remedy_that_does_nothing_is_seldom_said_to_do_something():
    found = verdicts(1.0, RUNS, **CORRELATED)
    assert found.get("worked", 0) + found.get("worse", 0) <= MOST_WRONG
    assert found.get("no_effect", 0) >= 0.5


def test_a_remedy_that_half_works_is_seldom_said_to_do_nothing():
    found = verdicts(0.5, RUNS, **CORRELATED)
    assert found.get("no_effect", 0) <= MOST_WRONG
    assert found.get("worse", 0) == 0
    assert found.get("worked", 0) >= 0.5


def test_starts_alone_would_be_too_sure():
    """The same fleets, each start taken for independent: why rollouts are the units."""
    wrong = 0
    for seed in range(RUNS):
        sides = remedied(generator([seed, 7]), 0.5, 1.0, **CORRELATED | {"noise": 0.5, "pods": 10})
        harmed = [int((side.starts["outcome"] == "harmed").sum()) for side in sides]
        total = [len(side.starts) for side in sides]
        wrong += fisher_exact([harmed, [n - x for n, x in zip(total, harmed, strict=True)]]).pvalue < 0.05
    assert wrong / RUNS > MOST_WRONG


# What it says


def test_it_says_that_it_worked_and_how_much():
    before, after = remedied(generator(1), 0.6, 0.0)
    found = ml.compare(before, changed(after, hold=True))
    assert found.verdict == "worked"
    harmed = int((before.starts["outcome"] == "harmed").sum())
    assert f"{harmed} of 144 starts at risk were harmed before, 0 of 144 after" in found.sentence
    assert "No start is harmed any more" in found.sentence
    assert found.facts["took_effect"] == "yes"
    assert found.facts["removed"] == 1.0


def test_half_is_said_to_be_half():
    before, after = remedied(generator(2), 0.6, 0.5, rollouts=6)
    found = ml.compare(before, after)
    assert found.verdict == "worked" and "in part" in found.sentence
    assert found.facts["removed_lower"] <= 0.5 <= found.facts["removed_upper"]


def test_worse_is_said():
    after, before = remedied(generator(3), 0.6, 0.2)
    assert ml.compare(before, after).verdict == "worse"


@pytest.mark.parametrize(("kept", "noise"), [(1.0, 0.0), (1.0, 0.2), (0.8, 0.05)])
def test_what_no_effect_rules_out_is_what_it_prints(kept, noise):
    told = 0
    for seed in range(4):
        found = ml.compare(*remedied(generator([seed, 11]), 0.5, kept, workloads=5, rollouts=4, noise=noise))
        if found.verdict == "no_effect":
            told += 1
            most = int(re.search(r"less than half of the harm \(95 %: less than (\d+)%\)", found.sentence)[1]) / 100
            assert found.facts["removed_at_most"] < 0.5
            assert max(found.facts["removed_at_most"], 0) < most <= 0.5
    assert told


def test_no_effect_says_that_nothing_was_deployed():
    before, after = remedied(generator(4), 0.6, 1.0)
    found = ml.compare(before, after)
    assert found.verdict == "no_effect"
    assert found.facts["took_effect"] == "no"
    assert any("No remedy took effect" in remark for remark in found.remarks)


# Too few, and why


def test_one_rollout_on_each_side_is_two_units_however_many_pods():
    before, after = remedied(generator(5), 1.0, 0.0, workloads=1, rollouts=1, pods=50)
    found = ml.compare(before, after)
    assert (found.verdict, found.facts["reason"]) == ("too_few", "units")
    # 2 units can be labelled in 2 ways; with 1 before, 39 after are needed for 40 ways: p = 2 / 40 at best.
    assert found.facts["more_units"] == 38
    assert "38 more rollouts" in found.sentence


def test_starts_of_one_rollout_are_one_unit_however_far_apart():
    """5 harmed of 5, then 0 of 5, two minutes apart: for single starts Fisher's p is 0.008, for rollouts 1."""
    before, after = remedied(generator(5), 1.0, 0.0, workloads=1, rollouts=1, pods=5, apart=120)
    found = ml.compare(before, after)
    assert (found.verdict, found.facts["reason"]) == ("too_few", "units")
    assert (found.facts["units"], found.facts["p_value"]) == ({"before": 1, "after": 1}, 1.0)
    assert fisher_exact([[5, 0], [0, 5]]).pvalue == pytest.approx(0.0079, abs=1e-4)


@pytest.mark.parametrize(("workloads", "rollouts"), [(1, 1), (2, 1), (1, 3), (5, 1)])
def test_with_few_rollouts_nothing_is_said_whatever_the_starts_look_like(workloads, rollouts):
    """Nothing changed, the starts of a rollout go together (as units they would be said to have got better or worse).

    Labels can lie in 2, 4, 20 and 32 ways: two of these, the extreme one and its mirror, are more than 5 %.
    """
    options = {"workloads": workloads, "rollouts": rollouts, "pods": 8, "noise": 0.5, "apart": 120}
    assert verdicts(1.0, 8, **options).to_dict() == {"too_few": 1.0}


def test_too_few_starts_says_how_many_more():
    before, after = remedied(generator(6), 0.3, 0.5, workloads=6, rollouts=1, pods=3)
    found = ml.compare(before, after)
    assert (found.verdict, found.facts["reason"]) == ("too_few", "starts")
    # 18 starts before, 6 of them harmed at most: to tell 15 % from 30 % one needs more than 18 before, too.
    assert found.facts["more_starts"] is None and "too few starts before" in found.sentence
    more = ml.compare(fleet(generator(6), 0.3, rollouts=9), fleet(generator(6), 0.2, day=1, rollouts=1, pods=2))
    assert more.verdict == "too_few" and more.facts["more_starts"] > 0


def test_nothing_harmed_before_cannot_get_better():
    before, after = fleet(generator(7), 0.0), fleet(generator(8), 0.0, day=1)
    found = ml.compare(before, after)
    assert (found.verdict, found.facts["reason"]) == ("too_few", "no_harm_before")


def test_undetermined_starts_that_could_turn_it_round():
    before = fleet(generator(9), 0.5)
    after = fleet(generator(10), 0.0, day=1, open_share=0.8)
    found = ml.compare(before, after)
    assert (found.verdict, found.facts["reason"]) == ("too_few", "undetermined")
    assert any("are undetermined" in remark for remark in found.remarks)
    some = ml.compare(before, fleet(generator(10), 0.0, day=1, open_share=0.1))
    assert some.verdict == "worked"
    assert some.facts["after"]["share_lower"] == 0 < some.facts["after"]["share_upper"]


def test_no_starts_at_all():
    nothing = SimpleNamespace(starts=schema.empty(schema.STARTS), pods=schema.empty(schema.PODS))
    for before, after in ((nothing, nothing), (fleet(generator(11), 0.5), nothing)):
        found = ml.compare(before, after)
        assert (found.verdict, found.facts["reason"]) == ("too_few", "no_starts")
        json.loads(found.as_json())


def test_other_workloads_are_compared_as_a_whole_and_it_is_said():
    before = fleet(generator(12), 0.6)
    after = fleet(generator(13), 0.0, day=1, names=[f"other{number}" for number in range(8)])
    found = ml.compare(before, after)
    assert found.verdict == "worked"
    assert any("No workload is in both" in remark for remark in found.remarks)


def test_a_workload_of_one_side_only_is_left_out():
    before = fleet(generator(14), 0.6, names=["gone", *(f"w{number}" for number in range(1, 8))])
    after = fleet(generator(15), 0.0, day=1)
    found = ml.compare(before, after)
    assert found.facts["before"]["at_risk"] == 7 * 18
    assert any("only on one side" in remark for remark in found.remarks)


def test_sizes_need_not_be_equal():
    before = fleet(generator(16), 0.5, rollouts=6, pods=9)
    after = fleet(generator(17), 0.0, day=1, rollouts=1, pods=2)
    assert ml.compare(before, after).verdict == "worked"


def test_starts_that_are_in_both_count_before_only():
    before, after = remedied(generator(18), 0.5, 0.0)
    both = SimpleNamespace(starts=pd.concat([before.starts, after.starts], ignore_index=True), pods=after.pods)
    assert ml.compare(before, both).facts["after"] == ml.compare(before, after).facts["after"]
    assert any("144 starts are in both" in remark for remark in ml.compare(before, both).remarks)


def test_the_same_export_twice_is_named_as_such():
    before, after = remedied(generator(18), 0.5, 0.0)
    found = ml.compare(before, before)
    assert (found.verdict, found.facts["reason"], found.facts["in_both"]) == ("too_few", "same_starts", 144)
    assert found.sentence.startswith("Nothing to compare: all 144 starts are in both exports")
    assert found.remarks == ()  # neither other workloads nor pods without a spec
    both = SimpleNamespace(starts=pd.concat([before.starts, after.starts], ignore_index=True), pods=after.pods)
    assert ml.compare(both, after).facts["reason"] == "same_starts"
    json.loads(found.as_json())


def test_stalled_starts_count_as_harmed():
    before, after = remedied(generator(19), 0.6, 0.0)
    stalled = before.starts["outcome"].replace("harmed", "init_stalled")
    found = ml.compare(changed(before, outcome=stalled, at_risk=stalled != "init_stalled"), after)
    assert found.verdict == "worked"


def test_groups_are_what_plot_compare_draws():
    before, after = remedied(generator(26), 0.6, 0.0, workloads=2)
    table = ml.compare(before, after, by="workload").groups
    assert table["group"].tolist() == table["workload"].tolist()
    assert table["period"].tolist() == ["before", "after"] * 2
    assert table["starts"].tolist() == [18] * 4 and (table["share_upper"] == table["harmed"] / 18).all()
    labels = [text.get_text() for text in ml.plot_compare(table).get_yticklabels()]
    assert sorted(labels) == ["w0", "w1"]


# Took effect


def pods_of(one, **columns):
    base = {"annotations": "{}", "redirect": "{}", "spec": "{}", "containers": [], "init_containers": []}
    rows = [
        {"namespace": "shop", "pod": row.pod, "pod_uid": row.pod_uid, **base, **columns}
        for row in one.starts.itertuples()
    ]
    return SimpleNamespace(starts=one.starts, pods=schema.conform(rows, schema.PODS))


def test_an_annotation_without_its_hook_is_told():
    before, after = remedied(generator(20), 0.6, 1.0)
    config = json.dumps({"proxy.istio.io/config": "holdApplicationUntilProxyStarts: true"})
    found = ml.compare(pods_of(before), pods_of(after, annotations=config))
    assert any("the hook is in 0" in remark for remark in found.remarks)
    assert found.facts["took_effect"] == "no"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            {"init_containers": ["istio-init", "vault-agent-init"]},
            {"init_containers": ["vault-agent-init", "istio-init"]},
        ),
        (
            {"redirect": '{"exclude_ranges": ["169.254.169.254/32"]}'},
            {"redirect": '{"exclude_ranges": ["10.0.0.4/32"]}'},
        ),
        ({"redirect": '{"exclude_ports": []}'}, {"redirect": '{"exclude_ports": ["8200"]}'}),
    ],
)
def test_remedies_of_init_containers_show_in_the_pods(old, new):
    before, after = remedied(generator(21), 0.6, 0.0)
    assert ml.compare(pods_of(before, **old), pods_of(after, **new)).facts["took_effect"] == "yes"
    assert ml.compare(pods_of(before, **old), pods_of(after, **old)).facts["took_effect"] == "no"


def test_native_sidecars_show_and_half_of_them_is_partly():
    before, after = remedied(generator(22), 0.6, 0.0)
    assert ml.compare(before, changed(after, injection="native_sidecar")).facts["took_effect"] == "yes"
    half = np.where(np.arange(len(after.starts)) % 2, "native_sidecar", "sidecar")
    assert ml.compare(before, changed(after, injection=half)).facts["took_effect"] == "partly"
    unknown = changed(after, injection="unknown", hold=None)
    assert ml.compare(before, unknown).facts["took_effect"] == "unknown"


def test_a_remedy_that_is_lost_is_said_to_be_lost():
    after, before = remedied(generator(27), 0.6, 0.0)
    found = ml.compare(changed(before, hold=True), after)
    assert (found.verdict, found.facts["took_effect"]) == ("worse", "lost")
    assert (
        "A remedy was lost: the hook that holds the application is gone "
        "(in 144 of 144 starts before, in 0 of 144 after)." in found.remarks
    )
    assert not any("as before" in remark or "something else" in remark for remark in found.remarks)
    half = changed(after, hold=np.arange(144) % 2 == 0)
    partly = ml.compare(changed(before, hold=True), half)
    assert partly.facts["took_effect"] == "lost"
    assert any("in fewer starts than before (in 144 of 144 starts before, in 72 of 144" in x for x in partly.remarks)
    better = ml.compare(changed(after, hold=True), changed(before, hold=False))  # harmed although held, then not
    assert any("something else did" in remark for remark in better.remarks)


def test_a_hook_that_gave_way_to_native_sidecars_is_not_lost():
    before, after = remedied(generator(28), 0.6, 0.0)
    native = changed(after, injection="native_sidecar", hold=None)
    found = ml.compare(changed(before, hold=True), native)
    assert found.facts["took_effect"] == "yes"
    assert not any("lost" in remark for remark in found.remarks)


# Start-up cost


def test_the_cost_is_the_change_of_the_median_in_bounds():
    before, after = remedied(generator(23), 0.6, 0.0)
    later = pd.Timedelta(4, "s")
    slower = changed(
        after,
        app_started_lower=after.starts["app_started_lower"] + later,
        app_started_upper=after.starts["app_started_upper"] + later,
    )
    cost = ml.compare(before, slower).facts["startup_cost_s"]
    # 2 to 3 s before, 6 to 7 s after, in every start: chance adds nothing to what the intervals leave open
    assert (cost["median_before_lower"], cost["median_before_upper"]) == (2.0, 3.0)
    assert (cost["median_after_lower"], cost["median_after_upper"]) == (6.0, 7.0)
    assert (cost["change_lower"], cost["change_upper"]) == (3.0, 5.0)


# The statistics


def tally(*rows):
    return pd.DataFrame(rows, columns=["stratum", "after", "starts", "harmed", "open"])


def test_units_of_one_start_give_fishers_exact_test():
    """Of single starts in one stratum the permutation test is Fisher's, two-sided by distance from what is expected."""
    rows = [("", after, 1, harmed, 0) for after, n, x in ((False, 8, 6), (True, 8, 1)) for harmed in
            [1] * x + [0] * (n - x)]  # fmt: skip
    p, exact = inference.p_value(tally(*rows))
    assert exact and p == pytest.approx(fisher_exact([[6, 1], [2, 7]]).pvalue)


def test_one_unit_a_side_in_each_of_many_workloads_is_a_sign_flip_test():
    """7 workloads, all better: 2 of the 2^7 ways are as extreme."""
    rows = [(f"w{at}", after, 10, 0 if after else 5, 0) for at in range(7) for after in (False, True)]
    assert inference.p_value(tally(*rows)) == (2 / 2**7, True)


def test_drawn_and_enumerated_ways_agree(monkeypatch):
    rng = generator(24)
    rows = [(f"w{at % 3}", bool(at % 2), 6, int(rng.integers(0, 7)), 0) for at in range(18)]
    exact = inference.p_value(tally(*rows))[0]
    monkeypatch.setattr(inference, "EXACT", 0)
    drawn, enumerated = inference.p_value(tally(*rows))
    assert not enumerated and abs(drawn - exact) < 0.02


def test_the_interval_of_the_removed_part_holds_the_truth():
    held = 0
    for seed in range(60):
        before, after = remedied(generator([seed, 9]), 0.5, 0.5, workloads=5, rollouts=4, pods=5, noise=0.1)
        sides = [units.at_risk(side.starts).assign(after=flag) for side, flag in ((before, False), (after, True))]
        facts = comparison.judge(units.with_units(pd.concat(sides, ignore_index=True)))
        held += facts["removed_lower"] <= 0.5 <= facts["removed_upper"]
    assert held >= 52  # 95 % of 60 is 57; fewer than 52 come less than 1 time in 100


@pytest.mark.parametrize("seed", range(8))
def test_the_interval_ends_where_a_t_test_begins_to_reject(seed):
    """Each end against a root search, on from the estimate, of the t statistic of `after = (1 - part) before`."""
    rng = generator([seed, 12])
    rows = [(f"w{at % 3}", bool(at % 2), 9, int(rng.binomial(9, 0.7 - 0.1 * (seed % 5) * (at % 2))), 0)
            for at in range(24)]  # fmt: skip
    found, around = inference.shares(tally(*rows)), inference.spread(tally(*rows))
    part = inference.removed(found, around)

    def far(candidate, limit):
        kept = 1 - candidate
        variance = around.after - 2 * kept * around.both + kept**2 * around.before
        return abs(found.after - kept * found.before) / variance**0.5 - limit

    two, one = student.ppf(0.975, around.freedom), student.ppf(0.95, around.freedom)
    assert part.lower == pytest.approx(brentq(far, part.part - 5, part.part, args=(two,)))
    assert part.upper == pytest.approx(brentq(far, part.part, 1, args=(two,)))
    assert part.at_most == pytest.approx(brentq(far, part.part, 1, args=(one,)))
    assert part.lower < part.part < part.at_most < part.upper < 1


def test_more_harm_than_twice_is_within_the_interval():
    """From 10 % to 50 %: as much again four times over, -4, far below -1."""
    rows = [(f"w{at % 4}", bool(at // 4 % 2), 10, (1, 5)[at // 4 % 2] + at // 8 % 2, 0) for at in range(32)]
    found, around = inference.shares(tally(*rows)), inference.spread(tally(*rows))
    part = inference.removed(found, around)
    assert part.part == pytest.approx(1 - 5.5 / 1.5)
    assert part.lower < -2.7 < part.at_most < -1


def test_what_may_not_have_been_there_may_have_grown_any_number_of_times():
    """One harmed start before: its share may be 0, and no factor is ruled out; nor is a remedy that removes all."""
    rows = [(f"w{at % 4}", bool(at // 4 % 2), 10, int(at in (0, 4)), 0) for at in range(16)]
    part = inference.removed(inference.shares(tally(*rows)), inference.spread(tally(*rows)))
    assert part == (0.0, float("-inf"), 1.0, 1.0)


def test_units_that_are_all_alike_rule_nothing_out():
    rows = [(f"w{at % 4}", bool(at // 4 % 2), 10, 10, 0) for at in range(16)]
    part = inference.removed(inference.shares(tally(*rows)), inference.spread(tally(*rows)))
    assert part == (0.0, float("-inf"), 1.0, 1.0)


def test_bursts_are_a_minute_apart():
    stamps = [0, 30, 80, 200, 230]  # gaps of 30, 50, 120 and 30 s
    rows = fleet(generator(25), 0.5, workloads=1, rollouts=1, pods=5).starts
    rows = rows.assign(scheduled_lower=pd.to_datetime([fleets.EPOCH + s * times.SECOND for s in stamps], utc=True))
    placed = units.with_units(units.at_risk(rows).assign(after=[False] * 4 + [True]))
    assert placed["burst"].nunique() == 3  # the last is on the other side
    assert placed["rollout"].nunique() == 2


# Simulated fleets, from their logs on

MIX = {"race": 4, "slow_proxy": 1, "patient": 2}


@pytest.fixture(scope="module")
def judged(simulated):
    """`judged(seed, …)`: a simulated fleet, analysed once; to read."""

    @cache
    def fleet_of(seed, **options):
        return ml.analyse(simulated(pods=40, seed=seed, mix=MIX, **options) / "export")

    return fleet_of


def after_remedy(judged, held):
    """The fleet two days later, with the application of so many pods held."""
    return judged(32, held=held, start="2026-03-04T09:00:00Z")


def test_simulated_remedies_that_work_half_work_and_do_nothing(judged):
    before = judged(31)
    told = {}
    for held in (1.0, 0.5, 0.0):
        found = ml.compare(before, after_remedy(judged, held))
        told[held] = (found.verdict, found.facts["took_effect"], "in part" in found.sentence)
    assert told[1.0] == ("worked", "yes", False)
    assert told[0.5] == ("worked", "partly", True)
    assert told[0.0][0] in ("no_effect", "too_few") and told[0.0][1] == "no"


# The command


@pytest.fixture(scope="module")
def folders(judged, tmp_path_factory):
    """Two reports of a simulated fleet: without a remedy, and held."""
    root = tmp_path_factory.mktemp("compare")
    for name, one in (("before", judged(31)), ("after", after_remedy(judged, 1.0))):
        (root / name).mkdir()
        output.write_fleet(one, root / name, by=["workload"])
    return str(root / "before"), str(root / "after")


def test_the_command_says_that_holding_worked(folders):
    result = CliRunner().invoke(main, ["compare", *folders])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("It worked: ")
    assert "took effect: yes" in result.output
    answer = json.loads(CliRunner().invoke(main, ["compare", *folders, "--json", "--by", "namespace"]).stdout)
    assert answer["verdict"] == "worked" and answer["took_effect"] == "yes"
    assert {row["namespace"] for row in answer["groups"]} == {"shop", "pay"}
    hook = next(row for row in answer["effect"] if row["sign"] == "hold_hook")
    assert hook["having_before"] == 0 and hook["having_after"] == hook["known_after"]


def test_a_fleet_and_its_folder_say_the_same(folders, judged):
    one = ml.compare(*folders)
    other = ml.compare(judged(31), after_remedy(judged, 1.0))
    assert one.as_json() == other.as_json()


def test_wrong_calls_say_what_is_wrong(folders, tmp_path):
    for arguments, word in (
        ([folders[0], str(tmp_path)], "no tables/starts.parquet"),
        ([folders[0], str(tmp_path / "absent")], "no tables/starts.parquet"),
        ([*folders, "--by", "nonsense"], "cannot be grouped by 'nonsense'"),
    ):
        result = CliRunner().invoke(main, ["compare", *arguments])
        assert result.exit_code == 2
        assert word in result.output


def test_the_sample_fleets_have_the_counts_of_their_readme(samples):
    before, after, vault = (ml.analyse(samples / name) for name in ("before", "after", "vault"))
    assert before.starts["outcome"].value_counts().to_dict() == {"harmed": 47, "exposed": 13}
    assert after.starts["outcome"].value_counts().to_dict() == {"safe": 60}
    assert (vault.starts["outcome"] == "init_stalled").sum() == 3
    assert (vault.errors["verdict"] == "init_race").sum() == 24
    assert ml.compare(before, after).verdict == "worked"


counts_of_units = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.booleans(), st.integers(1, 6), st.integers(0, 6)),
    min_size=2,
    max_size=9,
)


@given(counts_of_units)
def test_the_sides_are_treated_alike_and_order_does_not_matter(told):
    rows = tally(*[(stratum, after, starts, min(harmed, starts), 0) for stratum, after, starts, harmed in told])
    p, _ = inference.p_value(rows)
    assert 0 < p <= 1
    assert inference.p_value(rows.iloc[::-1])[0] == pytest.approx(p)
    assert inference.p_value(rows.assign(after=~rows["after"]))[0] == pytest.approx(p)
    found, swapped = inference.shares(rows), inference.shares(rows.assign(after=~rows["after"]))
    assert found == pytest.approx((swapped.after, swapped.before), nan_ok=True)
