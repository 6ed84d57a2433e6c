/* Eigenvalues of small Hermitian matrices, one in each lane, and the products that the matrices are made of.
 *
 * Template. Needs: the f64 vocabulary. Gives: frequency_products, frequency_values, frequency_peak for the table.
 *
 * Up to FREQUENCY_FEW rows, and where a vector is wanted, by cyclic Jacobi rotations, which need no care for equal or
 * nearly equal eigenvalues, as a formula for the roots would. Otherwise by Householder's reflections to a tridiagonal
 * matrix and the square-root-free QL algorithm (Reinsch 1973; Parlett, The Symmetric Eigenvalue Problem, section 8.15),
 * some four times faster for twelve rows. A lane changes only where its own element still counts, so what a lane gives
 * does not depend on the others. Matrices are held as frequency.h says.
 */
enum { FREQUENCY_STEPS = 60, FREQUENCY_FEW = 4 }; /* sweeps, or iterations for a value: some 10 are needed */

struct frequency_rotation {
    f64_vec cosine, real, imaginary; /* sine: real + i imaginary */
};

/* Elements x of column p and y of column q in another row: x' = c x - s* y, y' = s x + c y. `x_conjugate`: what is
 * stored is the conjugate. */
GCH_INLINE void frequency_turn(struct frequency_rotation r, f64_vec *x_real, f64_vec *x_imaginary,
                               int x_conjugate, f64_vec *y_real, f64_vec *y_imaginary, int y_conjugate)
{
    const f64_vec xr = *x_real, xi = x_conjugate ? f64_neg(*x_imaginary) : *x_imaginary;
    const f64_vec yr = *y_real, yi = y_conjugate ? f64_neg(*y_imaginary) : *y_imaginary;
    const f64_vec against = f64_neg(r.real);
    *x_real = f64_fma(against, yr, f64_fma(f64_neg(r.imaginary), yi, f64_mul(r.cosine, xr)));
    *y_real = f64_fma(r.real, xr, f64_fma(f64_neg(r.imaginary), xi, f64_mul(r.cosine, yr)));
    const f64_vec x_new = f64_fma(against, yi, f64_fma(r.imaginary, yr, f64_mul(r.cosine, xi)));
    const f64_vec y_new = f64_fma(r.real, xi, f64_fma(r.imaginary, xr, f64_mul(r.cosine, yi)));
    *x_imaginary = x_conjugate ? f64_neg(x_new) : x_new;
    *y_imaginary = y_conjugate ? f64_neg(y_new) : y_new;
}

/* Makes element (p, q), here a, zero in the lanes where it counts; whether there was one. With d = |a_qq - a_pp|,
 * r = sqrt(d^2 + 4 |a|^2), g = d + r and k = 1 / sqrt(2 r g), c = g k and s = +-2 k a: two roots, two divisions. */
GCH_INLINE int frequency_rotate(f64_vec *h, f64_vec *u, int rows, int p, int q, f64_vec least)
{
    const f64_vec zero = f64_set1(0), one = f64_set1(1);
    const f64_vec real = h[p * rows + q], imaginary = h[q * rows + p];
    const f64_vec square = f64_fma(real, real, f64_mul(imaginary, imaginary));
    const f64_mask counts = f64_less(least, square);
    if (!f64_any(counts)) return 0;
    const f64_vec apart = f64_sub(h[q * rows + q], h[p * rows + p]), twice = f64_add(square, square);
    const f64_vec root = f64_sqrt(f64_fma(apart, apart, f64_add(twice, twice)));
    const f64_vec sum = f64_add(f64_abs(apart), root), product = f64_mul(root, sum);
    const f64_vec norm = f64_div(one, f64_sqrt(f64_add(product, product)));
    const f64_vec sine = f64_copysign(f64_add(norm, norm), apart);
    const f64_vec moved = f64_select(counts, f64_copysign(f64_div(twice, sum), apart), zero);
    struct frequency_rotation r;
    r.cosine = f64_select(counts, f64_mul(sum, norm), one);
    r.real = f64_select(counts, f64_mul(sine, real), zero);
    r.imaginary = f64_select(counts, f64_mul(sine, imaginary), zero);
    h[p * rows + p] = f64_sub(h[p * rows + p], moved);
    h[q * rows + q] = f64_add(h[q * rows + q], moved);
    h[p * rows + q] = f64_select(counts, zero, real);
    h[q * rows + p] = f64_select(counts, zero, imaginary);
    int k = 0;
    for (; k < p; ++k)
        frequency_turn(r, &h[k * rows + p], &h[p * rows + k], 0, &h[k * rows + q], &h[q * rows + k], 0);
    for (++k; k < q; ++k)
        frequency_turn(r, &h[p * rows + k], &h[k * rows + p], 1, &h[k * rows + q], &h[q * rows + k], 0);
    for (++k; k < rows; ++k)
        frequency_turn(r, &h[p * rows + k], &h[k * rows + p], 1, &h[q * rows + k], &h[k * rows + q], 1);
    if (u != NULL) {
        f64_vec *v = u + rows * rows;
        for (int i = 0; i < rows; ++i)
            frequency_turn(r, &u[i * rows + p], &v[i * rows + p], 0, &u[i * rows + q], &v[i * rows + q], 0);
    }
    return 1;
}

/* The square of what is too small to count: about an eighth of a rounding of the trace. */
GCH_INLINE f64_vec frequency_least(const f64_vec *h, int rows)
{
    f64_vec trace = f64_set1(0);
    for (int i = 0; i < rows; ++i)
        trace = f64_add(trace, f64_abs(h[i * rows + i]));
    trace = f64_mul(trace, f64_set1(0x1p-56));
    return f64_mul(trace, trace);
}

/* The eigenvalues end on the diagonal of `h`, the vectors in the columns of `u`: real parts, then imaginary ones. */
GCH_INLINE void frequency_diagonalize(f64_vec *h, f64_vec *u, int rows)
{
    const f64_vec least = frequency_least(h, rows);
    for (int i = 0; u != NULL && i < 2 * rows * rows; ++i)
        u[i] = f64_set1(i < rows * rows && i % (rows + 1) == 0);
    int rotated = 1;
    for (int sweep = 0; rotated && sweep < FREQUENCY_STEPS; ++sweep) {
        rotated = 0;
        for (int p = 0; p < rows - 1; ++p)
            for (int q = p + 1; q < rows; ++q)
                rotated |= frequency_rotate(h, u, rows, p, q, least);
    }
}

/* Row k of a Hermitian matrix to tridiagonal form: reflects rows and columns k + 1 ... so that what is right of
 * (k, k + 1) vanishes; the squared size of that element. */
GCH_INLINE f64_vec frequency_reflect(f64_vec *h, int rows, int k)
{
    const f64_vec zero = f64_set1(0), one = f64_set1(1);
    f64_vec vr[GCH_FREQUENCY_ROWS], vi[GCH_FREQUENCY_ROWS], pr[GCH_FREQUENCY_ROWS], pi[GCH_FREQUENCY_ROWS];
    f64_vec square = zero;
    for (int i = k + 1; i < rows; ++i) { /* v: the column below (k, k) */
        vr[i] = h[k * rows + i];
        vi[i] = f64_neg(h[i * rows + k]);
        pr[i] = pi[i] = zero;
        square = f64_fma(vr[i], vr[i], f64_fma(vi[i], vi[i], square));
    }
    const f64_vec norm = f64_sqrt(square);
    const f64_vec first = f64_sqrt(f64_fma(vr[k + 1], vr[k + 1], f64_mul(vi[k + 1], vi[k + 1])));
    const f64_mask phased = f64_less(zero, first);
    const f64_vec ratio = f64_div(norm, first);
    vr[k + 1] = f64_select(phased, f64_fma(vr[k + 1], ratio, vr[k + 1]), norm);
    vi[k + 1] = f64_select(phased, f64_fma(vi[k + 1], ratio, vi[k + 1]), zero);
    const f64_vec half = f64_fma(norm, norm, f64_mul(norm, first)); /* of |v|^2 */
    const f64_vec scale = f64_select(f64_less(zero, half), f64_div(one, half), zero);
    for (int i = k + 1; i < rows; ++i) { /* p = G v */
        pr[i] = f64_fma(h[i * rows + i], vr[i], pr[i]);
        pi[i] = f64_fma(h[i * rows + i], vi[i], pi[i]);
        f64_vec sum_r = pr[i], sum_i = pi[i];
        for (int j = i + 1; j < rows; ++j) {
            const f64_vec re = h[i * rows + j], im = h[j * rows + i];
            sum_r = f64_fma(re, vr[j], f64_fma(f64_neg(im), vi[j], sum_r));
            sum_i = f64_fma(re, vi[j], f64_fma(im, vr[j], sum_i));
            pr[j] = f64_fma(re, vr[i], f64_fma(im, vi[i], pr[j]));
            pi[j] = f64_fma(re, vi[i], f64_fma(f64_neg(im), vr[i], pi[j]));
        }
        pr[i] = sum_r;
        pi[i] = sum_i;
    }
    f64_vec inner = zero; /* v* p, which is real */
    for (int i = k + 1; i < rows; ++i)
        inner = f64_fma(vr[i], pr[i], f64_fma(vi[i], pi[i], inner));
    const f64_vec part = f64_neg(f64_mul(f64_mul(inner, scale), f64_mul(scale, f64_set1(0.5))));
    for (int i = k + 1; i < rows; ++i) { /* w = p / half - part of v */
        pr[i] = f64_fma(pr[i], scale, f64_mul(part, vr[i]));
        pi[i] = f64_fma(pi[i], scale, f64_mul(part, vi[i]));
    }
    for (int i = k + 1; i < rows; ++i) { /* G - v w* - w v* */
        const f64_vec ar = f64_neg(vr[i]), ai = f64_neg(vi[i]), br = f64_neg(pr[i]), bi = f64_neg(pi[i]);
        for (int j = i; j < rows; ++j) {
            f64_vec *re = &h[i * rows + j], *im = &h[j * rows + i];
            *re = f64_fma(ar, pr[j], f64_fma(ai, pi[j], f64_fma(br, vr[j], f64_fma(bi, vi[j], *re))));
            if (i == j) continue;
            const f64_vec left = f64_fma(ai, pr[j], f64_fma(vr[i], pi[j], *im));
            *im = f64_fma(bi, vr[j], f64_fma(pr[i], vi[j], left));
        }
    }
    return square;
}

/* One step of the QL algorithm on the tridiagonal matrix of diagonal d and squared neighbours e, from row `top`, in the
 * lanes of the mask. */
GCH_INLINE void frequency_ql(f64_vec *d, f64_vec *e, int rows, int top, f64_mask wanted)
{
    const f64_vec zero = f64_set1(0), one = f64_set1(1), half = f64_set1(0.5);
    const f64_vec near = f64_sqrt(e[top]), apart = f64_mul(half, f64_sub(d[top + 1], d[top]));
    const f64_vec root = f64_sqrt(f64_fma(apart, apart, e[top]));
    /* Wilkinson's shift: the eigenvalue of the first two rows that is nearer to d[top]. */
    f64_vec shift = f64_div(near, f64_add(f64_abs(apart), root));
    shift = f64_sub(d[top], f64_copysign(f64_mul(near, shift), apart));
    f64_vec c = one, s = zero, gamma = f64_sub(d[rows - 1], shift), p = f64_mul(gamma, gamma);
    for (int i = rows - 2; i >= top; --i) {
        const f64_vec square = e[i], r = f64_add(p, square), old_c = c, old_gamma = gamma;
        if (i < rows - 2) e[i + 1] = f64_select(wanted, f64_mul(s, r), e[i + 1]);
        const f64_vec inverse = f64_div(one, r);
        const f64_mask some = f64_less(zero, r);
        c = f64_select(some, f64_mul(p, inverse), one);
        s = f64_select(some, f64_mul(square, inverse), zero);
        gamma = f64_fma(c, f64_sub(d[i], shift), f64_neg(f64_mul(s, old_gamma)));
        d[i + 1] = f64_select(wanted, f64_add(old_gamma, f64_sub(d[i], gamma)), d[i + 1]);
        p = f64_select(f64_less(zero, c), f64_div(f64_mul(gamma, gamma), c), f64_mul(old_c, square));
    }
    e[top] = f64_select(wanted, f64_mul(s, p), e[top]);
    d[top] = f64_select(wanted, f64_add(shift, gamma), d[top]);
}

/* The eigenvalues alone, on the diagonal of `h`. */
GCH_INLINE void frequency_tridiagonal(f64_vec *h, int rows)
{
    f64_vec d[GCH_FREQUENCY_ROWS], e[GCH_FREQUENCY_ROWS];
    const f64_vec least = frequency_least(h, rows);
    for (int k = 0; k < rows - 1; ++k) {
        e[k] = frequency_reflect(h, rows, k);
        d[k] = h[k * rows + k];
    }
    d[rows - 1] = h[rows * rows - 1];
    for (int top = 0; top < rows - 1; ++top) {
        for (int step = 0; step < FREQUENCY_STEPS; ++step) {
            const f64_mask wanted = f64_less(least, e[top]);
            if (!f64_any(wanted)) break;
            frequency_ql(d, e, rows, top, wanted);
        }
    }
    for (int i = 0; i < rows; ++i)
        h[i * rows + i] = d[i];
}

/* The matrices of the columns from x on. */
GCH_INLINE void frequency_fill(const struct gch_frequency_line *line, int rows, ptrdiff_t x, f64_vec *h)
{
    const double *coefficient = line->series;
    for (int i = 0; i < rows * rows; ++i) {
        f64_vec sum = f64_set1(*coefficient++);
        for (ptrdiff_t wave = 0; wave < 2 * line->reach; ++wave)
            sum = f64_fma(f64_set1(*coefficient++), f64_load(line->waves + wave * line->pitch + x), sum);
        h[i] = sum;
    }
}

/* Diagonalised; the vectors only where there is room for them. */
GCH_INLINE void frequency_solve(f64_vec *h, f64_vec *u, int rows)
{
    if (rows > FREQUENCY_FEW && u == NULL)
        frequency_tridiagonal(h, rows);
    else
        frequency_diagonalize(h, u, rows);
}

/* The next largest eigenvalue to place i, its vector to column 0 if i is 0; its root. */
GCH_INLINE f64_vec frequency_next(f64_vec *h, f64_vec *u, int rows, int i)
{
    for (int j = i + 1; j < rows; ++j) {
        const f64_vec a = h[i * rows + i], b = h[j * rows + j];
        const f64_mask below = f64_less(a, b);
        h[i * rows + i] = f64_select(below, b, a);
        h[j * rows + j] = f64_select(below, a, b);
        for (int k = 0; u != NULL && i == 0 && k < 2 * rows; ++k)
            u[k * rows] = f64_select(below, u[k * rows + j], u[k * rows]);
    }
    return f64_sqrt(f64_max(h[i * rows + i], f64_set1(0)));
}

/* The vector in column 0 of u, turned by half the angle of z, the sum of its elements' squares: exp(-i angle / 2). */
GCH_INLINE void frequency_turn_vector(const f64_vec *u, int rows, ptrdiff_t columns, double *vectors)
{
    const f64_vec zero = f64_set1(0), one = f64_set1(1), half = f64_set1(0.5);
    f64_vec real = zero, imaginary = zero, sum = zero;
    for (int i = 0; i < rows; ++i) {
        const f64_vec re = u[i * rows], im = u[(rows + i) * rows];
        real = f64_fma(re, re, f64_fma(f64_neg(im), im, real));
        imaginary = f64_fma(f64_add(re, re), im, imaginary);
    }
    const f64_vec size = f64_sqrt(f64_fma(real, real, f64_mul(imaginary, imaginary)));
    const f64_mask any = f64_less(zero, size);
    const f64_vec cosine = f64_div(f64_abs(real), f64_select(any, size, one));
    /* The larger of the half angle's cosine and sine, and the other by division: neither loses digits. */
    const f64_vec large = f64_sqrt(f64_fma(half, cosine, half));
    const f64_vec small = f64_div(f64_mul(half, f64_div(imaginary, f64_select(any, size, one))), large);
    const f64_mask turned = f64_less(real, zero); /* beyond a right angle: cosine and sine change places */
    f64_vec c = f64_select(turned, f64_abs(small), large);
    f64_vec s = f64_select(turned, f64_copysign(large, imaginary), small);
    c = f64_select(any, c, one);
    s = f64_select(any, s, zero);
    for (int i = 0; i < rows; ++i)
        sum = f64_add(sum, f64_fma(c, u[i * rows], f64_mul(s, u[(rows + i) * rows])));
    const f64_mask negative = f64_less(sum, zero);
    c = f64_select(negative, f64_neg(c), c);
    s = f64_select(negative, f64_neg(s), s);
    for (int i = 0; i < rows; ++i) { /* + 0: no zero is negative */
        const f64_vec re = u[i * rows], im = u[(rows + i) * rows];
        f64_store(vectors + 2 * i * columns, f64_add(f64_fma(c, re, f64_mul(s, im)), zero));
        f64_store(vectors + (2 * i + 1) * columns, f64_add(f64_fma(c, im, f64_neg(f64_mul(s, re))), zero));
    }
}

GCH_INLINE void frequency_values_of(const struct gch_frequency_line *line, int rows, int largest_only,
                                    double *values, double *vectors, f64_vec *h, f64_vec *u)
{
    for (ptrdiff_t x = 0; x < line->columns; x += F64_LANES) {
        frequency_fill(line, rows, x, h);
        frequency_solve(h, u, rows);
        for (int i = 0; i < (largest_only ? 1 : rows); ++i)
            f64_store(values + i * line->columns + x, frequency_next(h, u, rows, i));
        if (u != NULL) frequency_turn_vector(u, rows, line->columns, vectors + x);
    }
}

/* Most columns are passed over: no eigenvalue of n is above mean + sqrt((n - 1) deviation), where mean is the n-th part
 * of the trace and deviation that of the sum of squares about it (Wolkowicz and Styan 1980), which is close where n is
 * small. The columns with the highest bound come first. */
GCH_INLINE double frequency_peak_of(const struct gch_frequency_line *line, int rows, double *bounds,
                                    ptrdiff_t *column, f64_vec *h)
{
    const f64_vec zero = f64_set1(0), part = f64_set1(1.0 / rows), slack = f64_set1(1 + 0x1p-40);
    for (ptrdiff_t x = 0; x < line->columns; x += F64_LANES) {
        frequency_fill(line, rows, x, h);
        f64_vec mean = zero, squares = zero;
        for (int i = 0; i < rows; ++i)
            mean = f64_fma(h[i * rows + i], part, mean);
        for (int i = 0; i < rows; ++i) {
            const f64_vec apart = f64_sub(h[i * rows + i], mean);
            squares = f64_fma(apart, apart, squares);
            for (int j = 0; j < rows; ++j) /* an element off the diagonal stands there for two */
                if (j != i)
                    squares = f64_fma(f64_add(h[i * rows + j], h[i * rows + j]), h[i * rows + j], squares);
        }
        squares = f64_mul(squares, f64_mul(part, f64_set1(rows - 1)));
        f64_store(bounds + x, f64_sqrt(f64_mul(f64_add(f64_abs(mean), f64_sqrt(squares)), slack)));
    }
    double best = -1;
    for (;;) {
        ptrdiff_t first = -1;
        double highest = best;
        for (ptrdiff_t x = 0; x < line->columns; ++x) {
            if (bounds[x] < highest || bounds[x] < 0) continue;
            if (first >= 0 && bounds[x] == highest) continue;
            highest = bounds[x];
            first = x;
        }
        if (first < 0) return best;
        first -= first % F64_LANES;
        frequency_fill(line, rows, first, h);
        frequency_solve(h, NULL, rows);
        double found[F64_LANES];
        f64_store(found, frequency_next(h, NULL, rows, 0));
        for (int lane = 0; lane < F64_LANES; ++lane) {
            const ptrdiff_t at = first + lane;
            if (found[lane] > best || (found[lane] == best && at < *column)) best = found[lane], *column = at;
            bounds[at] = -1;
        }
    }
}

/* For a constant `rows` <= FREQUENCY_FEW everything unrolls. */
GCH_INLINE void frequency_few(const struct gch_frequency_line *line, int rows, int largest_only,
                              double *values, double *vectors)
{
    f64_vec h[FREQUENCY_FEW * FREQUENCY_FEW], u[2 * FREQUENCY_FEW * FREQUENCY_FEW];
    if (vectors != NULL)
        frequency_values_of(line, rows, largest_only, values, vectors, h, u);
    else
        frequency_values_of(line, rows, largest_only, values, NULL, h, NULL);
}

static void frequency_values(const struct gch_frequency_line *line, int largest_only, double *values,
                             double *vectors)
{
    f64_vec h[GCH_FREQUENCY_ROWS * GCH_FREQUENCY_ROWS], u[2 * GCH_FREQUENCY_ROWS * GCH_FREQUENCY_ROWS];
    switch (line->rows) {
    case 1:
        frequency_few(line, 1, largest_only, values, vectors);
        break;
    case 2:
        frequency_few(line, 2, largest_only, values, vectors);
        break;
    case 3:
        frequency_few(line, 3, largest_only, values, vectors);
        break;
    case FREQUENCY_FEW:
        frequency_few(line, FREQUENCY_FEW, largest_only, values, vectors);
        break;
    default:
        if (vectors != NULL)
            frequency_values_of(line, (int)line->rows, largest_only, values, vectors, h, u);
        else
            frequency_values_of(line, (int)line->rows, largest_only, values, NULL, h, NULL);
    }
}

static double frequency_peak(const struct gch_frequency_line *line, double *bounds, ptrdiff_t *column)
{
    f64_vec h[GCH_FREQUENCY_ROWS * GCH_FREQUENCY_ROWS];
    *column = 0;
    switch (line->rows) {
    case 1:
        return frequency_peak_of(line, 1, bounds, column, h);
    case 2:
        return frequency_peak_of(line, 2, bounds, column, h);
    case 3:
        return frequency_peak_of(line, 3, bounds, column, h);
    case FREQUENCY_FEW:
        return frequency_peak_of(line, FREQUENCY_FEW, bounds, column, h);
    default:
        return frequency_peak_of(line, (int)line->rows, bounds, column, h);
    }
}

enum { PRODUCT_ROWS = 3, PRODUCT_LANES = 8 };

typedef double frequency_lanes[PRODUCT_ROWS][PRODUCT_ROWS][PRODUCT_LANES];

/* Up to three rows by three, `count` elements: six loads for nine multiply-adds. */
GCH_INLINE void frequency_block(const double *const a[PRODUCT_ROWS], const double *const b[PRODUCT_ROWS],
                                ptrdiff_t first, ptrdiff_t second, ptrdiff_t count, frequency_lanes lanes)
{
    for (int v = 0; v < PRODUCT_LANES; v += F64_LANES) {
        f64_vec sum[PRODUCT_ROWS][PRODUCT_ROWS], x[PRODUCT_ROWS], y[PRODUCT_ROWS];
        GCH_UNROLL
        for (int i = 0; i < PRODUCT_ROWS; ++i)
            GCH_UNROLL
        for (int j = 0; j < PRODUCT_ROWS; ++j)
            sum[i][j] = f64_load(&lanes[i][j][v]);
        ptrdiff_t at = v;
        for (; at + F64_LANES <= count; at += PRODUCT_LANES) {
            GCH_UNROLL
            for (int i = 0; i < PRODUCT_ROWS; ++i) {
                x[i] = f64_load(a[i] + first + at);
                y[i] = f64_load(b[i] + second + at);
            }
            GCH_UNROLL
            for (int i = 0; i < PRODUCT_ROWS; ++i)
                GCH_UNROLL
            for (int j = 0; j < PRODUCT_ROWS; ++j)
                sum[i][j] = f64_fma(x[i], y[j], sum[i][j]);
        }
        if (at < count) {
            const f64_mask rest = f64_lanes(0, count - at);
            GCH_UNROLL
            for (int i = 0; i < PRODUCT_ROWS; ++i) {
                x[i] = f64_load_part(a[i] + first + at, rest);
                y[i] = f64_load_part(b[i] + second + at, rest);
            }
            GCH_UNROLL
            for (int i = 0; i < PRODUCT_ROWS; ++i)
                GCH_UNROLL
            for (int j = 0; j < PRODUCT_ROWS; ++j)
                sum[i][j] = f64_fma(x[i], y[j], sum[i][j]);
        }
        GCH_UNROLL
        for (int i = 0; i < PRODUCT_ROWS; ++i)
            GCH_UNROLL
        for (int j = 0; j < PRODUCT_ROWS; ++j)
            f64_store(&lanes[i][j][v], sum[i][j]);
    }
}

/* Offset by offset within a row of taps, so that two rows of taps at a time are what the nearest cache must hold. */
static void frequency_products(const struct gch_frequency_offsets *o, const double *first,
                               const double *second, double *sums)
{
    const ptrdiff_t rows = o->rows;
    for (ptrdiff_t place = 0; place < rows * rows; ++place) {
        const ptrdiff_t a = place / rows, b = place % rows;
        if (a % PRODUCT_ROWS || b % PRODUCT_ROWS) continue;
        const double *x[PRODUCT_ROWS], *y[PRODUCT_ROWS];
        for (ptrdiff_t i = 0; i < PRODUCT_ROWS; ++i) { /* rows that are missing repeat another */
            x[i] = first + (a + i < rows ? a + i : a) * o->stride;
            y[i] = second + (b + i < rows ? b + i : b) * o->stride;
        }
        frequency_lanes lanes[GCH_FREQUENCY_OFFSETS];
        memset(lanes, 0, sizeof lanes);
        for (ptrdiff_t line = 0; line < o->lines; ++line) {
            for (ptrdiff_t k = 0; k < o->count; ++k) {
                const ptrdiff_t dx = o->dx + k, from = dx < 0 ? -dx : 0, apart = dx < 0 ? -dx : dx;
                const ptrdiff_t at = (line * o->taps + from) * o->channels;
                frequency_block(x, y, at + dx * o->channels, at, (o->taps - apart) * o->channels, lanes[k]);
            }
        }
        for (ptrdiff_t k = 0; k < o->count; ++k) {
            for (ptrdiff_t i = 0; i < PRODUCT_ROWS && a + i < rows; ++i) {
                for (ptrdiff_t j = 0; j < PRODUCT_ROWS && b + j < rows; ++j) {
                    const double *p = lanes[k][i][j];
                    sums[(k * rows + a + i) * rows + b + j] =
                        ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
                }
            }
        }
    }
}
