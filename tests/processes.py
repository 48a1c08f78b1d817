"""What tests run in other processes: a spawned process imports its target, and of the tests only this folder is on its path."""

import gapbench
from gapbench.results.folder import PAGES, write_pages


def run_when_told(start, data, out):
    start.wait()
    aligners = ["identity", "mean-center", "procrustes", "gap-shift", "z-score"]
    gapbench.run(datasets=data, aligners=aligners, metrics=["top1", "centroid-l2"], out=out)


def write_often(path, number):
    for time in range(20):
        write_pages(path, {name: f"{number} {time}".encode() for name in PAGES})
