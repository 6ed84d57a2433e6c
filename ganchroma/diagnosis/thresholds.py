"""Every number the diagnosis decides by, with what was measured to set it.

"Levels" are 8-bit levels. Photographs: the pictures that come with scikit-image. Untrained: DCGAN-like generators with
N(0, .02), default, Xavier and Kaiming heads.
"""

from ganchroma.stages import GRAY_SHARE as GRAY_SHARE  # the healthy band stands beside what it judges
from ganchroma.stages import NEAR_END_SHARE as NEAR_END_SHARE
from ganchroma.stages import VISIBLE_CHROMA as VISIBLE_CHROMA
from ganchroma.stages import VISIBLE_LEVELS as VISIBLE_LEVELS

# -- sampling ---------------------------------------------------------------------------------------------------
# Layout, range, equal channels and the way from the network's image to the screen are read off at most this many
# pictures, evenly spread: a program treats all pictures of a batch alike, so more would cost time and tell nothing. The
# measures that are reported, and what lies outside a range, are of all pictures.
SIGN_PICTURES = 16

# -- filters ----------------------------------------------------------------------------------------------------
# Relative difference: on screen C*ab is .5 at 1 %, 1.3 at 3 %, 4.5 at 10 %, 12.9 at 30 %.
FILTERS_EQUAL = 0.03
FILTERS_ALIKE = 0.30
# Cosine. Trained heads of natural colour reach .977, which is a difference of .21: filters that are alike and not equal
# are a sign only where the colours before the activation are gray; of a head alone, below this difference.
FILTERS_COLLINEAR = 0.98
FILTERS_CLOSE = 0.15
# Std of a filter's output, over that of the loudest: filters of zeros, or on channels that are always zero, 0 exactly;
# weights that cancel on features equal but for a factor, up to 6e-6 by the rounding of float32; the quietest living
# ones .05 (collapsed features), multiples .25, sound heads .8 and more.
DEAD_SHARE = 1e-4

# -- values that are no numbers ---------------------------------------------------------------------------------
# Share of the pixels from which on NaN and infinity are the answer; below it a remark. One weight of a 3x3 filter that
# is NaN takes .88 of the pixels, a diverged network all; pictures with a few masked pixels are judged by the rest.
NOT_FINITE = 0.2

# -- backgrounds ------------------------------------------------------------------------------------------------
# Levels this far from 0 and 255 are at an end. A picture that is black or white in part is judged by the rest, if that
# is SUBJECT_SHARE of it at least and ONE_BACKGROUND of the background has one colour: objects on black or white, bars
# at the border .3-.9 and 1; saturated heads .02-.25, or both colours alike.
NEAR_LEVELS = 2
SUBJECT_SHARE = 0.3
ONE_BACKGROUND = 0.9

# -- features ---------------------------------------------------------------------------------------------------
# Participation ratio of the patch covariance: sound heads 2.9 and more, collapsed ones 1.0-1.6.
COLLAPSED_PARTICIPATION = 2.0
# Of fewer patches than this it says nothing: one picture of 4x4 from 1x1 has one.
FEW_PLACES = 8
# Patches sampled for it.
PATCHES = 2048
# That of the channels of one pixel: sound networks 1.5 and more, one pattern times numbers 1.0.
COLLAPSED_CHANNELS = 1.2
# Participation ratio of the three colours before the activation: one tint 1.0, natural colour 1.2. For pictures alone
# the lower one: through JPEG it is 1.05, photographs of one material have 1.04, others 1.16 and more.
ONE_TINT = 1.1
ONE_TINT_ONLY = 1.06
# Achromatic share from which on one direction is that of gray: a white background brings natural pictures to .97.
TINT_SHARE = 0.96

# -- spectral norm ----------------------------------------------------------------------------------------------
# u.Wv / sigma in evaluation mode: random vectors up to .13 (heads of 3, layers of up to 4096 filters), after one
# training forward .74 and more, trained .98 and more.
WARM_SPECTRAL_NORM = 0.5

# -- a picture against the network's image ----------------------------------------------------------------------
# Root mean square difference that still counts as the same picture: rounding, or a tenth of its own contrast (JPEG).
SAME_LEVELS = 1.5
SAME_SHARE = 0.1
# A path of more steps is believed where it fits twice as well, and by this many levels: in a picture of one level
# rounding alone decides by less. A fit this close needs no better one: both are the same bytes.
BETTER_LEVELS = 0.2
EXACT_LEVELS = 0.02
# Contrast times this much is a display that stretches it; less is the same picture within SAME_SHARE.
RAISED = 1.05
# Channels equal: mean spread between them, in levels (two levels apart by chance in a picture of two: .5 and more), or
# against the contrast (JPEG).
EQUAL_LEVELS = 0.25
EQUAL_CHANNELS = 0.02

# -- layout, from pictures alone --------------------------------------------------------------------------------
# Neighbour differences, this reading / the other one, in both directions: wrongly reshaped photographs 1.45-2.9 (a
# planar buffer read as interleaved) or 2.9-90 (the reverse), reshaped generators 2.1 and more; sound ones .01-1.1, at
# most 1.5, in at least one direction.
SMOOTHER = 1.3
SMOOTHER_CLEARLY = 1.8
# That, times the correlation of the left with the middle third: planar read as interleaved 1.0 and more (untrained
# generators .63 to .75 at 1.54 to 1.74, photographs .83 and more at 1.8), sound pictures at most .74.
SMOOTHER_TIMES_THIRDS = 0.97
# How much better a row agrees with the third below it than with the next: interleaved read as planar .45-.99, sound
# pictures 0 (their third row is 1.4-2.4 times as far away).
ROW_CYCLE = 0.35

# -- range, from pictures alone ---------------------------------------------------------------------------------
# [0,1] shown as [-1,1] has nothing under mid-gray (its .5-percentile; 123 and more through JPEG); photographs have 0-34
# there.
WASHED_PERCENTILE = 120
# Floats say more: [0, 1] begins within this share of the range from its middle, pale pictures anywhere above.
STARTS_AT = 0.01
# tanh clipped to [0,1]: .29 and more at 0, next to nothing at 255; sound pictures at most .11 at 0.
CUT_AT_ZERO = 0.20
CUT_AT_FULL = 0.05
# Share of 0 in pixels that are not black: a black background leaves next to none.
CUT_BESIDE = 0.05
# [0,1] taken for 8-bit levels is 0 and 1 alone (its 99.5-percentile; 2 through JPEG).
DARK_LEVELS = 2
# Neighbours' differences, against those on a ring on which 0 follows 255: wrapped pictures 1.25-2.7, photographs and
# generators at most 1.06.
WRAPPED_GAIN = 1.15
# That of pixels by chance is 1.33 for noise of all levels alike; wrapped noise, most of it near the ends, has 1.5 and
# more, and a wrapped smooth picture's neighbours differ by at most .7 of what pixels do by chance.
RING_BIMODAL = 1.45
RING_SMOOTH = 0.8
# Values outside the stated range by more than 1 % of its width.
OUTSIDE_SHARE = 0.001
# They contradict it if they reach this many widths beyond, or if another usual range holds all of them and they reach
# half a width beyond, or are this many. Bicubic and Lanczos resizing reach .13 beyond with 2 % of the values; heads
# without bounds 1 with 13 %, and no usual range holds those. Bytes reach 20 at least.
FAR_OUTSIDE = 4.0
NEAR_OUTSIDE = 0.5
MANY_OUTSIDE = 0.05
BYTES_REACH = 20.0

# -- remedies ---------------------------------------------------------------------------------------------------
# Standard deviation of the image, as a share of half its range, that a rescaled head aims at (photographs .46-.57
# of that half, untrained generators .2-.6), and the largest root mean square before the activation.
TARGET_STD = 0.4
TARGET_RMS = 0.8
# The largest bias that a rescaled head keeps, in the same unit.
TARGET_BIAS = 0.5

# -- learning ---------------------------------------------------------------------------------------------------
# Mean slope of the activation, over its largest: heads that learn have .3-1; weights of all ones, which learn nothing
# in 400 steps, have a gradient 6000 times smaller.
STUCK_SLOPE = 0.01

# -- remarks ----------------------------------------------------------------------------------------------------
# Share of the energy that one pattern common to all images must have to be worth a remark: an untrained DCGAN's has
# 22-50 %, by what its transposed layers leave at every other pixel.
FIXED_PATTERN_SHARE = 0.1
# More than this is no pattern under the images, it is the images.
ALL_ALIKE_SHARE = 0.98

# Share of a data set's pictures that is gray, from which on it is worth a remark: training on a half of them took a
# quarter of the chroma (docs/claims.md).
SOME_GRAY = 0.02

# -- confidence -------------------------------------------------------------------------------------------------
# How often a finding of each strength was right on the first half of the labelled cases (`make confusion` prints the
# figures of the other half beside these). A sign is shared among the sets of remedies that would do as well.
# "pictures": of a sound answer from pictures alone, where a buffer read wrongly may look like noise; "subject": of one
# beside possibilities that put a coloured picture outside the healthy band.
CONFIDENCE = {"fact": 0.99, "sign": 0.97, "possible": 0.5, "pictures": 0.9, "subject": 0.18}
# Possibilities by name: several explain the same picture, and how often each was the one is counted, too.
POSSIBLE_CONFIDENCE = {
    "dead_filter": 0.83,  # photographs that one colour was taken from count beside it
    "display_channel": 0.48,
    "identical_filters": 0.34,
    "gray_data": 0.17,
    "saturation": 0.31,
    "monochrome_tint": 0.48,  # photographs that were toned count beside it
    "feature_collapse": 0.10,
    "range_clip": 0.93,
    "range_wash": 0.78,  # pale photographs count beside it
    "range_dark": 0.95,
    "range_wrap": 0.86,  # pictures of two flat colours count beside it
}
