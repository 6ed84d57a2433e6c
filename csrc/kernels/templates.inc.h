/* Every template that works on one element type.
 *
 * Template. Needs: REAL_IS_F32 (1 or 0) and a vocabulary from simd/. Gives: each template's FN(...) functions,
 * named with the suffix _f32 or _f64. Included twice by tables.inc.h.
 */
#if REAL_IS_F32
#    define REAL float
#    define V(word) f32_##word
#    define LANES F32_LANES
#    define FN(name) name##_f32
#else
#    define REAL double
#    define V(word) f64_##word
#    define LANES F64_LANES
#    define FN(name) name##_f64
#endif

#include "kernels/activation.inc.h"
#include "kernels/activation_backward.inc.h"
#include "kernels/conv_strip.inc.h"
#if GCH_VECTORS >= 32
#    include "kernels/conv_pair.inc.h"
#endif
#include "kernels/conv_points.inc.h"
#include "kernels/conv_planes.inc.h"
#include "kernels/conv_edges.inc.h"
#include "kernels/conv_products.inc.h"
#include "kernels/moments.inc.h"
#include "kernels/rng.inc.h"
#include "kernels/torch_stream.inc.h"
#include "kernels/spectral.inc.h"
#include "kernels/lab.inc.h"
#include "kernels/color.inc.h"
#include "kernels/stats.inc.h"

#undef REAL
#undef V
#undef LANES
#undef FN
