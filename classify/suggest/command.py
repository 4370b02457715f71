"""The command ``classify suggest``."""

import argparse
from typing import Any

from classify.prediction.options import add_model, add_places, count_from, weights_given
from featurize.commands import OptionsError, add_command, add_excel
from featurize.options import add_manifest_options, add_max_megapixels, manifest_options
from featurize.outputs import CSV, PAGE, check_outputs, check_page_name, where_written, whole_file
from featurize.terminal import log


def add_suggest(commands: Any) -> None:
    """Add the command ``suggest``."""
    summary = "Say which photos to label next: those that would teach the model most, in order."
    example = (
        "classify suggest flowers.model unlabelled/ -n 50 -o next.csv --page label.html\n"
        "classify suggest flowers.model pool.parquet --strategy uncertain -o next.csv"
    )
    parser = add_command(commands, "suggest", _suggest, summary, example)
    add_model(parser)
    option = parser.add_argument
    text = "a folder, archive, manifest or table of photos; suggested are those without a label, if there are any"
    option("source", metavar="SOURCE|TABLE", help=text)
    count = count_from(1, "number of photos; give 1 or more")
    option("-n", "--number", type=count, default=50, metavar="N", help="how many photos (default: 50)")
    option("-o", "--output", required=True, metavar="FILE.csv", help="where to write them")
    text = (
        "uncertain: where the two most probable labels are closest; diverse: unlike each other; both (default): "
        "unlike each other among the least certain"
    )
    option("--strategy", choices=("both", "uncertain", "diverse"), default="both", help=text)
    text = (
        "also write a page on which keys 1 to 9 label the photos; it makes a CSV with the columns image,label"
    )
    option("--page", metavar="FILE.html", help=text)
    option("--images", metavar="DIR", help="where the page finds the photos, if they have moved")
    add_excel(parser)
    add_manifest_options(parser)
    add_max_megapixels(parser)
    add_places(parser)


def _suggest(args: argparse.Namespace) -> int:
    from classify.model.modelfile import load_model
    from classify.prediction.predict import Predictor
    from classify.suggest.suggest import label_page, suggest_photos, write_suggestions

    check_outputs([(args.output, CSV), (args.page, PAGE)], [args.model, args.source])
    check_page_name(args.page, "--page")
    if args.images and not args.page:
        raise OptionsError(
            "--images was given without --page", "add --page FILE.html; only the page shows photos"
        )
    model = load_model(args.model, trust=args.trust)
    options = {"store": args.store, "jobs": args.jobs, "max_megapixels": args.max_megapixels}
    predictor = Predictor(model, weights=weights_given(args.weights, model.parts), **options)
    tables = predictor.tables(args.source, **manifest_options(args))
    found = suggest_photos(model, tables, args.number, strategy=args.strategy, seed=args.seed)
    write_suggestions(found, args.output, args.excel)
    ordered, apart = len(found.ordered), len(found.outliers)
    told = f"{ordered} of {found.candidates} photos to label" + f", and {apart} outliers apart" * bool(apart)
    log.info("wrote %s: %s", where_written(args.output), told)
    if found.left_out:
        log.info("%d near-duplicates or photos of the same group were passed over", found.left_out)
    if args.page:
        page = label_page(found, args.images)
        with whole_file(args.page, PAGE) as partial:
            partial.write_text(page, encoding="utf-8", errors="replace")
        log.info("wrote %s", where_written(args.page))
    return 0
