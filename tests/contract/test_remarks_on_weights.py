"""What is wrong with a network's weights is said wherever its vectors are used, not only when it is loaded."""

import pytest
from builders import run, write_textures

from featurize import FeatureTable

NETWORK = "mobilenet_0.25_128"


@pytest.mark.tensorflow
def test_kernels_of_zeros_are_told_by_table_model_comparison_test_and_methods(tmp_path, monkeypatch):
    import keras

    network = keras.applications.MobileNet((128, 128, 3), 0.25, weights=None, include_top=False)
    kernel = network.get_layer("conv_pw_13").weights[0]
    kernel.assign(kernel * 0)
    network.save_weights(tmp_path / f"{NETWORK}.weights.h5")
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_textures(tmp_path / "photos", 4)
    features = ["--features", NETWORK, f"{NETWORK}:conv_pw_12_relu"]
    damaged = "1 of the kernels in its weights holds nothing but zeros (the first is "

    # The second table comes from the store alone, and is as honest as the first.
    for name in ("a", "b"):
        made = run("featurize", "extract", "photos", "-o", f"{name}.parquet", *features, "--store", "store")
        assert made.status == 0, made.err
        assert (name == "a") == (f"warning: {NETWORK}: {damaged}" in made.err), made.err
        entries = FeatureTable.read(f"{name}.parquet").metadata["features"]
        (remark,) = entries[NETWORK]["remarks"]
        assert remark.startswith(damaged) and "conv_pw_13" in remark
        assert "remarks" not in entries[f"{NETWORK}:conv_pw_12_relu"], "nothing is missing before it"

    doubt = f"warning: {NETWORK}: {damaged}"
    trained = run("classify", "train", "b.parquet", "-o", "m.model", "--features", NETWORK)
    assert trained.status == 0, trained.err
    assert damaged in run("classify", "show", "m.model").out
    # Before you believe it, and in the methods paragraph.
    tested = run("evaluate", "test", "m.model", "b.parquet", "--json", "t.json")
    assert doubt in tested.out and (tmp_path / "t.json").read_text().count(damaged) >= 3
    words = ["--features", NETWORK, f"{NETWORK}:conv_pw_12_relu", "--heads", "knn:n_neighbors=1", "--cv", "2"]
    compared = run("evaluate", "compare", "b.parquet", *words)
    assert doubt in compared.out and compared.out.count(damaged) == 1
