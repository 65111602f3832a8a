"""What each command of the command line that trains does, given its parsed arguments."""

from argparse import Namespace
from pathlib import Path


def prepare(arguments: Namespace) -> None:
    """Tokenise sources, one after another, into one corpus folder."""
    from contriever_lite.documents import Fields
    from contriever_lite.prepare import prepare_corpus
    from contriever_lite.tokens import load_tokenizer
    from contriever_lite.vocabulary import Vocabulary

    if arguments.tokenizer == "train":
        size, characters = arguments.vocab_size, arguments.vocab_characters
        tokenizer = Vocabulary(size, characters, arguments.fewest)
    else:
        tokenizer = load_tokenizer(arguments.tokenizer)
    fields = Fields(arguments.text_field, arguments.title_field)
    place = arguments.source, arguments.out, tokenizer, arguments.workers
    corpus = prepare_corpus(*place, fields=fields, resume=arguments.resume)
    print(f"{arguments.out}: {len(corpus):,} documents, {len(corpus.tokens):,} tokens, "
          f"{corpus.tokenizer.get_vocab_size():,} word pieces")  # fmt: skip


def train(arguments: Namespace) -> None:
    """Train on a source's documents and leave a run's folder, or look at what it would take."""
    from contriever_lite.collection import load_collection
    from contriever_lite.config import describe, with_settings
    from contriever_lite.dry_run import dry_run
    from contriever_lite.presets import preset
    from contriever_lite.runs import finish_processes, train_run

    config = with_settings(preset(arguments.preset), arguments.settings)
    short = {"seed": arguments.seed, "objective": arguments.objective}
    config = config.replace(**{name: value for name, value in short.items() if value is not None})
    place = arguments.data, arguments.out, arguments.resume
    if arguments.dry_run:
        print(describe(config), dry_run(config, *place), sep="\n\n")
        return
    options = {name: getattr(arguments, name) for name in ("keep", "save_every", "evaluate_every")}
    if arguments.tensorboard:
        options["tensorboard"] = Path(arguments.out) / "tensorboard"
    if arguments.evaluate:
        options["judge"] = load_collection(arguments.evaluate, arguments.evaluate_split)
    retriever = train_run(config, *place, **options)
    if finish_processes():
        size = sum(p.numel() for p in retriever.encoder.parameters())
        print(f"{arguments.out}: trained for {config.steps:,} steps, {size:,} parameters")


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
