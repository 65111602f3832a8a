"""contriever_lite: a dense retriever learnt from raw text, small enough to read in an afternoon.

Text becomes tokens, a document becomes two views, two views become two vectors, a loss pulls them
together and pushes others away; the same vectors then answer queries, and the answers are scored.
Every module is one of those verbs. Import what you need from its module:

    from contriever_lite.loss import info_nce
"""

__version__ = "0.1.0"
