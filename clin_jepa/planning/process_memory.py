"""Private memory of this process, and memory of this machine; pages of mapped files do not count, the system takes them back."""

import os
import re
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def private_bytes() -> int:
    """Anonymous memory of this process that is resident; where the system does not tell, the most it ever held."""
    found = re.search(r"RssAnon:\s+(\d+) kB", _STATUS.read_text(encoding="ascii")) if _STATUS.is_file() else None
    if found is not None:
        return int(found[1]) * 1024
    # ru_maxrss is in kilobytes on Linux, in bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def machine_bytes() -> int:
    """Memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
