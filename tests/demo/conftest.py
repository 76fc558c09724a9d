"""One server and one browser for all tests of the pages."""

import threading

import numpy as np
import pytest

from minicnn.demo import Session, open_session
from minicnn.runs import TrainConfig

_browsers, _learners = [], []  # that are running


@pytest.fixture(scope="module", autouse=True)
def no_page_stays_open():
    """Leave the last page of a module: it would ask its server, which has ended, while other tests run.

    What learned on it ends, too: it would compute for half a minute, and limit BLAS for as long as it lives.
    """
    yield
    for browser in _browsers:
        browser.get("about:blank")
        browser.get_log("browser")  # forgets what that page has written
    for learners in _learners:
        learners.close()


@pytest.fixture(scope="session")
def opened():
    """The network that comes with the package."""
    return open_session()


@pytest.fixture(scope="session")
def few(opened, tmp_path_factory):
    """A session with the network of `opened`, and with 1,000 of MNIST's test images in a file of its own."""
    images, labels = (part[:1000] for part in opened.inputs.examples)
    file = tmp_path_factory.mktemp("data") / "few.npz"
    np.savez(file, x_train=images[:100], y_train=labels[:100], x_test=images, y_test=labels)
    session = Session(opened.model, TrainConfig(dataset=str(file)))
    session.inputs.digits = session.inputs.drawn = True  # as for the data set that they are from
    return session


@pytest.fixture(scope="session")
def place(opened):
    """A browser, and the address of the page of `opened`."""
    from browsing import drive

    from minicnn.demo.server import listen

    server = listen(opened, 0)
    learners = server.app.extensions["learners"]
    learners.threads = 1
    _learners.append(learners)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with drive["chromium"]() as browser:
            _browsers.append(browser)
            yield browser, f"http://127.0.0.1:{server.port}/"
            _browsers.remove(browser)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        learners.close()
        _learners.remove(learners)
