"""contriever_lite: a dense retriever learnt from raw text, small enough to read in an afternoon.

Text becomes tokens, a document becomes two views, two views become two vectors, a loss pulls them
together and pushes others away; the same vectors then answer queries, and the answers are scored.
Every module is one of those verbs. Import what you need from its module:

    from contriever_lite.loss import info_nce
"""

import warnings

# Libraries with progress bars say this in every notebook without ipywidgets; the bars work anyway.
warnings.filterwarnings("ignore", message="IProgress not found")

__version__ = "0.1.0"
