"""ONNX and Keras files as features: the same numbers as their own libraries make, and nothing in a file is ever run."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from builders import members_of, noise, run
from tolerances import ELSEWHERE, assert_near

from classify import Predictor, train_model
from featurize import BottleheadError, FeatureTable, extract, make_extractor
from featurize.errors import UsageError, WeightsError

pytestmark = pytest.mark.tensorflow
onnx = pytest.importorskip("onnx", reason="pip install '.[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install '.[onnx]'")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

SIDE, PATCH, WIDTH = 32, 8, 16
TOKENS = (SIDE // PATCH) ** 2 + 1
SCALES = "mean=0.485/0.456/0.406,std=0.229/0.224/0.225"


def vision_transformer(batch: int | str = "n", seed: int = 0, **changes) -> "onnx.ModelProto":
    """Patches, a class token, positions, one block of attention and one of perceptron; its output has all tokens."""
    rng = np.random.default_rng(seed)

    def numbers(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    constants = {
        "patches": numbers(WIDTH, 3, PATCH, PATCH),
        "token": numbers(1, 1, WIDTH),
        "positions": numbers(1, TOKENS, WIDTH),
        **{name: numbers(WIDTH, WIDTH) for name in ("query", "key", "value", "out")},
        "wide": numbers(WIDTH, 2 * WIDTH),
        "narrow": numbers(2 * WIDTH, WIDTH),
        "root": np.float32(np.sqrt(WIDTH)),
        "rows": np.array([0, WIDTH, -1]),
        "one": np.array([1, 1, 1]),
        "first": np.array([0]),
        "end": np.array([1]),
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["pixel_values", "patches"], ["area"], strides=[PATCH, PATCH]),
        node("Reshape", ["area", "rows"], ["flat"]),
        node("Transpose", ["flat"], ["some"], perm=[0, 2, 1]),
        node("Shape", ["some"], ["shape"]),
        node("Slice", ["shape", "first", "end"], ["count"]),
        node("Concat", ["count", "end", "end"], ["tiles"], axis=0),
        node("Tile", ["token", "tiles"], ["tokens"]),
        node("Concat", ["tokens", "some"], ["every"], axis=1),
        node("Add", ["every", "positions"], ["x"]),
        *(node("MatMul", ["x", name], [name[0]]) for name in ("query", "key", "value")),
        node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["scores"]),
        node("Div", ["scores", "root"], ["scaled"]),
        node("Softmax", ["scaled"], ["attention"], axis=-1),
        node("MatMul", ["attention", "v"], ["seen"]),
        node("MatMul", ["seen", "out"], ["mixed"]),
        node("Add", ["x", "mixed"], ["y"]),
        node("MatMul", ["y", "wide"], ["hidden"]),
        node("Relu", ["hidden"], ["active"]),
        node("MatMul", ["active", "narrow"], ["z"]),
        node("Add", ["y", "z"], ["last_hidden_state"]),
    ]
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "vit",
        [helper.make_tensor_value_info("pixel_values", floats, [batch, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("last_hidden_state", floats, [batch, TOKENS, WIDTH])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    version = changes.get("opset", 13)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)


@pytest.fixture(scope="module")
def vit(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("vit") / "vit.onnx"
    onnx.save(vision_transformer(), path)
    return path


@pytest.fixture(scope="module")
def pixels() -> list[np.ndarray]:
    return [np.asarray(noise(SIDE, SIDE, seed)) for seed in range(3)]


def tokens_of(path: Path, pixels) -> np.ndarray:
    """What onnxruntime makes of the file itself."""
    scaled = (np.stack(pixels) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"pixel_values": scaled.transpose(0, 3, 1, 2).astype(np.float32)})[0]


POOLED = {
    "": lambda tokens: tokens.mean(axis=1),
    ",pool=max": lambda tokens: tokens.max(axis=1),
    ",pool=class": lambda tokens: tokens[:, 0],
    ",pool=patches": lambda tokens: tokens[:, 1:].mean(axis=1),
}


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("pool", POOLED)
def test_a_vision_transformer_gives_what_onnxruntime_gives(vit, pixels, pool, engine):
    pytest.importorskip(engine)
    extractor = make_extractor(f"{vit}:last_hidden_state,{SCALES}{pool}", engine=engine)
    assert_near(extractor.transform(pixels), POOLED[pool](tokens_of(vit, pixels)), ELSEWHERE)
    assert extractor.width == WIDTH and extractor.description()["engine"] == f"{engine}, frozen"


@pytest.mark.parametrize(("batch", "opset"), [(1, 13), ("n", 18)])
def test_a_fixed_batch_and_a_newer_set_of_operators_change_nothing(tmp_path, vit, pixels, batch, opset):
    onnx.save(vision_transformer(batch, opset=opset), tmp_path / "one.onnx")
    here = make_extractor(f"{tmp_path / 'one.onnx'}:{SCALES}", engine="onnxruntime").transform(pixels)
    assert_near(here, tokens_of(vit, pixels).mean(axis=1), ELSEWHERE)


def test_a_tensor_inside_is_read_and_a_name_that_is_none_is_refused(vit, pixels):
    wide = make_extractor(f"{vit}:active,{SCALES}").transform(pixels)
    assert wide.shape == (3, 2 * WIDTH) and wide.min() >= 0
    for spec, said in (
        (f"{vit}:nothing,{SCALES}", "no output or tensor nothing"),
        (f"{vit}:token,{SCALES}", "token"),
    ):
        with pytest.raises(UsageError, match=said):
            make_extractor(spec).fingerprint()


def test_a_table_of_a_file_predicts_and_the_json_beside_it_may_say_all(vit, pixels, tmp_path):
    shutil.copy(vit, tmp_path / "vit.onnx")
    spec = str(tmp_path / "vit.onnx")
    with pytest.raises(UsageError, match="how pixels are scaled is not known") as raised:
        make_extractor(spec).fingerprint()
    assert "vit.onnx.json" in raised.value.hint and "mean=" in raised.value.hint
    beside = tmp_path / "vit.onnx.json"
    beside.write_text(
        json.dumps({"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "pool": "class"})
    )
    photos = [(rgb, "ab"[number % 2]) for number, rgb in enumerate([*pixels, *(255 - one for one in pixels)])]
    table = extract(photos, spec, store=tmp_path / "store")
    assert_near(table.select("vit")[:3], tokens_of(vit, pixels)[:, 0], ELSEWHERE)
    named = make_extractor(f"{vit}:last_hidden_state,pool=class,{SCALES}")
    assert table.metadata["features"]["vit"]["fingerprint"] == named.fingerprint()
    beside.unlink()  # the table says it now
    model = train_model(table, head="knn:n_neighbors=2")
    found = Predictor(model, store=tmp_path / "other").predict(pixels)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("beside", [
    '{"output": ["a"]}', '{"output": 7}', '{"pool": ["avg"]}', '{"size": "32"}', '{"size": true}', '{"mean": {}}',
    '{"std": [1, 2]}', '{"scaling": 3}', "[]", "{", '{"export": 1, "input": 3, "size": 32}',
    '{"export": 1, "input": {"pixels": []}}', '{"scaling": "tf", "mean": 0.5, "std": 0.5}',
])  # fmt: skip
@pytest.mark.parametrize("kind", ["vit", "keras_file"])
def test_what_stands_beside_a_file_may_be_anything_and_is_one_error(request, tmp_path, kind, beside):
    file = request.getfixturevalue(kind)
    shutil.copy(file, tmp_path)
    (tmp_path / f"{file.name}.json").write_text(beside)
    with pytest.raises(BottleheadError):
        make_extractor(str(tmp_path / file.name)).fingerprint()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("make", ["mkfifo", "mkdir"])
def test_a_pipe_or_a_folder_beside_a_file_is_refused_and_not_waited_for(vit, tmp_path, make):
    shutil.copy(vit, tmp_path / "vit.onnx")
    getattr(os, make)(tmp_path / "vit.onnx.json")
    with pytest.raises(UsageError, match="is no file"):
        make_extractor(f"{tmp_path / 'vit.onnx'}:{SCALES}").fingerprint()


def test_the_file_of_an_export_is_features_too(tmp_path, pixels):
    """Its JSON says the size, and which pixels it takes."""
    shutil.copy(save_vit_as_export(tmp_path), tmp_path / "m.onnx")
    vectors = make_extractor(str(tmp_path / "m.onnx"), engine="onnxruntime").transform(pixels)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    expected = session.run(None, {"input": np.stack(pixels).astype(np.float32)})[0]
    assert_near(vectors, expected, ELSEWHERE)


def save_vit_as_export(folder: Path) -> Path:
    """A network that takes (n, side, side, 3) of 0 to 255, with the JSON that `classify export` writes."""
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["input"], ["means"], axes=[1, 2], keepdims=0),
            helper.make_node("Softmax", ["means"], ["probabilities"]),
        ],
        "export",
        [helper.make_tensor_value_info("input", floats, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("probabilities", floats, ["n", 3])],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "e.onnx"
    )
    about = {"export": 1, "size": SIDE, "input": {"name": "input", "pixels": "RGB, 0 to 255"}}
    about |= {"output": "probabilities", "scaling": "rgb / 127.5 - 1 (inside)"}
    (folder / "m.onnx.json").write_text(json.dumps(about))
    return folder / "e.onnx"


def save_convolution(
    path: Path, *more: "onnx.NodeProto", last: bool = False, kind: str = "FLOAT", side=SIDE
) -> None:
    """A convolution "area" (n, 6, 30, 30) of photos, whose channels are `last` or first, and what follows it."""
    kernel = np.random.default_rng(1).standard_normal((6, 3, 3, 3)).astype(np.float32)
    number = getattr(onnx.TensorProto, kind)
    nodes = [
        helper.make_node("Cast", ["photo"], ["floats"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["first"], perm=[0, 3, 1, 2] if last else [0, 1, 2, 3]),
        helper.make_node("Conv", ["first", "kernel"], ["area"]),
        *more,
    ]
    graph = helper.make_graph(
        nodes,
        "convolution",
        [
            helper.make_tensor_value_info(
                "photo", number, ["n", side, side, 3] if last else ["n", 3, side, side]
            )
        ],
        [helper.make_tensor_value_info("area", onnx.TensorProto.FLOAT, ["n", 6, "high", "wide"])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


MOVED = helper.make_node("Transpose", ["area"], ["moved"], perm=[0, 2, 3, 1])
ACTIVE = helper.make_node("Relu", ["moved"], ["active"])


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("output", ["area", "moved", "active"])
@pytest.mark.parametrize("last", [False, True])
def test_an_area_is_pooled_wherever_a_layer_has_its_channels(tmp_path, pixels, last, output, engine):
    pytest.importorskip(engine)
    save_convolution(tmp_path / "c.onnx", MOVED, ACTIVE, last=last)
    session = onnxruntime.InferenceSession(tmp_path / "c.onnx", providers=["CPUExecutionProvider"])
    batch = np.stack(pixels).astype(np.float32)
    area = session.run(None, {"photo": batch if last else batch.transpose(0, 3, 1, 2)})[0]
    area = np.maximum(area, 0) if output == "active" else area
    for pool, expected in (("avg", area.mean(axis=(2, 3))), ("max", area.max(axis=(2, 3)))):
        spec = f"{tmp_path / 'c.onnx'}:{output},scaling=none,pool={pool}"
        assert_near(make_extractor(spec, engine=engine).transform(pixels), expected, ELSEWHERE)


def test_onnxruntime_tells_nobody_and_leaves_nothing_in_the_cache(tmp_path):
    """Its wheel for Linux makes an identifier of the device, and a file of events to send, when it is imported."""
    save_convolution(tmp_path / "c.onnx")
    code = (
        "import numpy, featurize\n"
        f"one = featurize.make_extractor({str(tmp_path / 'c.onnx')!r} + ':scaling=none', engine='onnxruntime')\n"
        "one.transform([numpy.zeros((9, 9, 3), numpy.uint8)])\n"
    )
    home = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code], env=kept | home, check=True)
    assert not [path for place in home.values() for path in Path(place).rglob("*onnxruntime*")]


def test_an_area_whose_axes_are_not_known_is_refused(tmp_path, pixels):
    shape = helper.make_node("Constant", [], ["shape"], value_ints=[-1, 30, 30, 6])
    save_convolution(tmp_path / "c.onnx", shape, helper.make_node("Reshape", ["area", "shape"], ["again"]))
    with pytest.raises(UsageError, match="which axes of the tensor again") as raised:
        make_extractor(f"{tmp_path / 'c.onnx'}:again,scaling=none").transform(pixels)
    assert "a convolution" in raised.value.hint


def test_whole_numbers_take_pixels_that_are_not_scaled(tmp_path, pixels):
    """Scaled ones would be cut to whole numbers, and a vector of them says nothing."""
    for name, kind in (("f", "FLOAT"), ("u", "UINT8"), ("b", "BOOL")):
        save_convolution(tmp_path / f"{name}.onnx", kind=kind)
    expected = make_extractor(f"{tmp_path / 'f.onnx'}:scaling=none").transform(pixels)
    assert_near(make_extractor(f"{tmp_path / 'u.onnx'}:scaling=none").transform(pixels), expected, ELSEWHERE)
    for scaling in (SCALES, "scaling=tf"):
        with pytest.raises(UsageError, match="takes whole numbers") as raised:
            make_extractor(f"{tmp_path / 'u.onnx'}:{scaling}").fingerprint()
        assert "u.onnx:scaling=none" in raised.value.hint
    with pytest.raises(WeightsError, match="takes BOOL"):
        make_extractor(f"{tmp_path / 'b.onnx'}:scaling=none").fingerprint()


def test_what_openvino_cannot_run_is_said_without_its_sources_and_with_an_engine_that_may(tmp_path, pixels):
    pytest.importorskip("openvino")
    save_convolution(tmp_path / "c.onnx", side="any")
    with pytest.raises(UsageError, match="OpenVINO cannot run this network") as raised:
        make_extractor(f"{tmp_path / 'c.onnx'}:size=1,scaling=none", engine="openvino").transform(pixels)
    assert ".cpp" not in str(raised.value) and "engine onnxruntime" in raised.value.hint


# -- ONNX files that are refused ---


def with_domain(model):
    model.graph.node[-2].domain = "com.evil"
    model.opset_import.append(helper.make_opsetid("com.evil", 1))


def with_random_numbers(model):
    model.graph.node[1].op_type = "RandomNormalLike"
    del model.graph.node[1].input[1:]


def with_custom_operator_in_a_branch(model):
    inner = helper.make_graph([helper.make_node("Run", [], ["r"], domain="com.evil")], "g", [], [])
    model.graph.node.append(helper.make_node("If", ["one"], ["branch"], then_branch=inner, else_branch=inner))


def with_two_inputs(model):
    model.graph.input.append(helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [1]))


def with_no_photo(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4


REFUSED = {
    with_domain: r"an operator of its own, com\.evil\.",
    with_custom_operator_in_a_branch: r"an operator of its own, com\.evil\.Run",
    with_random_numbers: "draws numbers",
    with_two_inputs: "2 inputs",
    with_no_photo: "no RGB photo",
}


@pytest.mark.parametrize("change", REFUSED)
def test_a_file_with_more_than_operators_of_onnx_is_refused(tmp_path, change):
    model = vision_transformer()
    change(model)
    (tmp_path / "bad.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match=REFUSED[change]):
        make_extractor(f"{tmp_path / 'bad.onnx'}:{SCALES}").fingerprint()


@pytest.mark.parametrize(("content", "said"), [
    (b"", "an empty file"), (b"no network", "no ONNX network"), (b"<!DOCTYPE html>", "HTML page"), (b"PK\3\4", "zip"),
])  # fmt: skip
def test_what_is_no_onnx_file_is_named(tmp_path, content, said):
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match=said):
        make_extractor(f"{tmp_path / 'bad.onnx'}:{SCALES}").fingerprint()


def test_half_a_file_is_refused(tmp_path, vit):
    (tmp_path / "bad.onnx").write_bytes(vit.read_bytes()[: vit.stat().st_size // 2])
    with pytest.raises(WeightsError, match="is not used"):
        make_extractor(f"{tmp_path / 'bad.onnx'}:{SCALES}").fingerprint()


@pytest.fixture
def outside(tmp_path) -> Path:
    """A file whose numbers lie beside it."""
    place = tmp_path / "net" / "vit.onnx"
    place.parent.mkdir()
    options = {"save_as_external_data": True, "location": "vit.data", "size_threshold": 0}
    onnx.save(vision_transformer(), place, **options)
    return place


def test_numbers_beside_the_file_are_read_and_are_part_of_the_digest(outside, vit, pixels):
    spec = f"{outside}:{SCALES}"
    extractor = make_extractor(spec, engine="onnxruntime")
    assert_near(extractor.transform(pixels), tokens_of(vit, pixels).mean(axis=1), ELSEWHERE)
    before, data = extractor.fingerprint(), outside.with_name("vit.data")
    changed = bytearray(data.read_bytes())
    changed[4] ^= 1
    data.write_bytes(changed)
    assert make_extractor(spec, engine="onnxruntime").fingerprint() != before


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/passwd", "a/../../secret", "..\\secret", "link", "gone", ""]
)
def test_numbers_outside_the_folder_are_refused(outside, location):
    (outside.parent.parent / "secret").write_bytes(bytes(1 << 16))
    (outside.parent / "link").symlink_to(outside.parent.parent / "secret")
    model = onnx.load(outside, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    outside.write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match="its external data"):
        make_extractor(f"{outside}:{SCALES}").fingerprint()


@pytest.mark.parametrize(
    ("key", "value"), [("length", "9"), ("offset", "-4"), ("offset", "99999999"), ("length", "x")]
)
def test_numbers_that_are_not_there_are_refused(outside, key, value):
    model = onnx.load(outside, load_external_data=False)
    entries = {entry.key: entry for entry in model.graph.initializer[0].external_data}
    if key in entries:
        entries[key].value = value
    else:
        model.graph.initializer[0].external_data.add(key=key, value=value)
    outside.write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match="external data"):
        make_extractor(f"{outside}:{SCALES}").fingerprint()


@pytest.mark.parametrize(("given", "said"), [
    ("mean=0.5/0.5,std=1", "mean"), ("mean=0.5,std=0", "std"), ("scaling=torch,mean=1,std=1", "together"),
    ("scaling=half", "scaling 'half'"), (f"{SCALES},size=64", "takes 32 pixels"),
    (f"{SCALES},pool=last", "pool 'last'"),
    (f"{SCALES},engine=tensorflow", "does not run FILE.onnx"), (f"{SCALES},colour=1", "no parameter colour"),
])  # fmt: skip
def test_settings_that_do_not_fit_are_one_error(vit, given, said):
    with pytest.raises(BottleheadError, match=said):
        make_extractor(f"{vit}:{given}").fingerprint()


def test_the_command_takes_a_file_and_refuses_one_in_two_lines(vit, tmp_path):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    noise(40, 30).save(tmp_path / "photos" / "a" / "1.png")
    words = [
        "featurize",
        "extract",
        tmp_path / "photos",
        "-o",
        tmp_path / "t.parquet",
        "--store",
        tmp_path / "s",
    ]
    done = run(*words, "--features", f"{vit}:{SCALES}")
    assert done.status == 0 and FeatureTable.read(tmp_path / "t.parquet").select("vit").shape == (1, WIDTH)
    done = run(*words, "--features", f"{vit}:{SCALES}", "--engine", "onnxruntime")
    assert done.status == 0
    features = FeatureTable.read(tmp_path / "t.parquet").metadata["features"]["vit"]
    assert features["description"]["engine"] == "onnxruntime, frozen"
    done = run(*words, "--features", f"{tmp_path / 'gone.onnx'}:{SCALES}")
    assert done.status == 1 and "there is no network" in done.error and ".onnx" in done.hint


# -- Keras files ---


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory) -> Path:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    photo = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="early")(photo)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu", name="late")(x))
    path = tmp_path_factory.mktemp("keras") / "mine.keras"
    keras.Model(photo, layers.Dense(5, name="last")(x)).save(path)
    return path


def test_a_keras_file_gives_what_keras_gives_also_at_a_layer_within(keras_file, pixels):
    import keras

    model = keras.saving.load_model(keras_file)
    batch = np.stack(pixels).astype(np.float32) / 127.5 - 1
    expected = model.predict(batch, verbose=0)
    assert_near(make_extractor(f"{keras_file}:scaling=tf").transform(pixels), expected, ELSEWHERE)
    early = keras.Model(model.input, model.get_layer("early").output).predict(batch, verbose=0)
    for pool, expected in (("avg", early.mean(axis=(1, 2))), ("max", early.max(axis=(1, 2)))):
        spec = f"{keras_file}:early,scaling=tf,pool={pool}"
        assert_near(make_extractor(spec).transform(pixels), expected, ELSEWHERE)
    with pytest.raises(UsageError, match="no layer nothing"):
        make_extractor(f"{keras_file}:nothing,scaling=tf").transform(pixels)


def own_loss(true, predicted):
    return (true - predicted) ** 2


def test_a_trained_keras_file_with_a_preparation_of_its_own_gives_what_keras_gives(tmp_path, pixels):
    """As Keras' own guide to transfer learning builds it: arithmetic on the photo, then compiled and fitted."""
    import keras
    from keras import layers

    photo = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, activation="relu")(photo / 127.5 - 1)
    model = keras.Model(photo, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    model.compile("adam", loss=own_loss, metrics=["mae"])
    batch = np.stack(pixels).astype(np.float32)
    model.fit(batch, np.zeros((len(pixels), 2)), verbose=0)
    model.save(tmp_path / "trained.keras")
    vectors = make_extractor(f"{tmp_path / 'trained.keras'}:scaling=none").transform(pixels)
    assert_near(vectors, model.predict(batch, verbose=0), ELSEWHERE)


def changed(path: Path, place: Path, change, **members: bytes) -> Path:
    parts = members_of(path)
    config = json.loads(parts["config.json"])
    change(config)
    with zipfile.ZipFile(place, "w") as archive:
        for name, data in {**parts, "config.json": json.dumps(config).encode(), **members}.items():
            archive.writestr(name, data)
    return place


def as_lambda(config):
    layer = config["config"]["layers"][1]
    layer |= {"class_name": "Lambda", "module": "keras.layers"}


def as_class_of_os(config):
    config["config"]["layers"][1] |= {"class_name": "system", "module": "os", "registered_name": None}


def as_function(config):
    layer = config["config"]["layers"][1]["config"]
    layer["activation"] = {
        "module": "builtins",
        "class_name": "function",
        "config": "eval",
        "registered_name": "function",
    }


def as_custom(config):
    config["config"]["layers"][1] |= {"registered_name": "mine>Layer"}


def as_lookup(config):
    config["config"]["layers"][1] |= {"class_name": "StringLookup", "module": "keras.layers"}


def as_base_of_a_lookup(config):
    module = "keras.src.layers.preprocessing.index_lookup"
    config["config"]["layers"][1] |= {"class_name": "IndexLookup", "module": module}


def as_dotted_name(config):
    config["config"]["layers"][1] |= {"class_name": "layers.Lambda", "module": "keras"}


def as_list(config):
    config["config"]["layers"][1] |= {"class_name": ["Conv2D"]}


def as_function_that_loads(config):
    function = {"module": "keras.models", "class_name": "function", "config": "load_model"}
    config["config"]["layers"][1]["config"]["activation"] = {**function, "registered_name": "function"}


def as_lambda_of_a_trained_model_within(config):
    config["config"]["layers"][1]["compile_config"] = {"loss": {"class_name": "__lambda__", "config": {}}}


@pytest.mark.parametrize(("change", "said"), [
    (as_base_of_a_lookup, "IndexLookup"), (as_dotted_name, "'layers.Lambda' has no name of a class"),
    (as_list, "has no name of a class"), (as_function_that_loads, r"function \(keras\.models\)"),
    (as_lambda_of_a_trained_model_within, "__lambda__"), (as_lambda, "Lambda"),
    (as_class_of_os, r"system \(os\)"), (as_function, r"function \(builtins\)"),
    (as_custom, "mine>Layer"), (as_lookup, "StringLookup"),
])  # fmt: skip
def test_what_is_no_layer_of_keras_is_refused_before_keras_sees_it(
    keras_file, tmp_path, monkeypatch, change, said
):
    import keras

    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("loaded"))
    bad = changed(keras_file, tmp_path / "bad.keras", change)
    with pytest.raises(WeightsError, match=said):
        make_extractor(f"{bad}:scaling=tf").transform([np.zeros((8, 8, 3), np.uint8)])


@pytest.mark.parametrize("shape", [[None, [1], [1], 3], [None, {}, 32, 3], [None, None, 32, 3]])
def test_a_keras_file_whose_side_is_no_number_asks_for_it(keras_file, tmp_path, shape):
    def change(config):
        config["config"]["layers"][0]["config"]["batch_shape"] = shape

    bad = changed(keras_file, tmp_path / "bad.keras", change)
    with pytest.raises(UsageError, match="any size"):
        make_extractor(f"{bad}:scaling=tf").fingerprint()


def test_damaged_and_foreign_keras_files_are_refused(keras_file, tmp_path):
    whole = keras_file.read_bytes()
    for number, (content, said) in enumerate(
        [(b"", "empty"), (whole[: len(whole) // 2], "damaged"), (b"\x89HDF\r\n\x1a\n", "HDF5 file")]
    ):
        bad = tmp_path / f"{number}.keras"
        bad.write_bytes(content)
        with pytest.raises(WeightsError, match=said):
            make_extractor(f"{bad}:scaling=tf").fingerprint()
    for name, members in (("a", {"assets/run.py": b""}), ("b", {"model.weights.h5": b"no HDF5"})):
        bad = changed(keras_file, tmp_path / f"{name}.keras", lambda config: None, **members)
        with pytest.raises(WeightsError, match="is not used"):
            make_extractor(f"{bad}:scaling=tf").fingerprint()
