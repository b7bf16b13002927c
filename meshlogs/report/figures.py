"""Figures inside a page."""

import base64
import io
import re
from collections.abc import Callable

from markupsafe import escape

from meshlogs.plots import light, night
from meshlogs.text import clean

_WIDTH = 110  # pixels for an inch
_ABOUT = {"Creator": None, "Date": None, "Format": None, "Type": None}  # no clock, no version in the picture
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_PATH = re.compile(r' d="[^"]*"')
_FRACTION = re.compile(r"(\.\d\d)\d+")


def figure(draw: Callable, alt: str, classes: str = "") -> str:
    """A picture, light and dark, inline; `draw()` returns the axes. The same bytes each time; figures are closed.

    It is drawn once: dark, the same picture has other ink and paper.
    """
    picture, width = _svg(draw)
    return (
        f"<figure{f' class={classes!r}' if classes else ''}><picture>"
        f'<source media="(prefers-color-scheme: dark)" srcset="{_address(night(picture))}">'
        f'<img alt="{escape(clean(alt, 300))}" width="{width}" src="{_address(picture)}"></picture></figure>'
    )


def _svg(draw: Callable) -> tuple[str, int]:
    """A figure as SVG, and its width in pixels. Letters stay letters: sharp at any size, and small."""
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    with light(), plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "meshlogs"}):
        drawn = draw().figure
        file = io.StringIO()
        FigureCanvasSVG(drawn).print_svg(file, metadata=_ABOUT)
        plt.close(drawn)
    small = _PATH.sub(lambda path: _FRACTION.sub(r"\1", path[0]), _COMMENT.sub("", file.getvalue()))
    return small, round(drawn.get_figwidth() * _WIDTH)


def _address(picture: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()
