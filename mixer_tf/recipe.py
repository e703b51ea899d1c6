"""A recipe: everything that decides how a run turns out, as a frozen dataclass in a Python file of its own.

recipe = load("tasks/recipes/digits_mlp_mixer.py", ["epochs=5", "backbone_arguments.num_blocks=6"])
"""

import ast
import dataclasses
import difflib
import re
import runpy
import typing
from pathlib import Path
from typing import Any, TypeVar

from mixer_tf.checks import require, require_rate, require_type
from mixer_tf.data.preprocess import Preprocessing

SomeRecipe = TypeVar("SomeRecipe", bound="Recipe")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every task shares. The batch is the global batch, learning rates are not scaled, rates are 0 to 1.

    Attributes:
        backbone: a name from `mixer_tf.list_backbones()`.
        backbone_arguments: arguments of the backbone's builder, in place of the variant's own.
        data: where the examples come from; the task says what it reads.
        data_dir: where TensorFlow Datasets keeps its data, None for its own default; or where the tokens of texts are
            kept, None for the run's folder.
        batch_size: examples of one update, over all replicas.
        epochs: passes over the training split.
        evaluate_every: number of epochs between two evaluations.
        steps: stop after so many updates; None for all epochs.
        learning_rate: its highest value.
        schedule: `cosine`, `linear`, `step` or `constant`.
        milestones: epochs from which on `step` takes a tenth of the learning rate; None for 1/3 and 2/3 of the run.
        warmup_epochs: epochs in which the learning rate rises from 0; at most half of the run.
        final_learning_rate: what the schedule ends with.
        optimizer: `adamw`, `sgd` or `lamb`.
        weight_decay: as the optimizer's paper defines it; never on biases, norms and position tables.
        momentum: of `sgd`.
        beta_2: decay of the second moment of `adamw` and `lamb`.
        clip_norm: largest global norm of the gradient; None for no clipping.
        ema: momentum of the moving average of the weights, which is evaluated beside the raw ones; 0 for none.
        layer_decay: factor of the learning rate from each block to the one before it.
        synchronized_norm: let each BatchNormalization take its mean and variance over the batch of all replicas.
        seed: decides initial weights, order, augmentation and dropout.
        precision: `float32` or `mixed_bfloat16`.
        strategy: `none` (one device), `mirrored` (all GPUs of this machine), `multi_worker` (several machines), `tpu`,
            or `auto`, which takes what the machine has.
        replicas: number of replicas of `mirrored`; None for all GPUs, or for two logical CPUs where there are none.
        tpu: name of the TPU, `local` on a TPU virtual machine; None asks the environment.
        accumulate_steps: number of micro-batches that an update is made of, for batches that do not fit into memory.
        steps_per_execution: number of updates that are made at once, for small models on fast devices.
        initial_weights: a `.keras`, `.weights.h5` or published checkpoint to start from; None for random weights.
        skip_head: leave the head of the initial weights aside, as for another number of classes.
        output_dir: where the run leaves its files; the same command again goes on with what is there.
        resume: go on with what is in `output_dir`; false refuses a folder that is not empty.
        checkpoint_every: number of updates between two checkpoints, or a time in seconds such as `300s`.
        keep_checkpoints: number of the newest checkpoints that are kept.
        tensorboard: write TensorBoard logs too.
        export: write a SavedModel to `saved_models/<name of output_dir>/<next version>` at the end.
    """

    backbone: str
    backbone_arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    data: str
    data_dir: str | None = None
    batch_size: int
    epochs: int
    evaluate_every: int = 1
    steps: int | None = None
    learning_rate: float
    schedule: str = "cosine"
    milestones: tuple[float, ...] | None = None
    warmup_epochs: float = 0.0
    final_learning_rate: float = 0.0
    optimizer: str = "adamw"
    weight_decay: float = 0.0
    momentum: float = 0.9
    beta_2: float = 0.999
    clip_norm: float | None = None
    ema: float = 0.0
    layer_decay: float = 1.0
    synchronized_norm: bool = False
    seed: int = 0
    precision: str = "float32"
    strategy: str = "auto"
    replicas: int | None = None
    tpu: str | None = None
    accumulate_steps: int = 1
    steps_per_execution: int = 1
    initial_weights: str | None = None
    skip_head: bool = False
    output_dir: str
    resume: bool = True
    checkpoint_every: int | str = "300s"
    keep_checkpoints: int = 2
    tensorboard: bool = False
    export: bool = True

    def __post_init__(self):
        for name, annotation in typing.get_type_hints(type(self)).items():
            require_type(name, getattr(self, name), annotation)
        for name in (
            "batch_size",
            "epochs",
            "evaluate_every",
            "accumulate_steps",
            "steps_per_execution",
            "keep_checkpoints",
        ):
            require(getattr(self, name) >= 1, f"{name} must be at least 1; given: {getattr(self, name)}")
        require(self.steps is None or self.steps >= 1, f"steps must be at least 1 or None; given: {self.steps}")
        require(self.learning_rate > 0, f"learning_rate must be above 0; given: {self.learning_rate}")
        require(self.initial_weights or not self.skip_head, "skip_head needs initial_weights; given: none")
        require(self.warmup_epochs >= 0, f"warmup_epochs must be at least 0; given: {self.warmup_epochs}")
        self._one_of("precision", ("float32", "mixed_bfloat16"))
        every = self.checkpoint_every
        require(
            every >= 1 if isinstance(every, int) else re.fullmatch(r"\d+(\.\d+)?s", every),
            f"checkpoint_every must be a number of updates such as 500, or a time such as 300s; given: {every!r}",
        )
        for name in ("name", "image_shape", "sequence_length", "vocab_size"):
            require(
                name not in self.backbone_arguments, f"backbone_arguments must not have {name}; other keys say that"
            )

    def override(self: SomeRecipe, *assignments: str) -> SomeRecipe:
        """The recipe with fields set from text, as on the command line; they are checked together.

        Args:
            *assignments: `key=value` each; `image_size` also takes `224x192` (height x width), and a dictionary
                `key.entry=value`.

        Raises:
            ValueError: when a key is unknown (the nearest is named) or a value has the wrong type.
        """
        changes: dict[str, Any] = {}
        hints = typing.get_type_hints(type(self))
        for assignment in assignments:
            key, equals, text = assignment.partition("=")
            require(equals, f"an override must be key=value; given: {assignment!r}")
            key, _, entry = key.partition(".")
            if key not in hints:
                nearest = difflib.get_close_matches(key, hints, n=3, cutoff=0.4) or sorted(hints)
                raise ValueError(f"recipe has no key {key!r}; nearest: {', '.join(nearest)}")
            if entry:
                before = changes.get(key, getattr(self, key))
                require(isinstance(before, dict), f"{key} has no entries; given: {assignment!r}")
                changes[key] = {**before, entry: _literal(text)}
            else:
                changes[key] = _parse(text, hints[key], key)
        return dataclasses.replace(self, **changes)

    def select(self, names: typing.Iterable[str]) -> dict[str, Any]:
        """The values of some fields, as keyword arguments for whoever takes them."""
        return {name: getattr(self, name) for name in names}

    def _one_of(self, field: str, allowed: tuple[str | None, ...]) -> None:
        value = getattr(self, field)
        require(value in allowed, f"{field} must be one of {', '.join(map(str, allowed))}; given: {value!r}")

    def _without(self, reason: str, **needed: Any) -> None:
        """Refuse fields that would be ignored: each must have the value needed."""
        for field, value in needed.items():
            given = getattr(self, field)
            require(given == value, f"{field} must be {str(value).lower()} {reason}; given: {given!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageRecipe(Recipe):
    """What the tasks on pictures share. Sizes are in pixels.

    Attributes:
        image_size: side, or (height, width).
        train_split: split of the data to train on; None for `train`.
        eval_split: split that the figures come from; None for `validation`, or `test` where there is none.
        skip_broken: leave out pictures that cannot be decoded, and count them; otherwise they stop the run.
        mean: subtracted from each of red, green and blue, in units of [0, 1]; None for what the initial weights
            expect, else 0.5.
        std: the divisor after that, likewise.
        crop: share of the resized picture that the centre crop of the evaluation keeps; None likewise, else 1.
        interpolation: `nearest`, `bilinear`, `bicubic` or `area`; None likewise, else `bicubic`.
        random_resized_crop: smallest and largest area of a random crop, as a share of the picture; None for no crop.
        padded_crop: pixels of border from which a crop of the picture's own size is cut.
        flip: mirror half of the pictures.
    """

    image_size: int | tuple[int, int] = 224
    train_split: str | None = None
    eval_split: str | None = None
    skip_broken: bool = False
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    crop: float | None = None
    interpolation: str | None = None
    random_resized_crop: tuple[float, float] | None = None
    padded_crop: int = 0
    flip: bool = False

    def __post_init__(self):
        super().__post_init__()
        require(min(self.image_shape) > 0, f"image_size must be N or HxW above 0; given: {self.image_size}")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, 3)."""
        height, width = (self.image_size, self.image_size) if isinstance(self.image_size, int) else self.image_size
        return (height, width, 3)

    def preprocessing(self, expected: Preprocessing | None) -> Preprocessing:
        """What the recipe states about it, else what the loaded weights expect, else the defaults."""
        expected = expected or Preprocessing(self.image_shape[:2], interpolation="bicubic")
        stated = self.select(["mean", "std", "crop", "interpolation"])
        return dataclasses.replace(expected, **{key: value for key, value in stated.items() if value is not None})


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageClassification(ImageRecipe):
    """What `tasks/image_classification.py` needs besides. Rates and probabilities are 0 to 1.

    Attributes:
        color_jitter: strength of random brightness, contrast and saturation.
        rand_augment: number of operations and their magnitude (0 to 30); None for none.
        random_erasing: probability that a rectangle is filled with noise.
        mixup: alpha of the Beta distribution that two pictures are blended by; 0 for none.
        cutmix: alpha of the Beta distribution that gives the area of a pasted rectangle; 0 for none.
        pool: `average` or `token`; None takes the class token where there is one.
        head_dropout: dropout before the head.
        head_bias: initial bias of the head.
        freeze_up_to: last part that stays as it is: `stem`, `block3`, `stage2` or `backbone`; None trains everything.
        loss: `softmax` or `sigmoid` (binary cross-entropy per class).
        label_smoothing: share of the label spread over all classes.
    """

    color_jitter: float = 0.0
    rand_augment: tuple[int, float] | None = None
    random_erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    pool: str | None = None
    head_dropout: float = 0.0
    head_bias: float = 0.0
    freeze_up_to: str | None = None
    loss: str = "softmax"
    label_smoothing: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        require(0 <= self.head_dropout < 1, f"head_dropout must be in [0, 1); given: {self.head_dropout}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectDetection(ImageRecipe):
    """What `tasks/object_detection.py` needs besides. Rates, probabilities and thresholds are 0 to 1.

    Attributes:
        head: `anchor_free`, the package's own, or `retinanet`, that of keras-cv.
        head_width: channels of the pyramid and of the head; of `anchor_free`.
        head_convs: number of convolutions of each of the head's towers; of `anchor_free`.
        anchor_scale: side of a level's smallest anchor in units of its stride, of `retinanet`; 2 for small objects.
        freeze_up_to: last part that stays as it is: `stem`, `block3`, `stage2` or `backbone`; None trains everything.
        max_objects: objects of a training picture that are learned from; of more, the largest.
        scale_jitter: smallest and largest scale of the picture in the input, relative to a whole one; None for none.
        mosaic: probability that four pictures stand in the place of one.
        mixup: probability that a picture is blended with another one, whose objects are added.
        color_jitter: strength of random brightness, contrast and saturation.
        min_visibility: least part of an object that must remain in a crop, else the object is dropped.
        iou_threshold: of two boxes of one class that overlap more than this, the one with the lower score is dropped.
        score_threshold: of the boxes that are shown, exported and counted in the confusion matrix; average precision
            looks at all above 0.01.
        max_detections: most objects of a picture.
        predict: a picture, or a folder of pictures, in which the finished model finds objects.
    """

    image_size: int | tuple[int, int] = 512
    head: str = "anchor_free"
    head_width: int = 256
    head_convs: int = 2
    anchor_scale: float = 4.0
    freeze_up_to: str | None = None
    max_objects: int = 100
    scale_jitter: tuple[float, float] | None = None
    mosaic: float = 0.0
    mixup: float = 0.0
    color_jitter: float = 0.0
    min_visibility: float = 0.25
    iou_threshold: float = 0.6
    score_threshold: float = 0.3
    max_detections: int = 100
    predict: str | None = None

    def __post_init__(self):
        super().__post_init__()
        self._one_of("head", ("anchor_free", "retinanet"))
        for name in ("max_objects", "max_detections"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1; given: {getattr(self, name)}")
        for name in ("iou_threshold", "score_threshold"):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie in 0..1; given: {getattr(self, name)}")
        require(
            self.predict is None or Path(self.predict).exists(),
            f"predict must be a picture or a folder of pictures; given: {self.predict}, which does not exist",
        )
        if self.head == "retinanet":
            self._without("for head=retinanet, whose layers are keras-cv's", head_width=256, head_convs=2)
        else:
            self._without("for head=anchor_free, which has no anchors", anchor_scale=4.0)
        self._without("for object detection, which keeps the whole picture", crop=None, padded_crop=0)

    def preprocessing(self, expected: Preprocessing | None) -> Preprocessing:
        """What the recipe states, else what the loaded weights expect, else the defaults; the whole picture is kept."""
        return dataclasses.replace(super().preprocessing(expected), crop=1.0, fit="letterbox")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskedImage(ImageRecipe):
    """What `tasks/masked_image.py` needs besides.

    Attributes:
        patch_size: side of the patches whose content is guessed.
        target: what is guessed of a patch: `colors`, its mean colour of 3 bits a channel (512 classes), or `pixels`,
            normalised in each patch.
        mask_rate: probability that a unit is to be guessed; a unit is a patch, or the picture's part behind one place
            of the backbone's features where that is larger.
        neighbours: of the probe of the features with the k nearest training pictures; it needs labels.
    """

    export: bool = False
    patch_size: int = 16
    target: str = "colors"
    mask_rate: float = 0.5
    neighbours: int = 20

    def __post_init__(self):
        super().__post_init__()
        self._one_of("target", ("colors", "pixels"))
        require(
            re.fullmatch("markov|digits|(tfds|folder):.+", self.data),
            f"data must be markov, digits, tfds:NAME or folder:PATH; given: {self.data!r}",
        )
        require_rate("mask_rate", self.mask_rate)
        for name in ("patch_size", "neighbours"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1; given: {getattr(self, name)}")
        self._without(
            "for masked pictures; export a classifier that tasks/image_classification.py trained from this run's "
            "initial_weights",
            export=False,
        )
        if self.data == "markov":
            whole = {"random_resized_crop": None, "padded_crop": 0, "flip": False}
            files = {"data_dir": None, "skip_broken": False, "train_split": None, "eval_split": None}
            self._without("for data=markov, whose pictures are made, and whole", **whole, **files)
            self._without("for data=markov, which has no labels to probe for", neighbours=MaskedImage.neighbours)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskedLanguage(Recipe):
    """What `tasks/masked_language.py` needs besides. Lengths are in tokens.

    Attributes:
        sequence_length: of every example, `[CLS]`, `[SEP]`, `[EOS]` and padding included.
        vocabulary: a SentencePiece `.model` or a WordPiece `vocab.txt`; None trains one on the training texts.
        vocab_size: pieces of a vocabulary that is trained.
        evaluation_share: of the texts, held out; at most 0.5.
        mask_rate: probability that a token is to be guessed.
        whole_words: hide words, not pieces of them.
        pair_task: what is asked about two sentences: `nsp`, whether the second follows the first (1) or comes from
            elsewhere; `sop`, whether they are in order (1) or swapped; None for single texts.
        fill: a text with [MASK], or two that belong together, whose best fillings the program shows at the end.
        prompt: the beginning of a text that a causal model goes on with.
        sentences: a text file; the pseudo-perplexity of its lines goes into the figures. None for the held-out texts.
    """

    sequence_length: int = 128
    vocabulary: str | None = None
    vocab_size: int = 8000
    evaluation_share: float = 0.05
    mask_rate: float = 0.15
    whole_words: bool = False
    pair_task: str | None = "nsp"
    fill: str | tuple[str, str] | None = None
    prompt: str | None = None
    sentences: str | None = None

    def __post_init__(self):
        super().__post_init__()
        self._one_of("pair_task", ("nsp", "sop", None))
        require_rate("mask_rate", self.mask_rate)
        share = self.evaluation_share
        require(0 < share <= 0.5, f"evaluation_share must lie above 0 and up to 0.5; given: {share}")
        for name in ("sequence_length", "vocab_size"):
            require(getattr(self, name) >= 8, f"{name} must be at least 8; given: {getattr(self, name)}")
        texts = " ".join(self.fill) if isinstance(self.fill, tuple) else self.fill
        require(texts is None or "[MASK]" in texts, f"fill must have [MASK] in it; given: {self.fill!r}")
        if self.data == "markov":
            of_texts = ("pair_task", "vocabulary", "fill", "prompt", "sentences", "data_dir")
            self._without("for data=markov, whose tokens are no text", export=False, **dict.fromkeys(of_texts))


def load(path: str, recipe_type: type[SomeRecipe], overrides: list[str] | None = None) -> SomeRecipe:
    """The recipe that a Python file defines under the name `recipe`, with `key=value` overrides.

    Raises:
        ValueError: when there is no such file, it defines no recipe of that type, or an override is wrong.
    """
    require(Path(path).is_file(), f"a recipe must be a Python file such as tasks/recipes/NAME.py; given: {path!r}")
    try:
        recipe = runpy.run_path(path).get("recipe")
    except Exception as error:  # whatever the author of the file did
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} must be a valid recipe; Python says: {type(error).__name__}: {reason}") from error
    if not isinstance(recipe, recipe_type):
        raise ValueError(f"{path} must define recipe = {recipe_type.__name__}(...); it has: {type(recipe).__name__}")
    return recipe.override(*(overrides or []))


def _parse(text: str, annotation, key: str):
    """The value of a field from text: `true`, `none`, a Python literal, `HxW` for the image size, else the text."""
    if annotation is str:
        return text
    if key == "image_size" and (sides := re.fullmatch(r"(\d+)x(\d+)", text)):
        return int(sides[1]), int(sides[2])
    value = _literal(text)
    is_scalar = not isinstance(value, tuple | list | dict)
    if str in typing.get_args(annotation) and is_scalar and not _takes(annotation, value):
        return text  # a number, say, where a text is meant
    require(value != text or not text.startswith("('"), f"{key} must be a text or a pair ('...', '...'); given: {text}")
    return float(value) if type(value) is int and _takes_floats_only(annotation) else value


def _takes(annotation, value) -> bool:
    try:
        require_type("value", value, annotation)
    except ValueError:
        return False
    return True


def _takes_floats_only(annotation) -> bool:
    kinds = typing.get_args(annotation) or (annotation,)
    return float in kinds and int not in kinds


def _literal(text: str):
    """A Python literal, or the text itself."""
    word = text.strip().lower()
    if word in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[word]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
