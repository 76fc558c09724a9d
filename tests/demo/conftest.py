"""One server and one browser for all tests of the pages."""

import threading

import pytest

from minicnn.demo import open_session


@pytest.fixture(scope="session")
def opened():
    """The network that comes with the package."""
    return open_session()


@pytest.fixture(scope="session")
def place(opened):
    """A browser, and the address of the page of `opened`."""
    from browsing import drive

    from minicnn.demo.server import listen

    server = listen(opened, 0)
    server.app.extensions["learners"].threads = 1
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with drive["chromium"]() as browser:
            yield browser, f"http://127.0.0.1:{server.port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        server.app.extensions["learners"].close()
