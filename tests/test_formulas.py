"""Every formula in a docstring has a test that evaluates it.

A formula is an indented line with "=" or "<-" in the docstring of a public function, class or
method. Each stands here with its test; a new one without fails, and so does a test that is gone.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "contriever_lite"

REGISTER = {
    "contrasts.contrast":
        "test_contrasts.test_contrast_is_the_permutation_test_on_few_queries",
    "criterion.Criterion": "test_criterion.test_it_is_its_function_with_settings",
    "diagnostics.deviation": "test_diagnostics.test_deviation_equals_a_loop",
    "diagnostics.effective_rank": "test_diagnostics.test_effective_rank_equals_its_formula",
    "diagnostics.mean_rank": "test_diagnostics.test_mean_rank_equals_a_loop",
    "dropout.Dropout": "test_dropout.test_numbers_are_dropped_at_the_rate_and_the_rest_scaled",
    "ema.cosine_momentum": "test_ema.test_the_momentum_schedule_equals_its_formula",
    "ema.drift": "test_ema.test_drift_equals_its_formula",
    "ema.ema_update": "test_ema.test_an_update_equals_a_loop",
    "estimate.memory": "test_estimate.test_memory_is_near_what_is_measured",
    "estimate.operations": "test_estimate.test_operations_equal_the_formula",
    "encoder.BagEncoder": "test_encoder.test_values_and_gradients_equal_a_loop",
    "encoder.BagEncoder.start_weights_at_idf": "test_encoder.test_weights_at_idf_are_bm25s",
    "fusion.reciprocal_rank_fusion": "test_fusion.test_reciprocal_rank_fusion_by_hand",
    "fusion.weighted_fusion": "test_fusion.test_zscore_fusion_by_hand",
    "diagnostics.alignment": "test_diagnostics.test_alignment_and_uniformity_equal_loops",
    "hardware.hours": "test_hardware.test_hours",
    "index_costs.bytes_per_vector":
        "test_indexes.test_bytes_by_formula_are_those_that_faiss_writes",
    "index_costs.work_per_query": "test_indexes.test_work_by_formula_is_what_faiss_counts",
    "key_queue.KeyQueue": "test_key_queue.test_any_sequence_of_pushes_equals_a_list",
    "loss.decoupled": "test_loss.test_decoupled_equals_a_loop",
    "loss.sigmoid": "test_loss.test_sigmoid_equals_a_loop",
    "loss.equation_1": "test_loss.test_equation_1_equals_a_loop",
    "loss.info_nce": "test_loss.test_info_nce_equals_a_loop",
    "diagnostics.uniformity": "test_diagnostics.test_alignment_and_uniformity_equal_loops",
    "mlm.MaskedLanguage": "test_mlm.test_the_loss_is_the_cross_entropy_of_the_hidden_tokens",
    "transformer.TransformerEncoder":
        "test_transformer.test_sorted_cut_forwards_give_each_text_its_own_vector",
    "metrics.bootstrap_interval":
        "test_metrics.test_the_bootstrap_interval_is_the_normal_one_for_many_values",
    "metrics.ndcg": "test_metrics.test_ndcg_by_hand",
    "metrics.paired_test":
        "test_metrics.test_the_paired_test_is_the_exact_permutation_test_on_few_queries",
    "metrics.recall": "test_metrics.test_recall_by_hand",
    "search.BM25Index": "test_search.test_bm25_equals_its_formula",
    "significance.holm": "test_significance.test_holm_equals_its_formula",
    "significance.macro_interval":
        "test_significance.test_the_mean_of_means_counts_each_group_alike",
    "sweep.summary": "test_sweep.test_the_interval_over_seeds_equals_its_formula",
    "optimizer.learning_rate": "test_train.test_the_schedule_equals_its_formula",
    "optimizer.clip_gradients": "test_optimizer.test_clipping_equals_its_formula",
    "divergence.Divergence": "test_divergence.test_a_run_diverges_above_its_limit",
    "views.inverse_cloze": "test_views.test_inverse_cloze_equals_its_formula",
    "quantise.quantise": "test_quantise.test_a_number_moves_by_at_most_half_a_level",
    "truncation.principal_axes": "test_truncation.test_principal_axes_equal_their_formula",
    "warm_start.warm_start": "test_warm_start.test_known_and_fresh_numbers_stand_side_by_side",
    "warm_start.whitened":
        "test_warm_start.test_whitening_evens_out_the_deviation_of_every_axis",
    "cross_encoder.train_cross_encoder":
        "test_cross_encoder.test_it_learns_which_candidate_is_the_answer_and_repeats_itself",
    "views.random_crop":
        "test_views.test_random_crop_draws_lengths_and_starts_as_its_formula_says",
}  # fmt: skip

Definition = ast.FunctionDef | ast.ClassDef


def public(nodes: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Definition]]:
    """Public functions, classes and their methods: (dotted name, definition)."""
    for node in nodes:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield f"{prefix}.{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{prefix}.{node.name}")


def formulas(source: str, module: str) -> dict[str, list[str]]:
    """Dotted name -> the formulas of its docstring."""
    found = {}
    for name, node in public(ast.parse(source).body, module):
        margin = " " * (node.body[0].col_offset + 4)
        lines = (ast.get_docstring(node, clean=False) or "").splitlines()[1:]
        indented = [line.strip() for line in lines if line.startswith(margin)]
        if equations := [line for line in indented if "=" in line or "<-" in line]:
            found[name] = equations
    return found


def name_of(node: ast.AST) -> str | None:
    """What a name or an attribute is called."""
    return getattr(node, "id", None) or getattr(node, "attr", None)


def names_in(test: str) -> set[str] | None:
    """The names that a test uses, itself or through functions of its file; None without it."""
    module, _, name = test.partition(".")
    file = TESTS / f"{module}.py"
    if not file.is_file():
        return None
    nodes = ast.parse(file.read_text(encoding="utf-8")).body
    functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
    if name not in functions:
        return None
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        used = set(map(name_of, ast.walk(functions[waiting.pop()])))
        waiting += [other for other in used - seen if other in functions]
        seen |= used
    return seen


ALL = {
    name: equations
    for path in sorted(PACKAGE.glob("*.py"))
    for name, equations in formulas(path.read_text(encoding="utf-8"), path.stem).items()
}


def test_every_formula_is_registered_and_nothing_else() -> None:
    missing = {name: equations for name, equations in ALL.items() if name not in REGISTER}
    assert missing == {}, "evaluate each formula in a test, and name the test in REGISTER"
    assert set(REGISTER) - set(ALL) == set(), "these have no formula any more"


@pytest.mark.parametrize("name", REGISTER)
def test_its_test_is_there_and_calls_it(name: str) -> None:
    used = names_in(REGISTER[name])
    assert used is not None, f"there is no test {REGISTER[name]}"
    assert name.rpartition(".")[2] in used


EXAMPLE = '''
def area(r: float) -> float:
    """The area of a disc.

        A = pi r^2

    r: the radius, r = 1 by default.
    """

class Circle:
    """A disc.

        r <- r + 1
    """

    def grow(self) -> None:
        """Grow.

            r = 2 r
        """

    def _hidden(self) -> None:
        """Not public.

            r = 0
        """

def plain() -> None:
    """No formula, though x = 1 stands in the text."""
'''


def test_a_formula_is_found_wherever_it_stands() -> None:
    assert formulas(EXAMPLE, "disc") == {
        "disc.area": ["A = pi r^2"],
        "disc.Circle": ["r <- r + 1"],
        "disc.Circle.grow": ["r = 2 r"],
    }


def test_a_test_that_is_gone_or_calls_something_else_is_noticed() -> None:
    assert names_in("test_loss.test_that_nobody_wrote") is None
    assert names_in("test_nothing.test_that_nobody_wrote") is None
    assert "uniformity" not in names_in("test_loss.test_info_nce_equals_a_loop")
