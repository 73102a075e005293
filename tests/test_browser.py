"""Notebook 03 in a real JupyterLab in a real browser: what executing it without a screen cannot see.

A widget that fails in the browser, or a callback of a slider that raises, leaves every cell green. So this
test opens the notebook in Chromium, runs it, and looks: is the structure drawn, does a slider move?
"""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from notebook_files import FOLDER

NOTEBOOK = FOLDER / "03_image_to_structure.ipynb"
FLAGS = [
    "--no-sandbox", "--no-first-run", "--disable-quic", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--disable-default-apps", "--disable-dev-shm-usage", "--mute-audio",
    # WebGL without a graphics card
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
]  # fmt: skip
RUN_S = 300
PATIENCE_MS = 60_000
ERRORS = "[data-mime-type='application/vnd.jupyter.error']"
BROKEN = "Error displaying widget|Failed to load model class|Failed to create view|is not registered"

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(900)]


def chromium():
    """Return where Chromium is; skip by name without one, unless the environment wants it there."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.environ.get("ELIT_REQUIRE_BROWSER") == "1":
        pytest.fail("ELIT_REQUIRE_BROWSER=1, but there is no Chromium: install it (apt install chromium).")
    pytest.skip("no Chromium on this machine: `apt install chromium` to run the test of the browser")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Start JupyterLab on a copy of the notebook, with settings of its own; give its address."""
    chromium()
    root, settings = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("settings")
    shutil.copy(NOTEBOOK, root)
    shutil.copytree(FOLDER / "figures", root / "figures")
    tracker = settings / "user" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text(json.dumps({"windowingMode": "none"}))  # else cells off the screen are not there
    (settings / "labconfig").mkdir()
    (settings / "labconfig" / "page_config.json").write_text(
        json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}})
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(settings),
        "JUPYTER_PLATFORM_DIRS": "1",
        "JUPYTERLAB_SETTINGS_DIR": str(settings / "user"),
        "JUPYTERLAB_WORKSPACES_DIR": str(settings / "workspaces"),
        "IPYTHONDIR": str(settings / "ipython"),
        "ELIT_RESULTS": str(root / "results"),
        "ELIT_RUN": "class",
        # The kernel is started as `python`: it has to be this one.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}",
        "--IdentityProvider.token=", "--LabApp.extension_manager=readonly",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    with open(root / "lab.log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            wait_for_server(server, port, root / "lab.log")
            yield f"http://127.0.0.1:{port}/lab/tree/{NOTEBOOK.name}?reset"
        finally:
            server.terminate()
            server.wait(30)


def wait_for_server(server, port, log):
    """Wait until JupyterLab answers."""
    for _ in range(240):
        if server.poll() is not None:
            pytest.fail(f"JupyterLab ended with code {server.returncode}:\n{log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status", timeout=2):
                return
        except OSError:
            time.sleep(0.25)
    pytest.fail(f"JupyterLab did not answer in a minute:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def opened(lab):
    """Open the notebook, run all cells, and give the page with what the browser complained about."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS)
        page = browser.new_page(viewport={"width": 1300, "height": 1600})
        page.complaints, page.strangers = [], []
        page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.route(lambda url: url.startswith("http") and "127.0.0.1" not in url,
                   lambda route: (page.strangers.append(route.request.url), route.abort()))  # fmt: skip
        page.goto(lab, wait_until="domcontentloaded")
        page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=PATIENCE_MS)
        page.get_by_text("| Idle").first.wait_for(timeout=PATIENCE_MS)  # the kernel, in the status bar
        run_all_cells(page)
        yield page
        browser.close()


def run_all_cells(page):
    """Run all cells, and wait until every one has its number."""
    end, prompts = time.monotonic() + RUN_S, []
    while time.monotonic() < end:
        # JupyterLab now and then drops the queue of a kernel that has only just started: then ask again.
        if not any("*" in prompt for prompt in prompts):
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.locator(".lm-Menu-itemLabel").filter(has_text="Run All Cells").first.click()
        page.wait_for_timeout(2000)
        if errors := page.locator(ERRORS).all_inner_texts():
            pytest.fail(f"A cell failed in JupyterLab: {errors[0][-2000:]}")
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        if prompts and all(re.fullmatch(r"\[\d+\]:", prompt.strip()) for prompt in prompts):
            return
    pytest.fail(f"Some cells did not end within {RUN_S} s: {prompts}")


def test_the_structure_is_drawn_by_nglview(opened):
    from PIL import Image

    canvas = opened.locator(".jp-OutputArea canvas").first
    canvas.wait_for(state="attached", timeout=PATIENCE_MS)
    canvas.scroll_into_view_if_needed()
    drawn, end = 0.0, time.monotonic() + PATIENCE_MS / 1000
    while drawn < 0.01 and time.monotonic() < end:  # the model arrives some time after the canvas
        opened.wait_for_timeout(1000)
        picture = Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")
        colours = picture.getcolors(1 << 24)
        background = max(count for count, _ in colours)
        drawn = 1 - background / (picture.width * picture.height)
    assert drawn >= 0.01
    assert len(colours) > 50


def test_a_slider_moves_its_figure(opened):
    cell = opened.locator(".jp-CodeCell").filter(has=opened.locator(".widget-slider")).last
    handle = cell.locator(".noUi-handle").first
    handle.scroll_into_view_if_needed()
    before, shown = cell.locator("img").last.get_attribute("src"), cell.locator(".widget-readout").first
    value = shown.inner_text()
    handle.focus()
    for _ in range(3):
        opened.keyboard.press("ArrowRight")
        opened.wait_for_timeout(300)
    assert shown.inner_text() != value
    end = time.monotonic() + PATIENCE_MS / 1000
    while cell.locator("img").last.get_attribute("src") == before and time.monotonic() < end:
        opened.wait_for_timeout(500)
    assert cell.locator("img").last.get_attribute("src") not in (None, "", before)


def test_no_widget_is_broken(opened):
    text = opened.locator(".jp-Notebook").first.inner_text()
    assert not re.findall(BROKEN, text)
    assert not [line for line in opened.complaints if re.search(BROKEN, line)]


def test_no_widget_asks_the_network(opened):
    # Badges and pictures in the text may; what draws must not.
    assert not [url for url in opened.strangers if "badge" not in url]
