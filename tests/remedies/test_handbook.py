from pathlib import Path

from meshlogs.remedies import REMEDIES
from meshlogs.remedies.handbook import handbook

PAGE = Path(__file__).parent.parent.parent / "docs/REMEDIES.md"


def test_the_page_is_what_the_remedies_say():
    assert PAGE.read_text() == handbook(), "write it anew: python -m meshlogs.remedies.handbook > docs/REMEDIES.md"
    assert all(f"## `{remedy.REMEDY}`" in handbook() for remedy in REMEDIES)
