"""The page around the sections: one file, no network, readable on a phone, on paper and without scripts."""

import base64
import gzip
import hashlib
import json
from importlib import resources

from jinja2 import Environment
from markupsafe import Markup

from meshlogs.report.interactive import script, style


def render(sections, title: str, data: dict | None = None) -> str:
    """The whole page as HTML; `data` is what its timeline draws, None for a page without one."""
    files = resources.files("meshlogs.report")
    template, sheet, own = (
        files.joinpath(f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    code = _joined(script(), own)
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        title=title,
        style=Markup(sheet + style()),
        script=Markup(code),
        script_hash=base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
        sections=[section._replace(html=Markup(section.html)) for section in sections],
        data=_packed(data) if data else None,
    )


def _joined(module: str, own: str) -> str:
    """The timeline's module and the page's script as one script: a page in a mail can import nothing."""
    body, export = module.rsplit("export default ", 1)
    body = body.removeprefix('"use strict";\n')
    return f'"use strict";\nconst timeline = (() => {{\n{body}return {export.rstrip()}\n}})();\n' + own


def _packed(data: dict) -> str:
    """JSON, compressed without a clock, as letters that no HTML parser stumbles over."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), 9, mtime=0)).decode()
