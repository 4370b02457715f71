"""A graph that retrain.py trained, as a model: the probabilities that the graph itself gives."""

import shutil

import numpy as np
import pytest
from builders import run
from tolerances import PROBABILITIES

from classify import load_model, predict_images

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def files(assets):
    return assets / "weights" / "poets_retrained_graph.pb", assets / "weights" / "poets_retrained_labels.txt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


def imported(graph, labels, output, *options):
    outcome = run("classify", "import-graph", graph, labels, "-o", output, *options)
    assert outcome.status == 0, outcome.err
    return load_model(output)


@pytest.fixture(scope="module")
def model(files, folder):
    return imported(*files, folder / "m.model")


def label_image(graph, photo):
    """Softmax of one photo as TensorFlow's label_image.py printed it, in the order of the graph."""
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString(graph.read_bytes())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        (result,) = tf.import_graph_def(definition, return_elements=["final_result:0"], name="")
        image = tf.expand_dims(tf.cast(tf.image.decode_jpeg(photo.read_bytes(), channels=3), tf.float32), 0)
        resized = tf.compat.v1.image.resize_bilinear(image, [128, 128])
        pixels = session.run(tf.divide(tf.subtract(resized, [127.5]), [127.5]))
        return session.run(result, {"input:0": pixels})[0]


def test_the_model_gives_the_probabilities_of_its_graph_also_moved(model, files, assets, folder, tmp_path):
    photos = sorted((assets / "data" / "flowers").glob("*/*.jpg"))[::250]
    found = predict_images(model, photos, store=folder / "store")
    names = files[1].read_text().splitlines()
    assert found.labels == sorted(names)
    order = [names.index(label) for label in found.labels]
    expected = np.stack([label_image(files[0], photo)[order] for photo in photos])
    np.testing.assert_allclose(found.probabilities, expected, rtol=0, atol=PROBABILITIES)
    imported(shutil.copy(files[0], tmp_path / "there.pb"), files[1], tmp_path / "m.model")
    moved = (tmp_path / "there.pb").rename(tmp_path / "another name.pb")
    words = ["classify", "predict", tmp_path / "m.model", *photos, "--store", tmp_path / "two"]
    outcome = run(*words, "--weights", moved, "--format", "csv", "--top", "0")
    again = [line.split(",")[4:] for line in outcome.out.splitlines()[1:]]
    np.testing.assert_allclose(np.array(again, float), expected, rtol=0, atol=PROBABILITIES)


def test_the_model_is_tested_on_a_table_that_says_how_it_was_made(model, files, assets, folder, tmp_path):
    for label, source in (("61326 ok front", "daisy"), ("61326 thinning", "roses")):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for file in sorted((assets / "data" / "flowers" / source).glob("*.jpg"))[:3]:
            shutil.copy(file, tmp_path / "photos" / label)
    words = ["--features", files[0], "--parity", "retrain", "--store", folder / "store"]
    table = tmp_path / "t.parquet"
    assert run("featurize", "extract", tmp_path / "photos", "-o", table, *words).status == 0
    assert run("evaluate", "test", folder / "m.model", table, "--json", tmp_path / "r.json").status == 0
    assert "accuracy" in (tmp_path / "r.json").read_text()
    shown = run("classify", "show", folder / "m.model").out
    assert "61326 ok front\n" in shown and "training photo" not in shown.split("training\n")[0]


def changed(files, folder, change):
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString(files[0].read_bytes())
    change({node.name: node for node in definition.node}, definition)
    path = folder / "changed.pb"
    path.write_bytes(definition.SerializeToString())
    return path


def test_a_graph_that_would_write_a_file_is_never_run(files, tmp_path):
    import tensorflow as tf

    def write_a_file(nodes, definition):
        with tf.Graph().as_default() as graph:
            tf.io.write_file(str(tmp_path / "written"), "text", name="writing")
        definition.node.extend(graph.as_graph_def().node)
        nodes["MobilenetV1/Predictions/Reshape"].input.append("^writing")

    path = changed(files, tmp_path, write_a_file)
    outcome = run("classify", "import-graph", path, files[1], "-o", tmp_path / "m.model")
    assert "changed.pb is not used" in outcome.error
    assert "writing is the operation WriteFile" in outcome.error
    assert "nothing of it was run" in outcome.hint
    assert not (tmp_path / "written").exists() and not (tmp_path / "m.model").exists()


@pytest.mark.parametrize(
    ("name", "values", "error"),
    [
        ("biases/final_biases", [0, 0, np.nan, 0, 0, 0], "not finite"),
        ("weights/final_weights", np.zeros((10, 6)), "1001 and 10"),
    ],
)
def test_a_trained_layer_that_is_not_finite_or_does_not_fit_is_refused(name, values, error, files, tmp_path):
    import tensorflow as tf

    def change(nodes, definition):
        proto = tf.make_tensor_proto(np.asarray(values, np.float32))
        nodes[f"final_training_ops/{name}"].attr["value"].tensor.CopyFrom(proto)

    graph = changed(files, tmp_path, change)
    assert error in run("classify", "import-graph", graph, files[1], "-o", tmp_path / "m").error


def test_the_command_takes_what_a_graph_has_to_be_told_and_refuses_what_does_not_fit(files, assets, tmp_path):
    graph, labels = files
    (tmp_path / "few.txt").write_text("a\nb\n")
    (tmp_path / "twice.txt").write_text("a\n\na\n")
    for words, error in {
        (graph, tmp_path / "few.txt"): "few.txt holds 2 labels, and ",
        (graph, tmp_path / "twice.txt"): "names a twice, in line 1 and again in line 3",
        (assets / "weights" / "mobilenet_v1_0.25_128.pb", labels): "holds no layer",
        (graph, tmp_path / "none.txt"): "there is no labels file",
        (graph, labels, "--graph-std", "nan"): "std nan",
    }.items():
        outcome = run("classify", "import-graph", *words, "-o", tmp_path / "m.model")
        assert outcome.status == 1 and error in outcome.error
        assert not (tmp_path / "m.model").exists()
    model = imported(*files, tmp_path / "m.model", "--graph-size", "160", "--graph-mean", "100")
    settings = model.described["poets_retrained_graph"]["description"]
    assert settings["scaling"] == "(rgb - 100) / 127.5" and settings["resize"].startswith("160x160")


@pytest.mark.parametrize("dtype", [0, 3, 7, 19, 20, 21, 22, 999])
def test_a_constant_of_two_types_is_refused_before_tensorflow_sees_it(files, tmp_path, dtype):
    """TensorFlow ends the whole process at some of them, such as 22, whole numbers without a sign."""

    def make_two(nodes, definition):
        name = "MobilenetV1/MobilenetV1/Conv2d_8_pointwise/BatchNorm/batchnorm/add/y"
        nodes[name].attr["value"].tensor.dtype = dtype

    path = changed(files, tmp_path, make_two)
    outcome = run("classify", "import-graph", path, files[1], "-o", tmp_path / "m.model")
    assert outcome.status == 1 and "batchnorm/add/y is of two types" in outcome.error
