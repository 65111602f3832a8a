"""What each command of the command line that trains does, given its parsed arguments."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from contriever_lite.options import refuse


def prepare(arguments: Namespace) -> None:
    """Tokenise sources, one after another, into one corpus folder."""
    from contriever_lite.documents import Fields
    from contriever_lite.prepare import prepare_corpus
    from contriever_lite.tokens import load_tokenizer
    from contriever_lite.vocabulary import Vocabulary

    a = arguments
    if a.tokenizer == "train":
        asked = {"vocab_size": a.vocab_size, "characters": a.vocab_characters, "fewest": a.fewest}
        tokenizer = Vocabulary(**{name: n for name, n in asked.items() if n is not None})
    else:
        reason = f"{a.tokenizer} is a tokenizer that has learnt"
        refuse(a, reason, "--vocab-size", "--vocab-characters", "--fewest")
        tokenizer = load_tokenizer(a.tokenizer)
    fields = Fields(a.text_field, a.title_field)
    place = a.source, a.out, tokenizer, a.workers
    corpus = prepare_corpus(*place, fields=fields, resume=a.resume)
    print(f"{a.out}: {len(corpus):,} documents, {len(corpus.tokens):,} tokens, "
          f"{corpus.tokenizer.get_vocab_size():,} word pieces")  # fmt: skip


def train(arguments: Namespace) -> None:
    """Train on a source's documents and leave a run's folder, or look at what it would take."""
    from contriever_lite.config import describe, with_settings
    from contriever_lite.dry_run import dry_run
    from contriever_lite.presets import preset
    from contriever_lite.run_files import read_config
    from contriever_lite.runs import finish_processes, train_run

    a = arguments
    if not a.evaluate:
        refuse(a, "nothing is scored without --evaluate", "--evaluate-every", "--evaluate-split")
    config = with_settings(preset(a.preset), a.settings)
    short = {"seed": a.seed, "objective": a.objective}
    config = config.replace(**{name: value for name, value in short.items() if value is not None})
    place, watched = (a.data, a.out, a.resume), _watched(a)
    if a.dry_run:
        print(describe(config), dry_run(config, *place), sep="\n\n")
        return
    retriever = train_run(config, *place, **watched, keep=a.keep, save_every=a.save_every)
    if finish_processes():
        size = sum(p.numel() for p in retriever.encoder.parameters())
        print(f"{a.out}: trained for {read_config(a.out).steps:,} steps, {size:,} parameters")


def _watched(arguments: Namespace) -> dict[str, Any]:
    """What looks on as a run trains."""
    from contriever_lite.collection import load_collection

    a = arguments
    found = {"tensorboard": Path(a.out) / "tensorboard"} if a.tensorboard else {}
    if a.evaluate:
        found["judge"] = load_collection(a.evaluate, a.evaluate_split or "dev")
        found["evaluate_every"] = a.evaluate_every or 0
    return found


def finetune(arguments: Namespace) -> None:
    """Teach a model the labels of a collection and leave a run's folder."""
    from contriever_lite.finetune_run import finetune_run

    a = arguments
    settings = [*a.settings, *([f"seed={a.seed}"] if a.seed is not None else [])]
    place = a.model, a.data, a.out, a.split
    taught = finetune_run(*place, a.hold_out, a.negatives, a.every, settings)
    before, after, total = taught.scores[0], taught.scores[taught.steps], max(taught.scores)
    print(f"{a.out}: {taught.labels:,} labels; {taught.held_out:,} more were held out, of which "
          f"{taught.seen:,} have an answer that a label names")  # fmt: skip
    print(f"nDCG@10 on those held out: {before:.3f} before, {after:.3f} kept, "
          f"after {taught.steps:,} of {total:,} steps")  # fmt: skip


def batch(arguments: Namespace) -> None:
    """Print what a run reads at one step."""
    from contriever_lite.inspect_batch import show_batch

    print(show_batch(arguments.run, arguments.step, arguments.data, arguments.all))
