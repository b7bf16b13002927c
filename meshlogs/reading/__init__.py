"""From files to facts: what matters in a file is found, read and brought to evidence, a part of a file at a time."""
