#!/usr/bin/env bash
# The tests that need a GPU, and the benchmarks: bash scripts/gpu/check.sh OUT
# About ten minutes on an H100. Every log goes to OUT; the last line counts what failed.
# benchmarks/training.py compares with the trainer of sentence-transformers, which needs `datasets`.
set -u
out=${1:?name a folder for the logs}
python=${PYTHON:-python3}
mkdir -p "$out"
failed=0

log() { # NAME COMMAND...: run a command, keep its output, go on whatever becomes of it
  local name=$1
  shift
  echo "== $name: $*"
  timeout 180 "$@" >"$out/$name.log" 2>&1 || { failed=$((failed + 1)); echo "   failed: $out/$name.log"; }
  tail -n 12 "$out/$name.log"
}

export TQDM_DISABLE=1 HF_HUB_OFFLINE=1
log tests "$python" -m pytest -q -m gpu tests/test_gpu.py
log flops "$python" benchmarks/flops.py
log flops_plain_batch "$python" benchmarks/flops.py --batch 256
log training "$python" benchmarks/training.py --size base --batch 256 --precision bf16
log training_moco "$python" benchmarks/training.py --size base --batch 256 --precision bf16 --objective moco
log encoding "$python" benchmarks/encoding.py --size base --texts 8192
log step_memory "$python" benchmarks/step_memory.py
log cached "$python" benchmarks/cached.py --batches 256 1024 4096
echo "$failed failed"
exit $((failed > 0))
