"""The timeline as a widget of JupyterLab: what is clicked there are rows here."""

import base64
import io

import anywidget
import pandas as pd
import traitlets

from meshlogs.plots import plot_waterfall
from meshlogs.report.interactive import script, style, timeline_data


class Timeline(anywidget.AnyWidget):
    """Pod starts to look through; `selection`, `evidence` and `errors` are the rows of the selected starts."""

    _esm = script()
    _css = style()
    data = traitlets.Dict().tag(sync=True)
    selected = traitlets.List(traitlets.Unicode()).tag(sync=True)
    height = traitlets.Int(420).tag(sync=True)

    def __init__(self, fleet, *, most: int, height: int):
        self._fleet = fleet
        super().__init__(data=timeline_data(fleet, most=most), height=height)

    @property
    def selection(self) -> pd.DataFrame:
        """The selected rows of the fleet's starts; all columns, none if nothing is selected."""
        return self._rows(self._fleet.starts)

    @property
    def evidence(self) -> pd.DataFrame:
        """The evidence of the selected starts."""
        return self._fleet.evidence_of(self.selected).reset_index(drop=True)

    @property
    def errors(self) -> pd.DataFrame:
        """The refused connections of the selected starts."""
        return self._rows(self._fleet.errors)

    def select(self, *pods: str) -> pd.DataFrame:
        """Select pods by name or start_id, in the view too; the selected starts come back."""
        starts = self._fleet.starts
        self.selected = list(starts.loc[starts["pod"].isin(pods) | starts["start_id"].isin(pods), "start_id"])
        return self.selection

    def _rows(self, table: pd.DataFrame) -> pd.DataFrame:
        return table[table["start_id"].isin(self.selected)].reset_index(drop=True)

    def _repr_mimebundle_(self, **kwargs):
        """The widget, and a picture of it for where no widget can live: the web, a printed notebook."""
        import matplotlib.pyplot as plt

        shown = super()._repr_mimebundle_(**kwargs)
        bundle, metadata = shown if isinstance(shown, tuple) else (shown, {})
        picture = io.BytesIO()
        ax = plot_waterfall(self._fleet.starts)
        ax.figure.savefig(picture, format="png", dpi=80)
        plt.close(ax.figure)
        told = {"image/png": base64.b64encode(picture.getvalue()).decode(), "text/plain": repr(self)}
        return (bundle or {}) | told, metadata

    def __repr__(self):
        return f"Timeline of {len(self._fleet.starts):,} pod starts, {len(self.selected):,} selected"
