"""Laws of the simulator: physics, labels, bytes."""

import json

import numpy as np
import pandas as pd
import pytest

from meshlogs.simulate import MIX, _fleet, simulate_fleet
from meshlogs.simulate.clients import CLIENTS


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        simulate_fleet(tmp_path / name, pods=25, seed=4, gzip=True, shards=2)
    first, second = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in sorted((tmp_path / n).rglob("*.*"))} for n in "ab"
    )
    assert first == second and len(first) > 5


@pytest.fixture(scope="module")
def lived():
    return _fleet(200, MIX, 1_772_442_000_000_000_000, np.random.default_rng(1))


def test_physics(lived):
    """Redirected: refused if and only if 15001 does not listen. Not redirected: the proxy has no part in it."""
    init = {"vault-agent-init"}
    for pod in lived:
        for attempt in pod.attempts:
            redirected = pod.redirected(attempt.target)
            assert attempt.logged > attempt.time
            if attempt.verdict in ("startup_race", "proxy_outage", "shutdown_race"):
                assert redirected and not pod.listening(attempt.time)
            elif attempt.verdict == "init_race":
                assert redirected and attempt.container in init and not pod.ready
            else:
                assert not redirected


def test_a_held_or_native_pod_races_only_if_its_hook_failed(lived):
    for pod in lived:
        if pod.native or (pod.hold and not pod.hold_failed):
            assert not any(attempt.verdict == "startup_race" for attempt in pod.attempts)


def test_every_verdict_and_client_occurs(tmp_path):
    simulate_fleet(tmp_path, pods=200, seed=1)
    errors = pd.read_csv(tmp_path / "truth/errors.csv")
    assert set(errors["verdict"]) == {
        "startup_race", "init_race", "proxy_outage", "shutdown_race", "upstream", "local", "no_sidecar",
    }  # fmt: skip
    assert set(errors["runtime"]) == {client.runtime for client in CLIENTS.values()}
    counts = json.loads((tmp_path / "truth/summary.json").read_text())
    assert counts["errors"] == len(errors) == sum(counts["verdicts"].values())


def entries(folder):
    return sorted(line for path in folder.rglob("*_S*.json") for line in path.read_text().splitlines())


def test_shards_hold_the_same_entries(tmp_path):
    for shards in (1, 5):
        simulate_fleet(tmp_path / str(shards), pods=20, seed=2, shards=shards, duplicates=0.0)
    one, five = entries(tmp_path / "1"), entries(tmp_path / "5")
    assert len(one) == len(five) > 100
    assert all("timestamp" in json.loads(line) for line in one)


def test_unknown_scenarios_and_sources_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no scenario or source 'nonsense'"):
        simulate_fleet(tmp_path, pods=1, mix={"nonsense": 1})
