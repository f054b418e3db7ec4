#!/usr/bin/env bash
# The GPU benchmark: checks what this Python has, then runs gpu.py with the same arguments.
#   bash benchmarks/gpu.sh --out out/gpu
#   PYTHON=.venv/bin/python bash benchmarks/gpu.sh --dry-run
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="${PYTHON:-python3}"
export PYTHONPATH="$here/..:$here${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

"$python" - <<'CHECK'
import importlib.util
import sys

needed = {
    "torch": "torch", "torchvision": "torchvision", "open_clip": "open_clip_torch",
    "timm": "timm", "ftfy": "ftfy", "regex": "regex", "transformers": "transformers",
    "diffusers": "diffusers", "accelerate": "accelerate", "safetensors": "safetensors",
    "pydantic": "pydantic", "yaml": "PyYAML", "PIL": "Pillow", "tqdm": "tqdm", "numpy": "numpy",
    "psutil": "psutil", "jaxtyping": "jaxtyping", "lazy_loader": "lazy_loader",
}
missing = [package for module, package in needed.items() if importlib.util.find_spec(module) is None]
if missing:
    sys.exit(f"{sys.executable} lacks {', '.join(missing)}; install them, or set PYTHON")
CHECK

exec "$python" "$here/gpu.py" "$@"
