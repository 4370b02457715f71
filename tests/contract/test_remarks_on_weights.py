"""What is wrong with a network's weights is said wherever its vectors are used, not only when it is loaded."""

from importlib.util import find_spec

import pytest
from builders import run, write_textures

from featurize import FeatureTable

NETWORK = "mobilenet_0.25_128"


DAMAGED = "1 of the kernels in its weights holds nothing but zeros (the first is "


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with photos, and weights of which one kernel holds nothing but zeros."""
    import keras

    network = keras.applications.MobileNet((128, 128, 3), 0.25, weights=None, include_top=False)
    kernel = network.get_layer("conv_pw_13").weights[0]
    kernel.assign(kernel * 0)
    network.save_weights(tmp_path / f"{NETWORK}.weights.h5")
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_textures(tmp_path / "photos", 4)
    return tmp_path


@pytest.mark.tensorflow
def test_kernels_of_zeros_are_told_by_table_model_comparison_test_and_methods(here):
    features = ["--features", NETWORK, f"{NETWORK}:conv_pw_12_relu"]

    # The second table comes from the store alone, and is as honest as the first.
    for name in ("a", "b"):
        made = run("featurize", "extract", "photos", "-o", f"{name}.parquet", *features, "--store", "store")
        assert made.status == 0, made.err
        assert (name == "a") == (f"warning: {NETWORK}: {DAMAGED}" in made.err), made.err
        entries = FeatureTable.read(f"{name}.parquet").metadata["features"]
        (remark,) = entries[NETWORK]["remarks"]
        assert remark.startswith(DAMAGED) and "conv_pw_13" in remark
        assert "remarks" not in entries[f"{NETWORK}:conv_pw_12_relu"], "nothing is missing before it"

    doubt = f"warning: {NETWORK}: {DAMAGED}"
    trained = run("classify", "train", "b.parquet", "-o", "m.model", "--features", NETWORK)
    assert trained.status == 0, trained.err
    assert DAMAGED in run("classify", "show", "m.model").out
    # Before you believe it, and in the methods paragraph.
    tested = run("evaluate", "test", "m.model", "b.parquet", "--json", "t.json")
    assert doubt in tested.out and (here / "t.json").read_text().count(DAMAGED) >= 3
    words = ["--features", NETWORK, f"{NETWORK}:conv_pw_12_relu", "--heads", "knn:n_neighbors=1", "--cv", "2"]
    compared = run("evaluate", "compare", "b.parquet", *words)
    assert doubt in compared.out and compared.out.count(DAMAGED) == 1


def remarks_of(table: str, *words: str) -> list[str]:
    made = run("featurize", "extract", "photos", "-o", table, "--features", NETWORK, *words)
    assert made.status == 0, made.err
    (entry,) = FeatureTable.read(table).metadata["features"].values()
    return entry.get("remarks", [])


@pytest.mark.tensorflow
def test_a_store_at_a_url_and_a_merged_one_know_them_on_a_machine_that_never_loaded_the_network(
    here, monkeypatch
):
    url = f"memory://{here.name}-remarks"
    for machine in ("one", "other"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(here / machine))
        (remark,) = remarks_of(f"{machine}.parquet", "--store", url)
        assert remark.startswith(DAMAGED)
    assert not list((here / "other").rglob("*.pb"))
    assert run("featurize", "store", "prune", "--store", url, "--yes").status == 0
    assert run("featurize", "store", "merge", url, "-o", "merged").status == 0
    assert remarks_of("merged.parquet", "--store", "merged") == [remark]
    assert not list((here / "merged").rglob("*.pb"))


@pytest.mark.tensorflow
def test_a_network_in_int8_has_those_of_the_network_that_it_was_made_of(here):
    if find_spec("openvino") is None or find_spec("nncf") is None:
        pytest.skip("install the extra int8")
    words = ["--engine", "openvino", "--precision", "int8", "--store", "store"]
    (remark,) = remarks_of("a.parquet", *words)
    assert remark.startswith(DAMAGED) and remarks_of("b.parquet", *words) == [remark]
