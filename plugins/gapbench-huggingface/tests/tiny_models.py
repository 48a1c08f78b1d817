"""Tiny models with random weights, one of each architecture, saved as their libraries save them."""

import json

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

#: What the processors of SigLIP and ALIGN read at most, in these models.
LENGTH = 24

LETTERS = [chr(code) for code in range(33, 127)]
NARROW = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
PICTURES = NARROW | {"image_size": 16, "patch_size": 8}


def clip_tokenizer(folder, **more):
    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    files = str(folder / "vocab.json"), str(folder / "merges.txt")
    return transformers.CLIPTokenizer(*files, model_max_length=LENGTH, **more), len(words)


def clip_texts(size, **more):
    ends = {"bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": size - 1}
    return NARROW | {"vocab_size": size, "max_position_embeddings": LENGTH} | ends | more


def bert_tokenizer(folder, length=LENGTH):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words))
    return transformers.BertTokenizer(str(folder / "vocab.txt"), model_max_length=length), len(words)


def letters_tokenizer(begin=None, end="</s>", length=int(1e30), names=("input_ids",)):
    """A tokenizer of single characters that puts its marks around a text, as SentencePiece models of SigLIP and XLM-R do."""
    words = ["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS]
    inner = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, [], unk_token="<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    pattern = " ".join(mark for mark in (begin, "$A", end) if mark)
    inner.post_processor = processors.TemplateProcessing(
        single=pattern, special_tokens=[(mark, words.index(mark)) for mark in (begin, end) if mark]
    )
    marks = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, model_max_length=length, model_input_names=list(names), **marks
    ), len(words)


def square(kind, **more):
    return kind(size={"height": 16, "width": 16}, **more)


def cropped(kind):
    return kind(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})


def clip(folder, name="CLIP"):
    tokenizer, size = clip_tokenizer(folder)
    config = getattr(transformers, f"{name}Config")(
        text_config=clip_texts(size), vision_config=PICTURES, projection_dim=8
    )
    images = cropped(transformers.CLIPImageProcessor)
    if name == "CLIPSeg":
        images = square(transformers.ViTImageProcessor)
    return getattr(transformers, f"{name}Model")(config), getattr(
        transformers, f"{name}Processor", transformers.CLIPProcessor
    )(images, tokenizer)


def clipseg(folder):
    return clip(folder, "CLIPSeg")


def siglip(folder):
    tokenizer, size = letters_tokenizer()
    texts = NARROW | {"vocab_size": size, "max_position_embeddings": LENGTH, "projection_size": 16, "pad_token_id": 1}
    model = transformers.SiglipModel(transformers.SiglipConfig(text_config=texts, vision_config=PICTURES))
    return model, transformers.SiglipProcessor(square(transformers.SiglipImageProcessor), tokenizer)


def siglip2(folder):
    tokenizer, size = letters_tokenizer(names=("input_ids", "attention_mask"))
    texts = NARROW | {"vocab_size": size, "max_position_embeddings": 64, "projection_size": 16, "pad_token_id": 1}
    vision = NARROW | {"patch_size": 8, "num_patches": 16}
    model = transformers.Siglip2Model(transformers.Siglip2Config(text_config=texts, vision_config=vision))
    images = transformers.Siglip2ImageProcessor(patch_size=8, max_num_patches=16)
    return model, transformers.Siglip2Processor(images, tokenizer)


def align(folder):
    tokenizer, size = bert_tokenizer(folder, 512)
    vision = {
        "image_size": 32,
        "width_coefficient": 0.1,
        "depth_coefficient": 0.1,
        "hidden_dim": 16,
        "kernel_sizes": [3],
    }
    vision |= {"in_channels": [8], "out_channels": [16], "strides": [2], "num_block_repeats": [1], "expand_ratios": [1]}
    config = transformers.AlignConfig(text_config=NARROW | {"vocab_size": size}, vision_config=vision, projection_dim=8)
    images = transformers.EfficientNetImageProcessor(size={"height": 32, "width": 32})
    return transformers.AlignModel(config), transformers.AlignProcessor(images, tokenizer)


def blip(folder, kind="BlipModel"):
    tokenizer, size = bert_tokenizer(folder)
    texts = NARROW | {
        "vocab_size": size,
        "max_position_embeddings": LENGTH,
        "projection_dim": 8,
        "encoder_hidden_size": 16,
    }
    texts |= {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
    config = transformers.BlipConfig(
        text_config=texts, vision_config=PICTURES, projection_dim=8, image_text_hidden_size=8
    )
    processor = transformers.BlipProcessor(square(transformers.BlipImageProcessor), tokenizer)
    return getattr(transformers, kind)(config), processor


def blip_retrieval(folder):
    return blip(folder, "BlipForImageTextRetrieval")


def altclip(folder):
    tokenizer, size = letters_tokenizer("<s>", length=512, names=("input_ids", "attention_mask"))
    texts = NARROW | {"vocab_size": size, "max_position_embeddings": LENGTH + 2, "project_dim": 16, "pad_token_id": 1}
    config = transformers.AltCLIPConfig(text_config=texts, vision_config=PICTURES, projection_dim=8)
    return transformers.AltCLIPModel(config), transformers.AltCLIPProcessor(
        cropped(transformers.CLIPImageProcessor), tokenizer
    )


def chinese_clip(folder):
    tokenizer, size = bert_tokenizer(folder)
    texts = NARROW | {"vocab_size": size, "max_position_embeddings": LENGTH}
    config = transformers.ChineseCLIPConfig(text_config=texts, vision_config=PICTURES, projection_dim=8)
    images = square(transformers.ChineseCLIPImageProcessor, crop_size={"height": 16, "width": 16})
    return transformers.ChineseCLIPModel(config), transformers.ChineseCLIPProcessor(images, tokenizer)


def groupvit(folder):
    tokenizer, size = clip_tokenizer(folder)
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "depths": [1, 1],
        "num_hidden_layers": 2,
        "num_group_tokens": [4, 0],
    }
    vision |= {"num_output_groups": [4, 2], "num_attention_heads": 2, "image_size": 16, "patch_size": 8}
    config = transformers.GroupViTConfig(
        text_config=clip_texts(size), vision_config=vision, projection_dim=8, projection_intermediate_dim=16
    )
    return transformers.GroupViTModel(config), transformers.CLIPProcessor(
        cropped(transformers.CLIPImageProcessor), tokenizer
    )


def dual(folder):
    tokenizer, size = bert_tokenizer(folder)
    texts = transformers.BertConfig(**NARROW, vocab_size=size, max_position_embeddings=LENGTH)
    config = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(
        transformers.ViTConfig(**PICTURES), texts, projection_dim=8
    )
    images = square(transformers.ViTImageProcessor)
    return transformers.VisionTextDualEncoderModel(config), transformers.VisionTextDualEncoderProcessor(
        images, tokenizer
    )


MAKERS = {
    "clip": clip,
    "siglip": siglip,
    "siglip2": siglip2,
    "align": align,
    "blip": blip,
    "blip-retrieval": blip_retrieval,
    "clipseg": clipseg,
    "altclip": altclip,
    "chinese-clip": chinese_clip,
    "groupvit": groupvit,
    "dual": dual,
}


def save(kind, folder):
    """Save a model and its processor; weights are drawn wide enough that pictures and texts differ."""
    torch.manual_seed(0)
    model, processor = MAKERS[kind](folder)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn_like(weight) * 0.3)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
