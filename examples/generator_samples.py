"""Colour of many samples of a generator, without keeping one: batches are measured and forgotten.

    python examples/generator_samples.py --samples 2000

With the last layer as an `OutputLayer` not even one image is made: `moments` measures what the layer computes while it
computes it.
"""

import argparse

import numpy as np

import ganchroma as gch


def main() -> None:
    """The same samples twice: as images, and without."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=256)
    options = parser.parse_args()
    generator = gch.demo.Generator(rng=0)
    rng = np.random.default_rng(0)
    stats, moments = gch.ChromaStats((-1, 1)), gch.ColorMoments.empty((-1, 1))
    for start in range(0, options.samples, 64):
        latent = generator.sample_latent(min(64, options.samples - start), rng=rng)
        features = generator.features(latent, training=True)
        stats.update(generator.head(features))
        moments += generator.head.moments(features)
    print(stats.summary().within)
    print(moments)


if __name__ == "__main__":
    main()
