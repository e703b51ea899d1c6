"""Raw records to batches: sources, decoding, preprocessing, augmentation and the pipelines that join them."""
