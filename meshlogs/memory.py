"""Memory between large steps."""

import pyarrow as pa


def give_back() -> None:
    """Return to the system what is not in use: after a large step that is as much as what stays."""
    pa.default_memory_pool().release_unused()
