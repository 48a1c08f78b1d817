"""Encoders and datasets of the Hugging Face libraries, and WebDataset archives: specs only."""

from __future__ import annotations

from gapbench import DatasetSpec, EncoderSpec, Offer, Param, hookimpl

GAPBENCH_CONTRACT = 2

_REVISION = Param(default="", doc="branch, tag or commit of the repository; empty: its main branch")
_SPLIT = Param(default="", doc="the split that is scored; empty: test, else validation, else the only one")
_LIMIT = Param(default=0, low=0, doc="number of items of each split that are read; 0: all")
_BOTH = frozenset({Offer.LABELS, Offer.CAPTIONS})
_SPLITS = {"train": None, "test": None}


@hookimpl
def gapbench_encoders() -> list[EncoderSpec]:
    """Register the encoders."""
    return [
        EncoderSpec(
            name="hf",
            factory="gapbench_huggingface.two_tower:TwoTower",
            summary="two-tower models of transformers (CLIP, SigLIP, ALIGN, BLIP, ...): a repository or a folder",
            argument="ORG/NAME",
            params={"revision": _REVISION},
        ),
        EncoderSpec(
            name="st",
            factory="gapbench_huggingface.sentence:SentenceEncoder",
            summary="models of sentence-transformers that read pictures and texts: a repository or a folder",
            argument="NAME",
            params={"revision": _REVISION},
        ),
    ]


@hookimpl
def gapbench_datasets() -> list[DatasetSpec]:
    """Register the datasets."""
    return [
        DatasetSpec(
            name="hf-dataset",
            factory="gapbench_huggingface.hub_dataset:HubDataset",
            summary="pictures with labels or captions that the library datasets reads: a repository or a folder",
            argument="ORG/NAME",
            params={
                "config": Param(default="", doc="the configuration (subset); empty: the only one, or the default"),
                "split": _SPLIT,
                "image": Param(default="", doc="the column of pictures; empty: the only one"),
                "label": Param(default="", doc="the column of labels; empty: the only one of class labels"),
                "caption": Param(default="", doc="the column of captions, or a glob of several; empty: by its name"),
                "limit": _LIMIT,
                "streaming": Param(default=False, doc="read the first 'limit' items of each split and no more"),
                "revision": _REVISION,
            },
            offers=_BOTH,
            splits=_SPLITS,
            licence="see its page",
        ),
        DatasetSpec(
            name="wds",
            factory="gapbench_huggingface.webdataset:WebDataset",
            summary="WebDataset archives: a folder of .tar files, or a pattern such as shard-{000..012}.tar",
            argument="PATTERN",
            params={
                "split": _SPLIT,
                "classes": Param(default="", doc="a file with a class name a line; empty: classnames.txt beside"),
                "limit": _LIMIT,
            },
            offers=_BOTH,
            splits=_SPLITS,
            licence="yours",
        ),
    ]
