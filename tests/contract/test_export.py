"""Models that leave: each file is run here by its own library, and says what the model says."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import made_table, run, separable_table, write_photos
from PIL import Image

from classify import export_model, load_model, predict_images, save_model, train_model
from featurize import BottleheadError, FrozenGraph, extract

EXAMPLES = Path(__file__).parents[2] / "examples"
SIDE = 128
PLAIN = [
    "softmax",
    "svm:C=10",
    "linear-svm",
    "mlp:max_iter=200",
    "lda",
    "svm:kernel=poly",
    "svm:kernel=sigmoid",
]


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- the head alone: no network runs ---


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("spec", PLAIN)
@pytest.mark.parametrize("labels", [("ant", "bee"), ("ant", "bee", "cat", "dog")])
def test_the_reader_in_the_examples_says_what_the_model_says(spec, labels, tmp_path):
    table = made_table(60, labels)
    model = train_model(table, spec, "good+noise")
    about = export_model(model, tmp_path / "head.npz")
    X = table.select("good+noise")
    with np.load(tmp_path / "head.npz") as arrays:  # without pickle
        head = dict(arrays)
    found = example("numpy_head").probabilities(head, X.astype(np.float64))
    np.testing.assert_allclose(found, model.predict_proba(X), rtol=0, atol=1e-6)
    assert head["labels"].tolist() == model.labels and str(head["features"]) == "good+noise"
    assert about == json.loads((tmp_path / "head.npz.json").read_text())
    assert about["check"]["pixels"]["labels"] == about["check"]["pixels"]["photos"] == 16


def test_roots_and_an_operating_point_are_in_the_head(tmp_path):
    table = separable_table()  # "wide" is scaled by its root, "noise" is not
    model = train_model(table, "svm", "wide+noise", positive="bee", threshold="recall=0.9")
    export_model(model, tmp_path / "head.npz")
    with np.load(tmp_path / "head.npz") as arrays:
        head = dict(arrays)
    assert head["root"].tolist() == [True] * 40 + [False] * 3
    assert str(head["positive"]) == "bee" and float(head["threshold"]) == model.operating_point.threshold
    X = table.select("wide+noise")
    found = example("numpy_head").probabilities(head, X.astype(np.float64))
    np.testing.assert_allclose(found, model.predict_proba(X), rtol=0, atol=1e-6)
    shown = run("classify", "show", tmp_path / "head.npz").out
    assert "bee from probability" in shown and "wide+noise, 43 numbers" in shown


def test_the_same_model_gives_the_same_head(tmp_path):
    model = train_model(made_table(), "softmax", "good")
    for name in ("a.npz", "b.npz"):
        export_model(model, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("head", "name", "options", "error", "hint"),
    [
        ("random-forest:n_estimators=5", "m.npz", {}, "random-forest.* cannot be written", "softmax, svm, linear-svm"),
        ("softmax", "m.tflite", {}, r"\.tflite cannot express .*no network", "HEAD.npz"),
        ("softmax", "m.h5", {}, r"\.h5 of .* is no format", r"\.npz, \.onnx, \.pb, \.tflite, \.xml, or a folder"),
        ("softmax", "m.onnx", {"precision": "int8"}, r"int8 is for \.tflite", "leave out"),
        ("softmax", "m.tflite", {"precision": "int8"}, "int8 needs photos", "--check"),
        ("softmax", "m.tflite", {"precision": "int4"}, "int4", "float32, float16, int8"),
        ("softmax", ".npz", {}, "an ending without a name", r"model\.npz"),
        ("softmax", "m.pb", {}, r"\.pb cannot express .*no network", "HEAD.npz.*vectors made elsewhere"),
        ("softmax", "nowhere/m.npz", {}, "there is no folder", "make it first"),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_one_error(head, name, options, error, hint, tmp_path, exporters):
    model = train_model(made_table(), head, "good")
    with pytest.raises(BottleheadError, match=error) as caught:
        export_model(model, tmp_path / name, **options)
    assert caught.match(hint)
    assert not list(tmp_path.iterdir())


def test_features_of_no_network_and_several_at_once_leave_by_their_head(tmp_path):
    photos = write_photos(tmp_path / "photos", ["fern/1.png", "fern/2.png", "moss/3.png", "moss/4.png"])
    table = extract(photos, ["color", "lbp"], store=tmp_path / "store")
    model = train_model(table, "softmax", "color+lbp")
    save_model(model, tmp_path / "m.model")
    words = ["classify", "export", tmp_path / "m.model", "--store", tmp_path / "store"]
    outcome = run(*words, "-o", tmp_path / "m.pb")
    assert "cannot express several features at once: color+lbp" in outcome.error
    assert "featurize extract PHOTOS -o VECTORS.parquet --like MODEL" in outcome.hint
    outcome = run(*words, "-o", tmp_path / "m.npz", "--check", photos)
    assert (
        outcome.status == 0
        and outcome.out == "vectors       4 of 4 labels agree; largest difference of a probability 0\n"
    )
    # And the vectors are made as it says.
    made = tmp_path / "v.npz"
    words = ["--like", tmp_path / "m.model", "--store", tmp_path / "store"]
    assert run("featurize", "extract", photos, "-o", made, *words).status == 0
    table = type(table).read(made)
    reader = [sys.executable, EXAMPLES / "numpy_head.py", tmp_path / "m.npz", made]
    printed = subprocess.check_output(reader, text=True).splitlines()
    expected = zip(table.image, model.predict(table.select("color+lbp")), strict=True)
    assert [line.split()[:2] for line in printed] == [list(one) for one in expected]


@pytest.mark.parametrize("name", ["t.parquet", "m.model", "photo.png", "notes.txt"])
def test_an_export_replaces_no_file_of_another_kind(name, tmp_path):
    table = made_table()
    table.write(tmp_path / "t.parquet")
    model = train_model(table, "softmax", "good")
    save_model(model, tmp_path / "m.model")
    write_photos(tmp_path, ["photo.png"])
    (tmp_path / "notes.txt").write_text("Nothing yet.\n")
    there = (tmp_path / name).rename(tmp_path / "there.npz")
    before = there.read_bytes()
    with pytest.raises(BottleheadError, match="would replace it"):
        export_model(model, there)
    assert there.read_bytes() == before and not (tmp_path / "there.npz.json").exists()
    there.unlink()
    export_model(model, there)
    export_model(model, there)  # its own kind


def test_a_device_is_no_folder_to_export_to():
    with pytest.raises(BottleheadError, match="/dev/stdout is no folder"):
        export_model(train_model(made_table(), "softmax", "good"), "/dev/stdout")


def test_a_folder_is_replaced_only_if_it_is_an_export(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("Dear all")
    with pytest.raises(BottleheadError, match="mine is a folder that no export made"):
        export_model(train_model(made_table(), "softmax", "good"), tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "Dear all"


# -- with the network ---


@pytest.fixture(scope="module")
def place(assets, tmp_path_factory):
    """A model of real photos on a real network, and the photos: thirty, of which the first ten have a folder."""
    place = tmp_path_factory.mktemp("exports")
    for label in ("daisy", "dandelion", "roses", "sunflowers", "tulips"):
        (place / "photos" / label).mkdir(parents=True)
        (place / "few" / label).mkdir(parents=True)
        for number, photo in enumerate(sorted((assets / "data" / "flowers" / label).glob("*.jpg"))[:6]):
            shutil.copy(photo, place / "photos" / label)
            if number < 2:
                shutil.copy(photo, place / "few" / label)
    network = FrozenGraph(assets / "weights" / "mobilenet_v1_0.25_128.pb")
    table = extract(place / "photos", [network], store=place / "store")
    save_model(train_model(table, "svm", positive="roses", threshold="recall=0.9"), place / "m.model")
    return place


@pytest.fixture(scope="module")
def pixels(place):
    """Ten photos of the size of the network, and what the model says of them."""
    folder = place / "pixels"
    folder.mkdir()
    for number, photo in enumerate(sorted((place / "few").glob("*/*.jpg"))):
        image = Image.open(photo).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        Image.fromarray(np.asarray(image)).save(folder / f"{number}.png")
    files = sorted(folder.iterdir())
    expected = predict_images(load_model(place / "m.model"), files, store=place / "store")
    rgb = np.stack([np.asarray(Image.open(file)) for file in files]).astype(np.float32)
    return rgb, expected


def run_graph(path, rgb):
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        (result,) = tf.import_graph_def(definition, return_elements=["final_result:0"], name="")
        return session.run(result, {"input:0": (rgb - 127.5) / 127.5})


def run_saved_model(path, rgb):
    import tensorflow as tf

    answer = tf.saved_model.load(str(path)).signatures["serving_default"](tf.constant(rgb))
    given = [label.decode() for label in answer["label"].numpy()]
    return answer["probabilities"].numpy(), given


def run_litert(path, rgb):
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=str(path)).get_signature_runner()
    return np.concatenate([run(input=one[None])["probabilities"] for one in rgb])


def run_onnx(path, rgb):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"input": rgb})[0]


def run_openvino(path, rgb):
    import openvino

    # Where the processor has bfloat16, OpenVINO computes in that unless it is told not to.
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled({"input": rgb})["probabilities"]


FORMATS = [
    ("g.pb", "float32", run_graph, 1e-5),
    ("saved/", "float32", run_saved_model, 1e-5),
    ("m.tflite", "float32", run_litert, 1e-5),
    ("f16.tflite", "float16", run_litert, 0.04),
    ("i8.tflite", "int8", run_litert, 0.2),
    ("m.onnx", "float32", run_onnx, 1e-5),
    ("m.xml", "float32", run_openvino, 1e-5),
]


@pytest.mark.tensorflow
@pytest.mark.parametrize(("name", "precision", "answer", "limit"), FORMATS, ids=[one[0] for one in FORMATS])
def test_a_written_file_says_what_the_model_says(
    name, precision, answer, limit, place, pixels, exporters, openvino
):
    rgb, expected = pixels
    words = [
        "-o",
        f"{place / name}{'/' * name.endswith('/')}",
        "--precision",
        precision,
        "--check",
        place / "few",
    ]
    outcome = run("classify", "export", place / "m.model", *words, "--store", place / "store")
    assert outcome.status == 0, outcome.err
    found = answer(place / name, rgb)
    if isinstance(found, tuple):
        found, given = found
        assert given == expected.label  # by the operating point
    np.testing.assert_allclose(found, expected.probabilities, rtol=0, atol=limit)
    about = json.loads(
        (place / name / "export.json" if name == "saved/" else place / f"{name}.json").read_text()
    )
    agreed = about["check"]["pixels"]
    assert agreed["labels"] == agreed["photos"] == 10
    assert agreed["difference"] <= limit and about["forced"] is None
    if precision == "float32":
        assert about["check"]["photos"]["difference"] <= 0.02
    assert about["labels"] == expected.labels and about["operating_point"]["positive"] == "roses"
    shown = run("classify", "show", place / name).out
    assert f"{about['operations']} operations" in shown and "changed" not in shown
    assert outcome.out.splitlines()[0].strip() in shown
    assert not list(place.glob(".partial-*"))
    if name == "saved/":
        outcome = run("classify", "show", place / name / "saved_model.pb")
        assert "is a part of an export" in outcome.error and "saved" in outcome.hint
    if name == "g.pb":  # it takes scaled pixels, unlike the others
        assert about["scaling"].startswith(f"{about['input']['pixels']} before it enters")


@pytest.mark.tensorflow
@pytest.mark.parametrize("ending", ["tflite", "onnx"])
def test_the_labelling_scripts_name_what_the_model_names(ending, place, exporters):
    if not (place / f"m.{ending}").exists():
        export_model(load_model(place / "m.model"), place / f"m.{ending}", store=place / "store")
    photos = sorted((place / "few").glob("*/*.jpg"))[:3]
    script = EXAMPLES / f"label_image_{ending}.py"
    printed = subprocess.check_output(
        [sys.executable, script, place / f"m.{ending}", *photos], text=True, stderr=subprocess.DEVNULL
    ).splitlines()
    expected = predict_images(load_model(place / "m.model"), photos, store=place / "store")
    for row, photo in enumerate(photos):
        lines = [line.split()[-2:] for line in printed if line.startswith(f"{photo} ")]
        probabilities = dict(zip(expected.labels, expected.probabilities[row], strict=True))
        assert {label for label, _ in lines} == set(expected.labels)
        for label, probability in lines:
            assert float(probability) == pytest.approx(probabilities[label], abs=0.02)


@pytest.mark.tensorflow
def test_a_retrained_graph_comes_back_as_it_went(assets, place, pixels):
    weights, rgb = assets / "weights", pixels[0]
    graph, labels = weights / "poets_retrained_graph.pb", weights / "poets_retrained_labels.txt"
    first, second = place / "first.model", place / "second.model"
    assert run("classify", "import-graph", graph, labels, "-o", first).status == 0
    words = ["-o", place / "again.pb", "--store", place / "store", "--check", place / "few"]
    assert run("classify", "export", first, *words).status == 0
    again, names = place / "again.pb", place / "again.labels.txt"
    assert run("classify", "import-graph", again, names, "-o", second).status == 0
    photos = sorted((place / "few").glob("*/*.jpg"))
    one, other = (predict_images(load_model(path), photos, store=place / "store") for path in (first, second))
    assert one.labels == other.labels == names.read_text().splitlines()
    np.testing.assert_allclose(other.probabilities, one.probabilities, rtol=0, atol=1e-5)
    order = [labels.read_text().splitlines().index(label) for label in one.labels]
    for one in rgb[:2, None]:  # retrain.py's graph takes one photo at a time
        np.testing.assert_allclose(run_graph(again, one), run_graph(graph, one)[:, order], rtol=0, atol=1e-5)


@pytest.mark.tensorflow
def test_an_export_that_disagrees_is_written_by_force_alone(place, tmp_path):
    # Over white here, and cut off by who just converts to RGB: another photo.
    clear = np.zeros((200, 200, 4), dtype=np.uint8)
    clear[::7, :, 0] = 255
    (tmp_path / "clear").mkdir()
    Image.fromarray(clear).save(tmp_path / "clear" / "1.png")
    words = ["classify", "export", place / "m.model", "-o", tmp_path / "g.pb", "--store", place / "store"]
    words += ["--check", tmp_path / "clear"]
    outcome = run(*words)
    assert "g.pb is not written: on whole photos its probabilities differ" in outcome.error
    assert [path.name for path in tmp_path.iterdir()] == ["clear"]
    outcome = run(*words, "--force")
    assert outcome.status == 0 and "written by force" in outcome.err
    assert "on whole photos" in json.loads((tmp_path / "g.pb.json").read_text())["forced"]
    assert "written by force: on whole photos" in run("classify", "show", tmp_path / "g.pb").out
