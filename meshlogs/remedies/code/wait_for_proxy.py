"""Wait until the pod's proxy is ready. Call `wait_for_proxy()` before the first connection is opened."""

import os
import time
import urllib.error
import urllib.request


def wait_for_proxy(limit_s: float = 300.0) -> None:
    """Return when PROXY_READY_URL answers 200; at once where the variable is not set (a pod that has no proxy).

    Raises TimeoutError after `limit_s` seconds.
    """
    url = os.environ.get("PROXY_READY_URL")
    if not url:
        return
    # The proxy's readiness is local: no HTTP proxy of the environment may stand between.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + limit_s
    while True:
        try:
            with opener.open(url, timeout=1) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass  # not yet listening, or 503: not yet ready
        if time.monotonic() >= deadline:
            raise TimeoutError(f"the proxy is not ready at {url} after {limit_s:g} s")
        time.sleep(0.5)
