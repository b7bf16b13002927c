"""Errors that a caller can act on.

Every error of this package is a `MeshlogsError`. Each keeps its values as
attributes, passes them all to `Exception.__init__` (so that it survives the
trip back from a worker process) and builds its sentence in `__str__`.
"""


class MeshlogsError(Exception):
    """Root of all errors that meshlogs raises on purpose."""


class SchemaError(MeshlogsError):
    """A table lacks columns that a step needs, or holds values of another type."""

    def __init__(self, table: str, problem: str):
        super().__init__(table, problem)
        self.table, self.problem = table, problem

    def __str__(self):
        return f"table {self.table}: {self.problem}"


class InputError(MeshlogsError):
    """An input path cannot be used; says which, what was found there, and what to do."""

    def __init__(self, path: str, found: str, hint: str = ""):
        super().__init__(path, found, hint)
        self.path, self.found, self.hint = str(path), found, hint

    def __str__(self):
        text = f"{self.path}: {self.found}"
        return f"{text}. {self.hint}" if self.hint else text


class UnknownPodError(MeshlogsError):
    """No pod of that name is in the export; lists the nearest names."""

    def __init__(self, pod: str, nearest: tuple[str, ...] = ()):
        super().__init__(pod, nearest)
        self.pod, self.nearest = pod, tuple(nearest)

    def __str__(self):
        text = f"no pod named {self.pod!r} in this export"
        return f"{text}. Nearest: {', '.join(self.nearest)}" if self.nearest else text


class WorkerError(MeshlogsError):
    """Processes or machines that read parts of the export were lost; says at which file, and what to do."""

    def __init__(
        self, source: str, found: str, hint: str = "Is there memory left? Read fewer files, or one, to find out."
    ):
        super().__init__(source, found, hint)
        self.source, self.found, self.hint = source, found, hint

    def __str__(self):
        return f"{self.source}: {self.found}. {self.hint}"


class FetchError(MeshlogsError):
    """Something could not be fetched from the cloud; says of what, why, and what to do."""

    def __init__(self, what: str, found: str, hint: str = ""):
        super().__init__(what, found, hint)
        self.what, self.found, self.hint = what, found, hint

    def __str__(self):
        text = f"{self.what}: {self.found}"
        return f"{text}. {self.hint}" if self.hint else text
