"""Keeping freed memory: asked of glibc, and of nothing else."""

import ctypes
import platform
import sys
from types import SimpleNamespace

import pytest

from contriever_lite.memory import keep_freed_memory


def test_glibc_is_asked_in_its_own_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """M_TRIM_THRESHOLD is -1 and M_MMAP_THRESHOLD -3 in glibc's malloc.h; both take a C int."""
    asked = {}
    library = SimpleNamespace(mallopt=lambda name, value: asked.update({name: value}) or 1)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert keep_freed_memory()
    assert set(asked) == {-1, -3}
    assert all(32 * 1024**2 <= value < 2**31 for value in asked.values())
    library.mallopt = lambda name, value: 0
    assert not keep_freed_memory(), "it may refuse"


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    monkeypatch.setattr(sys, "platform", "linux")
    assert not keep_freed_memory(), "a C library without mallopt"
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("not asked"))
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_this_glibc_obeys() -> None:
    assert keep_freed_memory()
