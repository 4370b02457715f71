"""What retrain.py showed to a network, against the operations that it ran."""

import numpy as np
import pytest
from builders import encoded, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featurize.networks.retrain_pixels import resize_corners, retrain_pixels
from featurize.networks.tensorflow_engine import decode_jpeg
from featurize.photos.decode import ImageRejected
from featurize.photos.distort import DistortedPhoto, Distortion
from featurize.photos.photo import Photo

pytestmark = pytest.mark.tensorflow


def tf_resized(rgb: np.ndarray, side: int) -> np.ndarray:
    import tensorflow as tf

    corners = {"align_corners": False, "half_pixel_centers": False}
    batch = tf.constant(rgb[None].astype(np.float32))
    return tf.compat.v1.image.resize_bilinear(batch, [side, side], **corners).numpy()[0]


@settings(max_examples=60)
@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([1, 7, 128, 299]), st.integers(0, 99))
def test_resizing_is_tensorflow_1_to_the_last_bit(height, width, side, seed):
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize_corners(rgb, side), tf_resized(rgb, side))


def test_a_jpeg_is_decoded_and_resized_as_retrain_py_did(assets):
    import tensorflow as tf

    for path in sorted((assets / "data" / "flowers").glob("*/*.jpg"))[::150]:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            decoded = tf.cast(tf.image.decode_jpeg(path.read_bytes(), channels=3), tf.float32)
            expected = session.run(tf.compat.v1.image.resize_bilinear(decoded[None], [224, 224]))[0]
        np.testing.assert_array_equal(retrain_pixels(Photo(path.read_bytes()), 224), expected)


def jpeg(orientation: int) -> bytes:
    rgb = np.zeros((16, 32, 3), np.uint8)
    rgb[:, :16] = 120
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.fromarray(rgb), "jpeg", exif=exif)


def test_the_exif_orientation_is_ignored_as_retrain_py_ignored_it():
    turned, plain = (retrain_pixels(Photo(jpeg(orientation)), 8) for orientation in (3, 1))
    np.testing.assert_array_equal(turned, plain)
    assert Photo(jpeg(3)).rgb()[0, 0, 0] < 60 < plain[0, 0, 0]


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_distorted_copy_is_not_the_photo_and_lies_as_it_does(orientation):
    photo, sha256 = Photo(jpeg(orientation)), "ab" * 32
    distortion = Distortion(copies=1, random_brightness=90)
    (variant,) = distortion.variants
    copy = DistortedPhoto(photo, distortion, variant, sha256)
    lying = distortion.distort(decode_jpeg(jpeg(1)), variant, sha256)
    np.testing.assert_array_equal(retrain_pixels(copy, 8), tf_resized(lying, 8))
    assert not np.array_equal(retrain_pixels(copy, 8), retrain_pixels(photo, 8))


def test_a_jpeg_that_tensorflow_cannot_decode_is_rejected():
    with pytest.raises(ImageRejected, match="TensorFlow cannot decode it"):
        retrain_pixels(Photo(encoded(noise(64, 64), "jpeg")[:1500]), 8)
