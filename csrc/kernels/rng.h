/* Random numbers by counting: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011). SERIAL.
 *
 * A stream is a key and the number of a draw under that key. Block b of it is four 32-bit words: Philox of
 * the counter (low word of b, high word of b, low word of draw, high word of draw). Sixteen blocks make a
 * group: block 16 g + l is lane l of group g, and word j of it is called w[j][l]. Element i of a draw depends
 * on nothing else.
 *
 * - Uniform float32, 64 elements a group: element 64 g + 16 j + l is (w[j][l] >> 8) 2^-24.
 * - Uniform float64, 32 elements a group: element 32 g + 16 h + l is
 *   ((w[2h][l] >> 5) 2^26 + (w[2h+1][l] >> 6)) 2^-53.
 * - Both become low + u (high - low), each operation rounded.
 * - Normal float32, by Box-Muller: u = (w[0][l] + .5) 2^-32, its two steps rounded, and the angle
 *   a = pi/2 w[1][l] 2^-30 make elements 64 g + l, sqrt(-2 log u) cos a, and 64 g + 16 + l, the same with
 *   sin a; w[2] and w[3] make the two that stand 32 further.
 * - Normal float64: u = ((w[0][l] >> 5) 2^26 + (w[1][l] >> 6) + .5) 2^-53 and
 *   a = pi/2 (w[2][l] 2^26 + (w[3][l] >> 6)) 2^-56 make elements 32 g + l and 32 g + 16 + l.
 * - Both become z std + mean, each operation rounded.
 *
 * u is never 0: normals reach 6.7 standard deviations in float32, 8.6 in float64. They lie within 3 units of
 * relative rounding of these formulas. Only additions, multiplications, divisions and square roots are used,
 * never a fused multiply-add, so every instruction set gives the same bits.
 */
#ifndef GCH_KERNELS_RNG_H
#define GCH_KERNELS_RNG_H

#include "common.h"

enum { GCH_RNG_LANES = 16, GCH_RNG_WORDS = 4, GCH_RNG_GROUP_F32 = 64, GCH_RNG_GROUP_F64 = 32 };

struct gch_rng_stream {
    uint64_t key, draw;
};

/* The words of one group, words[j][l] as above. */
typedef void (*gch_rng_words_kernel)(const struct gch_rng_stream *stream, uint64_t group,
                                     uint32_t words[GCH_RNG_WORDS][GCH_RNG_LANES]);

struct gch_rng_kernels {
    /* `count` elements of the table's type, the first of them the first of group `group`; any alignment. */
    void (*uniform)(const struct gch_rng_stream *stream, uint64_t group, void *out, ptrdiff_t count,
                    double low, double high);
    void (*normal)(const struct gch_rng_stream *stream, uint64_t group, void *out, ptrdiff_t count,
                   double mean, double std);
};

#endif
