"""Keras models and functions are given to `extract` as they are."""

import numpy as np
import pytest
from builders import noise
from tolerances import ELSEWHERE, assert_near

from classify import Predictor, load_model, save_model, train_model
from featurize import BottleheadError, KerasModel, extract, make_extractor
from featurize.errors import ModelError, UsageError

SIDE = 32


@pytest.fixture(scope="module")
def pixels() -> list[np.ndarray]:
    return [np.asarray(noise(SIDE, SIDE, seed)) for seed in range(3)]


@pytest.fixture
def model():
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    photo = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="early")(layers.Rescaling(1 / 255)(photo))
    return keras.Model(photo, layers.GlobalAveragePooling2D()(x), name="mine")


@pytest.mark.tensorflow
def test_a_keras_model_gives_what_it_predicts_until_it_is_trained_further(model, pixels, tmp_path):
    photos = [(rgb, "ab"[number % 2]) for number, rgb in enumerate([*pixels, *(255 - one for one in pixels)])]
    table = extract(photos, [model], store=tmp_path)
    expected = model.predict(np.stack(pixels).astype(np.float32), verbose=0)
    assert_near(table.select("mine")[:3], expected, ELSEWHERE)
    head = train_model(table, head="knn:n_neighbors=2")
    save_model(head, tmp_path / "m.model")
    loaded = load_model(tmp_path / "m.model")
    found = Predictor(loaded, store=tmp_path, extractors=[KerasModel(model)]).predict(pixels)
    assert len(found) == 3
    with pytest.raises(ModelError, match="cannot be computed from photos here"):
        Predictor(loaded, store=tmp_path / "other").predict(pixels)
    before = make_extractor(model).fingerprint()
    model.set_weights([2 * one for one in model.get_weights()])
    assert make_extractor(model).fingerprint() != before
    again = extract(photos, [model], store=tmp_path)
    assert_near(again.select("mine"), 2 * table.select("mine"), ELSEWHERE)
    early = extract(pixels, [KerasModel(model, "early", pool="max")], store=tmp_path)
    assert early.select("mine:early").shape == (3, 4)


@pytest.mark.tensorflow
def test_a_sequential_gives_what_it_predicts_called_or_not_in_memory_and_in_a_file(pixels, tmp_path):
    import keras
    from keras import layers

    within = keras.Sequential(
        [keras.Input((15, 15, 4)), layers.Conv2D(5, 3), layers.GlobalAveragePooling2D()]
    )
    start = [layers.Rescaling(1 / 255), layers.Conv2D(4, 3, strides=2, name="early")]
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *start, within], name="mine")
    model.save(tmp_path / "mine.keras")
    # In this order: a prediction calls the model, and so does another model that holds it.
    fresh = extract(pixels, [KerasModel(model)], store=None).select("mine")
    batch = np.stack(pixels).astype(np.float32)
    expected = model.predict(batch, verbose=0)
    assert_near(fresh, expected, ELSEWHERE)
    model(2 * keras.Input((SIDE, SIDE, 3)))
    assert_near(KerasModel(model).transform(pixels), expected, ELSEWHERE)
    assert_near(
        make_extractor(f"{tmp_path / 'mine.keras'}:scaling=none").transform(pixels), expected, ELSEWHERE
    )
    with pytest.raises(UsageError, match="how pixels are scaled is not known") as raised:
        make_extractor(str(tmp_path / "mine.keras")).fingerprint()
    assert "mine.keras:scaling=none (0 to 255, for a network that scales them itself)" in raised.value.hint
    early = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *start]).predict(batch, verbose=0)
    assert_near(KerasModel(model, "early", pool="max").transform(pixels), early.max(axis=(1, 2)), ELSEWHERE)


@pytest.mark.tensorflow
def test_a_layer_of_your_own_is_known_by_its_code(pixels, tmp_path):
    """Its description is a name alone, so a store would give the vectors of the code as it was."""
    import keras

    def model_of(factor: int):
        class Once(keras.layers.Layer):
            def call(self, photos):
                return photos * 1.0

        class Twice(keras.layers.Layer):
            def call(self, photos):
                return photos * 2.0

        kind = {1: Once, 2: Twice}[factor]
        kind.__name__ = kind.__qualname__ = "Times"
        photo = keras.Input((SIDE, SIDE, 3), name="photo")
        pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(kind(name="times")(photo))
        return keras.Model(photo, pooled, name="own")

    one, again, two = (extract(pixels, [model_of(n)], store=tmp_path).select("own") for n in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert_near(two, 2 * one, ELSEWHERE)


@pytest.mark.tensorflow
def test_a_keras_model_of_whole_numbers_takes_pixels_that_are_not_scaled(pixels, tmp_path):
    import keras

    photo = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(photo))
    whole = keras.Model(photo, x, name="whole")
    assert_near(KerasModel(whole).transform(pixels), whole.predict(np.stack(pixels), verbose=0), ELSEWHERE)
    whole.save(tmp_path / "whole.keras")
    for given in (
        KerasModel(whole, scaling="tf"),
        make_extractor(f"{tmp_path / 'whole.keras'}:mean=0,std=1"),
    ):
        with pytest.raises(UsageError, match="takes whole numbers"):
            given.transform(pixels)


@pytest.mark.tensorflow
def test_a_keras_model_of_several_outputs_asks_for_a_layer(model, pixels):
    import keras

    two = keras.Model(model.inputs, [model.outputs[0], model.get_layer("early").output], name="two")
    with pytest.raises(UsageError, match="two has 2 outputs, not one"):
        KerasModel(two).transform(pixels)
    assert KerasModel(two, "early").transform(pixels).shape == (3, 4)


@pytest.mark.tensorflow
def test_a_keras_model_that_takes_no_square_photo_is_refused(pixels):
    import keras

    for shape, said in (
        ((8, 9, 3), "no square RGB photo"),
        ((None, None, 3), "any number of"),
        ((4,), "no square"),
    ):
        photo = keras.Input(shape)
        with pytest.raises(UsageError, match=said):
            extract(
                pixels, [keras.Model(photo, keras.layers.Flatten()(photo) if None not in shape else photo)]
            )


def brightness(rgb):
    return [rgb.mean(), rgb.std()]


def test_a_function_is_named_and_known_by_its_code(pixels, tmp_path):
    table = extract(pixels, [brightness, lambda rgb: rgb.max(axis=(0, 1))], store=tmp_path)
    assert list(table.vectors) == ["brightness", "lambda"]
    np.testing.assert_allclose(table.select("brightness"), [brightness(rgb) for rgb in pixels], rtol=1e-6)

    def made(factor):
        return lambda rgb: [factor * rgb.mean()]

    one, same, other = (make_extractor(made(factor)).fingerprint() for factor in (1, 1, 2))
    assert one == same != other
    assert (
        make_extractor(lambda rgb: [rgb.min()]).fingerprint()
        != make_extractor(lambda rgb: [rgb.max()]).fingerprint()
    )


def test_what_is_no_extractor_is_one_error(pixels):
    held = np.ones(3)
    for given, said in (
        (7, "7 is no extractor"),
        (lambda rgb: rgb[0, 0] * held, "cannot be told from its code"),
    ):
        with pytest.raises(BottleheadError, match=said):
            extract(pixels, [given])
    with pytest.raises(BottleheadError, match="7 is no extractor"):
        extract(pixels, 7)
