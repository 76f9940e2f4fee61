"""Folders as transformers writes them, with small image classifiers of random weights."""

import torch
import transformers as tf

NAMES = ("ant", "bee", "cat", "dog")
SIDE = 32


def _resnet(labels):
    config = tf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic", **labels)
    return tf.ResNetForImageClassification(config)


def _convnext(labels):
    return tf.ConvNextForImageClassification(tf.ConvNextConfig(hidden_sizes=[8, 12, 16, 20], depths=[1] * 4, **labels))


def _mobilenet(labels):
    config = tf.MobileNetV2Config(depth_multiplier=0.05, depth_divisible_by=2, min_depth=2, image_size=SIDE, **labels)
    return tf.MobileNetV2ForImageClassification(config)


def _vit(labels):
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return tf.ViTForImageClassification(tf.ViTConfig(image_size=SIDE, patch_size=8, **sizes, **labels))


NETWORKS = {"resnet": _resnet, "convnext": _convnext, "mobilenet_v2": _mobilenet, "vit": _vit}
PROCESSORS = {
    "resnet": lambda: tf.ConvNextImageProcessor(size={"shortest_edge": SIDE}, crop_pct=0.875),
    "convnext": lambda: tf.ConvNextImageProcessor(size={"shortest_edge": SIDE}, crop_pct=0.875),
    "mobilenet_v2": lambda: tf.MobileNetV2ImageProcessor(
        size={"shortest_edge": 36}, crop_size={"height": SIDE, "width": SIDE}
    ),
    "vit": lambda: tf.ViTImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.4] * 3, image_std=[0.2] * 3
    ),
}


def write(kind, folder):
    """Save a classifier of NAMES with its image processor; give the classifier."""
    labels = {"id2label": dict(enumerate(NAMES)), "label2id": {name: number for number, name in enumerate(NAMES)}}
    tf.utils.logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = NETWORKS[kind](labels).eval()
    network.save_pretrained(folder)
    PROCESSORS[kind]().save_pretrained(folder)
    return network
