"""The form in which a rule answers."""

import numpy as np
import pandas as pd


def claim(errors: pd.DataFrame, proven, likely, reason="") -> pd.DataFrame:
    """A rule's answer: `certainty` (proven, likely or null) and `reason` for each error.

    `proven` and `likely` are boolean columns; `reason` is one word or a column, and counts only for likely.
    """
    certainty = np.select([np.asarray(proven, bool), np.asarray(likely, bool)], ["proven", "likely"], "")
    table = pd.DataFrame({"certainty": certainty, "reason": reason}, index=errors.index)
    return table.assign(reason=table["reason"].where(table["certainty"] == "likely"))
