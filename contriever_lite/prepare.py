"""A corpus made from sources of any size, in the memory that a few batches take, in one sitting or
several.

One process reads the documents as a stream and appends their tokens to a file; the tokenising in
between, which takes most of the time, is done by as many processes as asked for.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from itertools import chain, islice
from pathlib import Path

from tokenizers import Tokenizer
from tqdm import tqdm

from contriever_lite.corpus import Corpus, batches
from contriever_lite.corpus_writer import CorpusWriter, noted
from contriever_lite.documents import TEXT_AND_TITLE, Fields, locate_documents, stream_documents
from contriever_lite.errors import ConfigError, DataError, SourceError
from contriever_lite.files import (
    locked,
    new_file,
    refuse_strangers,
    refuse_to_overwrite,
    write_json,
)
from contriever_lite.settings import refuse_differences
from contriever_lite.tokenising import tokenise_batches
from contriever_lite.vocabulary import Vocabulary

# of an unfinished corpus, behind settings.json
PARTS = ("tokenizer.json", "progress.json", "tokens.npy", "lengths", "titles", "corpus")


def prepare_corpus(
    sources: Sequence[str | Path],
    out: str | Path,
    tokenizer: Tokenizer | Vocabulary,
    workers: int = 1,
    *,
    fields: Fields = TEXT_AND_TITLE,
    resume: bool = False,
    save_every: float = 10.0,
) -> Corpus:
    """Tokenise the documents of `sources` (see documents.py), one source after another, into the
    corpus folder `out`, whole or not at all, and open it.

    The folder is the one that `build_corpus(...).save(out)` writes, byte for byte, whatever the
    number of workers: processes that tokenise (1: this one, with the threads of `tokenizers`). In
    memory at a time: about three batches of `corpus.BATCH` characters a worker, and at the end 12
    bytes a document.

    Until it is done it stands in OUT.part, saved every `save_every` seconds. If the process is
    killed, or the disk is full, resume=True goes on from the last save (or starts, where there is
    none) and makes the same bytes; what was done is read again but not tokenised again. Refused,
    with the differences, for other sources, tokenizer or fields.

    Raises DataError for bad lines, for no document at all and where `out` exists, ConfigError for
    workers below 1, where a worker dies, and where OUT.part is there without resume.
    """
    out = Path(out)
    folder = out.with_name(f"{out.name}.part")
    if workers < 1:
        raise ConfigError(f"workers is {workers}; allowed: 1 or more")
    _refuse_finished(out, folder, resume)
    with _work_folder(folder, _settings(sources, tokenizer, fields), resume) as work:
        file = _tokenizer_file(work, tokenizer, sources, fields)
        with CorpusWriter(work, save_every) as writer, _bar(sources) as bar:
            streams = [stream_documents(source, fields, bar) for source in sources]
            rest = islice(chain.from_iterable(streams), writer.documents, None)
            with closing(tokenise_batches(batches(rest), file, workers)) as parts:
                for part in parts:
                    writer.append(part)
            if not writer.documents:
                raise DataError(f"there are no documents in {', '.join(map(str, sources))}")
            os.rename(writer.finish(file), out)
    return Corpus.open(out)


def _refuse_finished(out: Path, folder: Path, resume: bool) -> None:
    if resume and (out / "manifest.json").exists():
        if (folder / "settings.json").exists():  # killed when the corpus was in its place already
            _refuse_strangers(folder)
            shutil.rmtree(folder)
        raise ConfigError(f"{out} is finished: there is nothing to resume")
    refuse_to_overwrite(out)


def _settings(
    sources: Sequence[str | Path], tokenizer: Tokenizer | Vocabulary, fields: Fields
) -> dict[str, str]:
    """What the corpus depends on, in words, so that a difference can be shown."""
    if isinstance(tokenizer, Tokenizer):
        digest = hashlib.sha256(tokenizer.to_str().encode()).hexdigest()[:12]
        made = f"{tokenizer.get_vocab_size():,} pieces, {digest}"
    else:
        made = f"learnt: {dataclasses.asdict(tokenizer)}"
    named = {f"source {number}": _state(source) for number, source in enumerate(sources, start=1)}
    return {**named, "tokenizer": made, "fields": f"{fields.text}, {fields.title}"}


def _state(source: str | Path) -> str:
    """A source's name, and of its files the number, the bytes and the time of the last change."""
    found = [path.stat() for path in locate_documents(source)]
    if not found:
        return str(source)
    size, newest = sum(file.st_size for file in found), max(file.st_mtime for file in found)
    changed = datetime.fromtimestamp(newest, timezone.utc).isoformat(" ")
    return f"{source} ({len(found)} file(s), {size:,} bytes, changed {changed})"


@contextmanager
def _work_folder(folder: Path, settings: dict[str, str], resume: bool) -> Iterator[Path]:
    """The folder of the unfinished corpus: new, or resumed, and ours alone. It goes away when the
    work is done, and a new one when it cannot be used again: after a DataError a source must
    change, unless it could only not be reached."""
    new = not folder.exists()
    if not new:
        _refuse_strangers(folder)
    if not (new or resume):
        raise ConfigError(
            f"{folder} holds what an interrupted prepare has done; go on with it: --resume, or "
            "remove it to start anew"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        _settle(folder / "settings.json", settings)
        try:
            yield folder
        except DataError as error:
            begun = (folder / "progress.json").exists()
            if new and not (begun and isinstance(error, SourceError)):
                shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def _refuse_strangers(folder: Path) -> None:
    refuse_strangers(folder, "settings.json", PARTS, "an unfinished corpus")


def _settle(file: Path, settings: dict[str, str]) -> None:
    """Compare the settings with those of the work that goes on, or write them."""
    place = file.parent
    refuse_differences(noted(file) or settings, settings, place, f"remove {place} to start anew")
    write_json(settings, file, overwrite=True)


def _tokenizer_file(
    work: Path, tokenizer: Tokenizer | Vocabulary, sources: Sequence[str | Path], fields: Fields
) -> Path:
    """The tokenizer in a file, learnt if it was not yet."""
    file = work / "tokenizer.json"
    if not file.exists():
        if isinstance(tokenizer, Vocabulary):
            tokenizer = tokenizer.learn(sources, fields)
        with new_file(file) as new:
            tokenizer.save(str(new))
    return file


def _bar(sources: Sequence[str | Path]) -> tqdm:
    """How much of the files is read; without an end where a source is no file."""
    files = [locate_documents(source) for source in sources]
    known = all(files)
    total = sum(path.stat().st_size for path in chain(*files)) if known else None
    return tqdm(desc="preparing", total=total, unit="B", unit_scale=True, delay=2, leave=False)
