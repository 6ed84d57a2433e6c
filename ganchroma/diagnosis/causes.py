"""The causes of missing colour.

A cause is two pure functions. `suspect(evidence, trace)` says whether the cause's own signs are there, as a
`Suspicion`, or None. `remedy(evidence)` returns new evidence with that one thing put right and nothing else, or None
where no computation can do it. To add a cause: write the two, add a line to CAUSES, write its test.
"""

from ganchroma.diagnosis.display_causes import (
    partly_gray_remark,
    remedy_channel,
    remedy_layout,
    remedy_nothing,
    suspect_channel,
    suspect_data,
    suspect_layout,
)
from ganchroma.diagnosis.network_causes import (
    remedy_batchnorm,
    remedy_collapse,
    remedy_dead,
    remedy_filters,
    remedy_flat,
    remedy_saturation,
    remedy_spectral,
    suspect_batchnorm,
    suspect_collapse,
    suspect_dead,
    suspect_filters,
    suspect_flat,
    suspect_gain,
    suspect_saturation,
    suspect_spectral,
    suspect_tint,
)
from ganchroma.diagnosis.range_causes import range_causes, remedy_stretch, stretch_remark, suspect_stretch
from ganchroma.diagnosis.suspicion import Cause

# In the order in which colour passes them; remedies are applied in this order.
CAUSES: list[Cause] = [
    Cause("spectral_norm_eval", "saturation", suspect_spectral, remedy_spectral),
    Cause("batchnorm_eval", "flat_amplitude", suspect_batchnorm, remedy_batchnorm),
    Cause("feature_collapse", "feature_collapse", suspect_collapse, remedy_collapse),
    Cause("dead_filter", "dead_filter", suspect_dead, remedy_dead),
    Cause("identical_filters", "identical_filters", suspect_filters, remedy_filters),
    Cause("monochrome_tint", "identical_filters", suspect_tint, remedy_filters),
    Cause("flat_amplitude", "flat_amplitude", suspect_flat, remedy_flat),
    Cause("gain", "saturation", suspect_gain, remedy_saturation),
    Cause("saturation", "saturation", suspect_saturation, remedy_saturation),
    Cause("layout_reshape", "layout_reshape", suspect_layout, remedy_layout),
    Cause("display_channel", "display_channel", suspect_channel, remedy_channel),
    Cause("min_max_display", "range_mismatch", suspect_stretch, remedy_stretch, stretch_remark),
    *range_causes(),
    Cause("gray_data", "gray_data", suspect_data, remedy_nothing, partly_gray_remark),
]
