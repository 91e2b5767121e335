"""State dicts in and out: NumPy arrays, and symbols as training made them."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from intact.errors import ArgumentError, CorruptDataError, UnsupportedError
from intact.packing.dtypes import BY_NAME, narrow, widen
from intact.packing.file import WeightsFile
from intact.packing.save import save
from intact.packing.state import Raw, Symbols, load
from tiny_tensors import bell, menagerie

PAIR: Any = [1, 2]


def symbols(shape, seed=0, low=0, high=8):
    return np.random.default_rng(seed).binomial(high - low, 0.5, shape) + low


def test_arrays_come_back_bit_for_bit(tmp_path):
    tensors = {
        name: Raw(t[2], t[0], t[1]) if isinstance(t, tuple) else t
        for name, t in menagerie().items()
    }
    size = save(tensors, tmp_path / "x.intactw", metadata={"a": "b"})
    assert size == (tmp_path / "x.intactw").stat().st_size
    found = load(tmp_path / "x.intactw", raw=True)
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        if isinstance(tensor, Raw):
            assert found[name].tobytes() == tensor.items.tobytes()
            assert found[name].shape == tensor.shape
        else:
            assert found[name].dtype == tensor.dtype
            assert found[name].shape == tensor.shape
            assert found[name].tobytes() == tensor.tobytes()


def test_bfloat16_and_float8_are_float32_unless_they_are_asked_for_raw(tmp_path):
    save(
        {"b": Raw(np.array([0x3F80, 0xC000, 0x7F80], "<u2"), "BF16", (3,)),
         "f": Raw(np.array([0x38, 0xB8, 0x7F, 0x7E], "|u1"), "F8_E4M3", (2, 2))},
        tmp_path / "x.intactw",
    )  # fmt: skip
    found = load(tmp_path / "x.intactw")
    assert found["b"].tolist() == [1.0, -2.0, np.inf]
    assert found["f"].tolist()[0] == [1.0, -1.0]
    assert np.isnan(found["f"][1, 0])
    assert found["f"][1, 1] == 448
    assert load(tmp_path / "x.intactw", ["b"], raw=True)["b"].dtype == np.uint16


@pytest.mark.parametrize("name", ["F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "BF16"])
def test_narrow_floats_are_what_torch_says(name):
    torch = pytest.importorskip("torch")
    kinds = {
        "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "BF16": torch.bfloat16,
        "F8_E4M3FNUZ": torch.float8_e4m3fnuz, "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    }  # fmt: skip
    dtype = BY_NAME[name]
    raw = np.arange(1 << dtype.bits).astype(dtype.raw)
    bits = torch.from_numpy(raw.view(f"i{raw.itemsize}"))
    wanted = bits.view(kinds[name]).float().numpy()
    found = widen(raw, dtype)
    assert found is not None
    assert np.array_equal(found, wanted, equal_nan=True)


def test_rounding_to_bfloat16_is_what_torch_does():
    torch = pytest.importorskip("torch")
    values = np.concatenate(
        [bell(5000), bell(5000, 1, 1e30), [0.0, -0.0, 1 + 2**-8, 1 + 3 * 2**-8]]
    )
    values = values.astype(np.float32)
    wanted = torch.from_numpy(values).bfloat16().view(torch.int16).numpy().view(np.uint16)
    assert np.array_equal(narrow(values, BY_NAME["BF16"]), wanted)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "F64"])
@pytest.mark.parametrize("scales", [None, 0.3, "rows"])
@pytest.mark.parametrize("how", ["step", "centers"])
def test_symbols_are_kept_and_stand_for_the_same_everywhere(tmp_path, dtype, scales, how):
    s = symbols((12, 500), low=0 if how == "centers" else -4)
    rows = np.linspace(0.5, 2, 12).astype(np.float32) if scales == "rows" else scales
    centers = np.linspace(-1, 1, 9).astype(np.float32)
    if how == "step":
        given = Symbols(s, step=0.037, scales=rows, dtype=dtype)
    else:
        given = Symbols(s, centers=centers, scales=rows, dtype=dtype)
    save({"w": given}, tmp_path / "x.intactw")
    wanted = s.astype(np.float32) * np.float32(0.037) if how == "step" else centers[s]
    if rows is not None:
        wanted = wanted * (rows[:, None] if scales == "rows" else np.float32(rows))
    wanted = narrow(wanted, BY_NAME[dtype])
    found = load(tmp_path / "x.intactw", raw=True)["w"]
    assert found.tobytes() == wanted.tobytes()
    file = WeightsFile(tmp_path / "x.intactw")
    assert np.array_equal(file.symbols("w"), s)


@pytest.mark.parametrize("method", ["static", "rows"])
@pytest.mark.parametrize("joint", [False, True])
def test_one_codebook_and_one_row_serve_many_tensors(tmp_path, method, joint):
    centers = bell((9,))
    tensors = {f"w{i}": symbols((50, 100 + i), i) for i in range(5)}
    tensors["small"] = symbols((7,))
    tensors["none"] = symbols((0, 3))
    given = {name: Symbols(s, centers=centers) for name, s in tensors.items()}
    save(given, tmp_path / "x.intactw", method=method, joint=joint)
    file = WeightsFile(tmp_path / "x.intactw")
    assert len(file.index.codebooks) == 1
    assert (len(file.index.blobs) == 1) == joint
    found = load(tmp_path / "x.intactw")
    for name, s in tensors.items():
        assert np.array_equal(found[name], centers[s])
        assert np.array_equal(file.symbols(name), s)


def test_joint_has_a_table_for_a_codebook_for_steps_and_for_steps_of_one_axis(tmp_path):
    def all_of(name, **how):
        shapes = {"wide": (70, 90), "other": (60, 80, 3), "bias": (90,), "scale": (80,)}
        return {f"{name} {n}": Symbols(symbols(s, seed=3), **how) for n, s in shapes.items()}

    tensors = all_of("steps", step=0.5) | all_of("one", centers=bell(9))
    tensors |= all_of("two", centers=bell(10))
    save(tensors, tmp_path / "x.intactw", method="static", joint=True)
    file = WeightsFile(tmp_path / "x.intactw")
    alike: dict[int, set[str]] = {}
    for tensor in file.index.tensors:
        alike.setdefault(tensor.blob, set()).add(tensor.name)
    assert sorted(map(sorted, alike.values())) == [
        ["one bias", "one other", "one scale", "one wide"],
        ["steps bias", "steps scale"],
        ["steps other", "steps wide"],
        ["two bias", "two other", "two scale", "two wide"],
    ]


def test_small_tensors_with_other_steps_and_centers_may_share_a_blob(tmp_path):
    s = symbols((30, 20), low=-4)
    few = symbols((30, 20), high=2)
    tensors = {
        "a": Symbols(s, step=0.5), "b": Symbols(200 * s, step=0.1),
        "c": Symbols(few, centers=[1, 2, 3]), "d": Symbols(few + 2, centers=bell(9)),
    }  # fmt: skip
    for joint in (False, True):
        save(tensors, tmp_path / "x.intactw", joint=joint)
        found = load(tmp_path / "x.intactw")
        assert np.array_equal(found["a"], s.astype(np.float32) * np.float32(0.5))
        assert np.array_equal(found["b"], (200 * s).astype(np.float32) * np.float32(0.1))
        assert np.array_equal(found["c"], few + np.float32(1))
        assert np.array_equal(found["d"], bell(9)[few + 2])


def test_vectors_may_lie_across_two_tensors(tmp_path):
    centers = bell((8, 3))
    row = symbols(10, high=7)  # 30 numbers: 13 of a, 15 of b, 2 of nobody
    tensors = {
        "a": Symbols(row[:5], centers=centers, shape=(13,)),
        "b": Symbols(row[4:10], centers=centers, shape=(3, 5), lead=1, scales=[1, 2, 3]),
    }
    save(tensors, tmp_path / "x.intactw")
    flat = centers[row].reshape(-1)
    found = load(tmp_path / "x.intactw")
    assert np.array_equal(found["a"], flat[:13])
    assert np.array_equal(
        found["b"], flat[13:28].reshape(3, 5) * np.array([[1], [2], [3]], np.float32)
    )


def test_float32_may_be_stored_in_half_of_its_bits(tmp_path):
    tensors = {"w": bell((40, 50)), "n": np.arange(5), "h": bell((3,)).astype(np.float16)}
    for kind in ("F16", "BF16"):
        save(tensors, tmp_path / "x.intactw", narrow_to=kind)
        found = load(tmp_path / "x.intactw")
        assert found["w"].dtype == np.float32
        assert np.abs(found["w"] - tensors["w"]).max() < 2e-3
        assert np.array_equal(found["h"], tensors["h"])
        assert np.array_equal(found["n"], tensors["n"])
    with pytest.raises(ArgumentError, match="too large for F16"):
        save({"w": np.array([1e6], np.float32)}, tmp_path / "x.intactw", narrow_to="F16")


def test_what_is_no_array_yet_is_float32_again_too(tmp_path):
    torch = pytest.importorskip("torch")
    save({"w": torch.tensor([0.1, 2.0])}, tmp_path / "x.intactw", narrow_to="F16")
    found = load(tmp_path / "x.intactw")["w"]
    assert found.dtype == np.float32
    assert found.tolist() == [np.float16(0.1), 2.0]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"a": np.array(["x"])}, "which no file has"),
        ({"a": np.array([None])}, "which no file has"),
        ({"__metadata__": bell(3)}, "cannot be the name"),
        ({"\ud800": bell(3)}, "cannot be the name"),
        ({3: bell(3)}, "cannot be the name"),
        ({"a": Raw(np.zeros(3, np.uint16), "BF17", (3,))}, "dtype 'BF17'"),
        ({"a": Raw(np.zeros(3, np.uint16), "BF16", (4,))}, "do not make"),
        ({"a": Symbols(symbols(9))}, "a step or centers"),
        ({"a": Symbols(symbols(9), step=1, centers=[1])}, "a step or centers"),
        ({"a": Symbols(bell(9), step=1)}, "must be integers"),
        ({"a": Symbols(symbols(9), step=float("inf"))}, "step are not all finite"),
        ({"a": Symbols(symbols(9), centers=[1, float("nan")])}, "not all finite"),
        ({"a": Symbols(symbols(9), centers=[1.0, 2.0])}, "legal: 0 .. 1"),
        ({"a": Symbols(symbols(9), centers=np.zeros((2, 2, 2)))}, "centers have shape"),
        ({"a": Symbols(symbols(9), step=1, scales=[1, 2])}, "2 scales"),
        ({"a": Symbols(symbols(9), step=1, dtype="I8")}, "has no symbols"),
        ({"a": Symbols(symbols(9), step=1, shape=(10,))}, "9 symbols; 10 make"),
        ({"a": Symbols(symbols(9) + (1 << 25), step=1)}, "legal: up to"),
        ({"a": Symbols(symbols(9), step=0)}, "legal: a float32 above 0"),
        ({"a": Symbols(symbols(9), step=-0.5)}, "legal: a float32 above 0"),
        ({"a": Symbols(symbols(9), step=1e-60)}, "legal: a float32 above 0"),
        ({"a": Symbols(symbols(9), step=PAIR)}, "legal: a float32 above 0"),
        ({"a": Symbols(symbols(9), centers=["x"])}, "must be numbers"),
        ({"a": Symbols(symbols(9), step=1, scales="x")}, "must be numbers"),
        ({"a": Symbols(symbols(9), step=1, shape=(-9,))}, "up to 64 sizes, from 0"),
        ({"a": [[1, 2], [3]]}, "is no array"),
        ({"a": Raw(np.array([1.5, 2.5]), "BF16", (2,))}, "items are float64"),
        ({"a": Raw(np.array([300, 2]), "F8_E4M3", (2,))}, "items are int64"),
        ({"a": Raw(np.zeros(1, np.uint16), "BF16", (1,) * 65)}, "up to 64 sizes"),
    ],
)
def test_what_no_file_can_have_is_refused_by_name_and_nothing_is_lost(tmp_path, tensors, message):
    path = tmp_path / "x.intactw"
    path.write_bytes(b"before")
    with pytest.raises(ArgumentError, match=message):
        save(tensors, path)
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["x.intactw"]


@pytest.mark.parametrize("metadata", [{"epoch": 3}, {3: "a"}, {"a": "\ud800"}])
def test_metadata_is_text(tmp_path, metadata):
    with pytest.raises(ArgumentError, match="legal is text to text"):
        save({"w": bell(3)}, tmp_path / "x.intactw", metadata=metadata)


def test_tensors_of_torch_are_taken_as_they_are(tmp_path):
    torch = pytest.importorskip("torch")
    complex_ = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex64)
    tensors = {
        "parameter": torch.nn.Parameter(torch.arange(6.0).reshape(2, 3).t()),
        "bfloat16": torch.arange(4.0).bfloat16(), "conjugate": complex_.conj(),
        "float8": torch.arange(4.0).to(torch.float8_e4m3fn), "none": torch.zeros(0, 4),
        "number": torch.tensor(3.5), "wide": torch.arange(3.0).expand(2, 3),
    }  # fmt: skip
    save(tensors, tmp_path / "x.intactw")
    found = load(tmp_path / "x.intactw")
    for name, tensor in tensors.items():
        wanted = tensor.detach().to(torch.complex64).resolve_conj().numpy()
        assert found[name].shape == tuple(tensor.shape)
        assert np.array_equal(found[name], wanted), name


def test_tensors_of_torch_that_no_file_has_are_named(tmp_path):
    torch = pytest.importorskip("torch")
    lazy = torch.nn.LazyLinear(3).weight
    for tensor, message in (
        (torch.eye(3).to_sparse(), "'w' is torch.sparse_coo"),
        (torch.zeros(3, dtype=torch.complex128), "'w' is .*complex128"),
        (torch.zeros(3, device="meta"), "'w' is on the device meta"),
        (lazy, "'w' has no values yet"),
    ):
        with pytest.raises(UnsupportedError, match=message):
            save({"w": tensor}, tmp_path / "x.intactw")
    with pytest.raises(ArgumentError, match="tensors is a Linear; legal is a mapping"):
        save(torch.nn.Linear(2, 2), tmp_path / "x.intactw")


@pytest.mark.parametrize("threads", [1.5, True, "2", None])
def test_threads_are_an_integer(tmp_path, threads):
    save({"w": bell(3)}, tmp_path / "x")
    with pytest.raises(TypeError, match=r"threads is .*, must be an integer in 0\.\.1024"):
        load(tmp_path / "x", threads=threads)
    with pytest.raises(TypeError, match="threads is"):
        save({}, tmp_path / "y", threads=threads)
    assert not (tmp_path / "y").exists()


def test_options_that_are_none_are_refused(tmp_path):
    save({"w": bell(3)}, tmp_path / "x")
    with pytest.raises(ArgumentError, match="threads is 1025"):
        save({}, tmp_path / "y", threads=1025)
    with pytest.raises(TypeError, match="joint is 'no'"):
        save({}, tmp_path / "y", joint="no")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="raw is 1"):
        load(tmp_path / "x", raw=1)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="metadata is a list"):
        save({}, tmp_path / "y", metadata=["a"])  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="threads is -1"):
        save({}, tmp_path / "y", threads=-1)
    with pytest.raises(ArgumentError, match="threads is -1"):
        load(tmp_path / "x", threads=-1)
    with pytest.raises(ArgumentError, match="names is 'w'"):
        load(tmp_path / "x", "w")
    with pytest.raises(ArgumentError, match="method is 'zip'"):
        save({}, tmp_path / "x", method="zip")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="narrow_to is 'F8'"):
        save({}, tmp_path / "x", narrow_to="F8")


def test_a_tensor_that_is_not_there_is_said(tmp_path):
    save({"w": bell(3)}, tmp_path / "x.intactw")
    with pytest.raises(ArgumentError, match="has no tensor 'v'"):
        load(tmp_path / "x.intactw", ["v"])
    with pytest.raises(ArgumentError, match="kept as it is"):
        WeightsFile(tmp_path / "x.intactw").symbols("w")
    (tmp_path / "y").write_bytes(b"no weights at all, but long enough for a header")
    with pytest.raises(CorruptDataError, match="not an Intact weight file"):
        load(tmp_path / "y")


def test_a_file_that_unpacks_to_more_than_is_wanted_is_refused_before_it_is_unpacked(tmp_path):
    save({"w": np.zeros((1000, 1000), np.float32), "v": bell(9)}, tmp_path / "x.intactw")
    assert (tmp_path / "x.intactw").stat().st_size < 10_000
    with pytest.raises(UnsupportedError, match="4000036 bytes unpacked, max_bytes is 4000035"):
        load(tmp_path / "x.intactw", max_bytes=4_000_035)
    assert load(tmp_path / "x.intactw", ["v"], max_bytes=36)["v"].shape == (9,)


def test_the_limit_counts_arrays_as_they_are_given_and_is_a_number(tmp_path):
    brain = Raw(np.zeros(9, np.uint16), "BF16", (9,))
    save({"w": brain, "f": Raw(np.zeros(4, np.uint8), "F8_E4M3", (4,))}, tmp_path / "x")
    path = tmp_path / "x"
    assert sum(a.nbytes for a in load(path, max_bytes=52).values()) == 52
    with pytest.raises(UnsupportedError, match="52 bytes unpacked, max_bytes is 51"):
        load(path, max_bytes=51)
    assert sum(a.nbytes for a in load(path, raw=True, max_bytes=22).values()) == 22
    for wrong in (-1, float("nan"), "1 GB"):
        with pytest.raises(ArgumentError, match=r"max_bytes is .*legal is a number from 0"):
            load(path, max_bytes=wrong)  # type: ignore[arg-type]


def test_loading_needs_no_torch(tmp_path):
    save({"w": Symbols(symbols((20, 30)), step=0.5)}, tmp_path / "x.intactw")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from intact import weights\n"
        f"assert weights.load({str(tmp_path / 'x.intactw')!r})['w'].shape == (20, 30)\n"
        "assert 'scipy' not in sys.modules and 'safetensors' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
