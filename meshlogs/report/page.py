"""The page around the sections: one file, no network, readable on a phone, on paper and without scripts."""

import base64
import hashlib
from importlib import resources

from jinja2 import Environment
from markupsafe import Markup


def render(sections, title: str) -> str:
    """The whole page as HTML."""
    files = resources.files("meshlogs.report")
    template = files.joinpath("page.html").read_text(encoding="utf-8")
    style = files.joinpath("page.css").read_text(encoding="utf-8")
    script = files.joinpath("page.js").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        title=title,
        style=Markup(style),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        sections=[section._replace(html=Markup(section.html)) for section in sections],
    )
