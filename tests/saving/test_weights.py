import os
import stat

import numpy as np
import pytest
import safetensors.numpy

from minicnn import BatchNorm, Conv2D, Dense, FileFormatError, Flatten, Sequential, load_weights, save_weights


def net(rng, dtype=np.float32, units=2):
    layers = [Conv2D(3, 2), BatchNorm(), Flatten(), Dense(units)]
    return Sequential(layers).build((4, 4, 1), rng=rng, dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_survive_a_round_trip_bit_for_bit(tmp_path, dtype):
    model, other = net(0, dtype), net(1, dtype)
    model[1].running_mean.value = [1.0, 2.0, 3.0]
    save_weights(model, tmp_path / "w.safetensors")
    load_weights(other, tmp_path / "w.safetensors")
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_array_equal(a, b)


def test_names_are_those_of_named_parameters(tmp_path):
    model = net(0)
    save_weights(model, str(tmp_path / "w.safetensors"))
    tensors = safetensors.numpy.load_file(tmp_path / "w.safetensors")
    assert set(tensors) == {name for name, _ in model.named_parameters()}
    assert "layers.1.running_var" in tensors


def test_a_mismatch_lists_everything_and_changes_nothing(tmp_path):
    path = tmp_path / "w.safetensors"
    tensors = {name: p.value for name, p in net(0).named_parameters()}
    tensors["layers.3.bias"] = np.zeros(5, np.float32)
    tensors["layers.0.bias"] = np.zeros(3, np.int32)
    tensors["extra"] = tensors.pop("layers.1.gamma")
    path.write_bytes(safetensors.numpy.save(tensors))
    model = net(1)
    before = model.get_weights()
    with pytest.raises(ValueError, match="do not fit the model") as error:
        load_weights(model, path, checked=False)
    assert (
        "missing: layers.1.gamma; unexpected: extra; wrongly shaped: layers.3.bias (5,) instead of (2,); "
        "not floats: layers.0.bias" in str(error.value)
    )
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_file_of_others_is_read_where_that_is_said(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors.numpy.save({name: p.value for name, p in net(0).named_parameters()}))
    model = net(1)
    with pytest.raises(FileFormatError, match=r"no minicnn checksum.*`checked=False"):
        load_weights(model, path)
    load_weights(model, path, checked=False)
    for ours, theirs in zip(model.get_weights(), net(0).get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-1], lambda b: b"x" * 100, lambda b: b[:20]])
def test_a_damaged_file_is_a_file_format_error(tmp_path, damage):
    path = tmp_path / "w.safetensors"
    save_weights(net(0), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FileFormatError, match="is not a valid safetensors file"):
        load_weights(net(0), path)


def test_unbuilt_models_are_refused_and_errors_name_the_users_path(tmp_path):
    for function in (save_weights, load_weights):
        with pytest.raises(RuntimeError, match="must be built before its weights"):
            function(Sequential([Dense(1)]), tmp_path / "w.safetensors")
    with pytest.raises(FileNotFoundError) as error:
        save_weights(net(0), tmp_path / "no" / "w.safetensors")
    assert error.value.filename == str(tmp_path / "no" / "w.safetensors")


def test_a_missing_file_is_said_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_weights(net(0), tmp_path / "none.safetensors")


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    save_weights(net(0), path)
    old = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_weights(net(1), path)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_new_file_has_the_usual_permissions(tmp_path):
    umask = os.umask(0o022)
    try:
        save_weights(net(0), tmp_path / "w.safetensors")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "w.safetensors").stat().st_mode) == 0o644
