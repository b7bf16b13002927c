import os
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
def written(fleet, tmp_path_factory) -> Path:
    """The folder with the report of the sample fleet."""
    import meshlogs as ml

    return ml.write_report(fleet, tmp_path_factory.mktemp("report")).parent


@pytest.fixture(scope="session")
def written_hostile(fleet, tmp_path_factory) -> Path:
    """The folder with the report of a fleet in which every text is hostile."""
    import meshlogs as ml
    from tests.report.hostile import hostile

    return ml.write_report(hostile(fleet), tmp_path_factory.mktemp("hostile")).parent
