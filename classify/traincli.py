"""The command ``classify train``: at once, tuned, with an operating point, or step by step."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurize.terminal import OptionsError, add_command, key_values, log

if TYPE_CHECKING:
    from classify.model.model import Model
    from featurize.table import FeatureTable

# The options that need --steps, with the fields of `classify.heads.steps.Steps` that they fill.
STEP_OPTIONS = {
    "learning_rate": (float, "R", "how far a step goes (default: 0.01 for softmax, 0.001 for mlp)"),
    "batch_size": (int, "N", "photos per step, from labels drawn equally often (default: 100)"),
    "validation_batch_size": (int, "N", "photos for each validation accuracy, -1 for all (default: 100)"),
    "eval_interval": (int, "N", "steps between two evaluations (default: 10)"),
    "save_every": (int, "N", "keep the best so far as MODEL.stepN every N steps (default: never)"),
    "summaries": (str, "DIR", "write event files for TensorBoard there"),
}


def add_train(commands: Any) -> None:
    """Add ``train`` to the subcommands of ``classify``."""
    parser = add_command(
        commands,
        "train",
        _train,
        "Train a head on the vectors of a table, and keep it as a model.",
        "classify train flowers.parquet -o flowers.model --head svm:C=10 --features inception_v3+glcm\n"
        "classify train fire.parquet -o fire.model --tune --positive fire --threshold recall=0.95\n"
        "classify train flowers.parquet -o flowers.model --steps 4000 --summaries logs",
    )
    parser.add_argument("table", metavar="TABLE", help="a .parquet or .npz that `featurize extract` made")
    parser.add_argument("-o", "--output", required=True, metavar="MODEL", help="where to write the model")
    parser.add_argument(
        "--head",
        default="softmax",
        metavar="SPEC",
        help="name[:param=value,...], or the dotted path of a scikit-learn classifier (default: softmax)",
    )
    parser.add_argument(
        "--features",
        metavar="SPEC",
        help="a features column, or several joined with + (default: all columns of the table but nuisance)",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="PARAM=VALUE",
        help="parameters of the head, for example --set C=10 gamma=0.5",
    )
    parser.add_argument(
        "--balanced",
        action="store_true",
        help="every label counts the same, however many photos it has (class_weight=balanced)",
    )
    parser.add_argument(
        "--relabel",
        metavar="MAP",
        help="CSV with the columns label,new_label, a line for every label of the table; an empty new_label drops it",
    )
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="TYPE",
        help="a dotted type that the head may consist of beyond the safe ones; repeatable",
    )
    parser.add_argument(
        "--out-of-core",
        action="store_true",
        help="train softmax without holding the vectors in memory, in passes over the table; done without being "
        "asked where they take more than an eighth of it",
    )
    _add_tuning(parser)
    _add_operating_point(parser)
    _add_steps(parser)


def _add_tuning(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tune",
        action="store_true",
        help="search the head's parameters first (`classify heads` lists the grids)",
    )
    parser.add_argument(
        "--tune-by",
        choices=("log-loss", "accuracy"),
        help="the score that decides the search (default: log-loss); asks for the search as --tune does",
    )


def _add_operating_point(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("operating point")
    group.add_argument("--positive", metavar="LABEL", help="the label that must not be missed")
    rules = group.add_mutually_exclusive_group()
    rules.add_argument(
        "--threshold",
        metavar="RULE",
        help="recall=R, specificity=R or precision=R: the share to reach on photos that were not trained on",
    )
    rules.add_argument(
        "--costs",
        metavar="FILE.csv",
        help="what each mistake costs, a CSV with the columns label,predicted,cost",
    )


def _add_steps(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("step by step (softmax and mlp)")
    group.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="train N steps and say how it goes; Ctrl-C keeps the best so far",
    )
    for name, (kind, metavar, text) in STEP_OPTIONS.items():
        group.add_argument("--" + name.replace("_", "-"), type=kind, metavar=metavar, help=text)


def _train(args: argparse.Namespace) -> int:
    from classify.startup import import_lightly

    import_lightly()
    from classify.heads.spec import with_params
    from classify.model.modelfile import save_model
    from classify.rows import read_relabel
    from featurize.files import check_outputs
    from featurize.table import FeatureTable

    check_outputs([args.output], [args.table, args.relabel, args.costs])
    balanced = {"class_weight": "balanced"} if args.balanced else {}
    head = _with_steps(args, with_params(args.head, balanced | key_values(args.set, "--set")))
    relabel = read_relabel(args.relabel) if args.relabel else None
    run = _at_once if args.steps is None else _in_steps
    _refuse_what_does_not_go_together(args)
    if _exceeds_memory(args, head):
        from classify.training.out_of_core import train_out_of_core

        model = train_out_of_core(args.table, head, args.features, seed=args.seed, relabel=relabel)
    else:
        model = run(args, FeatureTable.read(args.table), head, relabel)
    save_model(model, args.output)
    size = Path(args.output).stat().st_size
    log.info(
        "wrote %s: %s on %s, %d labels, %.1f s, %s",
        args.output,
        model.training["head"],
        model.features,
        len(model.labels),
        model.training["seconds"],
        f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB",
    )
    return 0


def _exceeds_memory(args: argparse.Namespace, head: str) -> bool:
    """Whether to train out of core: asked for, or needed and possible."""
    from classify.training.out_of_core import can_train, exceeds_memory

    given = (["--steps"] if args.steps is not None else []) + _options_of_training_at_once(args)
    if args.out_of_core and given:
        raise OptionsError(
            f"--out-of-core and {', '.join(given)} do not go together", "train without --out-of-core"
        )
    if args.out_of_core or not exceeds_memory(args.table, args.features):
        return args.out_of_core
    possible = not given and can_train(head)
    log.warning(
        "the vectors take more than an eighth of the memory: %s",
        "training goes through the file again and again"
        if possible
        else "only a plain softmax does without it",
    )
    return possible


def _with_steps(args: argparse.Namespace, spec: str) -> str:
    """The spec without steps, which are as if they had been given as options."""
    from classify.stepped import without_steps

    head, own = without_steps(spec)
    for name, value in own.items():
        if getattr(args, name) not in (None, value):
            option = "--" + name.replace("_", "-")
            raise OptionsError(
                f"{option} {getattr(args, name)} and the head {spec} do not agree", "give one of them"
            )
        setattr(args, name, value)
    return head


def _refuse_what_does_not_go_together(args: argparse.Namespace) -> None:
    if args.steps is None:
        given = [name for name in STEP_OPTIONS if getattr(args, name) is not None]
        if given:
            options = ", ".join("--" + name.replace("_", "-") for name in given)
            raise OptionsError(
                f"{options} was given without --steps", "add --steps 4000 to train step by step"
            )
        return
    given = _options_of_training_at_once(args)
    if given:
        raise OptionsError(f"--steps and {', '.join(given)} do not go together", "train without --steps")


def _options_of_training_at_once(args: argparse.Namespace) -> list[str]:
    """Those given that neither training in steps nor training out of core knows."""
    options = {
        "--tune": args.tune or args.tune_by,
        "--positive": args.positive,
        "--threshold": args.threshold,
        "--costs": args.costs,
        "--trust": args.trust,
    }
    return [option for option, value in options.items() if value]


def _at_once(args: argparse.Namespace, table: "FeatureTable", head: str, relabel: dict | None) -> "Model":
    from classify.training.thresholds import read_costs
    from classify.training.train import train

    return train(
        table,
        head,
        args.features,
        seed=args.seed,
        relabel=relabel,
        tune=args.tune_by or ("log-loss" if args.tune else None),
        positive=args.positive,
        threshold=read_costs(args.costs) if args.costs else args.threshold,
        trust=args.trust,
        jobs=args.jobs,
    )


def _in_steps(args: argparse.Namespace, table: "FeatureTable", head: str, relabel: dict | None) -> "Model":
    from classify.heads.steps import Steps
    from classify.model.modelfile import save_model
    from classify.training.train import train_in_steps

    def save(model: "Model", step: int) -> None:
        path = f"{args.output}.step{step}"
        save_model(model, path)
        log.info("wrote %s", path)

    given = {name: getattr(args, name) for name in STEP_OPTIONS if getattr(args, name) is not None}
    plan = Steps(args.steps, **given)
    return train_in_steps(table, head, args.features, plan, seed=args.seed, relabel=relabel, save=save)
