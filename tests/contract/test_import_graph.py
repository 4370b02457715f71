"""A graph that retrain.py trained, as a model: the probabilities that the graph itself gives."""

import numpy as np
import pytest

from classify.graphs import import_graph
from classify.persist import load_model, save_model
from featurize import BottleheadError

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def files(assets):
    return assets / "weights" / "poets_retrained_graph.pb", assets / "weights" / "poets_retrained_labels.txt"


@pytest.fixture(scope="module")
def photos(assets):
    return sorted((assets / "data" / "flowers").glob("*/*.jpg"))[::100]


@pytest.fixture(scope="module")
def model(files):
    return import_graph(*files)


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


def test_the_saved_model_gives_the_graphs_own_probabilities(model, files, photos, tmp_path):
    from featurize import extract
    from featurize.extractors import extractor_from_metadata

    save_model(model, tmp_path / "m.model")
    loaded = load_model(tmp_path / "m.model")
    extractor = extractor_from_metadata(loaded.described[loaded.features])
    table = extract(photos, [extractor], store=tmp_path / "store")
    loaded.check_table(table)
    given = loaded.predict_proba(table.select(loaded.features))
    names = files[1].read_text().splitlines()
    order = [names.index(label) for label in loaded.labels]
    expected = np.stack([label_image(files[0], photo)[order] for photo in photos])
    np.testing.assert_allclose(given, expected, atol=2e-6)


def test_labels_are_sorted_with_their_weights_also_when_there_are_two():
    from classify.graphs import _head

    rng = np.random.default_rng(0)
    for names in (["rose", "daisy"], ["c", "a", "b"]):
        weights, biases = rng.normal(size=(4, len(names))), rng.normal(size=len(names))
        x = rng.normal(size=(5, 4))
        scores = np.exp(x @ weights + biases)
        expected = scores / scores.sum(axis=1, keepdims=True)
        head = _head(weights, biases, names)
        assert list(head.classes_) == sorted(names)
        given = head.predict_proba(x)
        np.testing.assert_allclose(given, expected[:, np.argsort(names)], rtol=1e-12)
        assert list(head.predict(x)) == [names[i] for i in expected.argmax(axis=1)]


def test_what_does_not_fit_is_refused(files, assets, tmp_path):
    graph, labels = files
    (tmp_path / "few.txt").write_text("a\nb\n")
    with pytest.raises(BottleheadError, match=r"few.txt holds 2 labels, and .* tells 6 apart"):
        import_graph(graph, tmp_path / "few.txt")
    (tmp_path / "twice.txt").write_text("a\na\n")
    with pytest.raises(BottleheadError, match="names a twice"):
        import_graph(graph, tmp_path / "twice.txt")
    with pytest.raises(BottleheadError, match="holds no layer"):
        import_graph(assets / "weights" / "mobilenet_v1_0.25_128.pb", labels)
    with pytest.raises(BottleheadError, match="there is no labels file"):
        import_graph(graph, tmp_path / "none.txt")


def test_the_command_makes_a_model_that_evaluates(files, assets, tmp_path, capsys):
    import shutil

    from classify.cli import main
    from evaluate.cli import main as evaluate
    from featurize.cli import main as featurize

    photos = tmp_path / "photos"
    for label, source in (("61326 ok front", "daisy"), ("61326 thinning", "roses")):
        (photos / label).mkdir(parents=True)
        for file in sorted((assets / "data" / "flowers" / source).glob("*.jpg"))[:3]:
            shutil.copy(file, photos / label)
    graph, labels = map(str, files)
    table, made = str(tmp_path / "t.parquet"), str(tmp_path / "m.model")
    assert main(["import-graph", graph, labels, "-o", made]) == 0
    store = ["--store", str(tmp_path / "store")]
    assert (
        featurize(["extract", str(photos), "-o", table, "--features", graph, "--parity", "retrain", *store])
        == 0
    )
    assert evaluate(["test", made, table, "--json", str(tmp_path / "r.json")]) == 0
    assert "accuracy" in (tmp_path / "r.json").read_text()


def test_a_graph_that_was_moved_and_renamed_still_serves_its_model(files, photos, tmp_path):
    import shutil

    from classify.predict import predict

    there = shutil.copy(files[0], tmp_path / "there.pb")
    model = import_graph(there, files[1])
    before = predict(model, photos[:2], store=tmp_path / "one").probabilities
    moved = (tmp_path / "there.pb").rename(tmp_path / "another name.pb")
    after = predict(model, photos[:2], weights={model.parts[0]: str(moved)}, store=tmp_path / "two")
    np.testing.assert_array_equal(after.probabilities, before)


def changed(files, folder, change):
    """The graph after ``change(nodes by name, definition)``."""
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString(files[0].read_bytes())
    change({node.name: node for node in definition.node}, definition)
    path = folder / "changed.pb"
    path.write_bytes(definition.SerializeToString())
    return path


def test_a_graph_that_would_write_a_file_is_never_run(files, tmp_path, capsys):
    import tensorflow as tf

    from classify.cli import main

    def write_a_file(nodes, definition):
        with tf.Graph().as_default() as graph:
            tf.io.write_file(str(tmp_path / "written"), "text", name="writing")
        definition.node.extend(graph.as_graph_def().node)
        nodes["MobilenetV1/Predictions/Reshape"].input.append("^writing")

    path = changed(files, tmp_path, write_a_file)
    assert main(["import-graph", str(path), str(files[1]), "-o", str(tmp_path / "m.model")]) == 1
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert "changed.pb is not used" in error and "writing is the operation WriteFile" in error
    assert "nothing of it was run" in hint
    assert not (tmp_path / "written").exists() and not (tmp_path / "m.model").exists()


def test_a_trained_layer_that_is_not_finite_or_does_not_fit_is_refused(files, tmp_path):
    import tensorflow as tf

    from featurize.extractors.graphs import FrozenGraph
    from featurize.extractors.known_graphs import trained_layer

    layer = trained_layer(FrozenGraph(files[0]).graph())

    def put(name, values):
        def change(nodes, definition):
            nodes[name].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values.astype(np.float32)))

        return changed(files, tmp_path, change)

    with pytest.raises(BottleheadError, match="not finite"):
        import_graph(put(layer.biases, np.array([0, 0, np.nan, 0, 0, 0])), files[1])
    with pytest.raises(BottleheadError, match=r"changed\.pb cannot be run.* 1001 and 10"):
        import_graph(put(layer.weights, np.zeros((10, 6))), files[1])


def test_the_command_takes_what_a_graph_has_to_be_told(files, tmp_path, capsys):
    from classify.cli import main

    arguments = ["import-graph", *map(str, files), "-o", str(tmp_path / "m.model")]
    assert main([*arguments, "--graph-std", "nan"]) == 1
    assert "std nan" in capsys.readouterr().err
    assert main([*arguments, "--graph-size", "160", "--graph-mean", "100"]) == 0
    settings = load_model(tmp_path / "m.model").described["poets_retrained_graph"]["description"]
    assert settings["scaling"] == "(rgb - 100) / 127.5" and settings["resize"].startswith("160x160")
