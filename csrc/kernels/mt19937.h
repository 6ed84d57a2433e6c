/* The Mersenne Twister MT19937 (Matsumoto and Nishimura 1998), and PyTorch's numbers from it. SERIAL.
 *
 * From tempered words r, in the order in which they are drawn:
 * - Uniform float32: u = (r & (2^24 - 1)) 2^-24. Uniform float64: u = ((first << 32 | second) & (2^53 - 1)) 2^-53.
 *   Both become u (high - low) + low, and low where that equals high.
 * - Normal, in blocks of sixteen uniforms d: with u1 = 1 - d[j], radius = sqrt(-2 log u1), angle = 2 pi d[j + 8]
 *   elements j and j + 8 of the block become radius cos(angle) and radius sin(angle); then z std + mean, fused.
 *
 * PyTorch's bits depend on which build of its kernels runs. GCH_TORCH_DEFAULT, the baseline of x86-64: a uniform's
 * multiply-add is rounded twice, and logarithm, sine and cosine are the C library's. GCH_TORCH_AVX2 (PyTorch's
 * AVX-512 build gives the same bits): that multiply-add is fused, and normal float32 takes the polynomials of
 * Cephes, fused as the compiler of PyTorch chose to. Every instruction set here gives both, bit for bit.
 */
#ifndef GCH_KERNELS_MT19937_H
#define GCH_KERNELS_MT19937_H

#include "common.h"

enum { GCH_MT19937_WORDS = 624, GCH_MT19937_ROOM = 16, GCH_TORCH_BLOCK = 16 };

enum gch_torch_capability { GCH_TORCH_DEFAULT, GCH_TORCH_AVX2 };

struct gch_mt19937_kernels {
    /* words[624] = the generation of state words that follows it. */
    void (*twist)(uint32_t *words);
    /* tempered[i] = the number that state word i stands for, first <= i < last, multiples of GCH_MT19937_ROOM. */
    void (*temper)(const uint32_t *words, uint32_t *tempered, ptrdiff_t first, ptrdiff_t last);
};

struct gch_torch_kernels {
    /* `count` elements of the table's type from one word each, two in float64. GCH_MT19937_ROOM words behind the
     * last must be readable; their values don't matter. Any alignment. */
    void (*uniform)(const uint32_t *words, void *out, ptrdiff_t count, double low, double high,
                    enum gch_torch_capability capability);
    /* Blocks of uniform numbers on [0, 1) become normal ones, in place. Any alignment. */
    void (*normal)(void *data, ptrdiff_t blocks, double mean, double std,
                   enum gch_torch_capability capability);
};

#endif
