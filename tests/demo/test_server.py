import base64
import http.client
import json
import re
import socket
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.datasets import load_mnist
from minicnn.demo import open_session
from minicnn.demo.encoding import Shown, to_response
from minicnn.demo.server import listen, make_app

HOST = "127.0.0.1:8470"
BLANK = base64.b64encode(bytes(28 * 28)).decode()
WINDOW = {"image": BLANK, "operation": "max", "size": 2, "stride": 2, "dilation": 1, "padding": "valid"}
SETTINGS = {"optimizer": "sgd", "lr": "0.1", "batch_size": "128", "seed": "0"}
NAN = base64.b64encode(np.full(28 * 28, np.nan, "<f4").tobytes()).decode()
NAMES = ["net", "look", "picture", "cell", "backward", "step", "undo", "example", "slide", "without"]
NAMES += ["learn/options", "learn/start", "learn/command", "learn/look", "learn/watch"]


@pytest.fixture(scope="module")
def session():
    return open_session()


@pytest.fixture(scope="module")
def client(session):
    return make_app(session, 8470).test_client()


def post(client, name, data, kind="application/json", **headers):
    return client.post(f"/api/{name}", data=data, content_type=kind, headers={"Host": HOST, **headers})


def ask(client, name, body, status=200, **headers):
    answer = post(client, name, json.dumps(body), **headers)
    assert answer.status_code == status, answer.text
    return answer.get_json()


def unpack(packed):
    values = np.frombuffer(base64.b64decode(packed["data"]), packed["dtype"])
    return values.reshape(packed["shape"])


def test_look_at_a_drawn_seven(client, session):
    pad = np.zeros((140, 140), np.uint8)
    pad[30:38, 40:100] = 255
    for i in range(80):
        pad[36 + i, 92 - i // 2 : 100 - i // 2] = 255
    seen = ask(client, "look", {"pixels": base64.b64encode(pad.tobytes()).decode()})
    assert seen["answer"] == 7
    assert unpack(seen["probabilities"])[7] > 0.9
    expected = session.look(unpack(seen["image"]))
    for stage, array in zip(seen["stages"], expected["stages"], strict=True):
        np.testing.assert_array_equal(unpack(stage), array)


def test_an_empty_pad_is_no_error(client):
    blank = base64.b64encode(bytes(140 * 140)).decode()
    assert ask(client, "look", {"pixels": blank}) == {"image": None}


def test_cell_backward_step_and_undo(client, session):
    image = base64.b64encode(load_mnist()[1][0][0].tobytes()).decode()
    cell = ask(client, "cell", {"image": image, "stage": 4, "cell": [3, 4, 5]})
    kernel = session.model[3].kernel.value[..., 5]
    np.testing.assert_allclose(np.array(cell["kernel"]).transpose(1, 2, 0), kernel, rtol=1e-7)
    assert len(ask(client, "backward", {"image": image, "label": 7})["stages"]) == 13
    assert ask(client, "step", {"image": image, "label": 3})["steps"] == 1
    assert ask(client, "undo", {}) == {"steps": 0, "undoable": 0}


def test_the_page_and_its_files_come_with_a_policy(client):
    for path in ("/", "/learn", "/whatif", "/static/main.js", "/static/style.css", "/static/icon.svg"):
        with client.get(path, headers={"Host": HOST}) as answer:
            assert answer.status_code == 200
            policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize(("path", "files"), [("/", 4), ("/learn", 5), ("/whatif", 5)])
def test_the_pages_load_nothing_from_elsewhere(client, path, files):
    with client.get(path, headers={"Host": HOST}) as answer:
        text = re.sub(r"<a .*?>", "", answer.text)
    addresses = re.findall(r'(?:src|href)="(.*?)"', text)
    assert len(addresses) == files
    assert all(address.startswith("static/") for address in addresses)  # relative, for copies in subfolders


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1:8471", "127.0.0.1", "localhost.evil.example:8470", ""]
)
def test_other_hosts_are_refused(client, host):
    for path in ("/", "/static/main.js"):
        assert client.get(path, headers={"Host": host}).status_code == 403
    assert "Host" in ask(client, "net", {}, 403, Host=host)["error"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:8470", "http://localhost"]
)
def test_other_origins_are_refused(client, origin):
    assert "Origin" in ask(client, "step", {"image": BLANK, "label": 1}, 403, Origin=origin)["error"]


@pytest.mark.parametrize("host", [HOST, "localhost:8470"])
def test_our_own_page_is_answered(client, host):
    assert ask(client, "net", {}, Host=host, Origin=f"http://{host}")["model"] == "lenet5"


@pytest.mark.parametrize(
    ("name", "body", "sentence"),
    [
        ("net", None, "hold a JSON object"),
        ("look", [], "hold a JSON object"),
        ("look", {}, "missing or unknown: image"),
        ("look", {"image": BLANK, "evil": 1}, "evil"),
        ("look", {"image": "A"}, "base64"),
        ("look", {"image": BLANK[:400]}, "28x28x1 bytes, got 300"),
        ("look", {"image": NAN}, "finite"),
        ("picture", {"file": BLANK}, "the picture"),
        ("picture", {"file": "/etc/passwd"}, "base64|the picture"),
        ("look", {"image": [0] * 784}, "must be a string"),
        ("look", {"image": BLANK, "class": 10}, r"\[0, 10\), got 10"),
        ("look", {"image": BLANK, "class": True}, "integer, got bool"),
        ("look", {"pixels": BLANK}, "140x140"),
        ("backward", {"image": BLANK, "label": -1}, r"\[0, 10\)"),
        ("step", {"image": BLANK, "label": 10**400}, r"\[0, 10\), got more"),
        ("step", {"image": BLANK, "label": 1.0}, "integer, got float"),
        ("cell", {"image": BLANK, "stage": 0, "cell": [0, 0, 0]}, "1 to 12"),
        ("cell", {"image": BLANK, "stage": 1, "cell": [28, 0, 0]}, "within"),
        ("cell", {"image": BLANK, "stage": 1, "cell": [0]}, "within"),
        ("cell", {"image": BLANK, "stage": 1, "cell": [0, 0]}, "one or three"),
        ("cell", {"image": BLANK, "stage": 1, "cell": [0, 0, -1]}, r"\[0, "),
        ("example", {"wrong": 1}, "true or false"),
        ("undo", {"all": 1}, "true or false"),
        ("undo", {"every": True}, "every"),
        ("slide", {}, "missing"),
        ("slide", WINDOW | {"operation": "min"}, "one of conv, max, avg"),
        ("slide", WINDOW | {"operation": ["conv"]}, "one of conv, max, avg"),
        ("slide", WINDOW | {"size": 0}, "at least 1|>= 1"),
        ("slide", WINDOW | {"size": 10**400}, "at most 11"),
        ("slide", WINDOW | {"stride": 1.5}, "integer, got float"),
        ("slide", WINDOW | {"stride": True}, "integer, got bool"),
        ("slide", WINDOW | {"padding": "full"}, "valid"),
        ("slide", WINDOW | {"padding": [1]}, "integer, got list"),
        ("slide", WINDOW | {"padding": -1}, "padding"),
        ("slide", WINDOW | {"dilation": 2}, "pooling must have"),
        ("slide", WINDOW | {"operation": "conv"}, "2 lists of 2 numbers"),
        ("slide", WINDOW | {"operation": "conv", "kernel": [[1, 2], [3]]}, "2 lists of 2 numbers"),
        ("slide", WINDOW | {"operation": "conv", "kernel": [[1, 2], [3, "4"]]}, "numbers, got str"),
        ("slide", WINDOW | {"operation": "conv", "kernel": [[1, 2], [3, 1e9]]}, "kernel"),
        (
            "slide",
            WINDOW | {"operation": "conv", "kernel": [[1] * 9] * 9, "size": 9, "dilation": 4},
            "33 rows",
        ),
        ("slide", WINDOW | {"cell": [14, 0, 0]}, r"within \[14, 14, 1\]"),
        ("slide", WINDOW | {"cell": [3]}, "within"),
        ("slide", WINDOW | {"cell": "x"}, "one or three"),
        ("without", {"image": BLANK}, "off"),
        ("without", {"image": BLANK, "off": [3]}, "pairs"),
        ("without", {"image": BLANK, "off": [[2, 6]]}, "one of its maps"),
        ("without", {"image": BLANK, "off": [[1, 0]]}, "a stage with filters"),
        ("without", {"image": BLANK, "off": [[2, -1]]}, "off"),
        ("learn/look", {}, "start one"),
        ("learn/command", {"command": "play"}, "start one"),
        ("learn/watch", {}, "start one"),
        ("learn/watch", {"image": BLANK, "evil": 1}, "evil"),
        ("learn/watch", {"pixels": 3}, "pixels"),
        ("learn/options", {"evil": 1}, "evil"),
        ("learn/start", {}, "missing or unknown: settings"),
        ("learn/start", {"settings": None}, "must be an object, got NoneType"),
        ("learn/start", {"settings": SETTINGS | {"lr": 0}}, "`lr`"),
        ("learn/start", {"settings": SETTINGS | {"batch_size": 10**400}}, "fewer digits"),
        ("learn/start", {"settings": SETTINGS | {"optimizer": ["sgd"]}}, "one of adam, adamw"),
        ("learn/start", {"settings": SETTINGS, "rival": []}, "must be an object, got list"),
        ("learn/start", {"settings": SETTINGS, "drawings": 7}, "list of objects"),
        (
            "learn/start",
            {"settings": {"net": "own", "filters": "64-64-64", "kernel": "7"}},
            "this page allows",
        ),
    ],
)
def test_wrong_bodies_are_refused_in_a_sentence(client, name, body, sentence):
    error = ask(client, name, body, 400)["error"]
    assert re.search(sentence, error), error


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        ("{}", "text/plain", 415),
        ("{", "application/json", 400),
        ("[" * 20_000, "application/json", 400),
        (b"\xff\xfe{}", "application/json", 400),
        ('{"wrong": true, "wrong": false}', "application/json", 400),
        (json.dumps({"image": "A" * 70_000}), "application/json", 413),
    ],
)
def test_only_json_of_a_moderate_size_is_read(client, data, kind, status):
    answer = post(client, "example", data, kind)
    assert answer.status_code == status
    assert "error" in answer.get_json()


def test_each_browser_teaches_a_network_of_its_own(session):
    app = make_app(session, 8470)
    teacher, other = app.test_client(), app.test_client()
    before = session.model.get_weights()
    assert ask(teacher, "step", {"image": BLANK, "label": 3})["steps"] == 1
    assert ask(teacher, "step", {"image": BLANK, "label": 3})["steps"] == 2
    assert ask(teacher, "net", {})["steps"] == 2
    assert ask(other, "net", {})["steps"] == 0
    taught, untaught = (
        unpack(ask(client, "look", {"image": BLANK})["probabilities"]) for client in (teacher, other)
    )
    assert taught[3] > untaught[3]
    for was, now in zip(before, session.model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    assert ask(teacher, "undo", {"all": True}) == {"steps": 0, "undoable": 0}
    again = unpack(ask(teacher, "look", {"image": BLANK})["probabilities"])
    np.testing.assert_array_equal(again, untaught)


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("192.168.1.5:8470", None, 200),
        ("192.168.1.5:8470", "http://192.168.1.5:8470", 200),
        ("localhost:8470", None, 200),
        ("192.168.1.5:8470", "http://192.168.1.6:8470", 403),
        ("evil.example:8470", None, 403),
    ],
)
def test_a_server_for_a_class_is_reached_by_its_address(session, host, origin, status):
    client = make_app(session, 8470, "0.0.0.0").test_client()
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    ask(client, "net", {}, status, **headers)


def test_unknown_addresses_and_methods_are_answered_as_json(client):
    for path, status in (("/api/net", 405), ("/nowhere", 404), ("/static/../server.py", 404)):
        answer = client.get(path, headers={"Host": HOST})
        assert answer.status_code == status
        assert "error" in answer.get_json()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(BLANK),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    [
        "image",
        "pixels",
        "class",
        "label",
        "stage",
        "cell",
        "wrong",
        "file",
        "all",
        "command",
        "settings",
        "off",
    ]
)


@given(name=st.sampled_from(NAMES), body=values | st.dictionaries(fields, values))
def test_whatever_is_sent_there_is_an_answer_in_json(client, name, body):
    answer = post(client, name, json.dumps(body))
    assert answer.status_code in (200, 400)
    assert isinstance(answer.get_json(), dict)


def test_a_ruined_net_is_reported(session):
    ruined = open_session()
    ruined.model.set_weights([np.full_like(weight, np.nan) for weight in ruined.model.get_weights()])
    client = make_app(ruined, 8470).test_client()
    assert "not finite" in ask(client, "step", {"image": BLANK, "label": 1}, 400)["error"]


def test_listen_takes_only_this_machine_and_only_a_free_port(session):
    server = listen(session, 0)
    try:
        assert server.socket.getsockname() == ("127.0.0.1", server.port)
        with pytest.raises(OSError, match="choose another --port"):
            listen(session, server.port)
    finally:
        server.server_close()


def test_half_a_request_holds_up_nobody_and_is_given_up(session, monkeypatch, logged):
    server = listen(session, 0)
    assert server.RequestHandlerClass.timeout <= 60  # seconds; None would be for ever
    monkeypatch.setattr(server.RequestHandlerClass, "timeout", 0.3)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    head = f"POST /api/net HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
    halves = ["", "GET /", head, head + "Content-Length: 50\r\n\r\n{"]
    try:
        waiting = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in halves]
        for connection, half in zip(waiting, halves, strict=True):
            connection.sendall(half.encode())
        whole = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        whole.request("POST", "/api/net", "{}", {"Content-Type": "application/json"})
        assert whole.getresponse().status == 200
        whole.close()
        for connection in waiting:
            while connection.recv(4096):  # until the server hangs up
                pass
            connection.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert logged == []  # nothing is written over what the terminal shows


def test_who_watches_a_network_gets_a_line_for_each_picture(opened):
    app = make_app(opened, 8470)
    client = app.test_client()
    ask(client, "learn/start", {"settings": SETTINGS})
    ask(client, "learn/command", {"command": "step"})
    response = post(client, "learn/watch", json.dumps({"image": BLANK}))
    assert response.mimetype == "application/x-ndjson"
    assert response.headers["Content-Security-Policy"]
    *_, last = [json.loads(line) for line in response.text.splitlines()]
    assert (last["playing"], last["nets"][0]["step"]) == (False, 1)
    assert unpack(last["nets"][0]["probabilities"]).sum() == pytest.approx(1)
    app.extensions["learners"].close()


def test_large_pictures_take_two_bytes_a_value():
    values = np.random.default_rng(0).normal(size=(300, 300, 3)).astype(np.float32)
    broken = np.full((300, 300, 3), np.inf, np.float32)
    found = to_response({"shown": Shown(values), "whole": values, "broken": Shown(broken)}).get_json()
    shown = found["shown"]
    assert (shown["dtype"], found["whole"]["dtype"], found["broken"]["dtype"]) == (
        "int16",
        "float32",
        "float32",
    )
    steps = np.frombuffer(base64.b64decode(shown["data"]), "<i2").reshape(shown["shape"])
    np.testing.assert_allclose(steps * shown["step"], values, rtol=0, atol=2e-5 * abs(values).max())
    np.testing.assert_array_equal(unpack(found["whole"]), values)
