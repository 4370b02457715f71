"""The commands ``classify predict`` and ``classify neighbours``."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classify.timing import Timing
from featurize.errors import UsageError
from featurize.terminal import OptionsError, add_command, log

if TYPE_CHECKING:
    from classify.prediction.predict import Predictions

FORMATS = ("text", "csv", "jsonl")


def add_predict(commands: Any) -> None:
    """Add ``predict`` to the subcommands of ``classify``."""
    parser = add_command(
        commands,
        "predict",
        _predict,
        "Predict the labels of photos, or of the images of a table.",
        "classify predict flowers.model holiday/*.jpg --format csv -o holiday.csv",
    )
    parser.add_argument("model", metavar="MODEL", help="a model that `classify train` made")
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="IMAGE|FOLDER|TABLE",
        help="photos, folders, glob patterns, manifests (image column), tables, or - for standard input, "
        "one path a line",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="form of the output (default: by the ending of -o, .parquet, .csv or .jsonl, else text)",
    )
    parser.add_argument(
        "--top",
        type=_top,
        metavar="K",
        help="how many labels per image, 0 for all (default: 1; all for the text of one image)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write there instead of to standard output")
    _add_places(parser)


def add_neighbours(commands: Any) -> None:
    """Add ``neighbours`` to the subcommands of ``classify``."""
    parser = add_command(
        commands,
        "neighbours",
        _neighbours,
        "Print the training images that a photo resembles most: distance, label and name, nearest first.",
        "classify neighbours flowers.model photo.jpg --table flowers.parquet",
    )
    parser.add_argument("model", metavar="MODEL", help="a model that `classify train` made")
    parser.add_argument("image", metavar="IMAGE", help="a photo")
    parser.add_argument("--table", required=True, metavar="TABLE", help="the table of the training")
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="form of the output (default: text)"
    )
    parser.add_argument(
        "--top", type=_positive, default=10, metavar="K", help="how many images (default: 10)"
    )
    _add_places(parser)


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="[SPEC=]FILE",
        help="where a network's weights are now (default: where they were in training); repeatable",
    )
    parser.add_argument(
        "--store", metavar="DIR", help="where vectors are kept (default: the user's cache folder)"
    )
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="TYPE",
        help="a dotted type that the model may consist of beyond the safe ones; repeatable",
    )


def _top(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of labels; give 1 or more, or 0 for all")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of images; give 1 or more")
    return int(text)


def _predict(args: argparse.Namespace) -> int:
    timing = Timing()
    with timing.part("importing"):
        from classify.startup import import_lightly

        import_lightly()
        from classify.model.modelfile import load_model
        from classify.prediction import output
        from classify.prediction.predict import predict_batches
        from featurize.files import check_outputs, whole_file

    if args.output:
        files = [one.partition("=")[2] or one for one in args.weights]
        check_outputs([args.output], [args.model, *[one for one in args.sources if one != "-"], *files])
        _refuse_picture(args.output)
    parquet = bool(args.output) and Path(args.output).suffix.lower() == ".parquet"
    if parquet and args.format:
        raise OptionsError(
            f"--format {args.format} and -o {args.output} do not agree",
            "leave out --format for Parquet, or give the file another ending",
        )
    with timing.part("loading the model"):
        model = load_model(args.model, trust=args.trust)
    weights = _weights(args.weights, model.parts)
    counts: Counter[str] = Counter()
    batches = _reported(
        predict_batches(
            model, args.sources, weights=weights, store=args.store, jobs=args.jobs, timing=timing
        ),
        counts,
    )
    if parquet:
        with whole_file(args.output) as partial:
            output.write_parquet(partial, model.labels, batches, args.top)
    else:
        forms = {"text": output.as_text, "csv": output.as_csv, "jsonl": output.as_jsonl}
        ending = Path(args.output or "").suffix.lower().removeprefix(".")
        form = args.format or (ending if ending in forms else "text")
        pieces = forms[form](model.labels, batches, args.top)
        if args.output:
            with (
                whole_file(args.output) as partial,
                open(partial, "w", encoding="utf-8", newline="") as stream,
            ):
                stream.writelines(pieces)
        else:
            for piece in pieces:
                sys.stdout.write(piece)
                sys.stdout.flush()
    _say(counts, args.output)
    return 0


def _refuse_picture(path: str) -> None:
    """An output that is a photo by its bytes is one of those to predict, in a folder or by a pattern; or a slip."""
    from featurize.photos.decode import ImageRejected
    from featurize.photos.fileindex import read_image
    from featurize.photos.photo import Photo

    if not Path(path).exists():
        return
    try:
        Photo(read_image(path))
    except ImageRejected:
        return
    raise UsageError(f"{path} is a photo and would be overwritten", "give the output another name")


def _reported(batches: Iterable["Predictions"], counts: Counter[str]) -> Iterator["Predictions"]:
    """The same batches; what they reject is logged, and all is counted."""
    for batch in batches:
        for image, reason in batch.rejects:
            log.warning("left out %s: %s", image, reason)
        counts["predictions"] += len(batch)
        counts["left out"] += len(batch.rejects)
        counts["outliers"] += sum(map(bool, batch.outlier))
        yield batch


def _say(counts: Counter[str], output: str | None) -> None:
    n_left_out = counts["left out"]
    left_out = f"; {n_left_out} file{'s' * (n_left_out != 1)} left out" if n_left_out else ""
    if output:
        n_outliers = counts["outliers"]
        outliers = (
            f", {n_outliers} of them {'an outlier' if n_outliers == 1 else 'outliers'}" if n_outliers else ""
        )
        n_predictions = counts["predictions"]
        predictions = f"{n_predictions} prediction{'s' * (n_predictions != 1)}"
        log.info("wrote %s: %s%s%s", output, predictions, outliers, left_out)
    elif counts["predictions"] == counts["outliers"] == 1 and not n_left_out:
        log.warning("this photo looks like nothing that the model was trained on")


def _neighbours(args: argparse.Namespace) -> int:
    from classify.startup import import_lightly

    import_lightly()
    from classify.model.modelfile import load_model
    from classify.prediction import output
    from classify.prediction.neighbours import nearest_images
    from featurize.table import FeatureTable

    model = load_model(args.model, trust=args.trust)
    found = nearest_images(
        model,
        args.image,
        FeatureTable.read(args.table),
        top=args.top,
        weights=_weights(args.weights, model.parts),
        store=args.store,
        jobs=args.jobs,
    )
    sys.stdout.write(output.neighbours_as(args.format, found))
    return 0


def _weights(given: Sequence[str], parts: Sequence[str]) -> dict[str, str]:
    """``FILE`` for all networks and ``SPEC=FILE`` for one, as a file per features."""
    files: dict[str, str] = {}
    for text in given:
        named = [part for part in parts if text.startswith(f"{part}=")]
        if not named and "=" in text and not Path(text).exists():
            raise UsageError(
                f"--weights {text} names no features of the model", f"its features are {', '.join(parts)}"
            )
        for part in named or parts:
            if part in files:
                raise UsageError(
                    f"--weights names two files for {part}", "give SPEC=FILE once for each network"
                )
            files[part] = text.removeprefix(f"{part}=") if named else text
    return files
