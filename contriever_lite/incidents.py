"""What ends a run early, and what it tells: how to look into it and how to go on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from torch import nn

from contriever_lite.batch import PairBatch
from contriever_lite.build import result
from contriever_lite.config import TrainConfig
from contriever_lite.errors import ConfigError, TrainingError
from contriever_lite.estimate import fitting, memory
from contriever_lite.state import RunState
from contriever_lite.stop import Stopped


def gone_wrong(trouble: str, step: int, run: RunState) -> TrainingError:
    """A loss that is no number, or too large, at step 0, 1, ...: `--step` and the log count from
    1."""
    batch = f"batch_of_step(corpus, usable, config, {step})"
    if run.folder and (run.folder.parent / "config.json").is_file():
        batch = f"contriever-lite batch --run {run.folder.parent} --step {step + 1}"
    return TrainingError(
        f"{trouble} at step {step + 1}; lower learning_rate or raise temperature, and start again. "
        f"Its batch: {batch}. The last good state: {run.newest() or 'none was due'}"
    )


def stop(accelerator: Accelerator, run: RunState, step: int, signal: int) -> None:
    """Save the state after `step` steps, and raise Stopped in every process."""
    if accelerator.is_main_process:
        run.save(step)
    accelerator.wait_for_everyone()
    raise Stopped(
        f"stopped after step {step}, as asked; its state is {run.newest()}. The same command with "
        "--resume goes on from there",
        signal,
    )


def agree(accelerator: Accelerator, first: int) -> None:
    """Each process reads the state for itself; raises ConfigError where one did not find it."""
    firsts = accelerator.gather(torch.tensor([first], device=accelerator.device)).tolist()
    if min(firsts) != max(firsts):
        raise ConfigError(
            f"the processes would go on from different steps, {firsts}: put the run's folder where "
            "every machine reads the same files"
        )


@contextmanager
def enough_memory(
    config: TrainConfig, objective: nn.Module, pairs_of: Callable[[int], PairBatch]
) -> Iterator[None]:
    """Within the block, a GPU that runs out of memory is a TrainingError that says what would fit,
    by the estimate of estimate.memory."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        there = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        needed = memory(config, result(objective, config), pairs_of(0))
        batch, micro = fitting(config, needed, there)
        ways = [f"batch_size={batch}"] if batch else []
        ways += (
            [f"micro_batch={micro} (cached gradients: the same result, slower)"] if micro else []
        )
        raise TrainingError(
            f"the GPU's {there / 2**30:.1f} GiB are too few: about "
            f"{sum(needed.values()) / 2**30:.1f} GiB are needed at batch_size = "
            f"{config.batch_size}. Set {' or '.join(ways) or 'a smaller model or queue_size'}"
        ) from error
