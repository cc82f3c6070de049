"""`make bench`: every benchmark there is. Each prints ratios measured side by side in its own run."""

from __future__ import annotations

from benchmarks import list_containers, reply_latency

if __name__ == "__main__":
    list_containers.main(500)
    reply_latency.main()
