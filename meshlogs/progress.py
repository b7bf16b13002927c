"""How far long work has come: one line that moves in a terminal, a bar in a notebook, now and then a line in a log.

Short work shows nothing. What is shown goes to standard error and never into a result; in a notebook, whose outputs
are kept, only work of some seconds. MESHLOGS_PROGRESS=off turns it off, for notebooks whose outputs are compared.

>>> with progress(3, "reading", unit="files") as done:
...     for name in ("a.json", "b.json", "c.json"):
...         done(1, name)
"""

import html
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from meshlogs.text import clean

FIRST_S = {"terminal": 1.0, "notebook": 5.0, "log": 15.0}  # what is done sooner shows nothing
EVERY_S = {"terminal": 0.1, "notebook": 0.25, "log": 15.0}


@contextmanager
def progress(
    total: int | None, what: str, *, unit: str = "bytes", stream: TextIO | None = None
) -> Iterator["Progress"]:
    """A counter to call with what was just done: `done(n)` or `done(n, "what is at work now")`.

    `total` in units, None if not known. The line or bar goes away when the work ends; a log keeps its lines.
    """
    done = Progress(total, what, unit, stream or sys.stderr)
    try:
        yield done
    finally:
        done.close()


class Progress:
    """How much of some work is done; `progress` makes one. `clock` gives seconds, and never goes back."""

    def __init__(self, total: int | None, what: str, unit: str, stream: TextIO, clock=time.monotonic):
        self.total, self.what, self.unit, self.stream, self.clock = total, what, unit, stream, clock
        self.done, self.note = 0, ""
        self.began = self.shown = clock()
        self.place = _place(stream)
        self._handle = None  # of the notebook's output
        self._drawn = False

    def __call__(self, amount: int, note: str = "") -> None:
        """Count `amount` more units as done; `note` names what is at work."""
        self.done += amount
        self.note = note or self.note
        now = self.clock()
        if self.place == "off":
            return
        if now - self.began >= FIRST_S[self.place] and (now - self.shown >= EVERY_S[self.place] or not self._drawn):
            self.shown = now
            self._draw(now)

    def text(self, now: float) -> str:
        """The state as a sentence: what, how much of how much, how fast, how long still."""
        done, spent = _amount(self.done, self.unit), now - self.began
        if not self.total:
            return f"{self.what}: {done}{self._rate(spent)}, {_duration(spent)} so far"
        share = min(self.done / self.total, 1.0)
        done = done.removesuffix(f" {self.unit}")
        told = f"{self.what}: {done} of {_amount(self.total, self.unit)} ({int(share * 100)} %){self._rate(spent)}"
        return f"{told}, about {_duration(spent * (1 - share) / share)} left" if share > 0.01 else told

    def _rate(self, spent: float) -> str:
        """Bytes a second; of other units, the time left says enough."""
        return f", {_amount(int(self.done / spent), self.unit)}/s" if self.unit == "bytes" and spent > 0 else ""

    def close(self) -> None:
        """Take the moving line or bar away; a log in which a line was written gets the last one."""
        if not self._drawn:
            return
        if self.place == "terminal":
            self.stream.write("\r\x1b[K")
            self.stream.flush()
        elif self.place == "notebook":
            self._handle.update({"text/plain": "", "text/html": ""}, raw=True)
        else:
            spent = self.clock() - self.began
            told = f"{self.what}: {_amount(self.done, self.unit)} done in {_duration(spent)}{self._rate(spent)}"
            self.stream.write(self._noted(told) + "\n")

    def _draw(self, now: float) -> None:
        line = self._noted(self.text(now))
        if self.place == "terminal":
            width = shutil.get_terminal_size().columns - 1
            self.stream.write(f"\r\x1b[K{line[:width]}")
            self.stream.flush()
        elif self.place == "notebook":
            self._show(line)
        else:
            self.stream.write(line + "\n")
            self.stream.flush()
        self._drawn = True

    def _noted(self, line: str) -> str:
        return f"{line}; {clean(self.note, 80)}" if self.note else line

    def _show(self, line: str) -> None:
        from IPython.display import display

        value = f' value="{min(self.done, self.total)}" max="{self.total}"' if self.total else ""
        bar = f'<progress aria-label="{html.escape(self.what)}"{value} style="width: 16em"></progress>'
        bundle = {"text/plain": line, "text/html": f"{bar} {html.escape(line)}"}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def _place(stream: TextIO) -> str:
    """Where the work is watched: notebook, terminal or log; or that it is off."""
    if os.environ.get("MESHLOGS_PROGRESS") == "off":
        return "off"
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if stream is sys.stderr and shell is not None and "IPKernelApp" in shell.config:
        return "notebook"
    return "terminal" if stream.isatty() else "log"


def _amount(value: int, unit: str) -> str:
    """A count with its unit.

    >>> _amount(1_234_567_890, "bytes"), _amount(12_345, "pods")
    ('1.2 GB', '12,345 pods')
    """
    if unit != "bytes":
        return f"{value:,} {unit}"
    for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:.1f} {name}"
    return f"{value} B"


def _duration(seconds: float) -> str:
    """A duration for people.

    >>> _duration(8.4), _duration(3_725)
    ('8 s', '1 h 02 min')
    """
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
