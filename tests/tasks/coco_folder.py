"""A small data set in COCO's format as other programs write it, with all that is odd in real ones."""

import json

import numpy as np
import tensorflow as tf

CATEGORIES = {90: "square", 3: "bar"}  # ids with gaps, in no order
COLORS = {90: (250, 60, 40), 3: (40, 90, 250)}
ODD = [  # objects that nothing can be learned from
    {"category_id": 3, "bbox": [5, 5, 0, 9], "area": 0, "iscrowd": 0},
    {"category_id": 3, "bbox": [500, 5, 20, 9], "area": 180, "iscrowd": 0},
    {
        "category_id": 90,
        "bbox": [2, 2, 30, 20],
        "area": 400,
        "iscrowd": 1,
        "segmentation": {"counts": [1], "size": [9, 9]},
    },
    {"category_id": 4, "bbox": [2, 2, 9, 9], "area": 81, "iscrowd": 0},
]


def write_coco(root, train=20, held_out=6, seed=0):
    """Write `annotations/instances_<split>.json` and pictures of several sizes; a picture in five is empty."""
    random = np.random.default_rng(seed)
    (root / "annotations").mkdir(parents=True)
    for split, count in (("train2017", train), ("val2017", held_out)):
        (root / split).mkdir()
        images, annotations = [], []
        for number in range(count):
            image_id = 7 + 13 * number + (1000 if split == "val2017" else 0)
            height, width = (int(side) for side in random.integers(40, 90, 2))
            pixels = random.integers(90, 120, (height, width, 3)).astype("uint8")
            for _ in range(0 if number % 5 == 4 else random.integers(1, 4)):
                category = [90, 3][random.integers(2)]
                h, w = (16, 16) if category == 90 else (8, 24)
                top, left = int(random.integers(0, height - h)), int(random.integers(0, width - w))
                pixels[top : top + h, left : left + w] = COLORS[category]
                box = {"bbox": [left, top, w, h], "area": w * h, "iscrowd": 0, "category_id": category}
                annotations.append({"id": 5 + 3 * len(annotations), "image_id": image_id, **box})
            name = f"{image_id:012d}.png"
            (root / split / name).write_bytes(tf.io.encode_png(pixels).numpy())
            images.append({"id": image_id, "file_name": name, "height": height, "width": width})
        if split == "train2017":
            odd = [{"id": 9000 + i, "image_id": images[0]["id"], **entry} for i, entry in enumerate(ODD)]
            annotations += odd
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": i, "name": name} for i, name in CATEGORIES.items()],
        }
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root
