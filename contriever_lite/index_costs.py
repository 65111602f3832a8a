"""What an index of vectors costs: bytes a vector, work a query."""

from math import ceil, log

from contriever_lite.index_settings import CENTROIDS, IndexSettings


def bytes_per_vector(settings: IndexSettings, dimension: int, count: int) -> float:
    """Bytes an index holds for each of N vectors of D numbers, its share of what was learnt (cells,
    centroids, levels, medians) among them; full vectors that only `rescore` reads are not.

        exact   = 4 D
        int8    = D + 8 D / N
        binary  = ceil(D / 8) + 4 D / N
        ivf     = 4 D + 8 + L (4 D + 8) / N
        ivf-pq  = parts + 8 + (L (4 D + 8) + 256 * 4 D) / N
        hnsw    = 4 D + 4 (2 links + links / (links - 1)) + 12

    L: cells; 8: the vector's number, or a cell's length. hnsw: a vector stands on floor l with
    probability links^-l, so that links of the upper floors add up to links / (links - 1); 12 for
    where its links begin and how many floors it has.
    """
    d, n = dimension, max(count, 1)
    cells = settings.cells(count) * (4 * d + 8) / n
    return {
        "exact": 4 * d,
        "int8": d + 8 * d / n,
        "binary": ceil(d / 8) + 4 * d / n,
        "ivf": 4 * d + 8 + cells,
        "ivf-pq": settings.parts + 8 + cells + CENTROIDS * 4 * d / n,
        "hnsw": 4 * d + 4 * (2 * settings.links + settings.links / (settings.links - 1)) + 12,
    }[settings.kind]


def work_per_query(settings: IndexSettings, dimension: int, count: int) -> float:
    """Multiplications a query costs among N vectors of D numbers; byte operations where there are
    no products (binary, and the table look-ups of ivf-pq). Rescoring apart.

        exact   = N D
        int8    = N D
        binary  = N ceil(D / 8)
        ivf     = L D + P N / L * D
        ivf-pq  = L D + 256 D + P N / L * parts
        hnsw    = D (2 links width + links log N / log links)

    L: cells, P: probes, at most L. hnsw: at most, since neighbours seen before are passed over.
    """
    d, n, cells = dimension, count, settings.cells(count)
    probed = min(settings.probes, cells) * n / cells
    floors = log(max(n, 1)) / log(settings.links)
    return {
        "exact": n * d,
        "int8": n * d,
        "binary": n * ceil(d / 8),
        "ivf": cells * d + probed * d,
        "ivf-pq": cells * d + CENTROIDS * d + probed * settings.parts,
        "hnsw": d * settings.links * (2 * settings.width + floors),
    }[settings.kind]
