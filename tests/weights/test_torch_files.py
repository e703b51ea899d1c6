"""PyTorch's files are read without PyTorch, and whatever else their pickle asks for never runs."""

import logging
import os
import pickle
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from mixer_tf.weights.files import read_checkpoint

# Written by torch 2.13.0: {"epoch", "model": OrderedDict of tensors, "model_ema", "optimizer", "args": Namespace,
# "best": numpy.float64, "size": torch.Size}, the tensors' names with the prefix of DistributedDataParallel.
TRAINING_CHECKPOINT = Path(__file__).parent / "files" / "training_checkpoint.pth"


def tensor(storage="FloatStorage", key="0", numel=6, offset=0, size=(2, 3), stride=(3, 1)) -> bytes:
    """The pickle of one tensor, in opcodes."""

    def numbers(values):
        return b"(" + b"".join(b"I%d\n" % value for value in values) + b"t"

    record = f"(Vstorage\nctorch\n{storage}\nV{key}\nVcpu\nI{numel}\ntQI{offset}\n".encode()
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + record + numbers(size) + numbers(stride) + b"I00\nNtR"


def state_dict(value: bytes) -> bytes:
    """The pickle of {"w": value}."""
    return b"(Vw\n" + value + b"d"


def write(path, checkpoint: bytes, storages=None, byteorder="little", compression=zipfile.ZIP_STORED):
    """A file as PyTorch writes it."""
    if storages is None:
        storages = {"0": np.arange(6, dtype="<f4").tobytes()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", checkpoint + b".")
        archive.writestr("archive/byteorder", byteorder)
        for key, content in storages.items():
            archive.writestr(f"archive/data/{key}", content)
    return path


def refusal(path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(ValueError, match=r".+") as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_training_checkpoint_written_by_torch(caplog):
    with caplog.at_level(logging.INFO, logger="mixer_tf"):
        arrays = read_checkpoint(TRAINING_CHECKPOINT).arrays
    assert "weights taken from 'model'" in caplog.text
    assert "model_ema" in caplog.text
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    expected = {
        "matrix": base,
        "transposed": base.T,
        "column": base[1:, 2],
        "brain": (np.arange(6).reshape(2, 3) / 4).astype(ml_dtypes.bfloat16),
        "half": (np.arange(6).reshape(3, 2) / 2).astype(np.float16),
        "double": np.array(0.1),
        "count": np.array(7),
        "parameter": np.array([1, -2], np.float32),
        "expanded": np.full((2, 3), 3, np.float32),
        "empty": np.zeros((0, 5), np.float32),
    }
    assert list(arrays) == [f"module.{name}" for name in expected]
    for name, array in expected.items():
        given = arrays[f"module.{name}"]
        assert given.dtype == array.dtype, name
        np.testing.assert_array_equal(given, array)


@pytest.mark.parametrize("suffix", [".pth", ".pth.tar", ".pt", ".bin"])
def test_every_extension(tmp_path, suffix):
    path = write(tmp_path / f"weights{suffix}", state_dict(tensor()))
    np.testing.assert_array_equal(read_checkpoint(path).arrays["w"], [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    "key", ["state_dict", "model_state_dict", "model", "module", "net", "model_ema", "state_dict_ema"]
)
def test_nested_state_dicts_are_followed(tmp_path, key):
    path = write(tmp_path / "w.pth", b"(Vepoch\nI3\nV%b\n" % key.encode() + state_dict(tensor()) + b"d")
    assert list(read_checkpoint(path).arrays) == ["w"]


@pytest.mark.parametrize(
    ("storage", "dtype"),
    [
        ("FloatStorage", np.float32),
        ("DoubleStorage", np.float64),
        ("HalfStorage", np.float16),
        ("BFloat16Storage", ml_dtypes.bfloat16),
        ("LongStorage", np.int64),
        ("ByteStorage", np.uint8),
    ],
)
@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_types_and_byte_orders(tmp_path, storage, dtype, byteorder):
    numbers = np.arange(6).astype(dtype)
    content = numbers.tobytes()
    if byteorder == "big":
        content = np.frombuffer(content, np.uint8).reshape(6, -1)[:, ::-1].tobytes()
    path = write(tmp_path / "w.pth", state_dict(tensor(storage)), {"0": content}, byteorder)
    array = read_checkpoint(path).arrays["w"]
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, numbers.reshape(2, 3))


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def evil_pickles(mark):
    """Pickles that would leave the file `mark` behind if anything in them ran."""
    return {
        "posix.system": pickle.dumps(Evil(os.system, f"touch {mark}")),
        "builtins.eval": pickle.dumps(Evil(eval, f"open({str(mark)!r}, 'w')")),
        "__builtin__.exec": pickle.dumps(Evil(exec, f"open({str(mark)!r}, 'w')"), protocol=0),
        "torch._utils.os.system": b"\x80\x04\x8c\x0ctorch._utils\x8c\tos.system\x93\x8c\x01x\x85R.",
        "torch._utils._rebuild_tensor_v2.__globals__": (
            b"\x80\x04\x8c\x0ctorch._utils\x8c\x1e_rebuild_tensor_v2.__globals__\x93."
        ),
        "torch.load": b"ctorch\nload\n(Vx\ntR.",
        "numpy.load": b"cnumpy\nload\n(Vx\ntR.",
        "collections.Counter": b"ccollections\nCounter\n)R.",
        "builtins.getattr": b"cbuiltins\ngetattr\n(ccollections\nOrderedDict\nV__init__\ntR.",
    }


@pytest.mark.parametrize("name", evil_pickles("mark"))
def test_nothing_in_a_pickle_runs(tmp_path, name):
    mark = tmp_path / "it_ran"
    path = tmp_path / "evil.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", evil_pickles(mark)[name])
    message = refusal(path)
    assert f"asks for the Python object {name};" in message
    assert "nothing of it has run" in message
    assert not mark.exists()


def test_the_evil_pickles_would_run(tmp_path):
    mark = tmp_path / "it_ran"
    pickle.loads(evil_pickles(mark)["posix.system"])
    assert mark.exists()


@pytest.mark.parametrize(
    "crafted",
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n(NN}V__code__\nNstb.",  # set an attribute of the function
        b"\x80\x02ctorch\nSize\nN}X\x0c\x00\x00\x00__defaults__K\x07\x85s\x86b.",  # its default arguments
        b"cargparse\nNamespace\n(N}V__init__\nccollections\nOrderedDict\nstb.",
        b"ccollections\nOrderedDict\n)R}Vitems\nctorch\nSize\nsb.",  # an instance that hides its own method
        b"I1\n.",
        b"(Vw\nI1\nd",
        b"(Vw\nI1\nd\x72\xff\xff\xff\x7f.",  # would reserve memory for 2^31 objects
        b"",
    ],
)
def test_crafted_pickles_are_one_line_errors(tmp_path, crafted):
    path = tmp_path / "crafted.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", crafted)
    assert "must be a sound checkpoint" in refusal(path)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"size": (2, 4)}, "beyond its storage"),
        ({"offset": 1}, "beyond its storage"),
        ({"stride": (4, 1)}, "beyond its storage"),
        ({"offset": 10**30}, "beyond its storage"),
        ({"numel": 7}, "holds 6 numbers of 7"),
        ({"storage": "DoubleStorage"}, "holds 3 numbers of 6"),
        ({"key": "5"}, "storage 5 is missing"),
        ({"offset": -1}, "whole number"),
        ({"stride": (-3, 1)}, "whole number"),
        ({"size": (2, 3, 1)}, "no shape"),
        ({"size": (2**62, 2**62), "stride": (0, 0)}, "too large"),
        ({"size": (1,) * 70, "stride": (0,) * 70}, "too large"),
    ],
)
def test_a_tensor_must_fit_its_storage(tmp_path, record, reason):
    assert reason in refusal(write(tmp_path / "w.pth", state_dict(tensor(**record))))


def test_an_expanded_tensor_costs_nothing_until_it_is_used(tmp_path):
    path = write(tmp_path / "w.pth", state_dict(tensor(size=(10**6, 10**6), stride=(0, 0))))
    assert read_checkpoint(path).arrays["w"].shape == (10**6, 10**6)


def test_a_compressed_storage_is_refused(tmp_path):
    path = write(tmp_path / "w.pth", state_dict(tensor()), {"0": bytes(24)}, compression=zipfile.ZIP_DEFLATED)
    assert "is compressed" in refusal(path)


def test_a_whole_pickled_model_is_refused(tmp_path):
    message = refusal(write(tmp_path / "w.pth", b"ctimm.models.resnet\nResNet\n)R"))
    assert "timm.models.resnet.ResNet" in message
    assert "state_dict()" in message


def test_the_format_before_1_6(tmp_path):
    path = tmp_path / "old.pth"
    path.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.")
    assert "torch.save(torch.load(path, weights_only=True), new_path)" in refusal(path)


@pytest.mark.parametrize("size", [0, 40, -30])
def test_a_truncated_file(tmp_path, size):
    whole = write(tmp_path / "whole.pth", state_dict(tensor())).read_bytes()
    path = tmp_path / "part.pth"
    path.write_bytes(whole[:size])
    assert "download or save it again" in refusal(path)


def test_damaged_bytes(tmp_path):
    path = write(tmp_path / "w.pth", state_dict(tensor()))
    content = path.read_bytes()
    path.write_bytes(content.replace(np.float32(5).tobytes(), np.float32(7).tobytes(), 1))
    assert "CRC" in refusal(path)
