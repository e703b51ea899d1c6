import sys
import zipfile

import ml_dtypes
import numpy as np
import pytest

from mixer_tf.weights.files import read_checkpoint, write_arrays

ARRAYS = {
    "a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.arange(4).astype(ml_dtypes.bfloat16),
    "c": np.zeros((), np.int64),
    "d": np.arange(6, dtype=np.float16).reshape(2, 3).T,  # not contiguous
}


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_written_and_read(tmp_path, suffix):
    path = tmp_path / "new_folder" / f"weights{suffix}"
    write_arrays(path, ARRAYS, {"note": "x"})
    checkpoint = read_checkpoint(path)
    assert checkpoint.metadata == ({"note": "x"} if suffix == ".safetensors" else {})
    assert checkpoint.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert checkpoint.arrays[name].dtype == array.dtype
        assert checkpoint.arrays[name].shape == array.shape
        np.testing.assert_array_equal(checkpoint.arrays[name], array)
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "weights.npz"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_arrays(path, {"a": ARRAYS["b"], 5: ARRAYS["b"]}, {})
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["weights.pth", "weights", "weights.h5"])
def test_only_two_formats_are_written(tmp_path, name):
    with pytest.raises(ValueError, match=r"saved as \.safetensors or \.npz; given: weights"):
        write_arrays(tmp_path / name, ARRAYS, {})


def test_unknown_extension(tmp_path):
    with pytest.raises(ValueError, match=r"must be one of \.npz, \.safetensors, \.pth, .*; given: weights\.onnx"):
        read_checkpoint(tmp_path / "weights.onnx")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"checkpoint file at .*weights\.npz; none is there"):
        read_checkpoint(tmp_path / "weights.npz")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\n<!DOCTYPE html><html>Not found</html>", "holds a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "holds a Git LFS pointer"),
        (b"", "download or save it again"),
        (b"PK\x03\x04 and no more", "download or save it again"),
        (b"\xff" * 100, "download or save it again"),
    ],
)
def test_not_a_checkpoint(tmp_path, suffix, content, reason):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_part_of_an_npz_is_called_one(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, a=np.random.default_rng(0).normal(size=(30, 20)), b=np.ones(7))
    whole = path.read_bytes()
    for start, end in ((0, len(whole) // 2), (0, -1), (len(whole) // 2, len(whole) // 2 + 100)):
        path.write_bytes(whole[start:end])
        with pytest.raises(
            ValueError, match=r"whole \.npz file, a zip archive; given: something else, or a part"
        ) as caught:
            read_checkpoint(path)
        assert "pickle" not in str(caught.value)


def test_an_archive_of_something_else_is_no_npz(tmp_path):
    path = tmp_path / "weights.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"some bytes")
    with pytest.raises(ValueError, match=r"whole \.npz file \(archive/data\.pkl in it is no array\)"):
        read_checkpoint(path)


def test_objects_in_an_npz_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, a=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(ValueError, match=r"must be a whole \.npz file \(Object arrays cannot be loaded"):
        read_checkpoint(path)


def test_safetensors_is_an_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"\x08")
    with pytest.raises(ImportError, match=r'pip install "mixer-tf\[weights\]"'):
        read_checkpoint(path)
