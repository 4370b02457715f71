"""The section of the report about labels in a tree."""

from typing import Any

from evaluate.report.drawing import as_svg
from evaluate.report.figures import drawn_nodes, tree_drawing
from evaluate.report.sentences import tree_in_words
from evaluate.statistics.hierarchy import TreeScores


def tree_content(of: str, found: TreeScores) -> dict[str, Any]:
    """What the template ``tree.html`` shows: sentences, the tree with the errors at its nodes, and numbers."""
    from markupsafe import Markup

    label = "The tree of the labels and its errors, the numbers are in the table"
    return {
        "of": of,
        "found": found,
        "sentences": [f"{line[0].upper()}{line[1:]}." for line in tree_in_words(found)],
        "drawing": Markup(as_svg(tree_drawing(found.nodes), "tree", label)),
        "n_drawn": len(drawn_nodes(found.nodes)),
    }
