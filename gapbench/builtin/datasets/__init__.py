"""Built-in datasets: specs only, implementations are imported when they are built."""

from __future__ import annotations

from gapbench.specs import DatasetSpec, Download, Offer, Param

_LABELS = frozenset({Offer.LABELS})
_MB = 1_000_000


def _torchvision(name: str, cls: str, summary: str, megabytes: int, licence: str, train: int, test: int) -> DatasetSpec:
    """Describe one of torchvision's sets; sizes are those of the archives, rounded."""
    return DatasetSpec(
        name=name,
        factory="gapbench.builtin.datasets.torchvision_sets:TorchvisionSet",
        summary=summary,
        offers=_LABELS,
        splits={"train": train, "test": test},
        licence=licence,
        download=Download(size=megabytes * _MB, source="through torchvision, which checks it"),
        options={"name": name, "cls": cls, "size": megabytes * _MB, "published": {"train": train, "test": test}},
    )


#: Parameters of families that read files of the user.
LIMIT = Param(default=0, low=0, doc="number of items of each split that are read, chosen by their names; 0: all")
_SPLIT = Param(default="", doc="the split that is scored; empty: test, else val")
_NAMES = Param(default="", doc="a file with the names of the classes, or 'folders' for those of the folders")
_WHITE = Param(
    default=0.0, low=0.0, doc="the value that is white in grey pictures of more than 8 bits; 0: as the file says"
)

_UNSTATED = "not stated"

SPECS = (
    DatasetSpec(
        name="digits",
        factory="gapbench.builtin.datasets.digits:Digits",
        summary="1,797 real handwritten digits that come with scikit-learn",
        offers=_LABELS,
        splits={"train": 1297, "test": 500},
        licence="CC BY 4.0",
    ),
    DatasetSpec(
        name="color-digits",
        factory="gapbench.builtin.datasets.digits:ColorDigits",
        summary="the same digits in colours on coloured grounds, with captions",
        offers=frozenset({Offer.LABELS, Offer.CAPTIONS}),
        splits={"train": 1297, "test": 500},
        licence="CC BY 4.0",
    ),
    _torchvision("stl10", "STL10", "ten classes at 96 px (Coates et al. 2011)", 2640, _UNSTATED, 5000, 8000),
    _torchvision("cifar10", "CIFAR10", "ten classes at 32 px (Krizhevsky 2009)", 171, _UNSTATED, 50000, 10000),
    _torchvision("cifar100", "CIFAR100", "a hundred classes at 32 px (Krizhevsky 2009)", 169, _UNSTATED, 50000, 10000),
    _torchvision("food101", "Food101", "dishes (Bossard et al. 2014)", 4997, _UNSTATED, 75750, 25250),
    _torchvision(
        "oxford-iiit-pet", "OxfordIIITPet", "cats and dogs by breed (Parkhi 2012)", 811, "CC BY-SA 4.0", 3680, 3669
    ),
    _torchvision("flowers102", "Flowers102", "flowers (Nilsback and Zisserman 2008)", 345, _UNSTATED, 1020, 6149),
    _torchvision("dtd", "DTD", "textures (Cimpoi et al. 2014)", 625, "research use", 1880, 1880),
    _torchvision(
        "eurosat",
        "EuroSAT",
        "land use from space (Helber 2019); own fixed split, no official one",
        94,
        "MIT",
        21600,
        5400,
    ),
    _torchvision("svhn", "SVHN", "house numbers (Netzer et al. 2011)", 246, "non-commercial use", 73257, 26032),
    _torchvision("mnist", "MNIST", "handwritten digits at 28 px (LeCun et al. 1998)", 12, _UNSTATED, 60000, 10000),
    _torchvision("fashion-mnist", "FashionMNIST", "clothing at 28 px (Xiao et al. 2017)", 31, "MIT", 60000, 10000),
    _torchvision(
        "caltech101",
        "Caltech101",
        "objects (Fei-Fei et al. 2004); own fixed split, no official one",
        138,
        "CC BY 4.0",
        6942,
        1735,
    ),
    DatasetSpec(
        name="folder",
        factory="gapbench.builtin.datasets.folder:ImageFolder",
        summary="pictures in one folder a class, optionally below train/, val/, test/ and the like",
        argument="PATH",
        params={"split": _SPLIT, "names": _NAMES, "limit": LIMIT, "white": _WHITE},
        offers=_LABELS,
        splits={"train": None, "test": None},
        licence="yours",
    ),
    DatasetSpec(
        name="captions",
        factory="gapbench.builtin.datasets.captions:CaptionFile",
        summary="pictures with captions: a COCO-captions JSON, or a CSV with columns image and caption",
        argument="PATH",
        offers=frozenset({Offer.CAPTIONS}),
        splits={"test": None},
        licence="yours",
    ),
    DatasetSpec(
        name="embeddings",
        factory="gapbench.builtin.datasets.embeddings:embedding_file",
        summary="embeddings that you already have: an .npz file or a clip-retrieval folder",
        argument="PATH",
        offers=frozenset({Offer.LABELS, Offer.CAPTIONS}),
        splits={"test": None},
        licence="yours",
        precomputed=True,
    ),
)
