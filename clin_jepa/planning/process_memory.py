"""Memory of this process and of this machine; pages of mapped files are not private, the system takes them back."""

import os
import re
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def private_bytes() -> int:
    """Anonymous memory of this process that is resident; where the system does not tell, the most it ever held."""
    found = re.search(r"RssAnon:\s+(\d+) kB", _STATUS.read_text(encoding="ascii")) if _STATUS.is_file() else None
    return most_resident_bytes() if found is None else int(found[1]) * 1024


def most_resident_bytes() -> int:
    """The most memory that this process ever held, mapped files included."""
    # ru_maxrss is in kilobytes on Linux, in bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def machine_bytes() -> int:
    """Memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
