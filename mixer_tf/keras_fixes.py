"""`Model`: a functional `keras.Model` that remembers what its weights expect of a picture and of a classifier.

The one file of the package that may import from `keras.src`, where Keras has a defect that only this can mend.
"""

import keras

from mixer_tf.data.preprocess import Preprocessing


@keras.saving.register_keras_serializable(package="mixer_tf")
class Model(keras.Model):
    """A functional `keras.Model` whose `preprocessing` and the like travel with it, also through a `.keras` file.

    Attributes:
        preprocessing: how a picture becomes the input that the weights were trained on (`Preprocessing`), or None when
            nothing is known. `mixer_tf.load_weights` sets it, evaluation and export use it.
        classifier_arguments: of a backbone, the arguments of `mixer_tf.classifier` that its paper's classifier has and
            the usual one does not, such as `{"norm_epsilon": 1e-6}`; None for none. The builder sets it.
    """

    preprocessing: Preprocessing | None = None
    classifier_arguments: dict[str, str | float] | None = None

    def get_config(self):
        """The functional model's config and, where they are known, the preprocessing and the classifier's arguments."""
        config = super().get_config()
        if self.preprocessing is not None:
            config["preprocessing"] = self.preprocessing.to_dict()
        if self.classifier_arguments:
            config["classifier_arguments"] = dict(self.classifier_arguments)
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model of `get_config`, what else it knows included."""
        config = dict(config)
        preprocessing = config.pop("preprocessing", None)
        classifier_arguments = config.pop("classifier_arguments", None)
        model = super().from_config(config, custom_objects=custom_objects)
        model.preprocessing = Preprocessing.from_dict(preprocessing) if preprocessing else None
        model.classifier_arguments = classifier_arguments
        return model
