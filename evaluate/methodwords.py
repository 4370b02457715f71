"""How the numbers of a comparison came about, one phrase each: over several folds, and where there is only one."""

from evaluate.counted import COUNTED_METHOD
from evaluate.statistics.differences import BAYES_METHOD, FAMILY_METHOD, MCNEMAR_METHOD
from evaluate.statistics.intervals import COMPARISON_METHOD, INTERVAL_METHOD

SEVERAL_FOLDS = {
    "interval": INTERVAL_METHOD,
    "comparison": COMPARISON_METHOD,
    "family": FAMILY_METHOD,
    "probability": BAYES_METHOD,
    "mcnemar": MCNEMAR_METHOD,
    "counted": COUNTED_METHOD,
}
# What one fold tests are independent samples for heads taken as they are: no correction, and no word of other heads.
ONE_FOLD = {
    "interval": (
        "95 %, Wilson's score interval; photos that stay together weigh as one where they err together; for the heads "
        "as they were trained"
    ),
    "comparison": (
        "paired t-test over the groups tested (photos, where each stands alone), two-sided, for the heads as they were "
        "trained; 95 % interval from the paired predictions, one pair per photo (after Bonett and Price 2012)"
    ),
    "family": (
        "'is ahead' means that the interval is above 0, for the heads as they were trained; heads trained on other "
        "photos may differ; p values with Holm's correction over all comparisons shown (Holm 1979)"
    ),
    "probability": (
        "posterior of the mean difference over the groups tested, Student's t with a flat prior; the probability that "
        "the true difference is below, within or above the region of practical equivalence"
    ),
    "mcnemar": "McNemar's exact test on the predictions, one per photo (McNemar 1947)",
    "counted": (
        "where all groups tested show exactly the same difference, McNemar's exact test stands for the t-test; images "
        "that stay together count as one"
    ),
}
