/* What this processor and its operating system can run. */
#ifndef GCH_CPU_FEATURES_H
#define GCH_CPU_FEATURES_H

struct gch_cpu_features {
    int avx2;   /* AVX2 and FMA, and the system saves their registers */
    int avx512; /* F, DQ, BW and VL besides, and the system saves theirs */
    int neon;
};

struct gch_cpu_features gch_cpu_features(void);

#endif
