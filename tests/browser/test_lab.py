"""The notebooks in JupyterLab itself: run from top to bottom, and the timeline gives back the rows."""

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))

# Open all notebooks, run all cells of each, and say what became of them.
_RUN = """
async (names) => {
  const app = window.jupyterapp;
  const open = await Promise.all(names.map(async (path) => {
    const widget = await app.commands.execute('docmanager:open', { path: 'notebooks/' + path, factory: 'Notebook' });
    await widget.context.ready;
    await widget.sessionContext.ready;
    return widget;
  }));
  const runs = [];
  for (const widget of open) {
    app.shell.activateById(widget.id);
    while (app.shell.currentWidget !== widget) await new Promise((next) => setTimeout(next, 20));
    runs.push(app.commands.execute('notebook:run-all-cells'));
  }
  await Promise.all(runs);
  return open.map((widget) => {
    const cells = widget.content.model.toJSON().cells.filter((cell) => cell.cell_type === 'code');
    return {
      path: widget.context.path,
      cells: cells.length,
      run: cells.filter((cell) => cell.execution_count !== null).length,
      errors: cells.flatMap((cell) => cell.outputs).map((out) => out.ename).filter((name) => name !== undefined),
    };
  });
}
"""
_SCROLL = """
async () => {
  const path = 'notebooks/02_fleet_incidence.ipynb';
  const notebook = (await window.jupyterapp.commands.execute('docmanager:open', { path })).content;
  const at = notebook.widgets.findIndex((cell) => cell.model.sharedModel.getSource().includes('ml.timeline('));
  notebook.activeCellIndex = at;
  await notebook.scrollToItem(at, 'center');
}
"""
_ASK = """
async (expression) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const reply = await kernel.requestExecute({ code: '', user_expressions: { answer: expression } }).done;
  return reply.content.user_expressions.answer.data['text/plain'];
}
"""


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """JupyterLab on loopback over a copy of the notebooks: its address, with the token."""
    assert browser
    home = tmp_path_factory.mktemp("lab")
    work = home / "work"
    (work / "notebooks").mkdir(parents=True)
    for name in NOTEBOOKS:  # without what they showed when they were committed: what is seen was run here
        book = nbformat.read(ROOT / "notebooks" / name, as_version=4)
        book.metadata.pop("widgets", None)
        for cell in book.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(book, work / "notebooks" / name)
    (work / "sample_data").symlink_to(ROOT / "sample_data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    options = {
        "ServerApp.ip": "127.0.0.1", "ServerApp.port": port, "ServerApp.port_retries": 0, "ServerApp.root_dir": work,
        "ServerApp.open_browser": False, "ServerApp.allow_root": True, "IdentityProvider.token": token,
        "LabApp.expose_app_in_browser": True, "LabApp.news_url": "None", "LabApp.extension_manager": "readonly",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }  # fmt: skip
    own = {f"JUPYTER_{name}_DIR": str(home / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")}
    settings = home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"fetchNews": "false"}')
    with (home / "lab.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", *(f"--{name}={value}" for name, value in options.items())],
            env=os.environ | own, cwd=work, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, server, home / "lab.log")
            yield f"{address}/lab?token={token}&reset"
        finally:
            server.terminate()
            server.wait(timeout=20)


def _wait(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{address}/api", timeout=2):
                return
        except OSError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


def test_every_notebook_runs_in_jupyterlab_and_the_timeline_gives_back_rows(lab, watch, picture):
    server = lab.split("/lab?")[0]
    seen = watch(width=1250, height=900, allowed=(server, server.replace("http", "ws"), "data:", "blob:"))
    page = seen.page
    page.set_default_timeout(120_000)
    page.goto(lab)
    page.wait_for_function("window.jupyterapp !== undefined")
    page.evaluate("async () => { await window.jupyterapp.restored; }")
    done = page.evaluate(_RUN, NOTEBOOKS)
    assert [(notebook["path"], notebook["errors"]) for notebook in done] == [
        (f"notebooks/{name}", []) for name in NOTEBOOKS
    ]
    assert all(notebook["run"] == notebook["cells"] > 0 for notebook in done)
    _timeline(page)
    picture(page, "jupyterlab")
    # While a kernel starts, the server fails to list them all (it has no `last_activity` yet); JupyterLab asks again.
    assert [told for told in seen.complaints if "/api/kernels?" not in told] == []
    assert seen.outside == []


def _timeline(page) -> None:
    """In notebook 02: the widget is drawn, a click comes back as a row of `view.selection`."""
    widget = page.locator(".ml-timeline:visible")
    for _ in range(30):  # cells above grow while they are drawn: scroll until it stays
        page.evaluate(_SCROLL)
        page.wait_for_timeout(200)
        if widget.count():
            break
    widget.wait_for(timeout=5_000)
    widget.scroll_into_view_if_needed()
    assert page.evaluate(_ASK, "len(view.selection)") == "1"
    widget.locator(".ml-row").nth(1).click()
    pod = widget.locator(".ml-detail h3").inner_text()
    for _ in range(50):
        if page.evaluate(_ASK, "list(view.selection['pod'])") == repr([pod]):
            break
        page.wait_for_timeout(100)
    assert page.evaluate(_ASK, "list(view.selection['pod'])") == repr([pod])
    assert int(page.evaluate(_ASK, "len(view.evidence)")) > 0
