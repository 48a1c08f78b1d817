"""It leaves a busy thread running."""

import threading
import time

import gapbench


def spin():
    while True:
        time.sleep(0.001)


class Aligner:
    def fit(self, data):
        threading.Thread(target=spin, name="spinner").start()
        return self

    def images(self, x):
        return x

    def texts(self, t):
        return t


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="spins-thread",
            factory="spins_thread:Aligner",
            summary="It leaves a busy thread running",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
