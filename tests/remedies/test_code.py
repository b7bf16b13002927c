"""The code that waits for a proxy, run against one that is not there, then not ready, then ready."""

import http.server
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from meshlogs.remedies import wait_for_proxy

RUNS = {
    "wait_for_proxy.py": "from wait_for_proxy import wait_for_proxy; wait_for_proxy(LIMIT); print('started')",
    "wait_for_proxy.js": "require('./wait_for_proxy.js').waitForProxy(LIMIT * 1000).then(() => console.log('started'))",
    "WaitForProxy.java": "public class Main { public static void main(String[] a) throws Exception { "
    'WaitForProxy.await(java.time.Duration.ofSeconds(LIMIT)); System.out.println("started"); } }',
}


class Proxy:
    """A proxy that begins to listen late and then says 503 before it says 200."""

    def __init__(self, port):
        self.port, self.answers, self.server = port, [], None

    def run(self, unready=2):
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status = 503 if len(proxy.answers) < unready else 200
                proxy.answers.append((self.path, status))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()


@pytest.fixture
def proxy():
    probe = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    port = probe.server_port
    probe.server_close()
    found = Proxy(port)
    yield found
    found.stop()


def command(name, folder, limit):
    """How to run a program that waits and then prints `started`."""
    for file, text in wait_for_proxy.code().items():
        (folder / file).write_text(text)
    if name == "wait_for_proxy.sh":
        return ["sh", folder / name, "echo", "started"]
    text = RUNS[name].replace("LIMIT", str(limit))
    if name.endswith(".py"):
        return [sys.executable, "-c", text]
    if name.endswith(".js"):
        return ["node", "-e", text]
    (folder / "Main.java").write_text(text)
    subprocess.run(["javac", "Main.java", "WaitForProxy.java"], cwd=folder, check=True)
    return ["java", "-cp", ".", "Main"]


TOOLS = {
    "wait_for_proxy.js": "node",
    "WaitForProxy.java": "javac",
    "wait_for_proxy.sh": "sh",
    "wait_for_proxy.py": "sh",
}


@pytest.fixture(params=sorted(TOOLS))
def name(request):
    if not shutil.which(TOOLS[request.param]):
        pytest.skip(f"{TOOLS[request.param]} is not installed: {request.param} is not run here")
    return request.param


def environment(**more):
    return {key: value for key, value in os.environ.items() if key != "PROXY_READY_URL"} | more


def test_it_waits_for_a_proxy_that_comes_late(name, proxy, tmp_path):
    url = f"http://127.0.0.1:{proxy.port}/healthz/ready"
    words = command(name, tmp_path, 30)
    running = subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment(PROXY_READY_URL=url)
    )
    time.sleep(0.3)
    assert running.poll() is None
    proxy.run()
    out, _ = running.communicate(timeout=30)
    assert (running.returncode, out.strip()) == (0, "started")
    assert proxy.answers == [("/healthz/ready", 503)] * 2 + [("/healthz/ready", 200)]


def test_without_the_variable_it_does_not_wait(name, tmp_path):
    words = command(name, tmp_path, 30)
    answer = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=environment(), check=False)
    assert (answer.returncode, answer.stdout.strip()) == (0, "started")


def test_it_gives_up_and_says_so(name, proxy, tmp_path):
    url = f"http://127.0.0.1:{proxy.port}/healthz/ready"
    words = command(name, tmp_path, 1)
    told = environment(PROXY_READY_URL=url, PROXY_WAIT_SECONDS="1")
    answer = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=told, check=False)
    assert answer.returncode != 0 and "started" not in answer.stdout
    assert "not ready at" in answer.stderr


def test_there_is_code_for_each_language():
    assert sorted(wait_for_proxy.code()) == [
        "WaitForProxy.java", "wait_for_proxy.go", "wait_for_proxy.js", "wait_for_proxy.py", "wait_for_proxy.sh"
    ]  # fmt: skip
    assert all(wait_for_proxy.VARIABLE in text for text in wait_for_proxy.code().values())
