/* The kernels in plain C: the reference, and the fallback everywhere. */
#define ISA scalar
#include "kernels/simd/scalar.h"
#include "kernels/tables.inc.h"
