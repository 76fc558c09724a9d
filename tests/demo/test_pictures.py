"""Pictures that are dropped, pasted, chosen or taken, for a net in colour that knows no digits."""

import base64
import contextlib
import io
import threading

import numpy as np
import pytest
from browsing import IN_SIGHT, answer_is, find, find_all, needs_browser, point_at, resize, text_of, wait
from PIL import Image
from selenium.webdriver.common.keys import Keys

from minicnn.demo import Session
from minicnn.demo.server import listen
from minicnn.layers import BatchNorm, Conv2D, Dense, Flatten, Pool2D, ReLU, Residual, Sequential
from minicnn.runs import TrainConfig

pytestmark = needs_browser

NAMES = ["red disc", "blue square", "green triangle"]


@contextlib.contextmanager
def page_of(model):
    """Yield the address of a page, and its session."""
    session = Session(model, TrainConfig(dataset=""))
    server = listen(session, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/", session
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        server.app.extensions["learners"].close()


@pytest.fixture(scope="module")
def coloured(place):
    layers = [
        Conv2D(4, 3),
        BatchNorm(),
        ReLU(),
        Pool2D(2),
        Residual([Conv2D(4, 3, padding="same")]),
        Flatten(),
    ]
    model = Sequential([*layers, Dense(3)]).build((16, 12, 3), rng=4)
    model.class_names = NAMES
    with page_of(model) as (address, session):
        yield place[0], address, session


def picture(seed):
    """Return a PNG, and what the network answers to it."""
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 12, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue(), pixels


GIVE = """
const [way, data] = arguments;
const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], "picture.png", { type: "image/png" }));
document.body.dispatchEvent(way === "drop" ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true })
  : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));"""


@pytest.mark.ci
def test_pictures_come_in_by_drop_paste_file_and_camera(coloured, tmp_path):
    browser, address, session = coloured
    resize(browser, 1400, 900)
    browser.get(address)
    wait(browser, lambda: find_all(browser, ".layer canvas"))
    assert "Draw" not in text_of(browser, "#draw-title") + text_of(browser, "#task")
    assert [text_of(browser, f"#classes li:nth-child({n + 1}) span") for n in range(3)] == NAMES
    for seed, way in enumerate(["drop", "paste", "file"]):
        data, pixels = picture(seed)
        if way == "file":
            (tmp_path / "picture.png").write_bytes(data)
            find(browser, "#file").send_keys(str(tmp_path / "picture.png"))
        else:
            browser.execute_script(GIVE, way, base64.b64encode(data).decode())
        seen = session.look(pixels)
        shares = [f"{100 * share:.1f} %" for share in seen["probabilities"]]
        wait(
            browser,
            lambda shares=shares: [one.text for one in find_all(browser, "#classes .share")] == shares,
        )
        answer_is(browser, NAMES[seen["answer"]])
    point_at(browser, 6, 2, 1, 3)  # of the Residual
    find(browser, "#inspector .buttons button").click()
    wait(browser, lambda: text_of(browser, "#enlarged .panel h2").endswith("map 3, row 2, column 1"))
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    camera = find(browser, "#camera")
    camera.click()
    wait(browser, lambda: camera.text == "Stop camera")
    wait(browser, lambda: [one.text for one in find_all(browser, "#classes .share")] != shares)
    camera.click()
    wait(browser, lambda: camera.text == "Camera")
    browser.execute_script(GIVE, "drop", base64.b64encode(b"no picture").decode())
    wait(browser, lambda: "is no picture that this browser can read" in text_of(browser, "#problem"))
    assert browser.get_log("browser") == []


@pytest.mark.ci
def test_what_if_of_a_colour_picture(coloured):
    browser, address, _ = coloured
    browser.get(f"{address}whatif?size=3&padding=1&operation=max&stride=2")
    wait(browser, lambda: "Kernel" in text_of(browser, "main"))
    browser.execute_script(GIVE, "drop", base64.b64encode(picture(5)[0]).decode())
    wait(browser, lambda: "rows: " in text_of(browser, "#formula"))
    assert text_of(browser, "#formula").endswith("+ 1 = 6")  # of 12 columns
    find(browser, "#output canvas").send_keys(Keys.PAGE_DOWN)
    wait(browser, lambda: text_of(browser, "#arithmetic h2").startswith("Output: map 1, row 0, column 0"))
    assert find_all(browser, "#filters .layer:first-child button span")[3].text == "filter 3"
    assert browser.get_log("browser") == []


PAD = "return document.getElementById('pad').toDataURL()"


@pytest.mark.ci
def test_ones_own_pictures_are_learned(coloured):
    browser, address, _ = coloured
    browser.get(f"{address}learn?data=own")
    wait(browser, lambda: "no images of your own yet" in text_of(browser, "#problem"))
    browser.execute_script("document.getElementById('problem').textContent = ''")
    find(browser, "#play").click()
    wait(browser, lambda: "no images of your own yet" in text_of(browser, "#problem"))
    find(browser, "#collection summary").click()
    find(browser, "#add").click()
    wait(browser, lambda: text_of(browser, "#collected") == "Choose a picture first.")
    blank = browser.execute_script(PAD)
    for label in (0, 2):
        browser.execute_script(GIVE, "drop", base64.b64encode(picture(label)[0]).decode())
        wait(browser, lambda: browser.execute_script(PAD) != blank)
        browser.execute_script(f"document.getElementById('label').value = {label}")
        find(browser, "#add").click()
        wait(browser, lambda n=label: f"{NAMES[n]}: 1" in text_of(browser, "#collected"))
    wait(browser, lambda: text_of(browser, "#net") == "2 images of your own.")
    browser.execute_script(GIVE, "drop", base64.b64encode(picture(0)[0]).decode())
    browser.get_log("browser")  # without images the server refuses to start
    find(browser, "#epoch").click()
    wait(browser, lambda: "Step 1" in text_of(browser, "#status"))
    wait(browser, lambda: text_of(browser, "#answers output") in NAMES)
    assert browser.get_log("browser") == []
    browser.execute_script("localStorage.clear()")
    browser.get("about:blank")  # it would go on asking the server, which ends


LISTED = """
const list = document.getElementById("classes"), row = list.children[arguments[0]].getBoundingClientRect();
const { top, bottom } = list.getBoundingClientRect();
return [...document.querySelectorAll("section")].every((card) => card.scrollWidth <= card.clientWidth)
  && row.top >= top && row.bottom <= bottom;"""


@pytest.mark.ci
def test_of_many_classes_with_long_names_the_answer_is_in_sight(place):
    names = [f"plate {number} of the atlas of the northern sky" for number in range(100)]
    model = Sequential([Flatten(), Dense(100)]).build((16, 12, 3), rng=0)
    model[1].kernel.value = 5 * model[1].kernel.value
    model.class_names = names
    browser = place[0]
    with page_of(model) as (address, session):
        resize(browser, 1440, 900)
        browser.get(address)
        wait(browser, lambda: find_all(browser, ".layer canvas"))
        for seed in (0, 1):
            data, pixels = picture(seed)
            browser.execute_script(GIVE, "drop", base64.b64encode(data).decode())
            probabilities = session.look(pixels)["probabilities"]
            best = int(probabilities.argmax())
            answer_is(browser, names[best])
            share = find(browser, "#answer").get_attribute("data-share")
            assert share == f" {100 * probabilities[best]:.1f} %"
            wait(browser, lambda n=best: browser.execute_script(LISTED, n))
            find(browser, "#step").click()
            wait(browser, lambda: "the loss went" in text_of(browser, "#lesson"))
            for selector in ("#step", "#answer", "#change figure:last-child"):
                assert browser.execute_script(IN_SIGHT, find(browser, selector)), selector
            find(browser, "#unstep").click()
            wait(browser, lambda: not find(browser, "#taught").is_displayed())
        assert browser.get_log("browser") == []
        browser.get("about:blank")
