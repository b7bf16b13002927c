"""Figures inside a page."""

import base64
import io
from collections.abc import Callable

from markupsafe import escape

from meshlogs.plots import dark
from meshlogs.text import clean


def figure(draw: Callable, alt: str, classes: str = "") -> str:
    """A picture, light and dark, inline; `draw()` returns the axes. The same bytes each time; figures are closed."""
    light = _png(draw)
    with dark():
        night = _png(draw)
    return (
        f"<figure{f' class={classes!r}' if classes else ''}><picture>"
        f'<source media="(prefers-color-scheme: dark)" srcset="{night}">'
        f'<img alt="{escape(clean(alt, 300))}" src="{light}"></picture></figure>'
    )


def _png(draw: Callable) -> str:
    """A figure as a data address. Flat colours need no more than 64 of them: a third of the size."""
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    drawn = draw().figure
    drawn.set_dpi(110)
    canvas = FigureCanvasAgg(drawn)
    canvas.draw()  # once: saving it as a file draws it twice
    picture = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB")
    plt.close(drawn)
    small = io.BytesIO()
    picture.quantize(64, dither=Image.Dither.NONE).save(small, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()
