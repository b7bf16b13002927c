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
