import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

SAMPLES = Path(__file__).parent.parent / "sample_data"

# How long an example takes is no finding: the machine may be busy.
settings.register_profile("meshlogs", deadline=None)
settings.load_profile("meshlogs")


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of sample exports."""
    return SAMPLES


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Recordings of other people's clusters; a test that wants them says aloud when they are absent."""
    path = Path(os.environ.get("MESHLOGS_RECORDINGS") or "absent")
    if not path.is_dir():
        pytest.skip("MESHLOGS_RECORDINGS names no folder: the recordings of real clusters are absent")
    return path


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable:
    """`made_once(name, make)`: a folder to read, which `make(folder)` fills once for all workers of a test run."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder = shared / f"once-{name}"
        with (shared / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed
            if not folder.exists():
                begun = tmp_path_factory.mktemp(name)
                make(begun)
                begun.rename(folder)  # only what is whole is there
        return folder

    return made


@pytest.fixture(scope="session")
def simulated(made_once) -> Callable:
    """`simulated(pods=…, seed=…, …)`: the folder of a made-up fleet, to read; the same options, the same folder."""
    import meshlogs as ml

    def folder(**options) -> Path:
        name = hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()
        return made_once(f"fleet-{name}", lambda out: ml.simulate_fleet(out, **options))

    return folder


@pytest.fixture(scope="session")
def fleet(samples):
    """The sample fleet, judged."""
    import meshlogs as ml

    return ml.analyse(ml.read(samples / "fleet"))


@pytest.fixture(scope="session")
def guide(samples):
    """Google's own example, judged."""
    import meshlogs as ml

    return ml.analyse(ml.read(samples / "guide"))


@pytest.fixture(scope="session")
def written(fleet, made_once) -> Path:
    """The folder with the report of the sample fleet."""
    import meshlogs as ml

    return made_once("report", lambda out: ml.write_report(fleet, out))


@pytest.fixture(scope="session")
def written_hostile(fleet, made_once) -> Path:
    """The folder with the report of a fleet in which every text is hostile."""
    import meshlogs as ml
    from tests.report.hostile import hostile

    return made_once("hostile", lambda out: ml.write_report(hostile(fleet), out))
