"""Notebook 03 and a player in JupyterLab in a real browser: what executing without a screen cannot see.

A widget that fails in the browser, or a callback of a slider that raises, leaves every cell green. So this
test opens the notebook in Chromium, runs it, and looks: is the structure drawn, and not in a mirror, does a
slider move?
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

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from notebook_files import FOLDER

NOTEBOOK = FOLDER / "03_image_to_structure.ipynb"
# The one silicon of this sheet is in its upper right corner.
PLAYER = """
import numpy as np, pandas as pd, elit_helpers as eh
sheet = eh.graphene_sheet((6, 4))
sheet.symbols[(sheet.positions @ [1, 1, 0]).argmax()] = "Si"
columns = ["time_fs", "temperature_K", "potential_eV", "kinetic_eV", "total_eV"]
log = pd.DataFrame(np.arange(40.0).reshape(8, 5), columns=columns)
eh.widgets.player([sheet] * 8, log, alt="a sheet")
"""
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
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
    """Start JupyterLab on copies of the notebooks, with settings of its own; give their address."""
    chromium()
    root, settings = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("settings")
    shutil.copy(NOTEBOOK, root)
    nbformat.write(new_notebook(cells=[new_code_cell(PLAYER)], metadata=KERNEL), root / "player.ipynb")
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
            yield f"http://127.0.0.1:{port}/lab/tree/"
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
def browser():
    """Start Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(lab, browser):
    """Open notebook 03."""
    return run_notebook(browser, f"{lab}{NOTEBOOK.name}?reset")


@pytest.fixture(scope="module")
def player(lab, browser):
    """Open the notebook with the player."""
    return run_notebook(browser, f"{lab}player.ipynb?reset")


def run_notebook(browser, address):
    """Open a notebook, run all cells, and give the page with what the browser complained about."""
    page = browser.new_page(viewport={"width": 1300, "height": 1600})
    page.complaints, page.strangers = [], []
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.route(lambda url: url.startswith("http") and "127.0.0.1" not in url,
               lambda route: (page.strangers.append(route.request.url), route.abort()))  # fmt: skip
    page.goto(address, wait_until="domcontentloaded")
    page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=PATIENCE_MS)
    page.get_by_text("| Idle").first.wait_for(timeout=PATIENCE_MS)  # the kernel, in the status bar
    run_all_cells(page)
    return page


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


def picture_of_canvas(page):
    """Wait until the first canvas shows something; give its picture."""
    from PIL import Image

    canvas = page.locator(".jp-OutputArea canvas").first
    canvas.wait_for(state="attached", timeout=PATIENCE_MS)
    canvas.scroll_into_view_if_needed()
    drawn, end = 0.0, time.monotonic() + PATIENCE_MS / 1000
    while drawn < 0.01 and time.monotonic() < end:  # the model arrives some time after the canvas
        page.wait_for_timeout(1000)
        picture = Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")
        background = max(count for count, _ in picture.getcolors(1 << 24))
        drawn = 1 - background / (picture.width * picture.height)
    assert drawn >= 0.01
    return picture


def test_the_structure_is_drawn_by_nglview(opened):
    assert len(picture_of_canvas(opened).getcolors(1 << 24)) > 50


def test_the_view_stands_as_the_picture_does_and_not_in_a_mirror(player):
    red, _, blue = np.moveaxis(np.asarray(picture_of_canvas(player), int), -1, 0)
    silicon, carbon = (np.argwhere(mask).mean(axis=0) for mask in (red - blue > 60, blue - red > 60))
    row, column = silicon - carbon
    assert row < -20
    assert column > 20


def test_the_play_button_moves_the_slider_and_the_picture(player):
    picture = player.locator(".jp-OutputArea img").first
    before = picture.get_attribute("src")
    player.locator(".widget-play button").first.click()
    player.wait_for_function("() => document.querySelector('.widget-readout').innerText >= 3")
    end = time.monotonic() + PATIENCE_MS / 1000
    while picture.get_attribute("src") == before and time.monotonic() < end:
        player.wait_for_timeout(500)
    assert picture.get_attribute("src") != before


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


@pytest.mark.parametrize("page", ["opened", "player"])
def test_no_widget_is_broken(page, request):
    page = request.getfixturevalue(page)
    text = page.locator(".jp-Notebook").first.inner_text()
    assert not re.findall(BROKEN, text)
    assert not [line for line in page.complaints if re.search(BROKEN, line)]


@pytest.mark.parametrize("page", ["opened", "player"])
def test_no_widget_asks_the_network(page, request):
    # Badges and pictures in the text may; what draws must not.
    assert not [url for url in request.getfixturevalue(page).strangers if "badge" not in url]
