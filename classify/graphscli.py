"""The command ``classify import-graph``."""

import argparse
from typing import Any

from featurize.networkcli import add_graph_options, graph_options
from featurize.terminal import add_command, log


def add_import_graph(commands: Any) -> None:
    """Add ``import-graph`` to the subcommands of ``classify``."""
    parser = add_command(
        commands,
        "import-graph",
        _import_graph,
        "Turn a graph that TensorFlow's retrain.py trained into a model.",
        "classify import-graph retrained_graph.pb retrained_labels.txt -o flowers.model",
    )
    parser.add_argument("graph", metavar="GRAPH.pb", help="retrained_graph.pb, or output_graph.pb")
    parser.add_argument("labels", metavar="LABELS.txt", help="its labels, one a line")
    parser.add_argument("-o", "--output", required=True, metavar="MODEL", help="where to write the model")
    add_graph_options(parser.add_argument_group("a network that is not recognised"))


def _import_graph(args: argparse.Namespace) -> int:
    from classify.model.import_graph import import_graph
    from classify.model.modelfile import save_model
    from featurize.files import check_outputs

    check_outputs([args.output], [args.graph, args.labels])
    model = import_graph(args.graph, args.labels, **graph_options(args))
    save_model(model, args.output)
    log.info(
        "wrote %s: %d labels on the %d numbers of %s; for a table that fits it, "
        "`featurize extract PHOTOS --features %s --parity retrain`",
        args.output,
        len(model.labels),
        model.widths[0],
        model.features,
        args.graph,
    )
    return 0
