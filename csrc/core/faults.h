/* Memory that fails on request: for tests, in builds with -DGCH_FAULTS alone. Counts gch_alloc of the whole process. */
#ifndef GCH_CORE_FAULTS_H
#define GCH_CORE_FAULTS_H

/* The n-th allocation from now on, 1 being the next, finds no memory; 0: none fails any more. */
void gch_faults_set(long n);

/* Allocations asked for since then. */
long gch_faults_asked(void);

/* Allocations that were not released yet. */
long gch_faults_held(void);

#endif
