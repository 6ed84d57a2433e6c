/* One table of kernels per instruction set: what cpu/dispatch.c chooses between. */
#ifndef GCH_KERNELS_ISA_H
#define GCH_KERNELS_ISA_H

#include "common.h"
#include "kernels/activation.h"
#include "kernels/color.h"
#include "kernels/conv.h"
#include "kernels/frequency.h"
#include "kernels/moments.h"
#include "kernels/mt19937.h"
#include "kernels/rng.h"
#include "kernels/spectral.h"
#include "kernels/stats.h"

struct gch_isa {
    const char *name;
    int fused; /* 1 if multiply-adds are fused: all such sets give identical bits */
    struct gch_activation_kernels activation[GCH_REALS];
    struct gch_conv_kernels conv[GCH_REALS];
    struct gch_moments_kernels moments[GCH_REALS];
    gch_rng_words_kernel rng_words;
    struct gch_rng_kernels rng[GCH_REALS];
    struct gch_mt19937_kernels mt19937;
    struct gch_torch_kernels torch[GCH_REALS];
    struct gch_spectral_kernels spectral[GCH_REALS];
    struct gch_frequency_kernels frequency;
    struct gch_color_kernels color[GCH_REALS];
    struct gch_stats_kernels stats[GCH_REALS];
    gch_from_bytes_kernel levels_from_bytes;
    gch_split_kernel bytes_split;
    gch_bytes_kernel bytes_sums;
    gch_byte_moments_kernel bytes_moments;
    gch_add_bytes_kernel bytes_add;
    gch_chroma_kernel bytes_chroma;
};

extern const struct gch_isa gch_isa_scalar;
#ifdef GCH_X86_64
extern const struct gch_isa gch_isa_avx2;
extern const struct gch_isa gch_isa_avx512;
#endif
#ifdef GCH_AARCH64
extern const struct gch_isa gch_isa_neon;
#endif

#endif
