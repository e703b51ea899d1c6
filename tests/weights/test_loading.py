"""Loading is strict: either every array finds its place, or nothing has changed."""

import keras
import ml_dtypes
import numpy as np
import pytest

import mixer_tf as mt
from mixer_tf.weights import LoadReport, WeightsMismatch, load_weights, save_weights
from tests.weights.small_models import dinov2, mlp_mixer, random_arrays, resnet, vit


def contents(model):
    """The bytes of every variable."""
    return [keras.ops.convert_to_numpy(variable).tobytes() for variable in model.weights]


@pytest.fixture
def mixer():
    return mt.classifier(mlp_mixer(), 4)


@pytest.fixture
def arrays(mixer):
    return random_arrays(mixer, "mlp_mixer", "timm")


def refused(model, source, **arguments) -> WeightsMismatch:
    before = contents(model)
    with pytest.raises(WeightsMismatch) as caught:
        load_weights(model, source, **arguments)
    assert contents(model) == before
    assert "\n" not in str(caught.value)
    assert not getattr(model, "preprocessing", None)
    return caught.value


def test_both_sides_are_listed(mixer, arrays):
    arrays["norm.gamma"] = arrays.pop("norm.weight")
    arrays["blocks.0.norm1.bias"] = np.zeros(11, np.float32)
    error = refused(mixer, arrays)
    assert isinstance(error, ValueError)
    assert error.missing == ("norm.weight",)
    assert error.extra == ("norm.gamma",)
    assert error.misshapen == {"blocks.0.norm1.bias": ((11,), (10,))}
    assert str(error) == (
        "the given mapping must fit mlp_mixer_classifier (mlp_mixer, layout timm); only in the model 1 (norm.weight); "
        "only in the file 1 (norm.gamma); of another shape 1 (blocks.0.norm1.bias (11,) for (10,)); "
        "check the arguments and the image size that the model was built with"
    )


def test_a_long_list_is_cut_but_kept_whole_in_the_error(mixer):
    error = refused(mixer, {})
    assert len(error.missing) == 30
    assert "30 (stem.proj.weight, stem.proj.bias, blocks.0.norm1.weight, ...)" in str(error)


@pytest.mark.parametrize(
    ("other", "looks_like"),
    [
        (lambda: random_arrays(resnet(), "resnet", "timm"), "resnet in layout timm"),
        (lambda: random_arrays(vit(), "vit", "google"), "vit in layout google"),
        (lambda: random_arrays(dinov2(), "vit", "huggingface"), "vit in layout huggingface"),
    ],
)
def test_another_architecture_is_named(mixer, other, looks_like):
    assert str(refused(mixer, other())).endswith(f"the file looks like {looks_like}")


def test_the_wrong_layout_is_named(mixer):
    google = random_arrays(mixer, "mlp_mixer", "google")
    assert str(refused(mixer, google, layout="timm")).endswith("the file looks like mlp_mixer in layout google")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_must_be_finite(mixer, arrays, value):
    arrays["norm.bias"][3] = value
    before = contents(mixer)
    with pytest.raises(ValueError, match=r"norm\.bias must hold finite numbers in float32; given: NaN or infinite"):
        load_weights(mixer, arrays)
    assert contents(mixer) == before


def test_a_number_too_large_for_the_variable(mixer, arrays):
    arrays["norm.bias"] = np.full(10, 1e300)
    with pytest.raises(ValueError, match=r"norm\.bias must hold finite numbers"):
        load_weights(mixer, arrays)


def test_whole_numbers_are_no_weights(mixer, arrays):
    arrays["norm.bias"] = np.zeros(10, np.int64)
    with pytest.raises(ValueError, match=r"norm\.bias must hold float32 numbers; given: int64"):
        load_weights(mixer, arrays)


def test_an_array_twice(mixer, arrays):
    with pytest.raises(ValueError, match=r"once; given: norm\.bias twice, one of them as module\.norm\.bias"):
        load_weights(mixer, {**arrays, "module.norm.bias": arrays["norm.bias"]})


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_types_become_the_variables_own(mixer, arrays, dtype):
    arrays["head.weight"] = arrays["head.weight"].astype(dtype)
    report = load_weights(mixer, arrays)
    assert report.converted == (f"head.weight {np.dtype(dtype)}",)
    np.testing.assert_array_equal(mixer.get_layer("head").kernel, arrays["head.weight"].astype(np.float32).T)


def test_bfloat16_variables(arrays):
    keras.config.set_dtype_policy("bfloat16")
    model = mt.classifier(mlp_mixer(), 4)
    report = load_weights(model, arrays)
    assert len(report.converted) == 28  # all but the head, which stays float32
    assert model.get_layer("norm").gamma.dtype == "bfloat16"


def test_the_report(mixer, arrays):
    report = load_weights(mixer, {f"module.{name}": array for name, array in arrays.items()})
    assert isinstance(report, LoadReport)
    assert str(report) == "the given mapping: 30 arrays, 2,876 parameters loaded (mlp_mixer, layout timm)"
    assert report.preprocessing == mixer.preprocessing


class TestHead:
    def test_another_number_of_classes(self, arrays):
        model = mt.classifier(mlp_mixer(), 5)
        error = refused(model, arrays)
        assert set(error.misshapen) == {"head.weight", "head.bias"}
        assert "skip_head=True keeps the model's head" in str(error)
        head = contents(model)[-2:]
        report = load_weights(model, arrays, skip_head=True)
        assert report.skipped == report.kept == ("head.weight", "head.bias")
        assert contents(model)[-2:] == head
        assert "skipped 2 (head.weight, head.bias); kept 2" in str(report)

    def test_the_same_number_of_classes_is_skipped_too(self, mixer, arrays):
        head = contents(mixer)[-2:]
        load_weights(mixer, arrays, skip_head=True)
        assert contents(mixer)[-2:] == head

    def test_a_bare_backbone(self, arrays):
        backbone = mlp_mixer()
        error = refused(backbone, arrays)
        assert error.extra == ("head.weight", "head.bias")
        assert "skip_head=True" in str(error)
        assert load_weights(backbone, arrays, skip_head=True).skipped == ("head.weight", "head.bias")

    def test_a_file_without_head(self, mixer, arrays):
        del arrays["head.weight"], arrays["head.bias"]
        assert "skip_head=True" in str(refused(mixer, arrays))
        assert load_weights(mixer, arrays, skip_head=True).kept == ("head.weight", "head.bias")

    def test_only_the_head_may_be_skipped(self, mixer, arrays):
        arrays["norm2.bias"] = arrays["norm.bias"]
        assert refused(mixer, arrays, skip_head=True).extra == ("norm2.bias",)

    def test_pre_logits_go_with_the_head_unless_the_model_has_them(self):
        source = mt.classifier(vit(), 4, pre_logits_dim=9)
        arrays = random_arrays(source, "vit", "google")
        report = load_weights(mt.classifier(vit(), 5), arrays, skip_head=True)
        assert report.skipped == ("pre_logits/kernel", "pre_logits/bias", "head/kernel", "head/bias")
        model = mt.classifier(vit(), 5, pre_logits_dim=9)
        assert load_weights(model, arrays, skip_head=True).skipped == ("head/kernel", "head/bias")
        np.testing.assert_array_equal(model.get_layer("pre_logits").bias, arrays["pre_logits/bias"])

    def test_a_classifier_of_hugging_face(self):
        backbone = dinov2()
        arrays = {f"dinov2.{name}": array for name, array in random_arrays(backbone, "vit", "huggingface").items()}
        arrays |= {"classifier.weight": np.zeros((5, 24), np.float32), "classifier.bias": np.zeros(5, np.float32)}
        report = load_weights(mt.classifier(backbone, 4), arrays, skip_head=True)
        assert report.skipped == ("classifier.weight", "classifier.bias")


@pytest.mark.parametrize("nested", [False, True])
def test_a_model_that_the_user_built_on_a_backbone(arrays, nested):
    backbone = mlp_mixer()
    image = keras.Input(backbone.input_shape[1:])
    features = backbone(image) if nested else backbone.output
    x = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(image if nested else backbone.input, keras.layers.Dense(4, name="head")(x))
    assert load_weights(model, arrays).arrays == 30
    np.testing.assert_array_equal(model.get_layer("head").bias, arrays["head.bias"])


def test_a_layer_of_the_users_own(mixer, arrays):
    x = keras.layers.Dense(3, name="extra")(mixer.output)
    model = keras.Model(mixer.input, x)
    assert refused(model, arrays).missing == ("extra/kernel", "extra/bias")


class TestPositions:
    def test_another_image_size(self):
        arrays = random_arrays(vit((24, 24, 3)), "vit", "timm")
        model = vit((16, 40, 3))
        report = load_weights(model, arrays)
        assert report.resized == ("pos_embed 3x3 -> 2x5",)
        table = keras.ops.convert_to_numpy(model.get_layer("position_embedding").table)
        np.testing.assert_array_equal(table[:, 0], arrays["pos_embed"][:, 0])
        assert "resized 1 (pos_embed 3x3 -> 2x5)" in str(report)

    def test_dinov2_stores_its_own_grid(self):
        arrays = random_arrays(dinov2(), "vit", "huggingface")
        model = dinov2((40, 16, 3))
        assert load_weights(model, arrays).resized == ()
        table = model.get_layer("position_embedding").table
        np.testing.assert_array_equal(table, arrays["embeddings.position_embeddings"])

    def test_our_files_know_the_grid(self, tmp_path):
        first, second, third = vit((16, 64, 3)), vit((16, 64, 3)), vit((32, 32, 3))
        load_weights(first, random_arrays(first, "vit", "timm"))
        path = save_weights(first, tmp_path / "w.safetensors", layout="timm")
        assert load_weights(second, path).resized == ()
        assert contents(second) == contents(first)
        assert load_weights(third, path).resized == ("pos_embed 2x8 -> 4x4",)

    def test_an_npz_cannot_tell_every_grid(self, tmp_path):
        with pytest.raises(ValueError, match=r"2x8 patches need a \.safetensors file"):
            save_weights(vit((16, 64, 3)), tmp_path / "w.npz", layout="google")


class TestKerasFiles:
    def test_keras(self, tmp_path, mixer, arrays):
        load_weights(mixer, arrays)
        mixer.save(tmp_path / "model.keras")
        other = mt.classifier(mlp_mixer(), 4)
        report = load_weights(other, tmp_path / "model.keras")
        assert (report.layout, report.arrays) == ("mixer_tf", 30)
        assert contents(other) == contents(mixer)
        assert other.preprocessing == mixer.preprocessing

    def test_keras_without_its_head(self, tmp_path, mixer):
        mixer.save(tmp_path / "model.keras")
        other = mt.classifier(mlp_mixer(), 5)
        report = load_weights(other, tmp_path / "model.keras", skip_head=True)
        assert report.skipped == ("head/kernel", "head/bias")

    def test_keras_of_another_size(self, tmp_path):
        vit((16, 64, 3)).save(tmp_path / "model.keras")
        assert load_weights(vit((32, 32, 3)), tmp_path / "model.keras").resized == (
            "position_embedding/table 2x8 -> 4x4",
        )

    def test_keras_of_another_architecture(self, tmp_path, mixer):
        resnet().save(tmp_path / "model.keras")
        assert "stem_norm/gamma" in refused(mixer, tmp_path / "model.keras").extra

    def test_keras_with_code_inside(self, tmp_path):
        image = keras.Input((3,))
        keras.Model(image, keras.layers.Lambda(lambda x: x + 1)(image)).save(tmp_path / "model.keras")
        with pytest.raises(ValueError, match=r"must be a Keras file that fits .* Keras says: .*[Ll]ambda"):
            load_weights(mlp_mixer(), tmp_path / "model.keras")

    def test_weights_h5(self, tmp_path, mixer, arrays):
        load_weights(mixer, arrays)
        mixer.save_weights(tmp_path / "model.weights.h5")
        other = mt.classifier(mlp_mixer(), 4)
        load_weights(other, tmp_path / "model.weights.h5")
        assert contents(other) == contents(mixer)

    def test_weights_h5_of_another_model(self, tmp_path, mixer):
        mt.classifier(mlp_mixer(), 5).save_weights(tmp_path / "model.weights.h5")
        before = contents(mixer)
        with pytest.raises(ValueError, match=r"must be a Keras file that fits mlp_mixer_classifier") as caught:
            load_weights(mixer, tmp_path / "model.weights.h5")
        assert "\n" not in str(caught.value)
        assert contents(mixer) == before

    def test_weights_h5_has_no_names(self, tmp_path, mixer):
        with pytest.raises(ValueError, match=r"needs a file that names its arrays; given: model\.weights\.h5"):
            load_weights(mixer, tmp_path / "model.weights.h5", skip_head=True)

    @pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
    def test_missing_and_damaged(self, tmp_path, mixer, name):
        with pytest.raises(FileNotFoundError, match=r"none is there"):
            load_weights(mixer, tmp_path / name)
        (tmp_path / name).write_bytes(b"\x00" * 50)
        with pytest.raises(ValueError, match=r"must be a (whole \.keras|Keras) file") as caught:
            load_weights(mixer, tmp_path / name)
        assert "not found:" not in str(caught.value)

    def test_a_part_of_a_keras_file_is_called_one(self, tmp_path, mixer):
        path = tmp_path / "model.keras"
        mixer.save(path)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ValueError, match=r"whole \.keras file, a zip archive; given: something else, or a part"):
            load_weights(mixer, path)


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_a_trained_model_with_its_optimizer(tmp_path, mixer, arrays, name):
    load_weights(mixer, arrays)
    mixer.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    mixer.fit(np.ones((2, 16, 24, 3)), np.array([0, 1]), verbose=0)
    (mixer.save if name == "model.keras" else mixer.save_weights)(tmp_path / name)
    other = mt.classifier(mlp_mixer(), 4)
    load_weights(other, tmp_path / name)
    assert contents(other) == contents(mixer)


def test_training_goes_on_from_what_was_loaded(mixer, arrays):
    load_weights(mixer, arrays)
    before = contents(mixer)
    mixer.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    mixer.fit(np.ones((2, 16, 24, 3)), np.array([0, 1]), verbose=0)
    assert contents(mixer) != before
