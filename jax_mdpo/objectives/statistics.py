"""Statistics of the values that a mask leaves."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


def quantile(values: Float[Array, "E R"], mask: Bool[Array, "E R"], share: float) -> Float[Array, " E"]:
    """The quantile of each row's masked-in values, linear between neighbours as numpy's; inf where there are none."""
    ordered = jnp.sort(jnp.where(mask, values, jnp.inf), axis=-1)
    last = jnp.maximum(jnp.sum(mask, axis=-1) - 1, 0)
    # By the number of values, in float64: a place that is off by a rounding error would turn "at" a value into "above" it.
    places = share * np.arange(values.shape[-1])
    below, part = jnp.asarray(np.floor(places), jnp.int32)[last], jnp.asarray(places % 1, jnp.float32)[last]
    low, high = (jnp.take_along_axis(ordered, at[:, None], axis=-1)[:, 0] for at in (below, jnp.minimum(below + 1, last)))
    return jnp.where(part > 0, low + part * (high - low), low)  # where part is 0, high may be infinite


def mean(values: Float[Array, "E R"], mask: Bool[Array, "E R"]) -> Float[Array, " E"]:
    """The mean of each row's masked-in values; 0 where there are none."""
    return jnp.sum(jnp.where(mask, values, 0.0), axis=-1) / jnp.maximum(jnp.sum(mask, axis=-1), 1)


def deviation(values: Float[Array, "E R"], mask: Bool[Array, "E R"]) -> Float[Array, " E"]:
    """The population's standard deviation of each row's masked-in values; 0 where there are none."""
    centred = values - mean(values, mask)[:, None]
    return jnp.sqrt(mean(centred**2, mask))
