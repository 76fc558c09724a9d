"""The report of a run: an HTML page with its configuration, its result and pictures of what it learned."""

from dataclasses import replace

from minicnn.runs.evaluation import Evaluation
from minicnn.runs.evaluation_data import load_evaluation_data, with_dataset
from minicnn.runs.folder import Run
from minicnn.runs.page import page
from minicnn.runs.train import check_outputs, evaluate
from minicnn.validation import check_int


def report(
    run: Run,
    limit: int | None = None,
    dataset: str | None = None,
    data: str | None = None,
    labels: str | None = None,
) -> str:
    """Return a report of a trained run as HTML with embedded pictures, which opens without a network.

    Parameters
    ----------
    run : Run
        From `open_run` or `open_trained`.
    limit : int, optional
        Evaluate on at most `limit` images.
    dataset, data, labels : str, optional
        Evaluate on another data set than the run's; pictures are prepared as for the training.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the model's outputs are not finite.
    """
    from minicnn.runs.sections import SECTIONS  # imported here, since it needs matplotlib

    part, (images, classes) = load_evaluation_data(run.config, run.model, dataset, data, labels)
    run = replace(run, config=with_dataset(run.config, dataset, data, labels))
    if limit is not None:
        images, classes = images[: check_int(limit, "limit", low=1)], classes[:limit]
    scores, logits = evaluate(run.model, images, classes, run.config.threads)
    evaluation = Evaluation(run, part, images, classes, scores, check_outputs(logits))
    sections = [(heading, list(make(evaluation))) for heading, make in SECTIONS.items()]
    filled = [(heading, fragments) for heading, fragments in sections if fragments]
    return page(f"Run {run.folder.resolve().name}", evaluation.headline, filled)
