"""`Model`: a functional `keras.Model` that remembers what its weights expect of a picture.

The one file of the package that may import from `keras.src`, where Keras has a defect that only this can mend.
"""

import keras

from mixer_tf.data.preprocess import Preprocessing


@keras.saving.register_keras_serializable(package="mixer_tf")
class Model(keras.Model):
    """A functional `keras.Model` whose `preprocessing` travels with it, also through a `.keras` file.

    Attributes:
        preprocessing: how a picture becomes the input that the weights were trained on (`Preprocessing`), or None when
            nothing is known. `mixer_tf.load_weights` sets it, evaluation and export use it.
    """

    preprocessing: Preprocessing | None = None

    def get_config(self):
        """The functional model's config and, where it is known, the preprocessing."""
        config = super().get_config()
        if self.preprocessing is not None:
            config["preprocessing"] = self.preprocessing.to_dict()
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model of `get_config`, its preprocessing included."""
        config = dict(config)
        preprocessing = config.pop("preprocessing", None)
        model = super().from_config(config, custom_objects=custom_objects)
        model.preprocessing = Preprocessing.from_dict(preprocessing) if preprocessing else None
        return model
