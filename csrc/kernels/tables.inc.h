/* All kernels of one instruction set, and the table that exports them.
 *
 * Template. Needs: ISA (scalar, avx2, avx512 or neon) and that set's vocabulary from simd/.
 * Gives: the constant gch_isa_<ISA>.
 */
#include <math.h>
#include <string.h>

#include "kernels/isa.h"

#include "kernels/mt19937.inc.h"
#include "kernels/philox.inc.h"

#define REAL_IS_F32 1
#include "kernels/templates.inc.h"
#undef REAL_IS_F32
#define REAL_IS_F32 0
#include "kernels/templates.inc.h"
#undef REAL_IS_F32
#include "kernels/frequency.inc.h"
#include "kernels/levels.inc.h"

#define ISA_TABLE_OF(isa) gch_isa_##isa
#define ISA_TABLE(isa) ISA_TABLE_OF(isa)
#define ISA_NAME_OF(isa) #isa
#define ISA_NAME(isa) ISA_NAME_OF(isa)

#if GCH_VECTORS >= 32
#    define CONV_FILTERS 4
#    define CONV_PAIR(real) conv_pair_##real
#else
#    define CONV_FILTERS 3 /* more sums would leave no register for an input */
#    define CONV_PAIR(real) NULL
#endif

const struct gch_isa ISA_TABLE(ISA) = {
    .name = ISA_NAME(ISA),
    .fused = GCH_FUSED,
    .activation = {{activation_apply_f32, activation_backward_f32},
                   {activation_apply_f64, activation_backward_f64}},
    .conv = {{CONV_FILTERS, conv_strip_f32, conv_settle_f32, CONV_PAIR(f32), conv_points_f32, conv_planes_f32,
              conv_pack_f32, conv_finish_f32, conv_weave_f32, conv_stage_f32, conv_products_f32,
              conv_merge_f32, conv_fold_f32},
             {CONV_FILTERS, conv_strip_f64, conv_settle_f64, CONV_PAIR(f64), conv_points_f64, conv_planes_f64,
              conv_pack_f64, conv_finish_f64, conv_weave_f64, conv_stage_f64, conv_products_f64,
              conv_merge_f64, conv_fold_f64}},
    .moments = {{moments_row_f32}, {moments_row_f64}},
    .rng_words = rng_words,
    .rng = {{rng_uniform_f32, rng_normal_f32}, {rng_uniform_f64, rng_normal_f64}},
    .mt19937 = {mt19937_twist, mt19937_temper},
    .torch = {{torch_uniform_f32, torch_normal_f32}, {torch_uniform_f64, torch_normal_f64}},
    .spectral = {{spectral_dot_f32, spectral_add_f32}, {spectral_dot_f64, spectral_add_f64}},
    .frequency = {frequency_products, frequency_values, frequency_peak},
    .color = {{color_lab_f32, color_hsv_f32, color_opponent_f32, color_lab_woven_f32, color_hsv_woven_f32},
              {color_lab_f64, color_hsv_f64, color_opponent_f64, color_lab_woven_f64, color_hsv_woven_f64}},
    .stats = {{stats_quantize_f32, stats_place_f32}, {stats_quantize_f64, stats_place_f64}},
    .levels_from_bytes = levels_from_bytes,
    .bytes_split = bytes_split,
    .bytes_sums = bytes_sums,
    .bytes_moments = bytes_moments,
    .bytes_add = bytes_add,
    .bytes_chroma = bytes_chroma,
};
