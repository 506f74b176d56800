"""What the maker of a device states that it can do: dense operations a second, without sparsity."""

import torch

# NVIDIA's data sheets. By a part of the device's name, the first that fits: bfloat16 tensor cores, and float32 without TF32.
_PEAKS: tuple[tuple[str, float, float], ...] = (
    ("H200", 989e12, 67e12),
    ("H100 NVL", 835e12, 60e12),
    ("H100 PCIe", 756e12, 51e12),
    ("H100", 989e12, 67e12),
    ("A100", 312e12, 19.5e12),
    ("L40S", 362e12, 91.6e12),
    ("L40", 181e12, 90.5e12),
    ("L4", 121e12, 30.3e12),
    ("A10G", 70e12, 35e12),
    ("A10", 125e12, 31.2e12),
    ("RTX 4090", 165e12, 82.6e12),
    ("RTX 3090", 71e12, 35.6e12),
)


def peak_operations(device_name: str, dtype: torch.dtype) -> float | None:
    """Operations a second; None where they are not known, as of a CPU.

    Args:
        device_name: As CUDA gives it.
        dtype: In which the work is done.

    >>> peak_operations("NVIDIA H100 80GB HBM3", torch.bfloat16) / 1e12
    989.0
    >>> peak_operations("a CPU", torch.float32) is None
    True
    """
    for name, half, single in _PEAKS:
        if name in device_name:
            return half if dtype == torch.bfloat16 else single
    return None
