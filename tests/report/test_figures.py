"""Figures inside a page: one drawing, light and dark."""

import base64
import re
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import pandas as pd

from meshlogs import plots
from meshlogs.report.figures import figure

from .hostile import NASTY


def draw():
    ax = plt.subplots(figsize=(8, 2))[1]
    ax.set_title(plots._short(NASTY, 200))
    ax.plot([0.123456, 2], [1, 2], color=plots.RED)
    ax.axvline(1, color=plots._ink())
    return ax


def pictures(html: str) -> list[str]:
    """The SVG of the dark and of the light picture."""
    return [base64.b64decode(found).decode() for found in re.findall(r'data:image/svg\+xml;base64,([^"]+)', html)]


def test_a_figure_is_well_formed_whatever_it_is_called_and_has_no_clock():
    open_before = plt.get_fignums()
    dark, light = pictures(figure(draw, NASTY))
    for picture in (dark, light):
        assert ElementTree.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
        assert "<script" not in picture
        assert "<dc:date>" not in picture
    assert figure(draw, NASTY) == figure(draw, NASTY)
    assert plt.get_fignums() == open_before


def test_the_dark_picture_is_the_light_one_in_other_ink_on_other_paper():
    dark, light = pictures(figure(draw, "a line"))
    hues = re.compile("#[0-9a-f]{6}")
    assert hues.sub("", dark) == hues.sub("", light)
    assert plots.RED.lower() in light
    assert plots.RED.lower() in dark
    assert {*hues.findall(dark)} >= {"#16191d", "#e8eaed"}
    assert not {*hues.findall(dark)} & {*plots._LIGHT.values()}


def test_night_is_what_drawing_in_the_dark_gives():
    """Each colour of the light style sheet is of its own, or means the same in the dark."""
    assert plots._LIGHT.keys() == plots._DARK.keys()
    meant = {}
    for name, color in plots._LIGHT.items():
        assert meant.setdefault(color, plots._DARK[name]) == plots._DARK[name]


def test_a_waterfall_of_many_starts_stays_small(fleet):
    many = pd.concat([fleet.starts] * 300, ignore_index=True)
    html = figure(lambda: plots.plot_waterfall(many), "many starts")
    assert len(html) < 800_000
