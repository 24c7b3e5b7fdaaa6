"""From encoded image files to pixels, in TensorFlow graph ops only, one file a format."""
