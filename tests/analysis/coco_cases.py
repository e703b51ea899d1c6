"""The stored cases of detection: COCO's own formats, and what plain pycocotools says of them."""

import json
from pathlib import Path

import numpy as np

CASES = json.loads((Path(__file__).parents[1] / "golden" / "detections.json").read_text())["cases"]


def read(name):
    """A case as the package has it: truths, predictions and class names."""
    truth, results = CASES[name]["truth"], CASES[name]["results"]
    category_ids = [category["id"] for category in truth["categories"]]
    truths, predictions = [], []
    for image in truth["images"]:
        objects = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
        found = [result for result in results if result["image_id"] == image["id"]]
        truths.append(
            {
                "image_id": image["id"],
                "height": image["height"],
                "width": image["width"],
                **boxes_and_classes(objects, image, category_ids),
                "areas": np.array([a["area"] for a in objects], np.float32),
                "crowd": np.array([a["iscrowd"] for a in objects], bool),
                "difficult": np.zeros(len(objects), bool),
            }
        )
        scores = np.array([result["score"] for result in found], np.float32)
        predictions.append({**boxes_and_classes(found, image, category_ids), "scores": scores})
    return truths, predictions, [category["name"] for category in truth["categories"]]


def boxes_and_classes(annotations, image, category_ids):
    x, y, width, height = np.array([a["bbox"] for a in annotations], np.float64).reshape(-1, 4).T
    boxes = np.stack([y, x, y + height, x + width], axis=-1) / np.tile([image["height"], image["width"]], 2)
    classes = np.array([category_ids.index(a["category_id"]) for a in annotations], np.int32)
    return {"boxes": boxes.astype(np.float32), "classes": classes}
