"""CycleMLP-B1 with a RetinaNet on COCO, 1x: mmdetection's settings for the Pyramid Vision Transformer. *Not run here*.

Reported by its authors (issue 12 of their repository, which has no settings for detection): AP 38.6. The paper follows
PVT: 12 epochs of 16 pictures of at most 1333 x 800 each, AdamW with 1e-4, a tenth of it from epoch 8 and again from
epoch 11 on, 500 updates of warm-up, from the published `CycleMLP_B1.pth`, whose head is left aside. Here every picture
stands in a field of 800 x 1344. COCO must have been prepared for random access; where it is not, the run says by which
command.

    python tasks/object_detection.py tasks/recipes/coco_cycle_mlp_b1.py initial_weights=CycleMLP_B1.pth skip_head=true
"""

from mixer_tf.recipe import ObjectDetection

recipe = ObjectDetection(
    output_dir="runs/coco_cycle_mlp_b1",
    data="tfds:coco/2017",
    image_size=(800, 1344),
    backbone="cycle_mlp_b1",
    head="retinanet",
    batch_size=16,
    epochs=12,
    flip=True,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    interpolation="bilinear",
    optimizer="adamw",
    learning_rate=1e-4,
    schedule="step",
    milestones=(8, 11),
    warmup_epochs=0.068,
    weight_decay=1e-4,
    iou_threshold=0.5,
)
