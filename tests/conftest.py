"""One thread a process: the suite runs in several, and threads that wait for each other crawl."""

from __future__ import annotations

import os

# Before torch is imported anywhere; workers of vector environments inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
