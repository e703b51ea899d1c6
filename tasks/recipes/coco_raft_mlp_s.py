"""RaftMLP-S with a RetinaNet on COCO, 1x: the settings of its authors' repository for detection. *Not run here*.

They train with mmdetection: 12 epochs of 16 pictures of at most 1333 x 800 each, AdamW with 1e-4, a tenth of it from
epoch 8 and again from epoch 11 on, 500 updates of warm-up. They start from RaftMLP-S trained on ImageNet, which was
never published: give `initial_weights=` what `tasks/image_classification.py` trained. Here every picture stands in a
field of 800 x 1344. COCO must have been prepared for random access; where it is not, the run says by which command.

    python tasks/object_detection.py tasks/recipes/coco_raft_mlp_s.py initial_weights=CLASSIFIER.keras skip_head=true
"""

from mixer_tf.recipe import ObjectDetection

recipe = ObjectDetection(
    output_dir="runs/coco_raft_mlp_s",
    data="tfds:coco/2017",
    image_size=(800, 1344),
    backbone="raft_mlp_s",
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
