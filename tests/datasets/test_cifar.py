import numpy as np
import pytest
from datasets.cifar_files import write_cifar

from minicnn import FileFormatError
from minicnn.datasets import load_cifar10


def test_load_cifar10_has_the_pixels_in_their_places(tmp_path):
    pixels, labels = write_cifar(tmp_path / "cifar-10-batches-bin")
    for folder in (tmp_path, tmp_path / "cifar-10-batches-bin"):
        (x, y), (x_test, y_test) = load_cifar10(folder)
        assert (x.shape, x.dtype, y.dtype, x_test.shape) == (
            (20, 32, 32, 3),
            np.uint8,
            np.uint8,
            (4, 32, 32, 3),
        )
        assert y.tolist() == labels[:5].ravel().tolist()
        assert y_test.tolist() == labels[5].tolist()
        for row, column, channel in ((0, 0, 0), (3, 31, 1), (17, 2, 2)):
            assert x[6, row, column, channel] == pixels[1, 2, channel, row, column]
            assert x_test[3, row, column, channel] == pixels[5, 3, channel, row, column]


def test_load_cifar10_refuses_what_is_cut_off_or_missing(tmp_path):
    write_cifar(tmp_path)
    whole = (tmp_path / "data_batch_3.bin").read_bytes()
    for content in (whole[:-1], whole + b"\0", b""):
        (tmp_path / "data_batch_3.bin").write_bytes(content)
        with pytest.raises(FileFormatError, match=r"data_batch_3\.bin must consist of images of 3,073 bytes"):
            load_cifar10(tmp_path)
    (tmp_path / "data_batch_3.bin").write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(FileFormatError, match=r"data_batch_3\.bin must have labels 0 to 9, got 10"):
        load_cifar10(tmp_path)
    (tmp_path / "data_batch_3.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"no such file: \S+data_batch_3\.bin"):
        load_cifar10(tmp_path)


def test_load_cifar10_never_reads_the_pickles(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(FileFormatError, match="take the binary version"):
        load_cifar10(tmp_path)
