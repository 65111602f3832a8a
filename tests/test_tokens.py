"""The tokenizer: the same on every run, special ids first, and a clear word where they lack."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models
from tokenizers.normalizers import NFD, Lowercase, Normalizer, Sequence

from contriever_lite.errors import DataError
from contriever_lite.tokens import (
    SPECIAL_TOKENS,
    SpecialIds,
    continuing_pieces,
    counting_all,
    counting_once,
    load_tokenizer,
    ordinary_ids,
    special_ids,
    train_tokenizer,
)

TEXTS = [
    "The ferry crosses the sound; ferries never crossed it at night.",
    "Café owners, crossing guards and fairies: über-naïve lighthouse keepers!",
    "1931 lamps, 142 steps, 40 seconds.",
]
SCRIPT = f"""
import hashlib
from contriever_lite.tokens import train_tokenizer
tokenizer = train_tokenizer({TEXTS * 3!r}, 130)
print(hashlib.sha256(tokenizer.to_str().encode()).hexdigest(), tokenizer.get_vocab_size())
"""


def test_rare_characters_are_left_out_when_asked() -> None:
    texts = ["abcab bca", "abc cab", "abca x"] * 50 + ["ab q"]
    whole = train_tokenizer(texts, 60)
    assert whole.encode("q", add_special_tokens=False).tokens == ["q"]
    frugal = train_tokenizer(texts, 60, fewest=2)
    assert frugal.encode("q", add_special_tokens=False).tokens == ["[UNK]"]
    assert frugal.encode("x", add_special_tokens=False).tokens == ["x"]
    assert {"q", "##q"} & set(frugal.get_vocab()) == set()


def test_training_is_the_same_in_every_process() -> None:
    """The library numbers letters in the order of a hash map that differs from run to run."""
    command = [sys.executable, "-c", SCRIPT]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = {process.communicate()[0] for process in processes}
    assert all(process.returncode == 0 for process in processes)
    assert len(outputs) == 1
    digest, size = outputs.pop().split()
    assert len(digest) == 64
    assert int(size) == 130, "the vocabulary is cut among merges of equal count"


def test_special_ids_come_first_and_are_never_drawn_from_text() -> None:
    tokenizer = train_tokenizer(TEXTS, 150)
    assert special_ids(tokenizer) == SpecialIds(pad=0, unk=1, cls=2, sep=3, mask=4)
    ids = [i for e in tokenizer.encode_batch(TEXTS, add_special_tokens=False) for i in e.ids]
    assert min(ids) > 4


def test_the_name_of_a_special_token_in_a_text_is_plain_text(tmp_path: Path) -> None:
    own = train_tokenizer(TEXTS * 5, 400)
    own.save(str(tmp_path / "tokenizer.json"))
    for tokenizer in (own, load_tokenizer(tmp_path), counting_once(own)):
        for name in SPECIAL_TOKENS:
            found = tokenizer.encode(f"a {name} sound").tokens
            assert found[:2] + found[-1:] == ["a", "[UNK]", "sound"], "no [ in the texts"
            assert found == tokenizer.encode(f"a [ {name[1:-1]} ] sound").tokens
    library = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert library.encode("a [MASK] sound").tokens == ["a", "[MASK]", "sound"]


def test_a_vocabulary_is_the_same_from_a_list_an_iterator_and_a_stream() -> None:
    class Stream:
        def __iter__(self) -> Iterator[str]:
            yield from TEXTS

    expected = train_tokenizer(TEXTS, 130).to_str()
    assert train_tokenizer(iter(TEXTS), 130).to_str() == expected
    assert train_tokenizer(Stream(), 130).to_str() == expected


def test_a_stream_of_texts_is_never_held() -> None:
    class Text(str):
        def __init__(self, _: str) -> None:
            self.__class__.alive += 1
            self.__class__.most = max(self.most, self.alive)

        def __del__(self) -> None:
            self.__class__.alive -= 1

    class Stream:
        def __iter__(self) -> Iterator[str]:
            return (Text(f"number {number}") for number in range(5000))

    Text.alive = Text.most = 0
    train_tokenizer(Stream(), 130)
    assert 0 < Text.most < 1000, "the library takes a few hundred at a time"


def test_the_alphabet_is_that_of_the_normalised_texts() -> None:
    text = "Ñandú ﬁn ΣΑΣ İstanbul Å e\u0301 한국 ½ \u200b\u00a0x"
    tokenizer = train_tokenizer([text, "é"], 10)
    expected = set(tokenizer.normalizer.normalize_str(text)) - {" "}
    single = {piece for piece in tokenizer.get_vocab() if len(piece) == 1}
    assert single == {letter for letter in expected if not letter.isspace()}


def test_text_is_lower_cased_stripped_of_accents_and_split() -> None:
    tokenizer = train_tokenizer(TEXTS * 5, 400)
    assert tokenizer.encode("FERRY").tokens == tokenizer.encode("ferry").tokens == ["ferry"]
    assert tokenizer.encode("Café").ids == tokenizer.encode("cafe").ids
    assert tokenizer.encode("ferry;ferry").tokens == ["ferry", ";", "ferry"]
    assert tokenizer.encode("ferry漢").tokens == ["ferry", "[UNK]"]
    assert tokenizer.encode("").ids == []
    assert tokenizer.decode(tokenizer.encode("The lighthouse keepers").ids) == (
        "the lighthouse keepers"
    )


def test_every_letter_of_the_texts_stays() -> None:
    tokenizer = train_tokenizer(TEXTS, 100)
    letters = {letter for text in TEXTS for letter in tokenizer.normalizer.normalize_str(text)}
    pieces = tokenizer.get_vocab()
    for letter in letters - {" "}:
        assert letter in pieces
        assert f"##{letter}" in pieces
    assert tokenizer.encode("zzz").tokens == ["[UNK]"], "no z in the texts"


def test_the_vocabulary_is_as_large_as_asked_where_the_texts_allow() -> None:
    assert train_tokenizer(TEXTS, 130).get_vocab_size() == 130
    assert set(train_tokenizer([], 130).get_vocab()) == set(SPECIAL_TOKENS)


def test_a_saved_tokenizer_loads_from_its_file_and_its_folder(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS, 200)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    for source in (tmp_path, str(tmp_path / "tokenizer.json")):
        assert load_tokenizer(source).to_str() == tokenizer.to_str()


def test_a_tokenizer_without_special_ids_is_refused(tmp_path: Path) -> None:
    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3}
    bare = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    with pytest.raises(DataError, match=r"no \[PAD\], \[MASK\]; it needs"):
        special_ids(bare)
    bare.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(DataError, match=r"\[MASK\]"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("content", [None, "", "{broken", "{}"])
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(DataError, match="cannot load a tokenizer from"):
        load_tokenizer(tmp_path)


def test_a_name_of_the_hub_that_cannot_be_had_is_an_error_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreachable(name: str) -> Tokenizer:
        raise OSError(f"no network for {name}")

    monkeypatch.setattr(Tokenizer, "from_pretrained", staticmethod(unreachable), raising=False)
    with pytest.raises(DataError, match="a name on the Hugging Face hub"):
        load_tokenizer("nobody/nothing")


def test_padding_and_truncation_of_a_file_are_switched_off(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS, 200)
    plain = tokenizer.encode_batch(TEXTS)
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    found = load_tokenizer(tmp_path).encode_batch(TEXTS)
    assert [e.ids for e in found] == [e.ids for e in plain]


def test_counting_once_reads_the_last_of_each_word() -> None:
    tokenizer = train_tokenizer(TEXTS * 5, 400)
    before = tokenizer.to_str()
    once = counting_once(tokenizer)
    for text, kept in {
        "the ferry and the other ferry": "and the other ferry",
        "Ferry ferry FERRY": "ferry",
        "café cafe": "cafe",
        "ferry ferries ferry": "ferries ferry",
        "the\nferry,the": "ferry, the",
        "night": "night",
        "": "",
    }.items():
        assert once.encode(text).tokens == tokenizer.encode(kept).tokens, text
    assert tokenizer.to_str() == before, "a copy"
    assert counting_once(once).encode("the ferry the").tokens == once.encode("the ferry the").tokens


@pytest.mark.parametrize("normalizer", [NFD(), Sequence([NFD(), Lowercase()]), None])
def test_counting_all_undoes_counting_once(normalizer: Normalizer | None) -> None:
    tokenizer = train_tokenizer(TEXTS * 5, 400)
    if normalizer is None:
        tokenizer = Tokenizer(tokenizer.model)
    else:
        tokenizer.normalizer = normalizer
    before, once = tokenizer.to_str(), counting_once(tokenizer)
    assert once.to_str() != before
    assert counting_all(once).to_str() == before
    assert counting_all(tokenizer).to_str() == before
    assert counting_once(once).to_str() == once.to_str(), "once is enough"
    assert counting_all(once).encode_special_tokens, "not saved by the library"


def test_counting_once_looks_two_thousand_characters_ahead(tmp_path: Path) -> None:
    once = counting_once(train_tokenizer(TEXTS * 5, 400))
    once.save(str(tmp_path / "tokenizer.json"))
    for tokenizer in (once, load_tokenizer(tmp_path)):
        assert tokenizer.encode("night" + " " * 1999 + "night").tokens == ["night"]
        assert tokenizer.encode("night" + " " * 2500 + "night").tokens == ["night"] * 2


def bert_like() -> Tokenizer:
    """Special and unused pieces stand where they please, as in BERT's own vocabulary."""
    pieces = ["[PAD]", "[unused0]", "the", "[UNK]", "[CLS]", "##ing", "[SEP]", "[MASK]", "[", "]"]
    vocabulary = {piece: number for number, piece in enumerate([*pieces, "##s", "walk", "[]"])}
    return Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))


def test_ordinary_ids_are_those_of_text() -> None:
    assert ordinary_ids(bert_like()).tolist() == [2, 5, 8, 9, 10, 11, 12]
    tokenizer = train_tokenizer(TEXTS, 150)
    assert ordinary_ids(tokenizer).tolist() == list(range(5, tokenizer.get_vocab_size()))
    with pytest.raises(ValueError, match="read-only"):
        ordinary_ids(tokenizer)[0] = 0


def test_continuing_pieces_are_those_that_begin_no_word() -> None:
    assert np.flatnonzero(continuing_pieces(bert_like())).tolist() == [5, 10]
    tokenizer = train_tokenizer(TEXTS, 150)
    continues = continuing_pieces(tokenizer)
    assert len(continues) == tokenizer.get_vocab_size()
    for encoding in tokenizer.encode_batch(TEXTS, add_special_tokens=False):
        new_word = np.diff(encoding.word_ids, prepend=-1) > 0
        assert (continues[encoding.ids] == ~new_word).all()
    with pytest.raises(ValueError, match="read-only"):
        continues[0] = True


def test_a_tokenizer_that_marks_no_pieces_has_no_whole_words() -> None:
    with pytest.raises(DataError, match=r"is a BPE.*need a WordPiece tokenizer"):
        continuing_pieces(Tokenizer(models.BPE()))
