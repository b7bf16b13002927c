"""The compiled modules; everything else stands in pyproject.toml."""

from setuptools import Extension, setup

# Without a compiler meshlogs installs all the same: then every line is decoded, which takes longer.
COMPILED = {
    "meshlogs.formats._arrays": "meshlogs/formats/_arrays.pyx",
    "meshlogs.columnar._hashes": "meshlogs/columnar/_hashes.pyx",
    "meshlogs.reading._lines": "meshlogs/reading/_lines.pyx",
    "meshlogs.formats._arrow_texts": "meshlogs/formats/_arrow_texts.pyx",
    "meshlogs.formats._usual_lines": "meshlogs/formats/_usual_lines.pyx",
}

setup(
    ext_modules=[
        Extension(name, [source], optional=True, extra_compile_args=["-O3"]) for name, source in COMPILED.items()
    ]
)
