"""What two runs have to agree in, bit by bit."""

from pathlib import Path
from typing import Any

import torch

from tests.training_runs import differences

# Lightning's counters of batches, which run on in another way after a resume, and which job wrote the file.
_MAY_DIFFER = ("loops", "slurm_job")


def exact_state(path: Path) -> dict[str, Any]:
    """All of a checkpoint that further training or its reader depends on."""
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return {key: value for key, value in content.items() if key not in _MAY_DIFFER}


def different_files(run: Path, undisturbed: Path) -> list[str]:
    """What differs between the checkpoints of two run folders, by file and path within it."""
    names = {file.name for folder in (run, undisturbed) for file in (folder / "checkpoints").glob("*.ckpt")}
    found = []
    for name in sorted(names):
        ours, theirs = run / "checkpoints" / name, undisturbed / "checkpoints" / name
        if not (ours.is_file() and theirs.is_file()):
            found.append(f"{name} is missing")
        else:
            found += differences(exact_state(ours), exact_state(theirs), name)
    return found
