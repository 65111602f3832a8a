"""A run over time: its log as curves, and the states it kept scored on a collection."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tqdm import tqdm

from contriever_lite.build import new_encoder, new_objective, result
from contriever_lite.collection import load_collection
from contriever_lite.config import from_dict
from contriever_lite.corpus import Corpus
from contriever_lite.errors import CheckpointError, DataError
from contriever_lite.evaluate import evaluate_model
from contriever_lite.files import new_file, write_json
from contriever_lite.metrics import Interval
from contriever_lite.plots import label, lines, use_style
from contriever_lite.report import NAMES
from contriever_lite.retriever import Retriever, retriever_for
from contriever_lite.run_files import read_config
from contriever_lite.state_files import read_state, states_in
from contriever_lite.tokens import reading_raw_text

Series = dict[str, tuple[list[int], list[float]]]  # name -> (steps, values)
APART = ("step", "seconds")
UNITS = {"loss": "nats", "accuracy": "share of queries", "deviation": "1 / sqrt(D) = spread evenly"}


def read_log(run: str | Path) -> Series:
    """The numbers of a run's log, each with the steps that have it.

    Raises DataError where there is no log, or nothing in it. Half a line, as a killed run leaves
    it, is passed over.
    """
    file, series = Path(run) / "metrics.jsonl", {}
    if not file.is_file():
        raise DataError(f"{run} has no metrics.jsonl; give the folder of a run")
    for text in file.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        for name in line.keys() - set(APART):
            steps, values = series.setdefault(name, ([], []))
            steps.append(line["step"])
            values.append(line[name])
    if not series:
        raise DataError(f"{file} is empty: the run has not done a step yet")
    return dict(sorted(series.items()))


def draw(run: str | Path) -> Path:
    """Write RUN/curves.svg: every series of the log, and what `over_time` found, over the steps."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    series = read_log(run) | _evaluations(run)
    with rc_context():
        use_style()
        rows = (len(series) + 1) // 2
        figure = Figure(figsize=(12.8, 3.2 * rows))
        axes = figure.subplots(rows, 2, squeeze=False)
        for ax, (name, (steps, values)) in zip(axes.flat, series.items(), strict=False):
            label(
                lines({name: (steps, values)}, ax),
                name.replace("_", " "),
                "steps",
                UNITS.get(name, ""),
            )
        for ax in axes.flat[len(series) :]:
            ax.set_visible(False)
        path = Path(run) / "curves.svg"
        with new_file(path, overwrite=True) as work:
            figure.savefig(work)
    return path


def _evaluations(run: str | Path) -> Series:
    found = {}
    for file in sorted(Path(run).glob("evaluation-*.json")):
        scores = _scored(file)
        for measure, title in NAMES.items():
            name = f"{file.stem.removeprefix('evaluation-')}, {title}"
            found[name] = (list(scores), [each[measure]["mean"] for each in scores.values()])
    return found


def _scored(file: Path) -> dict[int, dict]:
    """What `over_time` found before: step -> measure -> the ends of its interval."""
    try:
        scores = json.loads(file.read_text(encoding="utf-8"))
        for each in scores.values():
            for measure in NAMES:
                Interval(**each[measure])
        return {int(step): scores[step] for step in sorted(scores, key=int)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file} is not what `report RUN --data NAME` writes ({error!r}); move it away"
        ) from error


def over_time(run: str | Path, data: str) -> dict[int, dict]:
    """Score every state that a run kept, and its model if it is finished, on a collection.

    Returns step -> scores, and adds them to RUN/evaluation-DATA.json. Raises CheckpointError where
    there is no state, and DataError where that file is another.
    """
    collection, run = load_collection(data), Path(run)
    file = run / f"evaluation-{collection.name.replace('/', '-')}.json"
    known = _scored(file) if file.is_file() else {}
    retrievers = states_in(run / "states")
    if (run / "model").is_dir():
        retrievers[read_config(run).steps] = run / "model"
    if not retrievers:
        raise CheckpointError(f"{run} has kept no state yet; `train --save-every` says how often")
    for step, path in tqdm(retrievers.items(), "evaluating", unit=" states", leave=False):
        retriever = Retriever.load(path) if path.is_dir() else retriever_of(path)
        scores = evaluate_model(str(run), collection, retriever).scores
        known[step] = {name: asdict(score) for name, score in scores.items()}
    known = {step: known[step] for step in sorted(known)}
    write_json(known, file, overwrite=True)
    return known


def retriever_of(path: str | Path) -> Retriever:
    """The retriever that a run had when it saved this state."""
    state = read_state(Path(path))
    config = from_dict(json.loads(state["config"]))
    tokenizer = reading_raw_text(Tokenizer.from_str(state["tokenizer"]))
    nothing = Corpus(np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, np.int32), tokenizer)
    plain = config.replace(idf_weights=False, stop_words="")  # the state has its weights
    objective = new_objective(config, new_encoder(plain, nothing), tokenizer)
    objective.load_state_dict(state["objective"])
    return retriever_for(result(objective, config).eval(), tokenizer, config)
