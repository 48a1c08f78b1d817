"""Built-in datasets: specs only, implementations are imported when they are built."""

from __future__ import annotations

from dataclasses import replace

from gapbench.specs import DatasetSpec, Download, Offer, Param

_LABELS = frozenset({Offer.LABELS})
_MB = 1_000_000


_CHECKED, _UNCHECKED = "through torchvision, which checks it", "through torchvision"


def _torchvision(
    name: str, cls: str, summary: str, megabytes: int, licence: str, train: int, test: int, *, source: str = _CHECKED
) -> DatasetSpec:
    """Describe one of torchvision's sets; sizes are those of the archives, rounded. Without a source it is not fetched."""
    return DatasetSpec(
        name=name,
        factory="gapbench.builtin.datasets.torchvision_sets:TorchvisionSet",
        summary=summary,
        offers=_LABELS,
        splits={"train": train, "test": test},
        licence=licence,
        download=Download(size=megabytes * _MB, source=source) if source else None,
        options={"name": name, "cls": cls, "size": megabytes * _MB, "published": {"train": train, "test": test}},
    )


def _imagenet(name: str, summary: str, licence: str, *, train: bool = False) -> DatasetSpec:
    """Describe ImageNet, or a set that is scored with its classes."""
    return DatasetSpec(
        name=name,
        factory="gapbench.builtin.datasets.imagenet:ImageNet",
        summary=summary,
        argument="PATH",
        params={"limit": LIMIT},
        offers=_LABELS,
        splits={"train": None, "test": None} if train else {"test": None},
        licence=licence,
        options={"variant": name},
    )


#: Parameters of families that read files of the user.
LIMIT = Param(default=0, low=0, doc="number of items of each split that are read, chosen by their names; 0: all")
_SPLIT = Param(default="", doc="the split that is scored; empty: test, else val")
_NAMES = Param(default="", doc="a file with the names of the classes, or 'folders' for those of the folders")
_WHITE = Param(
    default=0.0, low=0.0, doc="the value that is white in grey pictures of more than 8 bits; 0: as the file says"
)

_FIT = Param(
    default="train", doc="the split of the file that is fitted on (train: with restval); none: halve the other"
)


def _retrieval(name: str, summary: str, pictures: int, usual: str, folds: int = 1) -> DatasetSpec:
    """Describe one of the usual test sets for retrieval."""
    fold = Param(default=1, choices=tuple(range(1, folds + 1)), doc="which part of the test split, in the file's order")
    return DatasetSpec(
        name=name,
        factory="gapbench.builtin.datasets.captions.standard:StandardSet",
        summary=summary,
        argument="PATH",
        offers=frozenset({Offer.CAPTIONS}),
        splits={"train": None, "test": pictures // folds},
        licence="see its page",
        params={"fit": _FIT} | ({"fold": fold} if folds > 1 else {}),
        options={"name": name, "usual": usual, "pictures": pictures, "folds": folds},
    )


_COCO = "Karpathy's dataset_coco.json or BLIP's coco_karpathy_test.json"
_FLICKR30K = "Karpathy's dataset_flickr30k.json or BLIP's flickr30k_test.json"
_FLICKR8K = "Karpathy's dataset_flickr8k.json, or Flickr8k.token.txt with its lists of splits beside it"

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
    _torchvision(
        "fgvc-aircraft",
        "FGVCAircraft",
        "aircraft (Maji et al. 2013)",
        2754,
        "non-commercial research",
        6667,
        3333,
        source=_UNCHECKED,
    ),
    _torchvision("stanford-cars", "StanfordCars", "cars (Krause et al. 2013)", 1957, _UNSTATED, 8144, 8041, source=""),
    _torchvision(
        "sun397",
        "SUN397",
        "scenes (Xiao et al. 2010); own fixed split, torchvision has no official one",
        39095,
        _UNSTATED,
        87003,
        21751,
    ),
    _torchvision("gtsrb", "GTSRB", "German traffic signs (Stallkamp et al. 2012)", 277, _UNSTATED, 26640, 12630),
    _torchvision(
        "pcam", "PCAM", "lymph nodes with and without tumour (Veeling et al. 2018)", 7186, "CC0", 262144, 32768
    ),
    _torchvision(
        "country211", "Country211", "countries (Radford et al. 2021)", 11274, "Creative Commons", 31650, 21100
    ),
    _imagenet(
        "imagenet",
        "1,000 classes (Deng et al. 2009): val/, in class folders or with the development kit",
        "non-commercial research use",
        train=True,
    ),
    _imagenet("imagenet-v2", "ImageNetV2 (Recht et al. 2019): folders 0 to 999", "MIT"),
    _imagenet("imagenet-a", "ImageNet-A (Hendrycks et al. 2021): 200 classes, hard pictures", "MIT"),
    _imagenet("imagenet-r", "ImageNet-R (Hendrycks et al. 2021): 200 classes, renditions", _UNSTATED),
    _imagenet("imagenet-sketch", "ImageNet-Sketch (Wang et al. 2019): drawings of all classes", "MIT"),
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
        summary="pictures with captions: JSON of COCO, Karpathy or BLIP, Flickr's files, a table, Hugging Face's metadata",
        argument="PATH",
        offers=frozenset({Offer.CAPTIONS}),
        splits={"train": None, "test": None},
        licence="yours",
        params={
            "split": replace(_SPLIT, doc=f"{_SPLIT.doc}; all: every picture, as one set"),
            "fit": _FIT,
            "limit": LIMIT,
            "image": Param(default="", doc="the column of pictures, where it has no usual name"),
            "caption": Param(default="", doc="the column of captions, where it has no usual name"),
            "white": _WHITE,
        },
    ),
    _retrieval("coco-5k", "COCO: Karpathy's test split, 5,000 pictures with five captions", 5000, _COCO),
    _retrieval("coco-1k", "COCO: a fifth of Karpathy's test split, by fold", 5000, _COCO, folds=5),
    _retrieval("flickr30k-1k", "Flickr30k: Karpathy's test split, 1,000 pictures with five captions", 1000, _FLICKR30K),
    _retrieval("flickr8k-1k", "Flickr8k: the test split, 1,000 pictures with five captions", 1000, _FLICKR8K),
    DatasetSpec(
        name="embeddings",
        factory="gapbench.builtin.datasets.embeddings:embedding_file",
        summary="embeddings that you already have: .npz, .safetensors, .npy files, clip-retrieval, parquet",
        argument="PATH",
        offers=frozenset({Offer.LABELS, Offer.CAPTIONS}),
        splits={"train": None, "test": None},
        licence="yours",
        precomputed=True,
    ),
    DatasetSpec(
        name="mind-the-gap",
        factory="gapbench.builtin.datasets.mind_the_gap:MindTheGap",
        summary="published features of Mind the Gap (Liang et al. 2022): clip, convirt, videoclip, each also -random",
        argument="NAME",
        offers=frozenset({Offer.CAPTIONS}),
        splits={"test": None},
        licence="MIT",
        download=Download(
            size=2_048_128,
            source="raw.githubusercontent.com, Weixin-Liang/Modality-Gap at 8e20cb24",
            checksum="SHA-256, one for each file",
        ),
        precomputed=True,
    ),
)
