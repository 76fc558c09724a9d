"""The files of a static copy, and the choice of images and runtime."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

import minicnn.demo
from minicnn import Conv2D, Dense, Flatten, Layer, ReLU, Sequential, Softmax
from minicnn.cli import main
from minicnn.demo import Session
from minicnn.demo.export import Runtime, check_folder, export_page, fetch_runtime, read_runtime
from minicnn.demo.export.images import choose
from minicnn.demo.export.notice import notice
from minicnn.runs import TrainConfig
from minicnn.saving import save_model

RUNTIME = Runtime("1.2.3", b"// script", gzip.compress(b"\0asm"))


@pytest.fixture(scope="module")
def recorded(few, tmp_path_factory):
    """The folder of a copy with recorded images, and the sizes of its files."""
    folder = tmp_path_factory.mktemp("copy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minicnn.demo.export.files._SCRIPT_MACS", 0)  # as if the network were large
        return folder, export_page(few, folder)


def net_of(folder):
    return json.loads((folder / "copy" / "net.json").read_text())


def test_a_copy_has_the_page_as_it_is_and_loads_little(recorded):
    folder, sizes = recorded
    page = Path(minicnn.demo.__file__).parent / "static"
    for name in ("index.html", "static/main.js", "static/style.css"):
        copied = (folder / name).read_text().replace('<script src="copy/opened.js" defer></script>\n', "")
        copied = copied.replace('href="whatif.html"', 'href="whatif"')
        assert copied == (page / Path(name).name).read_text()
    assert sizes == {
        str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()
    }
    assert sum(sizes.values()) < 3e6
    assert {"static/lecture.js", "whatif.html", "static/whatif.js"} <= sizes.keys()
    assert not {"static/learn.js", "static/learn.html", "static/whatif.html"} & sizes.keys()
    assert 'href="whatif.html"' in (folder / "index.html").read_text()
    assert f"minicnn {minicnn.__version__}, Copyright" in (folder / "NOTICE.md").read_text()


def test_a_copy_does_not_say_where_files_lie(recorded, few):
    folder, _ = recorded
    assert net_of(folder)["net"]["dataset"] == "few.npz"
    private = str(Path(few.config.dataset).parent).encode()
    assert not any(private in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_recorded_outputs_are_those_of_the_network(recorded, few):
    folder, _ = recorded
    found = net_of(folder)
    images, labels = few.inputs.examples
    shown = found["examples"]["images"]
    assert [one["label"] for one in shown[:10]] == list(range(10))
    assert found["examples"]["of"] == 1000
    for number in (0, len(shown) - 1):
        index = shown[number]["index"]
        data = gzip.decompress((folder / "copy" / "recorded" / f"{number}.bin").read_bytes())
        steps, start = np.frombuffer(data, "<i2"), 0
        for output, largest in zip(
            few.look(images[index])["stages"][1:], found["largest"][number], strict=True
        ):
            values = steps[start : start + output.size] * (largest / 32767)
            np.testing.assert_allclose(values, output.ravel(), rtol=0, atol=2e-5 * np.abs(output).max())
            start += output.size
        assert start == len(steps)
        assert labels[index] == shown[number]["label"]


def test_images_are_of_each_class_and_some_that_are_misclassified(few):
    chosen = choose(few)
    images, labels = few.inputs.examples
    assert np.bincount(chosen.labels[: chosen.any]).tolist() == [10] * 10
    np.testing.assert_array_equal(chosen.images, images[chosen.numbers])
    np.testing.assert_array_equal(chosen.labels, labels[chosen.numbers])
    answers = few.model.predict(chosen.images).argmax(axis=1)
    np.testing.assert_array_equal(chosen.wrong, answers != chosen.labels)
    assert chosen.wrong[chosen.any :].all()
    assert chosen.misclassified == few.example(wrong=True)["wrong"]
    one = choose(few, 1)
    assert (one.any, len(one.images)) == (1, 1)


class Doubled(Layer):
    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def small_session(*layers, shape=(6, 5, 3), dataset=""):
    model = Sequential([*layers, Flatten(), Dense(3), Softmax()]).build(shape, rng=0)
    return Session(model, TrainConfig(dataset=dataset))


def test_any_net_that_onnx_knows_is_computed_by_the_runtime(tmp_path):
    onnx = pytest.importorskip("onnx")
    session = small_session(Conv2D(4, 3), Sequential([ReLU()]))
    export_page(session, tmp_path, RUNTIME)
    found = net_of(tmp_path)
    names = [output.name for output in onnx.load(tmp_path / "copy" / "model.onnx").graph.output]
    assert found["outputs"] == ["layers.0", "layers.1", "layers.2", "layers.3"]
    assert set(found["outputs"]) < set(names)
    assert found["examples"] is None
    assert not found["net"]["examples"]
    assert (tmp_path / "copy" / "ort.bin").read_bytes() == RUNTIME.wasm
    notice = (tmp_path / "NOTICE.md").read_text()
    assert "onnxruntime-web 1.2.3, Copyright (c) Microsoft Corporation" in notice


def test_the_notice_names_the_images():
    assert "CC BY-SA 3.0" in notice("mnist", None)
    assert "test images of mine" in notice("mine", None)
    assert "images.bin" not in notice("", RUNTIME)


def test_nets_that_cannot_be_exported_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"layer 0 \(Doubled\) .* --runtime none exports recorded"):
        export_page(small_session(Doubled()), tmp_path / "new", RUNTIME)
    with pytest.raises(ValueError, match="shows recorded test images, but there are none"):
        export_page(small_session(Doubled()), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_network_with_numbers_that_are_not_finite_is_refused(few, tmp_path):
    broken = few.fork()
    broken.model[0].bias.value = np.full(6, np.nan)
    with pytest.raises(ValueError, match="numbers are not finite"):
        export_page(broken, tmp_path / "new")
    with pytest.raises(ValueError, match="are not finite, so the model is not exported"):
        export_page(broken, tmp_path / "new", RUNTIME)
    assert not (tmp_path / "new").exists()


def test_a_copy_without_its_data_set_has_no_test_images(tmp_path):
    with pytest.warns(UserWarning, match="the copy has no test images"):
        export_page(small_session(dataset=str(tmp_path / "gone")), tmp_path / "new", RUNTIME)
    assert net_of(tmp_path / "new")["examples"] is None


def test_a_folder_with_files_is_refused(tmp_path):
    check_folder(tmp_path)
    check_folder(tmp_path / "new")
    (tmp_path / "mine.txt").touch()
    with pytest.raises(FileExistsError, match="is not empty: name a new folder"):
        check_folder(tmp_path)
    with pytest.raises(FileExistsError, match="is a file"):
        check_folder(tmp_path / "mine.txt")


FILES = {"ort.wasm.bundle.min.mjs": b"/*! ONNX Runtime Web v1.30.0", "ort-wasm-simd-threaded.wasm": b"\0asm"}


@pytest.mark.parametrize("place", ["", "dist", "node_modules/onnxruntime-web/dist"])
def test_the_runtime_is_found_in_folders_and_packages(tmp_path, place):
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as packed:
        for name, data in FILES.items():
            (tmp_path / place / name).write_bytes(data)
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    (tmp_path / "file.tgz").write_bytes(archive.getvalue())
    for path in (tmp_path, tmp_path / "file.tgz"):
        runtime = read_runtime(path)
        assert runtime.version == "1.30.0"
        assert runtime.script == FILES["ort.wasm.bundle.min.mjs"]
        assert gzip.decompress(runtime.wasm) == b"\0asm"


def test_what_is_no_runtime_is_refused(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        read_runtime(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"has no onnxruntime-web: there must be ort\.wasm"):
        read_runtime(tmp_path)
    (tmp_path / "file.tgz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="cannot be read as a package of npm"):
        read_runtime(tmp_path / "file.tgz")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="npm is not installed"):
        fetch_runtime()


def test_the_command_exports_and_says_how_to_look_at_it(tmp_path, capsys, monkeypatch):
    model, folder, runtime = tmp_path / "net.safetensors", tmp_path / "site", tmp_path / "runtime"
    save_model(Sequential([Flatten(), Dense(3)]).build((6, 5, 3), rng=0), model)
    runtime.mkdir()
    for name, data in FILES.items():
        (runtime / name).write_bytes(data)
    command = ["demo", str(model), "--export"]
    assert main([*command, str(folder), "--runtime", str(runtime)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "of onnxruntime-web 1.30.0" in said
    assert f"python -m http.server --directory {folder}" in said
    assert net_of(folder)["net"]["layers"][1]["name"] == "Dense"
    assert main([*command, str(folder)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "new"), "--runtime", str(tmp_path / "nowhere")]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    assert main(["demo", "--runtime", "none"]) == 2
    assert "--runtime needs --export DIR" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")
    assert main([*command, str(tmp_path / "new")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "exporting without onnxruntime-web, since npm is not installed" in said
    assert net_of(tmp_path / "new")["engine"] == "script"
