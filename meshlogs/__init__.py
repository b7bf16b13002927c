"""Why was the connection refused? Ask the exported logs.

Verdicts for every refused connection and every pod start of an Istio or Cloud Service Mesh fleet, from
exported logs, events and pod objects.

>>> import meshlogs as ml
>>> sorted(set(ml.__all__) - set(dir(ml)))
[]
"""

from importlib import import_module

_HOME = {
    "read": "export",
    "analyse": "pipeline",
    "evidence_for": "pipeline",
    "Export": "export",
    "Fleet": "pipeline",
    "known_formats": "formats.catalogue",
    "compare": "comparison",
    "Comparison": "comparison",
    "explain": "walkthrough",
    "query": "queries",
    "redact": "redaction",
    "fetch": "download",
    "timeline": "report",
    "show": "display",
    "write_report": "report",
    "simulate_fleet": "simulate",
    "plot_pod": "plots",
    "plot_waterfall": "plots",
    "plot_windows": "plots",
    "plot_incidence": "plots",
    "plot_hours": "plots",
    "plot_compare": "plots",
    "MeshlogsError": "errors",
    "InputError": "errors",
    "SchemaError": "errors",
    "UnknownPodError": "errors",
    "WorkerError": "errors",
    "FetchError": "errors",
}
_ROOMS = {"censoring", "plots", "schema", "times"}

__all__ = [*_HOME, *sorted(_ROOMS)]


def __getattr__(name: str):
    """The public name, imported when first used: `import meshlogs` itself stays quick."""
    if name in _HOME:
        return getattr(import_module(f"meshlogs.{_HOME[name]}"), name)
    if name in _ROOMS:
        return import_module(f"meshlogs.{name}")
    raise AttributeError(f"module 'meshlogs' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
