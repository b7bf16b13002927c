"""What a process takes: its seconds, and the memory of it and its children."""

import os
import subprocess
import threading
import time

import psutil


def measure(command: list[str]) -> tuple[float, float]:
    """(seconds, peak megabytes of the process and its children)."""
    begin = time.perf_counter()
    # As the command line does: no task multiplies matrices, and many load NumPy, whose threads for that cost 0.1 s.
    env = {"OPENBLAS_NUM_THREADS": "1"} | os.environ
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    peak, stop = [0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peak, stop))
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - begin
    stop.set()
    watcher.join()
    if code:
        raise RuntimeError(f"{command[:2]} ended with {code}")
    return seconds, peak[0] / 1e6


def _watch(process: psutil.Process, peak: list[int], stop: threading.Event) -> None:
    while not stop.wait(0.1):  # a look at all processes takes some milliseconds of a core
        total = 0
        try:
            for one in (process, *process.children(recursive=True)):
                total += one.memory_info().rss
        except psutil.Error:
            continue
        peak[0] = max(peak[0], total)
