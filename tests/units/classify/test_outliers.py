import numpy as np
import pytest

from classify.model.outliers import MOST_BYTES, Outliers, fit_outliers


@pytest.fixture(scope="module")
def cloud():
    return np.abs(np.random.default_rng(1).normal(size=(400, 40))).astype(np.float32)


def fitted(X, groups=None, **options) -> Outliers:
    outliers = fit_outliers(X, [X.shape[1]], np.arange(len(X)) if groups is None else groups, **options)
    assert outliers is not None
    return outliers


def test_the_stated_share_of_new_photos_of_the_same_kind_is_flagged():
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(20):
        X = rng.normal(size=(300, 8)).astype(np.float32)
        outliers = fitted(X[:100])
        shares.append(np.mean(outliers.distances(X[100:]) > outliers.threshold))
    # Each share scatters by about 3 points; their mean by less than one.
    assert 0.03 < np.mean(shares) < 0.07


def test_photos_of_one_group_do_not_vouch_for_each_other():
    """Ten shots of each object: to each other they are near, a new object is as far as other objects are."""
    rng = np.random.default_rng(4)
    objects = rng.normal(size=(60, 8)) * 3
    X = (objects.repeat(10, axis=0) + rng.normal(size=(600, 8)) * 0.01).astype(np.float32)
    groups = np.arange(60).repeat(10)
    new = rng.normal(size=(200, 8)).astype(np.float32) * 3
    grouped, ungrouped = fitted(X, groups), fitted(X)
    assert np.mean(grouped.distances(new) > grouped.threshold) < 0.2
    assert np.mean(ungrouped.distances(new) > ungrouped.threshold) > 0.9


def test_distorted_copies_are_left_out(cloud):
    both = np.concatenate([cloud, cloud + 50])
    outliers = fitted(both, np.tile(np.arange(400), 2), variant=np.repeat([0, 7], 400))
    assert (outliers.photos, len(outliers.vectors)) == (400, 400)
    np.testing.assert_array_equal(outliers.distances(cloud), fitted(cloud).distances(cloud))


def test_what_is_kept_is_bounded_and_the_rate_still_holds():
    X = np.random.default_rng(5).normal(size=(3000, 8)).astype(np.float32)
    outliers = fitted(X[:2000], most_bytes=2 * 8 * 100)
    assert (outliers.vectors.nbytes, outliers.photos) == (2 * 8 * 100, 2000)
    assert 0.03 < np.mean(outliers.distances(X[2000:]) > outliers.threshold) < 0.07
    wide = np.random.default_rng(0).random((300, 32768), dtype=np.float32)
    assert fitted(wide).vectors.nbytes == MOST_BYTES == 8 * 2**20


@pytest.mark.parametrize("groups", [np.arange(18), np.zeros(40), np.r_[np.zeros(37), 1, 2, 3]], ids=len)
def test_too_few_photos_or_groups_say_nothing(groups, caplog):
    X = np.random.default_rng(0).normal(size=(len(groups), 4)).astype(np.float32)
    with caplog.at_level("INFO", "bottlehead"):
        assert fit_outliers(X, [4], groups) is None
    assert "outlier detection is off: it needs at least 19 training photos" in caplog.text


def test_a_batch_is_strange_when_half_of_it_is_far_away(cloud):
    outliers = fitted(cloud)
    # By hand: half of the photos beyond the 95th percentile, half below the first.
    near, far = outliers.percentiles[0], outliers.percentiles[95] + 1e-9
    text = outliers.describe_drift(np.r_[np.full(10, near), np.full(12, far)])
    assert "these 22 photos do not look like" in text
    assert "than 95 % of those" in text
    below_ninety, below_all = (outliers.percentiles[[89, 99]] + outliers.percentiles[[90, 100]]) / 2
    for share, distance in {90: outliers.percentiles[90], 99: below_all, 100: far + 99}.items():
        assert f"than {share} % of" in outliers.describe_drift(np.full(20, distance))
    for quiet in (np.full(20, below_ninety), np.r_[np.full(12, near), np.full(10, far)], np.full(19, far)):
        assert outliers.describe_drift(quiet) is None
